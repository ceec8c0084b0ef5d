"""Groups: a row for each value of a field, with the answers of the same questions about its records alone."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

import shmstore
from shmstore import Bool, Bytes, EventStore, Float32, Int8, Key, Record, Text, Timestamp, UInt64, field
from shmstore.errors import FieldError, FieldTypeError, InvalidOption


class Reading(Record):
    sensor: Key
    note: Text[8]
    raw: Bytes[2]
    small: Int8
    large: UInt64
    single: Float32
    value: float
    good: Bool
    timestamp: Timestamp


def reading(number: int, sensor: str) -> Reading:
    return Reading(
        sensor,
        f"n{number % 2}",
        b"\0\xff"[: number % 3],
        -(number % 128),
        2**63 + number,
        0.5,
        number,
        number > 5,
        number,
    )


RECORDS = [reading(number, f"s-{number % 3}") for number in range(10)]


@pytest.fixture(params=["rows", "columns"])
def store(request: pytest.FixtureRequest, name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=100, partitions=2, layout=request.param) as store:
        store.key("s-2")  # so that ids are not in the order of texts
        store.append_many(RECORDS)
        yield store


def rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table]


def test_each_method_has_its_columns(store: EventStore[Reading]) -> None:
    groups = store.group_by("sensor")
    assert rows(groups.count()) == [("s-0", 4), ("s-1", 3), ("s-2", 3)]
    assert rows(groups.sum("value")) == [("s-0", 18.0), ("s-1", 12.0), ("s-2", 15.0)]
    assert rows(groups.mean("value")) == [("s-0", 4.5), ("s-1", 4.0), ("s-2", 5.0)]
    assert rows(groups.min("value")) == [("s-0", 0.0), ("s-1", 1.0), ("s-2", 2.0)]
    assert rows(groups.max("value")) == [("s-0", 9.0), ("s-1", 7.0), ("s-2", 8.0)]
    assert rows(groups.variance("value")) == [("s-0", 15.0), ("s-1", 9.0), ("s-2", 9.0)]
    assert rows(groups.stddev("value", ddof=2)) == [("s-0", math.sqrt(22.5)), ("s-1", math.sqrt(18)), ("s-2", 18**0.5)]
    assert rows(groups.quantile("value", 0.5)) == [("s-0", 4.5), ("s-1", 4.0), ("s-2", 5.0)]
    assert rows(groups.distinct("note")) == [("s-0", 2), ("s-1", 2), ("s-2", 2)]
    assert rows(groups.first("timestamp")) == [("s-0", 0), ("s-1", 1), ("s-2", 2)]
    assert rows(groups.last("note")) == [("s-0", "n1"), ("s-1", "n1"), ("s-2", "n0")]
    assert rows(groups.summary("small")) == [
        ("s-0", 4, -18, -4.5, -9, 0),
        ("s-1", 3, -12, -4.0, -7, -1),
        ("s-2", 3, -15, -5.0, -8, -2),
    ]
    names = ["count", "sum", "mean", "min", "max", "variance", "stddev", "quantile", "distinct", "first", "last"]
    arguments = {"count": (), "quantile": ("value", 0.1)}
    for name in names:
        assert getattr(groups, name)(*arguments.get(name, ("value",))).names == ("sensor", name)
    assert groups.summary("value").names == ("sensor", "count", "sum", "mean", "min", "max")


@pytest.mark.parametrize("by", ["sensor", "note", "raw", "small", "large", "good", "timestamp"])
def test_any_field_of_equal_values_makes_groups_in_its_order(store: EventStore[Reading], by: str) -> None:
    labels = sorted({getattr(record, by) for record in RECORDS})
    table = store.group_by(by).count()
    assert list(table[by]) == labels
    assert table["count"].tolist() == [sum(getattr(record, by) == label for record in RECORDS) for label in labels]
    assert [type(label) for label in table.values(by)] == [type(label) for label in labels]


@pytest.mark.parametrize("by", ["value", "single"])
def test_floats_make_no_groups(store: EventStore[Reading], by: str) -> None:
    with pytest.raises(FieldTypeError, match=f"'{by}'.*give a Key, text, bytes, int, bool or Timestamp"):
        store.group_by(by)


def test_an_expression_is_asked_about_like_a_field(store: EventStore[Reading]) -> None:
    doubled = store.group_by("good").sum(field("small") * 2)
    assert rows(doubled) == [(False, -30), (True, -60)]


def test_it_takes_the_choices_of_every_question(store: EventStore[Reading]) -> None:
    chosen: dict[str, Any] = {"since": 2, "until": 9, "partition": 0}
    expected = [r for r in store.snapshot(partition=0) if 2 <= r.timestamp < 9 and r.value > 2]
    table = store.group_by("note", where=field("value") > 2, **chosen).count()
    assert table == store.group_by("note", where=lambda record: record.value > 2, **chosen).count()
    assert sum(table["count"]) == len(expected) > 0


def test_it_asks_anew_each_time(store: EventStore[Reading]) -> None:
    groups = store.group_by("sensor", since=9)
    assert rows(groups.count()) == [("s-0", 1)]
    store.append(reading(10, "new"))
    assert rows(groups.count()) == [("new", 1), ("s-0", 1)]


def test_a_group_of_nothing_is_none(store: EventStore[Reading]) -> None:
    assert len(store.group_by("sensor", since=1000).count()) == 0
    nothing = store.group_by("sensor", where=field("value") > 1000).summary("value")
    assert (len(nothing), nothing.names) == (0, ("sensor", "count", "sum", "mean", "min", "max"))
    assert len(nothing.top(5)) == 0


def test_integers_are_exact_and_wide(store: EventStore[Reading]) -> None:
    sums = store.group_by("sensor").sum("large").values("sum")
    assert sums == [4 * 2**63 + 18, 3 * 2**63 + 12, 3 * 2**63 + 15]


def test_nan_is_left_aside_by_bounds_and_spoils_sums(store: EventStore[Reading]) -> None:
    store.append(reading(11, "s-1")._replace(value=math.nan))
    store.append(reading(12, "nan")._replace(value=math.nan))
    bounds = {sensor: (low, high) for sensor, _, _, _, low, high in store.group_by("sensor").summary("value")}
    assert (bounds["s-1"], bounds["nan"], bounds["s-0"]) == ((1.0, 7.0), (None, None), (0.0, 9.0))
    sums = dict(rows(store.group_by("sensor").sum("value")))
    assert math.isnan(sums["s-1"]) and math.isnan(sums["nan"]) and sums["s-0"] == 18.0
    assert dict(rows(store.group_by("sensor").quantile("value", 1)))["nan"] is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_variance_of_what_is_not_finite_is_nan_also_of_one(store: EventStore[Reading], value: float) -> None:
    store.append_many([reading(number, f"more-{number}") for number in range(100)])  # many groups of one
    store.append(reading(1, "odd")._replace(value=value))
    assert math.isnan(dict(rows(store.group_by("sensor").variance("value", ddof=0)))["odd"])


def test_a_variance_of_too_few_is_missing(store: EventStore[Reading]) -> None:
    store.append(reading(13, "one"))
    assert dict(rows(store.group_by("sensor").variance("value")))["one"] is None
    assert dict(rows(store.group_by("sensor").variance("value", ddof=0)))["one"] == 0.0


@pytest.mark.parametrize("ids", [100, 5000])
def test_more_groups_than_the_core_has_places_at_first(name: str, ids: int) -> None:
    with shmstore.create(name, Reading, capacity=20_000, partitions=3, keys=5000) as store:
        records = [reading(number, f"s-{number % ids:04}") for number in range(12_000)]
        store.append_many(records)
        table = store.group_by("sensor").summary("value")
        assert len(table) == ids
        for number in (0, 1, ids - 1):
            values = [record.value for record in records if record.sensor == f"s-{number:04}"]
            assert table[number][1:3] == (len(values), sum(values))
        assert len(store.group_by("timestamp").count()) == 12_000


def test_the_top_and_the_bottom(store: EventStore[Reading]) -> None:
    table = store.group_by("sensor").sum("value")
    assert rows(table.top(2)) == [("s-0", 18.0), ("s-2", 15.0)]
    assert rows(table.bottom(1)) == [("s-1", 12.0)]
    assert rows(table.top(1, by="sensor")) == [("s-2", 15.0)]
    assert len(table.top(0)) == 0 and len(table.top(99)) == 3


@pytest.mark.parametrize("k", [-1, 1.5, True, "2"])
def test_a_number_of_rows_that_is_none(store: EventStore[Reading], k: Any) -> None:
    table = store.group_by("sensor").count()
    for ranked in (table.top, table.bottom):
        with pytest.raises(InvalidOption, match=f"k is {k!r}"):
            ranked(k)


def test_a_field_that_is_none_is_told_at_once_and_a_choice_when_something_is_asked(store: EventStore[Reading]) -> None:
    with pytest.raises(FieldError, match="colour"):
        store.group_by("colour")
    with pytest.raises(FieldError, match="colour"):
        store.group_by("sensor", where=field("colour") == 3).count()
    with pytest.raises(InvalidOption, match="since"):
        store.group_by("sensor", since=3, until=2).count()
    calls: list[Reading] = []
    store.group_by("sensor", where=calls.append)
    assert not calls, "no record is looked at before something is asked"


def test_what_no_method_takes(store: EventStore[Reading]) -> None:
    groups = store.group_by("sensor")
    with pytest.raises(FieldTypeError, match="'note'"):
        groups.sum("note")
    with pytest.raises(FieldError, match="colour"):
        groups.first("colour")
    with pytest.raises(InvalidOption, match="the quantile is 2"):
        groups.quantile("value", 2)
    with pytest.raises(InvalidOption, match="ddof is -1"):
        groups.variance("value", -1)
    with pytest.raises(FieldError, match="left 64 bits"):
        groups.sum(field("large") * 3)


def test_quantiles_beside_interpolated_ones_are_not_rounded(name: str) -> None:
    class Visit(Record):
        key: Key
        at: Timestamp

    exact = 1_699_999_964_000_061_651
    with shmstore.create(name, Visit, capacity=8, partitions=1) as store:
        store.append(key="one", at=exact)
        store.append_many([("two", 1), ("two", 2)])
        assert store.group_by("key").quantile("at", 0.5).values("quantile") == [exact, 1.5]
        shmstore.unlink(name)
