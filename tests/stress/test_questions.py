"""Questions about the live ring while writers append at full speed, die and stand still: every answer is explained.

A record's value is the square of its number, so that the count, sum, least and greatest value of an answer tell which
records it was about: a run of numbers, or one from which as many are missing as were overwritten meanwhile.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import isqrt
from typing import Any, Literal

import numpy as np
import pytest

import shmstore
from shmstore import EventStore, Float64, Int64, Record, Timestamp, UInt16, field
from tests.helpers.mortal_writers import CONTENDED, STEADY, writing
from tests.helpers.processes import Child

SLOTS = 20_000  # of a partition: blocks of 512, and a short one
BURST = 1000
ASKED_S = 5.0  # of each layout
QUESTIONS = ("steady", "window", "counts", "reals", "writers", "writer")


class Told(Record):
    at: Timestamp  # its number, in ns
    writer: UInt16
    value: Int64  # the square of its number
    real: Float64  # its number


def told(writer: int, first: int, count: int) -> dict[str, Any]:
    numbers = np.arange(first, first + count, dtype=np.int64)
    return {
        "at": numbers,
        "writer": np.full(count, writer, np.uint16),
        "value": numbers * numbers,
        "real": numbers.astype(np.float64),
    }


# Explaining.


def squares_below(number: int) -> int:
    return (number - 1) * number * (2 * number - 1) // 6


def squares(first: int, end: int) -> int:
    return squares_below(end) - squares_below(first)


def root(value: int) -> int:
    number = isqrt(value)
    assert number * number == value, f"{value} is no square: the record is torn"
    return number


def explained(answer: Any) -> tuple[int, int, int]:
    """Of which numbers [first, end) an answer was about all but how many. Raises AssertionError when of none."""
    first, end = root(answer.min), root(answer.max) + 1
    missing = end - first - answer.count
    assert missing >= 0, f"{answer} counts a record twice"
    left = squares(first, end) - answer.sum  # the squares of those that are missing, and neither the first nor the last
    least, most = squares(first + 1, first + 1 + missing), squares(end - 1 - missing, end - 1)
    assert least <= left <= most if missing else not left, f"{answer} is not of numbers from {first} to {end}"
    assert answer.mean == answer.sum / answer.count
    return first, end, missing


def burst(store: EventStore[Any], writer: int, number: int, partition: int) -> int:
    return store.append_many(told(writer, number, BURST), partition=partition)


@pytest.fixture(params=["rows", "columns"])
def store(request: pytest.FixtureRequest, name: str) -> Iterator[EventStore[Any]]:
    layout: Literal["rows", "columns"] = request.param
    with shmstore.create(
        name, Told, capacity=2 * SLOTS, partitions=2, partition_by="explicit", layout=layout, processes=16
    ) as store:
        yield store
        shmstore.unlink(name)


# Questions.


class Asker:
    """Asks both partitions everything, and explains what it hears."""

    def __init__(self, store: EventStore[Any], dice: random.Random) -> None:
        self.store = store
        self.dice = dice
        self.heard: Counter[str] = Counter()

    def tail(self) -> int:
        return self.store._core.totals()[STEADY].tail

    def steady(self) -> None:
        """All there is: between the tails before and after."""
        before = self.tail()
        answer = self.store.summary("value", partition=STEADY)
        after = self.tail()
        if answer.count:
            first, end, missing = explained(answer)
            assert before - SLOTS <= first and end <= after, f"{first} to {end}, with the tail from {before} to {after}"
            self.note("steady", missing)

    def window(self) -> None:
        """A window of numbers: nothing outside of it."""
        tail = self.tail()
        since = max(0, tail - self.dice.randrange(SLOTS))
        until = since + self.dice.randrange(1, SLOTS)
        answer = self.store.summary("value", partition=STEADY, since=since, until=until)
        if answer.count:
            first, end, missing = explained(answer)
            assert since <= first and end <= until, f"{first} to {end} of {since} to {until}"
            self.note("window", missing)

    def counts(self) -> None:
        before = self.tail()
        count = self.store.count(partition=STEADY)
        assert count <= min(self.tail(), SLOTS)
        assert self.store.count() <= 2 * SLOTS
        self.note("counts", min(before, SLOTS) - count)

    def reals(self) -> None:
        """Sums of floats are exact here."""
        answer = self.store.summary("real", partition=STEADY)
        if answer.count:
            first, end = int(answer.min), int(answer.max) + 1
            missing = end - first - answer.count
            assert missing >= 0
            left = (first + end - 1) * (end - first) // 2 - int(answer.sum)
            assert (first + missing / 2) * missing <= left <= (end - missing / 2) * missing
            self.note("reals", missing)

    def writers(self) -> None:
        """Each writer's records are a run, whatever became of the others'."""
        for row in self.store.group_by("writer", partition=CONTENDED).summary("value"):
            _, _, missing = explained(row)
            self.note("writers", missing)

    def writer(self) -> None:
        """The same by a condition."""
        mine = self.dice.choice([row.writer for row in self.store.group_by("writer").count()] or [0])
        answer = self.store.summary("value", where=field("writer") == mine)
        if answer.count:
            _, _, missing = explained(answer)
            self.note("writer", missing)

    def note(self, question: str, missing: int) -> None:
        self.heard[question] += 1
        self.heard[f"{question}, something missing"] += missing > 0

    def ask(self) -> None:
        self.store.summaries = self.dice.random() < 0.8
        self.dice.choice([self.steady, self.window, self.counts, self.reals, self.writers, self.writer])()


def test_every_answer_is_explained_while_writers_append_stall_and_die(
    store: EventStore[Any], seed: int, scorecard: Callable[..., None]
) -> None:
    dice = random.Random(seed)
    asker = Asker(store, dice)

    def ask_too() -> None:
        with shmstore.attach(store.name) as other:
            while True:
                Asker(other, random.Random(seed)).ask()

    with writing(store, dice, burst, [burst, burst], killed=0.3) as writers, Child(ask_too) as other:
        disturbed_s = began_s = time.monotonic()
        while (now := time.monotonic()) < began_s + ASKED_S:
            asker.ask()
            if now - disturbed_s > 0.1:
                writers.disturb()
                disturbed_s = now
        assert not other.is_over(), "the other asker met an answer that nothing explains"
        writers.end()
    print(dict(asker.heard), store.statistics.partitions)
    assert min(asker.heard[question] for question in QUESTIONS) > 10
    assert store.statistics.total_appended > 20 * store.capacity, "the writers did not lap the askers"
    store._core.reap()
    assert store.check() == []
    expect_one_answer(store)
    scorecard(2, answers=sum(asker.heard[question] for question in QUESTIONS), unexplained=0)


def expect_one_answer(store: EventStore[Any]) -> None:
    """In peace, summaries or not, once or again, the answers are those of a snapshot."""
    snapshot = store.snapshot(partition=STEADY)
    numbers = np.asarray(snapshot["at"])
    expected = (len(numbers), squares(int(numbers[0]), int(numbers[-1]) + 1))
    for summaries in (False, True, True, True):
        store.summaries = summaries
        answer = store.summary("value", partition=STEADY)
        assert (answer.count, answer.sum) == expected
        assert (root(answer.min), root(answer.max)) == (numbers[0], numbers[-1])
        assert store.count() == len(store.snapshot())
