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
from shmstore import Cursor, DamagedSegment, EventStore, GapReason, Timestamp, field
from shmstore.questions import query as matches
from shmstore.questions.source import Live
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
    at: Timestamp

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
            store.append(number=number, at=number, partition=number % PARTITIONS)
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


# Of a private copy, or of what a query finds as it goes, there are no gaps: an iterator goes on behind what failed.


def accepts(record: Any) -> bool:
    Event.fails(record.number)
    return True


ITERATORS: dict[str, Callable[[EventStore[Any]], Iterator[Any]]] = {
    "snapshot": lambda store: iter(store.snapshot()),
    "snapshot of some": lambda store: iter(store.snapshot(where=field("number") >= 0)[:]),
    "query": lambda store: iter(store.query()),
    "query of some": lambda store: iter(store.query(where=field("number") >= 0)),
    "query with a limit": lambda store: iter(store.query(limit=RECORDS)),
    "query by a callable": lambda store: iter(store.query(where=accepts, limit=RECORDS)),
    "query of the newest": lambda store: iter(store.query(order="newest")),
    "query of the newest by a callable": lambda store: iter(store.query(where=accepts, order="newest")),
}
ORDERED = {"query of the newest": -1, "query of the newest by a callable": -1}


def step(iterator: Iterator[Any], got: list[Any]) -> None:
    for record in iterator:
        got.append(record)


def step_in_c(iterator: Iterator[Any], got: list[Any]) -> None:
    got.extend(iterator)  # keeps what came before a failure


def taken(
    iterator: Iterator[Any], step: Callable[[Iterator[Any], list[Any]], None]
) -> tuple[list[int], list[BaseException]]:
    """All that an iterator gives, whatever it raises."""
    got: list[Any] = []
    raised: list[BaseException] = []
    for _ in range(LIMIT):
        try:
            step(iterator, got)
        except (Exception, KeyboardInterrupt) as error:
            raised.append(error)
        else:
            break
    assert next(iterator, None) is None
    return [record.number for record in got], raised


def expected(way: str, without: int | None = None) -> list[int]:
    """The numbers in the order of this iterator."""
    newest = list(reversed(range(RECORDS)))
    by_partition = [*range(0, RECORDS, 2), *range(1, RECORDS, 2)]
    return [number for number in (newest if "newest" in way else by_partition) if number != without]


@pytest.mark.parametrize("step", [step, step_in_c])
@pytest.mark.parametrize("way", ITERATORS)
def test_an_iterator_goes_on_at_the_record_at_which_a_signal_handler_raised(
    store: EventStore[Event], way: str, step: Callable[..., None], scorecard: Callable[..., None]
) -> None:
    for at in range(RECORDS):
        with failing(strikes_once(at)):
            got, raised = taken(ITERATORS[way](store), step)
        assert got == expected(way)
        assert [type(error) for error in raised] == [Struck]
    scorecard(23, failures=RECORDS, lost=0, doubled=0)


@pytest.mark.parametrize("step", [step, step_in_c])
@pytest.mark.parametrize("way", ITERATORS)
def test_an_iterator_raises_a_refused_record_once_and_goes_on_behind_it(
    store: EventStore[Event], way: str, step: Callable[..., None], scorecard: Callable[..., None]
) -> None:
    for at in range(RECORDS):
        with failing(refuses(at)):
            got, raised = taken(ITERATORS[way](store), step)
        assert got == expected(way, without=at)
        assert [str(error) for error in raised] == [str(at)]
    scorecard(23, failures=RECORDS, lost=0, doubled=0)


@pytest.mark.parametrize("way", [way for way in ITERATORS if way.startswith("query")])
def test_a_damaged_slot_costs_a_query_itself(name: str, way: str, scorecard: Callable[..., None]) -> None:
    for at in range(RECORDS):
        with shmstore.create(f"{name}-{at}", Event, capacity=RECORDS, partitions=2, partition_by="explicit") as store:
            for number in range(RECORDS):
                store.append(number=number, at=number, partition=number % PARTITIONS)
            set_state(store, at // PARTITIONS, State.PREPARED, at % PARTITIONS)
            got, raised = taken(ITERATORS[way](store), step)
            shmstore.unlink(store.name)
        assert got == expected(way, without=at)
        assert [type(error) for error in raised] == [DamagedSegment]
    scorecard(23, failures=RECORDS, lost=0, doubled=0)


def test_a_limit_counts_what_was_handed_over(store: EventStore[Event]) -> None:
    for order in ("partition", "newest"):
        with failing(strikes_once(4)):
            got, _ = taken(iter(store.query(limit=8, order=order)), step)
        assert got == expected(order)[:8]


@pytest.mark.parametrize("order", ["partition", "newest"])
def test_a_signal_handler_that_raises_between_two_pieces_loses_none(
    store: EventStore[Event], order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece is read, and then the handler raises before anybody has it."""
    read, seen = Live.read, set[tuple[int, int]]()

    def strikes_once_a_piece(self: Live, partition: int, first: int, *rest: Any) -> Any:
        columns = read(self, partition, first, *rest)
        if (partition, first) not in seen:
            seen.add((partition, first))
            signal.raise_signal(signal.SIGUSR1)
        return columns

    monkeypatch.setattr(Live, "read", strikes_once_a_piece)
    monkeypatch.setattr(matches, "_FIRST_TICKETS", 2)
    got, raised = taken(iter(store.query(order=order)), step_in_c)
    assert got == expected(order)
    assert len(raised) == len(seen) == 2 * PARTITIONS


def test_an_iterator_that_is_asked_by_its_own_record_class_gives_each_record_once(store: EventStore[Event]) -> None:
    for iterator in (iter(store.snapshot()), iter(store.query())):
        inner: list[Event] = []

        def fails(number: int, iterator: Iterator[Event] = iterator, inner: list[Event] = inner) -> None:
            if number == 4 and not inner:
                inner.append(next(iterator))
                raise Struck

        with failing(fails):
            got, _ = taken(iterator, step)
        assert sorted([*got, *(event.number for event in inner)]) == [n for n in range(RECORDS) if n != 4]
