"""Readers that are lapped all the time, while writers burst, are killed and stand still, get only records that somebody
wrote, each in its place.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pytest

import shmstore
from shmstore import EventStore, _core
from tests.helpers.processes import Child, eventually, shared_numbers
from tests.helpers.proofs import Proof, is_proved, proof, proof_columns, unproved, writers_and_numbers

READS = 5_000_000  # of each layout, validated
SLOTS = 1000  # of a partition: fewer than a burst
BURST = 1024
LAPPED = 100  # times, each cursor
LIMIT_S = 90.0

STEADY, CONTENDED = 0, 1
"""Partitions. STEADY has one writer, so the number of each record is its ticket; CONTENDED has several, which die."""


class Turmoil:
    """Writers without end: one of STEADY, two of CONTENDED that are killed or stopped by `disturb`, and replaced."""

    def __init__(self, store: EventStore[Any], dice: random.Random) -> None:
        self._store = store
        self._dice = dice
        self._ends = shared_numbers(1)
        self._writers = 0
        self._steady = self._start(STEADY, BURST)
        self._mortal = [self._start(CONTENDED, BURST), self._start(CONTENDED, 1)]

    def _start(self, partition: int, burst: int) -> Child:
        writer = self._writers
        self._writers += 1

        def life() -> None:
            number = 0
            with shmstore.attach(self._store.name) as store:
                while not self._ends[0]:
                    if burst > 1:
                        store.append_many(proof_columns(writer, number, burst), partition=partition)
                    else:
                        store.append(proof(writer, number), partition=partition)
                    number += burst

        return Child(life)

    def disturb(self) -> None:
        """Kill one of the mortal writers, which another replaces, or let one stand still for a moment."""
        turn = self._dice.randrange(2)
        if self._dice.random() < 0.5:
            assert self._mortal[turn].kill() == -signal.SIGKILL
            self._mortal[turn] = self._start(CONTENDED, BURST if turn == 0 else 1)
        else:
            self._mortal[turn].send(signal.SIGSTOP)
            time.sleep(self._dice.random() * 0.02)
            self._mortal[turn].send(signal.SIGCONT)

    def end(self) -> None:
        """Let all come to their ends."""
        self._ends[0] = 1
        assert [writer.wait() for writer in [self._steady, *self._mortal]] == [0, 0, 0]

    def kill(self) -> None:
        for writer in [self._steady, *self._mortal]:
            writer.kill()


@contextmanager
def turmoil(store: EventStore[Any], seed: int) -> Iterator[Turmoil]:
    turmoil = Turmoil(store, random.Random(seed))
    try:
        yield turmoil
    finally:
        turmoil.kill()


@pytest.fixture(params=["rows", "columns"])
def store(request: pytest.FixtureRequest, name: str) -> Iterator[EventStore[Any]]:
    layout: Literal["rows", "columns"] = request.param
    with shmstore.create(
        name, Proof, capacity=2 * SLOTS, partitions=2, partition_by="explicit", layout=layout, processes=16
    ) as store:
        yield store
        shmstore.unlink(name)


def check_order(writers: Any, numbers: Any) -> None:
    """What one writer appended to one partition is there in its order, nothing twice."""
    for writer in np.unique(writers):
        assert (np.diff(numbers[writers == writer]) > 0).all(), f"records of writer {writer} are out of order"


def check_places(store: EventStore[Any]) -> int:
    """Of STEADY, each number is there once or in a gap. Returns how many records were read."""
    snapshot = store.snapshot(partition=STEADY)
    assert unproved(snapshot) == 0
    if len(snapshot):
        _, numbers = writers_and_numbers(snapshot)
        first, end = int(numbers[0]), int(numbers[-1]) + 1
        inside = [gap for gap in snapshot.gaps if first <= gap.first < end]
        expected = np.ones(end - first, bool)
        for gap in inside:
            expected[gap.first - first : gap.end - first] = False
        assert np.array_equal(np.flatnonzero(expected) + first, numbers), "a record is not at its ticket"
    return len(snapshot)


def check_contended(store: EventStore[Any]) -> int:
    snapshot = store.snapshot(partition=CONTENDED)
    assert unproved(snapshot) == 0
    check_order(*writers_and_numbers(snapshot))
    return len(snapshot)


def test_no_snapshot_holds_a_torn_foreign_or_stale_record(
    store: EventStore[Any], seed: int, scorecard: Callable[..., None]
) -> None:
    reads, disturbed_s, deadline = 0, time.monotonic(), time.monotonic() + LIMIT_S
    with turmoil(store, seed) as writers:
        while reads < READS:
            assert time.monotonic() < deadline, f"only {reads} reads in {LIMIT_S} s"
            reads += check_places(store) + check_contended(store)
            if time.monotonic() - disturbed_s > 0.05:
                writers.disturb()
                disturbed_s = time.monotonic()
        writers.end()
    store._core.reap()
    assert store.check() == []
    statistics = store.statistics
    print(f"{reads} read in snapshots: {statistics.partitions}")
    assert statistics.total_appended > 100 * store.capacity, "the writers did not lap the readers"
    assert statistics.length == len(store.snapshot())
    scorecard(2, reads=reads, torn=0)


class Reader:
    """A cursor of one partition that knows the ticket of every record."""

    def __init__(self, store: EventStore[Any], partition: int) -> None:
        self.partition = partition
        self.cursor = store._core.cursor([(partition, 0)])
        self.reads = self.next = 0
        self.gaps: list[Any] = []
        self.lapped = 0
        self._newest: dict[int, int] = {}

    def read(self) -> None:
        records, gaps = self.cursor.read(1000), self.cursor.drain_gaps()
        tickets: list[int] = []
        for gap in gaps:
            assert gap.first >= self.next, "a ticket was read and lies in a gap, or lies in two"
            tickets += range(self.next, gap.first)
            self.next = gap.end
        [(_, end)] = self.cursor.positions()
        tickets += range(self.next, end)
        self.next = end
        assert len(tickets) == len(records)
        for ticket, record in zip(tickets, records, strict=True):
            assert is_proved(record)
            assert record.number == ticket or self.partition == CONTENDED, "a record is not at its ticket"
            assert record.number > self._newest.get(record.writer, -1), "a record is read twice, or too late"
            self._newest[record.writer] = record.number
        self.reads += len(records)
        self.gaps += gaps
        self.lapped += sum(gap.reason == _core.GAP_LAPPED for gap in gaps)


def test_lapped_cursors_read_every_ticket_once_or_report_it_in_one_gap(
    store: EventStore[Any], seed: int, scorecard: Callable[..., None]
) -> None:
    readers = [Reader(store, partition) for partition in (STEADY, CONTENDED)]

    def read() -> int:
        """Returns how many tickets are left."""
        for reader in readers:
            reader.read()
        return sum(reader.cursor.lag() for reader in readers)

    deadline = time.monotonic() + LIMIT_S
    with turmoil(store, seed) as writers:
        while any(reader.lapped < LAPPED for reader in readers):
            assert time.monotonic() < deadline, "the writers do not lap the readers"
            for _ in range(10):
                read()
            writers.disturb()
        writers.end()
    assert eventually(lambda: read() == 0)
    for reader, totals in zip(readers, store._core.totals(), strict=True):
        assert reader.reads + reader.cursor.lost() == totals.tail
        assert reader.cursor.lost() == sum(gap.end - gap.first for gap in reader.gaps)
        print(f"{reader.reads} read, {reader.cursor.lost()} lost, lapped {reader.lapped} times: {totals}")
    store._core.reap()
    assert store.check() == []
    scorecard(2, reads=sum(reader.reads for reader in readers), torn=0)
    scorecard(7, tickets=sum(totals.tail for totals in store._core.totals()), unexplained=0)
