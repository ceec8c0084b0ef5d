"""Series: adding numbers by key and time, asking about one key or all, other processes, and doing it wrong."""

import multiprocessing
import pickle
import random
import statistics
import time
from array import array
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

import shmstore
from shmstore import Key, Record, Series, Summary
from shmstore.errors import (
    FieldError,
    FieldTypeError,
    InvalidOption,
    KeyTableFull,
    ReadOnlyStore,
    SchemaMismatch,
    StoreClosed,
    StoreNotFound,
    StoreUnlinked,
)
from shmstore.events.options import Layout
from shmstore.events.series import Measure, Point

VALUES = {"roof": [20.0, 22.0, 27.0], "cellar": [9.0, 7.0], "attic": [40.0]}
POINTS = sorted(
    (Point(key, value, 10 * turn) for key, values in VALUES.items() for turn, value in enumerate(values, 1)),
    key=lambda point: point.timestamp,
)


@pytest.fixture
def empty(name: str) -> Iterator[Series]:
    with shmstore.series(name, 100, partitions=2) as series:
        yield series


@pytest.fixture
def sensors(empty: Series) -> Series:
    """Three keys of 3, 2 and 1 values, at 10, 20 and 30 ns."""
    for point in POINTS:
        empty.add(*point)
    return empty


# -- making and attaching


def test_the_first_makes_it_and_the_next_attach(name: str) -> None:
    with shmstore.series(name, capacity=10, partitions=1) as first, shmstore.series(name, capacity=10) as second:
        first.add("roof", 20.0, 1)
        with shmstore.series(name) as third:
            third.add("roof", 21.0, 2)
        assert second.store.store_id == first.store.store_id
        assert (second.name, second.capacity, len(second)) == (name, 10, 2)
        assert list(second.values()) == [Point("roof", 20.0, 1), Point("roof", 21.0, 2)]


def test_without_a_capacity_it_must_be_there(name: str) -> None:
    with pytest.raises(StoreNotFound, match=name):
        shmstore.series(name)
    assert name not in shmstore.list_stores()


def test_the_options_are_those_of_create(name: str) -> None:
    discarded: list[Point] = []
    with shmstore.series(
        name, 2, partitions=1, layout="rows", partition_by="turn", keys=1, processes=3, on_discarded=discarded.append
    ) as series:
        for number in range(3):
            series.add("roof", number, number)
        assert discarded == [Point("roof", 0.0, 0)]
        options = series.store.schema, series.store.partitions, series.capacity
        assert options == (shmstore.Schema.of(Point), 1, 2)
        with pytest.raises(KeyTableFull):
            series.add("cellar", 1.0)
    with pytest.raises(TypeError):
        shmstore.series(name, 2, colour="red")  # type: ignore[call-arg]


def test_a_store_of_other_records_is_no_series(name: str) -> None:
    class Reading(Record):
        sensor: Key
        value: float

    with shmstore.create(name, Reading, capacity=10):
        for capacity in (None, 10):
            with pytest.raises(SchemaMismatch, match="sensor"):
                shmstore.series(name, capacity)


def test_who_only_reads_asks_and_changes_nothing(sensors: Series) -> None:
    with shmstore.series(sensors.name, read_only=True) as reader:
        assert reader.mean("roof") == 23.0
        for change in (
            lambda: reader.add("roof", 1.0),
            lambda: reader.add("roof", 1.0, 5),
            lambda: reader.add_many("roof", [1.0]),
            lambda: reader.clear(),
            lambda: reader.purge(timedelta(0)),
        ):
            with pytest.raises(ReadOnlyStore):
                change()
        with pickle.loads(pickle.dumps(reader)) as other, pytest.raises(ReadOnlyStore):
            other.add("roof", 1.0)
    assert len(sensors) == len(POINTS)
    with pytest.raises(InvalidOption, match="read_only"):
        shmstore.series(sensors.name, 10, read_only=True)


# -- adding


def test_a_value_is_added_now_or_at_a_time(empty: Series) -> None:
    before = time.time_ns()
    positions = [
        empty.add("roof", 1.5),
        empty.add("roof", 2, 7),
        empty.add("roof", 3.5, datetime(2026, 1, 1, tzinfo=UTC)),
        empty.add("roof", 4.5, None),
    ]
    now, then, dated, none = (empty.store.read_at(position) for position in positions)
    assert before <= now.timestamp <= none.timestamp <= time.time_ns()
    assert then == Point("roof", 2.0, 7)
    assert dated.timestamp == 1_767_225_600 * 10**9


def test_many_are_added_by_columns(empty: Series) -> None:
    assert empty.add_many(["roof", "cellar"], [1.0, 2.0]) == 2
    assert empty.add_many("roof", array("d", [3.0, 4.0]), array("q", [5, 6])) == 2
    assert empty.add_many("roof", []) == 0
    assert empty.keys() == ["roof", "cellar"]
    assert (empty.sum("roof"), empty.sum("cellar"), len(empty)) == (8.0, 2.0, 4)
    assert list(empty.values("roof", until=100)) == [Point("roof", 3.0, 5), Point("roof", 4.0, 6)]


def test_what_does_not_fit_is_refused_and_nothing_is_added(empty: Series) -> None:
    for wrong, field in (
        (lambda: empty.add("roof", "hot"), "value"),  # type: ignore[arg-type]
        (lambda: empty.add(1.5, 1.0), "key"),  # type: ignore[arg-type]
        (lambda: empty.add("roof", 1.0, "noon"), "timestamp"),  # type: ignore[arg-type]
        (lambda: empty.add("roof", 1.0, datetime(2026, 1, 1)), "timestamp"),
        (lambda: empty.add("k" * 65, 1.0), "key"),
        (lambda: empty.add_many(["roof", "cellar"], [1.0]), "value"),
        (lambda: empty.add_many(["roof", "cellar"], [1.0, None]), "value"),
    ):
        with pytest.raises(FieldError) as refused:
            wrong()
        assert refused.value.field == field
    assert len(empty) == 0


# -- asking


@pytest.mark.parametrize("key", [*VALUES, None])
def test_the_questions_are_answered_about_a_key_or_all(sensors: Series, key: str | None) -> None:
    points = [point for point in POINTS if key in (None, point.key)]
    values = [point.value for point in points]
    assert sensors.count(key) == len(values)
    assert (sensors.sum(key), sensors.mean(key)) == (sum(values), statistics.fmean(values))
    assert (sensors.min(key), sensors.max(key)) == (min(values), max(values))
    assert sensors.summary(key) == Summary(len(values), sum(values), statistics.fmean(values), min(values), max(values))
    assert sensors.variance(key, ddof=0) == pytest.approx(statistics.pvariance(values))
    assert sensors.stddev(key, ddof=0) == pytest.approx(statistics.pstdev(values))
    if len(values) > 1:
        assert sensors.variance(key) == pytest.approx(statistics.variance(values))
        assert sensors.stddev(key) == pytest.approx(statistics.stdev(values))
    assert sensors.quantile(key, 0.5) == statistics.median(values)
    assert sensors.quantiles(key, [0, 1]) == [min(values), max(values)]
    assert sorted(sensors.values(key)) == sorted(sensors.snapshot(key)) == sorted(points)


def test_the_edges_and_the_newest_record(sensors: Series) -> None:
    assert (sensors.first("roof"), sensors.last("roof"), sensors.last()) == (20.0, 27.0, 27.0)
    assert sensors.latest("cellar") == ("cellar", 7.0, 20)
    sensors.add("roof", 1.0, 5)  # it comes late
    assert (sensors.first("roof"), sensors.last("roof")) == (1.0, 27.0)
    assert sensors.latest("roof") == Point("roof", 1.0, 5)


def test_a_window_holds_for_every_question(sensors: Series) -> None:
    since, until = 20, datetime.fromtimestamp(0, UTC) + timedelta(microseconds=1)
    inner = {"since": since, "until": 30}
    assert sensors.count("roof", **inner) == 1
    for question in (sensors.sum, sensors.mean, sensors.min, sensors.max, sensors.first, sensors.last):
        assert question("roof", **inner) == 22.0
    assert (sensors.variance("roof", 0, **inner), sensors.stddev("roof", 0, **inner)) == (0.0, 0.0)
    assert (sensors.quantile("roof", 0.9, **inner), sensors.quantiles("roof", [0.1], **inner)) == (22.0, [22.0])
    assert sensors.summary("roof", **inner) == (1, 22.0, 22.0, 22.0, 22.0)
    assert sensors.latest("roof", **inner) == Point("roof", 22.0, 20)
    assert list(sensors.values("roof", **inner)) == list(sensors.snapshot("roof", **inner)) == [Point("roof", 22.0, 20)]
    assert list(sensors.windows("roof", every=10, **inner)) == [(20, 1, 22.0, 22.0, 22.0, 22.0)]
    assert list(sensors.top(9, **inner)) == list(sensors.group(**inner).sum("value").top(9))
    assert list(sensors.top(9, **inner)) == [("roof", 22.0), ("cellar", 7.0)]
    assert list(sensors.bottom(1, "count", **inner)) == [("cellar", 1)]
    assert sensors.count(since=since, until=until) == 3
    assert sensors.count(since=timedelta(days=1)) == 0


def test_an_unknown_key_answers_as_no_records_do_and_stays_unknown(sensors: Series) -> None:
    assert (sensors.count("lawn"), sensors.sum("lawn"), sensors.quantiles("lawn", [0.5])) == (0, 0, [None])
    assert sensors.summary("lawn") == (0, 0, None, None, None)
    for question in (
        *(sensors.mean, sensors.min, sensors.max, sensors.variance, sensors.stddev),
        *(sensors.first, sensors.last, sensors.latest, lambda key: sensors.quantile(key, 0.5)),
    ):
        assert question("lawn") is None
    assert list(sensors.values("lawn")) == list(sensors.snapshot("lawn")) == []
    assert len(sensors.windows("lawn", every=10)) == 0
    assert sensors.keys() == list(VALUES)


def test_the_records_of_a_key_come_in_the_order_asked_for(sensors: Series) -> None:
    assert [point.value for point in sensors.values("roof", order="newest", limit=2)] == [27.0, 22.0]
    assert [point.timestamp for point in sensors.snapshot(order="time")] == [10, 10, 10, 20, 20, 30]
    assert list(sensors.values("roof")["value"]) == VALUES["roof"]


def test_the_keys_are_ranked_by_any_measure(sensors: Series) -> None:
    assert list(sensors.top(2)) == [("roof", 69.0), ("attic", 40.0)]
    assert list(sensors.bottom(1)) == [("cellar", 16.0)]
    measures: dict[Measure, Callable[[list[float]], float]] = {
        "sum": sum,
        "mean": statistics.fmean,
        "count": len,
        "min": min,
        "max": max,
        "first": lambda values: values[0],
        "last": lambda values: values[-1],
    }
    for by, measure in measures.items():
        expected = {key: measure(values) for key, values in VALUES.items()}
        assert dict(sensors.top(9, by)) == expected
        assert [row.key for row in sensors.top(9, by)] == sorted(expected, key=expected.get, reverse=True)
        assert sensors.top(1, by).names == ("key", by)
    assert [row.key for row in sensors.top(9, "stddev")] == ["roof", "cellar", "attic"]
    assert [row.key for row in sensors.bottom(2, "variance")] == ["cellar", "roof"]


def test_each_key_and_each_window_has_its_row(sensors: Series) -> None:
    assert sensors.group().mean("value").to_dicts() == [
        {"key": "attic", "mean": 40.0},
        {"key": "cellar", "mean": 8.0},
        {"key": "roof", "mean": 23.0},
    ]
    assert [row[:3] for row in sensors.windows(every=20)] == [(0, 3, 69.0), (20, 3, 56.0)]
    assert [row.start for row in sensors.windows("roof", every=10, period=20)] == [0, 10, 20, 30]


def test_a_wrong_question_is_refused(sensors: Series) -> None:
    for wrong in (
        lambda: sensors.mean("roof", since=2, until=1),
        lambda: sensors.quantile("roof", 1.5),
        lambda: sensors.top(-1),
        lambda: sensors.top(1, by="colour"),  # type: ignore[arg-type]
        lambda: sensors.top(1, by="__class__"),  # type: ignore[arg-type]
        lambda: sensors.windows(every=0),
        lambda: sensors.values(limit=-1),
    ):
        with pytest.raises(InvalidOption):
            wrong()
    with pytest.raises(FieldTypeError, match="key"):
        sensors.mean(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_random_values_are_told_apart_by_key_and_time(name: str, seed: int, layout: Layout) -> None:
    chance = random.Random(seed)
    points = [Point(f"s-{chance.randrange(7)}", chance.uniform(-9, 9), turn) for turn in range(3000)]
    with shmstore.series(name, 3000, partitions=1, layout=layout) as series:
        series.add_many(*zip(*points, strict=True))
        for _ in range(50):
            key = chance.choice([None, *series.keys()])
            since, until = sorted(chance.randrange(3000) for _ in range(2))
            chosen = [p.value for p in points[since:until] if key in (None, p.key)]
            assert series.count(key, since=since, until=until) == len(chosen)
            assert series.sum(key, since=since, until=until) == pytest.approx(sum(chosen))
            assert series.max(key, since=since, until=until) == max(chosen, default=None)
            assert series.last(key, since=since, until=until) == (chosen[-1] if chosen else None)


# -- its life


def test_cleaning_keeps_the_keys(sensors: Series) -> None:
    assert sensors.purge(older_than=15) == 3
    assert sensors.values("roof").snapshot().values("value") == [22.0, 27.0]
    sensors.clear()
    assert (len(sensors), sensors.keys()) == (0, list(VALUES))
    assert bool(sensors)
    assert sensors.statistics.total_appended == len(POINTS)


def test_it_says_what_it_is(sensors: Series) -> None:
    assert repr(sensors) == f"<Series {sensors.name!r}: 6 of 100 values of 3 keys>"
    sensors.close()
    assert sensors.closed
    assert repr(sensors) == f"<Series {sensors.name!r}: closed>"


def test_a_closed_or_unlinked_one_takes_nothing(name: str) -> None:
    with shmstore.series(name, 10) as series:
        shmstore.unlink(name)
        for timestamp in (None, 5):
            with pytest.raises(StoreUnlinked):
                series.add("roof", 1.0, timestamp)
    for use in (lambda: series.add("roof", 1.0), lambda: series.add("roof", 1.0, 5), lambda: series.mean("roof")):
        with pytest.raises(StoreClosed):
            use()
    series.close()


# -- other processes


def add_a_hundred(series: Series, key: str) -> None:
    for number in range(100):
        series.add(key, float(number))


@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_processes_share_a_series_that_they_were_given(name: str, way: str) -> None:
    context = multiprocessing.get_context(way)
    with shmstore.series(name, 1000) as series:
        workers = [context.Process(target=add_a_hundred, args=(series, key)) for key in ("a", "b")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert list(series.top(2)) == [("a", 4950.0), ("b", 4950.0)]
        assert [point.value for point in series.values("a")] == list(map(float, range(100)))


def make_and_add(name: str, key: str) -> None:
    with shmstore.series(name, 1000) as series:
        series.add(key, 1.0)


def test_processes_that_start_together_share_one(name: str) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=make_and_add, args=(name, f"s-{number}")) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    with shmstore.series(name) as series:
        assert sorted(series.keys()) == [f"s-{number}" for number in range(8)]
        assert series.sum() == 8.0


def test_a_pickled_series_attaches_by_name(sensors: Series) -> None:
    with pickle.loads(pickle.dumps(sensors)) as other:
        other.add("roof", 1.0, 40)
        assert other.latest("roof") == Point("roof", 1.0, 40)
    assert pickle.loads(pickle.dumps(sensors.latest("roof"))) == Point("roof", 1.0, 40)
