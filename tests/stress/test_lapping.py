"""Readers that are lapped all the time, while writers burst, are killed and stand still, get only records that somebody
wrote, each in its place.
"""

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest

import shmstore
from shmstore import EventStore, _core
from tests.helpers.mortal_writers import CONTENDED, STEADY, writing
from tests.helpers.processes import eventually
from tests.helpers.proofs import Proof, is_proved, proof, proof_columns, unproved, writers_and_numbers

READS = 5_000_000  # of each layout, validated
SLOTS = 1000  # of a partition: fewer than a burst
BURST = 1024
LAPPED = 100  # times, each cursor
LIMIT_S = 90.0


def burst(store: EventStore[Any], writer: int, number: int, partition: int) -> int:
    return store.append_many(proof_columns(writer, number, BURST), partition=partition)


def single(store: EventStore[Any], writer: int, number: int, partition: int) -> int:
    store.append(proof(writer, number), partition=partition)
    return 1


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
    with writing(store, random.Random(seed), burst, [burst, single], killed=0.5) as writers:
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
    with writing(store, random.Random(seed), burst, [burst, single], killed=0.5) as writers:
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
