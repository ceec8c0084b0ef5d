"""Whoever fails in the middle of reading loses nothing: failures at each record of each way to read."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, ClassVar

import pytest

import shmstore
from shmstore import Cursor, DamagedSegment, EventStore, GapReason
from tests.helpers.slots import State, set_state

RECORDS = 12
PARTITIONS = 2
LIMIT = 10 * RECORDS


class Struck(Exception):
    """What a signal handler raises."""


class Refused(Exception):
    """What a record class raises."""


@dataclass
class Event:
    """Its class fails as it is told to."""

    fails: ClassVar[Callable[[int], None]] = staticmethod(lambda number: None)
    number: int

    def __post_init__(self) -> None:
        Event.fails(self.number)


@contextmanager
def failing(fails: Callable[[int], None]) -> Iterator[None]:
    Event.fails = staticmethod(fails)
    try:
        yield
    finally:
        Event.fails = staticmethod(lambda number: None)


def strikes_once(at: int) -> Callable[[int], None]:
    """A signal arrives while one record is made: its handler raises there."""
    struck = False

    def fails(number: int) -> None:
        nonlocal struck
        if number == at and not struck:
            struck = True
            signal.raise_signal(signal.SIGUSR1)

    return fails


def refuses(at: int) -> Callable[[int], None]:
    def fails(number: int) -> None:
        if number == at:
            raise Refused(number)

    return fails


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Event]]:
    """The numbers 0, 1, .., in turn in two partitions."""

    def strike(_signal: int, _frame: FrameType | None) -> None:
        raise Struck

    before = signal.signal(signal.SIGUSR1, strike)
    with shmstore.create(name, Event, capacity=RECORDS, partitions=PARTITIONS, partition_by="explicit") as store:
        for number in range(RECORDS):
            store.append(number=number, partition=number % PARTITIONS)
        yield store
    signal.signal(signal.SIGUSR1, before)


def read_all(cursor: Cursor[Any], got: list[Any]) -> None:
    got += cursor.read()


def read_some(cursor: Cursor[Any], got: list[Any]) -> None:
    got += cursor.read(4)


def iterate(cursor: Cursor[Any], got: list[Any]) -> None:
    for record in cursor:
        got.append(record)
        if not cursor.wait(0):
            break


def iterate_in_c(cursor: Cursor[Any], got: list[Any]) -> None:
    """zip is no Python code either, so nothing but the cursor itself hears a signal."""
    got += [record for _, record in zip(range(cursor.lag), cursor, strict=False)]


def iterate_async(cursor: Cursor[Any], got: list[Any]) -> None:
    async def follow() -> None:
        async for record in cursor:
            got.append(record)
            if not cursor.wait(0):
                break

    asyncio.run(follow())


def take_next(cursor: Cursor[Any], got: list[Any]) -> None:
    async def take() -> None:
        got.append(await anext(cursor))

    asyncio.run(take())


def take_some(cursor: Cursor[Any], got: list[Any]) -> None:
    """Several ways on one cursor."""
    got.append(next(cursor))
    got += cursor.read(3)


WAYS = [read_all, read_some, iterate, iterate_async, take_next, take_some]


def follow_through(
    store: EventStore[Any], way: Callable[[Cursor[Any], list[Any]], None]
) -> tuple[list[Any], list[BaseException], Cursor[Any]]:
    """Read until there is no more, whatever is raised; everything is accounted for at each step."""
    cursor, got, raised = store.cursor(), [], []
    for _ in range(LIMIT):
        if not cursor.wait(0):
            break
        try:
            way(cursor, got)
        except (Exception, KeyboardInterrupt) as error:
            raised.append(error)
        assert len(got) + cursor.lost <= RECORDS
        if way in (read_all, read_some):
            rest = store.cursor(start=cursor.positions)
            assert len(got) + cursor.lost + rest.lag >= RECORDS, "a place moved before its record was handed over"
    assert not cursor.wait(0) and cursor.lag == 0
    return got, raised, cursor


@pytest.mark.parametrize("way", WAYS)
def test_a_signal_handler_that_raises_at_any_record_loses_none(
    store: EventStore[Event], way: Callable[..., None], scorecard: Callable[..., None]
) -> None:
    for at in range(RECORDS):
        with failing(strikes_once(at)):
            got, raised, cursor = follow_through(store, way)
        assert sorted(event.number for event in got) == list(range(RECORDS))
        assert [type(error) for error in raised] == [Struck] and cursor.lost == 0
    scorecard(23, failures=RECORDS, lost=0, doubled=0)


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_record_is_raised_once_and_lies_in_one_gap(
    store: EventStore[Event], way: Callable[..., None], scorecard: Callable[..., None]
) -> None:
    for at in range(RECORDS):
        with failing(refuses(at)):
            got, raised, cursor = follow_through(store, way)
        assert sorted(event.number for event in got) == [number for number in range(RECORDS) if number != at]
        assert [str(error) for error in raised] == [str(at)]
        assert [(gap.partition, gap.first, gap.count, gap.reason) for gap in cursor.gaps] == [
            (at % PARTITIONS, at // PARTITIONS, 1, GapReason.REFUSED)
        ]
    scorecard(23, failures=RECORDS, lost=0, doubled=0)


@pytest.mark.parametrize("way", WAYS)
def test_a_class_that_refuses_all_is_passed(store: EventStore[Event], way: Callable[..., None]) -> None:
    def fails(number: int) -> None:
        raise Refused(number)

    with failing(fails):
        got, raised, cursor = follow_through(store, way)
    assert (got, len(raised), cursor.lost) == ([], RECORDS, RECORDS)


def test_ctrl_c_never_counts_as_a_refusal(store: EventStore[Event]) -> None:
    left = 5

    def fails(number: int) -> None:
        nonlocal left
        if number == 3 and left:
            left -= 1
            raise KeyboardInterrupt

    with failing(fails):
        got, raised, cursor = follow_through(store, read_all)
    assert [type(error) for error in raised] == [KeyboardInterrupt] * 5
    assert (len(got), cursor.lost) == (RECORDS, 0)


def test_a_record_class_that_reads_from_its_own_cursor_is_told(store: EventStore[Event]) -> None:
    cursor = store.cursor()

    def fails(number: int) -> None:
        cursor.read(1)

    with failing(fails), pytest.raises(shmstore.InvalidOption, match="in the middle of a read"):
        cursor.read()


@dataclass
class Same:
    number: int


@pytest.mark.parametrize("way", WAYS)
def test_a_damaged_slot_costs_itself(name: str, way: Callable[..., None], scorecard: Callable[..., None]) -> None:
    for at in range(RECORDS):
        with shmstore.create(f"{name}-{at}", Same, capacity=RECORDS, partitions=2, partition_by="explicit") as store:
            for number in range(RECORDS):
                store.append(number=number, partition=number % PARTITIONS)
            set_state(store, at // PARTITIONS, State.PREPARED, at % PARTITIONS)
            got, raised, cursor = follow_through(store, way)
            shmstore.unlink(store.name)
        assert sorted(event.number for event in got) == [number for number in range(RECORDS) if number != at]
        assert [type(error) for error in raised] == [DamagedSegment]
        assert [(gap.partition, gap.first, gap.reason) for gap in cursor.gaps] == [
            (at % PARTITIONS, at // PARTITIONS, GapReason.DAMAGED)
        ]
    scorecard(23, failures=RECORDS, lost=0, doubled=0)
