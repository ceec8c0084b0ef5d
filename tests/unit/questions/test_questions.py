"""Totals and folds: what they answer, over which records, and what they refuse."""

import math
from collections.abc import Iterator
from datetime import timedelta

import pytest

import shmstore
from shmstore import Bool, Bytes, EventStore, Float32, Int8, Key, Record, Text, Timestamp, UInt64
from shmstore.errors import FieldError, FieldTypeError
from shmstore.expressions.expression import field as of


class Reading(Record):
    sensor: Key
    note: Text[8]
    small: Int8
    large: UInt64
    single: Float32
    value: float
    good: Bool
    timestamp: Timestamp


def reading(number: int, value: float | None = None) -> Reading:
    return Reading(
        f"s-{number % 2}",
        "note",
        -number,
        2**63 + number,
        number / 4,
        number / 2 if value is None else value,
        number > 5,
        number,
    )


RECORDS = [reading(number) for number in range(10)]


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    """Ten readings, the even ones of sensor s-0 in partition 0."""
    with shmstore.create(name, Reading, capacity=100, partitions=2) as store:
        store.append_many(RECORDS)
        yield store


@pytest.fixture
def empty(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(f"{name}-empty", Reading, capacity=100, partitions=2) as store:
        yield store


def test_sum_mean_min_and_max_of_every_kind_of_number(store: EventStore[Reading]) -> None:
    for field in ("small", "large", "single", "value", "good", "timestamp"):
        values = [getattr(record, field) for record in RECORDS]
        assert store.sum(field) == sum(values)
        assert store.mean(field) == sum(values) / 10
        assert (store.min(field), store.max(field)) == (min(values), max(values))


def test_integers_are_summed_exactly(store: EventStore[Reading]) -> None:
    assert store.sum("large") == 10 * 2**63 + 45
    assert isinstance(store.sum("large"), int)


def test_nothing_has_a_sum_and_no_mean(empty: EventStore[Reading]) -> None:
    assert (empty.count(), empty.sum("value"), empty.sum("large")) == (0, 0, 0)
    assert (empty.mean("value"), empty.min("value"), empty.max("value")) == (None, None, None)


def test_floats_are_summed_without_loss_whatever_their_order(empty: EventStore[Reading]) -> None:
    empty.append_many([reading(number, value) for number, value in enumerate([1e100, 1.0, -1e100, 1e-9, 2.0, 0.1])])
    assert empty.sum("value") == math.fsum([1.0, 1e-9, 2.0, 0.1])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], math.inf),
        ([1e308, 1e308], math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0], math.nan),
    ],
)
def test_sums_beyond_the_floats_are_inf_and_nan(
    empty: EventStore[Reading], values: list[float], expected: float
) -> None:
    empty.append_many([reading(number, value) for number, value in enumerate(values)])
    assert empty.sum("value") == pytest.approx(expected, nan_ok=True)


def test_min_and_max_pass_over_nan(empty: EventStore[Reading]) -> None:
    empty.append_many(
        [reading(number, value) for number, value in enumerate([math.nan, 2.0, math.nan, -1.0, math.nan])]
    )
    assert (empty.min("value"), empty.max("value")) == (-1.0, 2.0)
    empty.clear()
    empty.append(reading(0, math.nan))
    assert empty.min("value") is None


def test_every_question_takes_the_same_choices(store: EventStore[Reading]) -> None:
    choices = {"since": 2, "until": 9, "partition": 0, "where": lambda record: record.value != 2}
    chosen = [
        record for record in RECORDS if 2 <= record.timestamp < 9 and record.sensor == "s-0" and record.value != 2
    ]
    assert store.count(**choices) == len(chosen)
    assert store.sum("value", **choices) == sum(record.value for record in chosen)
    assert store.mean("value", **choices) == sum(record.value for record in chosen) / len(chosen)
    assert store.min("value", **choices) == chosen[0].value
    assert store.max("value", **choices) == chosen[-1].value
    assert list(store.query(**choices)) == chosen
    assert store.aggregate(0.0, lambda total, record: total + record.value, **choices) == sum(r.value for r in chosen)


def test_a_window_by_length_of_time(store: EventStore[Reading]) -> None:
    store.append(sensor="now", note="", small=1, large=1, single=1, value=7.0, good=True)
    assert store.count(since=timedelta(minutes=10)) == 1
    assert store.sum("value", since=timedelta(minutes=10)) == 7.0
    assert store.count(until=timedelta(minutes=10)) == 10


def test_any_fold(store: EventStore[Reading]) -> None:
    def count_by_sensor(counts: dict[str, int], record: Reading) -> dict[str, int]:
        return counts | {record.sensor: counts.get(record.sensor, 0) + 1}

    assert store.aggregate({}, count_by_sensor) == {"s-0": 5, "s-1": 5}
    assert store.aggregate("nothing", count_by_sensor, partition=1, since=100) == "nothing"


def test_a_fold_goes_by_partition(store: EventStore[Reading]) -> None:
    order = store.aggregate([], lambda seen, record: [*seen, record.timestamp])
    assert order == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]


@pytest.mark.parametrize("field", ["sensor", "note"])
def test_what_holds_no_numbers_is_refused(store: EventStore[Reading], field: str) -> None:
    for ask in (store.sum, store.mean, store.min, store.max):
        with pytest.raises(FieldTypeError, match=field) as refused:
            ask(field)
        assert refused.value.field == field


def test_an_unknown_field_is_refused(store: EventStore[Reading]) -> None:
    with pytest.raises(FieldError, match="colour"):
        store.sum("colour")


def test_an_unknown_choice_is_refused(store: EventStore[Reading]) -> None:
    with pytest.raises(TypeError, match="colour"):
        store.count(colour="red")


def test_membership_of_nothing_holds_for_no_record(name: str) -> None:
    class Mixed(Record):
        first: Text[4]
        other: Text[4]
        raw: Bytes[4]
        key: Key
        number: int
        value: float

    with shmstore.create(name, Mixed, capacity=4, partitions=1) as store:
        store.append(("b", "b", b"c", "k", 1, 1.0))
        for each in Mixed._fields:
            assert store.count(where=of(each).isin([])) == 0, each
            assert store.count(where=~of(each).isin([])) == 1, each
        shmstore.unlink(name)
