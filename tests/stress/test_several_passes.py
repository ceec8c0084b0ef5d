"""Questions of several passes beside a writer at full speed that laps the ring in less time than they take.

A record's fields all follow from its number, so that an answer that is made of two sets of records shows itself.
"""

import time
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pytest

import shmstore
from shmstore import EventStore, Int64, Record, field
from tests.helpers.processes import Child, eventually, shared_numbers

SLOTS = 100_000  # more than a pass keeps: see core/quantile.h and core/distinct.h
VALUES = 8  # different ones in each piece of so many records
BATCH = 4096
SECONDS = 0.8
LAPS = 3  # in all, at least


class Beat(Record):
    number: Int64
    twice: Int64
    residue: Int64
    one: Int64


def write(name: str, ends: memoryview) -> None:
    with shmstore.attach(name) as store:
        first, ones = 0, np.ones(BATCH, np.int64)
        while not ends[0]:
            numbers = np.arange(first, first + BATCH)
            store.append_many({"number": numbers, "twice": 2 * numbers, "residue": numbers % VALUES, "one": ones})
            first += BATCH


@pytest.fixture(params=["rows", "columns"])
def store(request: pytest.FixtureRequest, name: str) -> Iterator[EventStore[Beat]]:
    layout: Literal["rows", "columns"] = request.param
    with shmstore.create(name, Beat, capacity=SLOTS, partitions=1, layout=layout) as store:
        yield store
        shmstore.unlink(name)


def ask_quantiles(store: EventStore[Beat]) -> None:
    low, middle, high = store.quantiles("number", [0, 0.5, 1])
    assert low is not None and middle is not None and high is not None, "a store that is never empty"
    assert low <= middle <= high < low + SLOTS
    assert store.quantile("number", 0.99) is not None


def ask_for_a_constant(store: EventStore[Beat]) -> None:
    """Two fields of the same record: from different sets they would differ by thousands."""
    assert store.quantiles(field("twice") - field("number") - field("number"), [0, 0.5, 1]) == [0, 0, 0]
    count, total, mean, least, most = store.summary("one")
    assert count == total and 0 < count <= SLOTS and (mean, least, most) == (1, 1, 1)
    assert store.variance("one") in (0, None)


def ask_for_differences(store: EventStore[Beat]) -> None:
    assert store.distinct("residue") == VALUES, "any few records have them all"
    assert 0 < store.distinct("number") <= SLOTS


def ask_by_groups(store: EventStore[Beat]) -> None:
    for low, distinct in zip(
        store.group_by("residue").quantile("number", 0).to_dicts(),
        store.group_by("residue").distinct("number").to_dicts(),
        strict=True,
    ):
        assert low["quantile"] % VALUES == low["residue"] == distinct["residue"]
        assert 0 < distinct["distinct"] <= SLOTS // VALUES + 1
    table = store.group_by("residue").summary("one").to_dicts()
    assert len(table) == VALUES and all(row["count"] == row["sum"] for row in table)
    assert sum(row["count"] for row in table) <= SLOTS


QUESTIONS: tuple[Callable[[EventStore[Beat]], None], ...] = (
    ask_quantiles,
    ask_for_a_constant,
    ask_for_differences,
    ask_by_groups,
)


def test_an_answer_of_several_passes_belongs_to_one_set_of_records(
    store: EventStore[Beat], scorecard: Callable[..., None]
) -> None:
    ends = shared_numbers(1)
    with Child(lambda: write(store.name, ends)) as writer:
        assert eventually(lambda: store._core.totals()[0].tail > SLOTS)
        asked, before, due_s = 0, store._core.totals()[0].tail, time.monotonic() + SECONDS
        while time.monotonic() < due_s or store._core.totals()[0].tail - before < LAPS * SLOTS:
            for ask in QUESTIONS:
                ask(store)
            asked += len(QUESTIONS)
        ends[0] = 1
        assert writer.wait() == 0
    scorecard(2, answers_of_several_passes=asked, unexplained=0)
