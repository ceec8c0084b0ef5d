"""What answers come to where numbers, times, keys and fields end: exact, or an error, and nothing in between."""

import math
import random
import statistics
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, Key, Record, Text, Timestamp, _core, field
from shmstore.records.schema import Schema
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork


class Reading(Record):
    sensor: Key
    note: Text[8]
    value: float
    number: int
    at: Timestamp


ROWS = 2500  # batches of 1024, and a part of one


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=4000, partitions=1) as store:
        yield store
        shmstore.unlink(name)


def append(store: EventStore[Reading], *, values: list[float] | None = None, numbers: list[int] | None = None) -> None:
    count = len(values or numbers or ())
    store.append_many(
        [
            Reading(f"s-{at % 3}", "", (values or [0.0] * count)[at], (numbers or [0] * count)[at], at)
            for at in range(count)
        ]
    )


# Numbers.


@pytest.mark.parametrize("rows", [2, 8, 9, 1024, ROWS])
def test_sums_whose_parts_leave_the_floats_are_right_when_the_whole_does_not(
    store: EventStore[Reading], rows: int
) -> None:
    append(store, values=[1e308 if at % 2 == 0 else -1e308 for at in range(rows // 2 * 2)])
    for _ in range(3):  # the third time, summaries answer
        assert store.sum("value") == store.mean("value") == 0.0
        assert store.summary("value").sum == 0.0
    assert store.sum("value", where=field("at") >= 0) == 0.0
    if rows == ROWS:
        assert store.group_by("number").sum("value").values("sum") == [0.0]
        assert [abs(total) for total in store.group_by("sensor").sum("value").values("sum")] == [0.0, 1e308, 1e308]


@pytest.mark.parametrize("value", [0.1, 1e15 + 0.3, 1e308, -1.7e308])
def test_equal_values_have_no_variance_however_large(store: EventStore[Reading], value: float) -> None:
    append(store, values=[value] * ROWS)
    assert store.variance("value") == store.stddev("value", ddof=0) == 0.0
    assert store.group_by("sensor").variance("value").values("variance") == [0.0] * 3
    assert store.variance("value", where=field("at") % 7 == 1) == 0.0


def test_a_variance_beyond_the_floats_is_infinite(store: EventStore[Reading]) -> None:
    append(store, values=[0.0, 1e200] * (ROWS // 2))
    assert store.variance("value") == math.inf
    assert store.group_by("sensor").variance("value").values("variance") == [math.inf] * 3


@pytest.mark.parametrize("base", [0, 10**18, -(10**18), 2**62])
def test_small_differences_of_large_integers_make_an_exact_variance(store: EventStore[Reading], base: int) -> None:
    numbers = [base + at % 10 for at in range(ROWS)]
    append(store, numbers=numbers)
    expected = float(statistics.variance(at % 10 for at in range(ROWS)))
    assert store.variance("number") == pytest.approx(expected, rel=1e-13)
    assert store.variance("number", ddof=0) == pytest.approx(8.25, rel=1e-13)
    found = store.group_by("sensor").variance("number").values("variance")
    assert found == [pytest.approx(statistics.variance(at % 10 for at in range(first, ROWS, 3))) for first in range(3)]


def test_variance_does_not_hang_on_the_order(store: EventStore[Reading], seed: int) -> None:
    dice = random.Random(seed)
    values = [1e9 + dice.random() for _ in range(ROWS)]
    append(store, values=values)
    assert store.variance("value") == pytest.approx(statistics.variance(values), rel=1e-12)


# Times.


def test_sums_of_times_by_group_are_numbers_not_times(store: EventStore[Reading]) -> None:
    store.append_many([Reading("s", "", 0.0, 0, 2**62 + at) for at in range(5)])
    table = store.group_by("sensor").sum("at")
    assert table.to_dicts() == [{"sensor": "s", "sum": 5 * 2**62 + 10}]
    assert store.group_by("sensor").max("at").kinds == ("text", "timestamp")


def test_windows_around_the_first_and_last_time_there_is(store: EventStore[Reading]) -> None:
    times = [-(2**63), -(2**63) + 1, 2**63 - 1]
    store.append_many([Reading("s", "", 1.0, 0, at) for at in times])
    second = 10**9
    assert store.windows("value", every=timedelta(seconds=1)).to_dicts() == [
        {"start": -(2**63), "count": 2, "sum": 2.0, "mean": 1.0, "min": 1.0, "max": 1.0},
        {"start": (2**63 - 1) // second * second, "count": 1, "sum": 1.0, "mean": 1.0, "min": 1.0, "max": 1.0},
    ]
    sliding = store.windows(every=second, period=3 * second)
    assert [(row.start, row.count) for row in sliding if row.start < 0] == [(-(2**63), 2)] * 3
    assert sum(sliding.values("count")) == 9


# Keys.


class Late:
    """A core whose keys are told just before somebody appends a record with a new one."""

    def __init__(self, core: _core.Store) -> None:
        self._core = core

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def keys(self) -> list[str]:
        found = self._core.keys()
        self._core.append(("late", "", 1.0, 1, 1))
        return found


@pytest.mark.parametrize(
    "ask",
    [
        lambda store, where: store.count(where=where),
        lambda store, where: store.sum("number", where=where),
        lambda store, where: store.distinct("sensor", where=where) - 3,
        lambda store, where: len(store.snapshot(where=where)) - 9,
    ],
)
def test_a_key_interned_after_a_question_began_is_not_part_of_it(
    store: EventStore[Reading], ask: Callable[[EventStore[Reading], Any], int]
) -> None:
    append(store, numbers=[0] * 9)
    expected = ask(store, field("sensor") != "late")
    store._core = Late(store._core)  # type: ignore[assignment]
    assert ask(store, field("sensor") != "late") == expected
    assert store._core.keys()[-1] == "late"


# Fields.


@may_fork
def test_the_core_refuses_fields_that_are_none(store: EventStore[Reading]) -> None:
    append(store, numbers=[1, 2, 3])
    program = _core.Program(Schema.of(Reading).fields, [], [], "")

    def refuse_all(asked: _core.Store | _core.Columns) -> None:
        for index in (-1, -2, 5, 2**31 - 1):
            with pytest.raises(IndexError):
                asked.edge(program, index, True)
            with pytest.raises(IndexError):
                asked.distinct(program, index)
            with pytest.raises(IndexError):
                asked.group_tallies(program, [], index)
            with pytest.raises(IndexError):
                asked.window_tallies(program, [], by=index, pane_ns=1)
            with pytest.raises(IndexError):
                asked.group_edges(program, 3, True, index)
            with pytest.raises(IndexError):
                asked.group_distinct(program, 0, index)

    for asked in (store._core, store._core.snapshot()):
        assert Child(lambda: refuse_all(asked)).wait() == 0  # noqa: B023
        assert asked.edge(program, 3, True) == 3
        assert asked.distinct(program, 3) == 3
