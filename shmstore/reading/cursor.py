"""Cursors follow a store, each from a place of its own: they read what came since the last look, or wait for more."""

import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from shmstore import _core
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import items_of, plain_number, refused, whole_number
from shmstore.arguments.shown import shown
from shmstore.errors import DamagedSegment, InvalidOption, StoreClosed, StoreUnlinked
from shmstore.expressions.compiler import compiled
from shmstore.public import public
from shmstore.reading.gap import Gap, gaps_of
from shmstore.reading.selection import Moment, is_time, nanoseconds, one_partition, require_time
from shmstore.reading.waiting import Waiting
from shmstore.records.schema import Schema

if TYPE_CHECKING:
    pass

R = TypeVar("R")

Start = Literal["oldest", "latest"] | datetime | timedelta | str | int | Iterable[int]
"""Where a cursor begins: see `EventStore.cursor`."""

GAPS_KEPT = 1000
_START = (
    "'oldest', 'latest', a position, the positions of a cursor, an aware datetime, a timedelta (that long ago), or a "
    "text such as '10m' (that long ago) or '2025-03-05T10:20:00Z'"
)
_SCAN_RECORDS = 1024
_LEAP_RECORDS = 1 << 16


@public
@checked_calls("read")
class Cursor(Waiting, Generic[R]):
    """The next record to read of each partition that it follows; the store keeps no account of it.

    Order is kept within a partition. A record is delivered once; what could not be delivered is in `gaps` and counted
    by `lost`. Use it from one thread at a time (`close` may come from any); several tasks of asyncio may share it. Made
    by `EventStore.cursor`; use it in a `with` or `async with` block, or `close` it.

    A place moves when its record is handed over, so a read that fails in the middle loses nothing: records that it had
    made when a signal handler raised are the first that the next read hands over. A record that its class refuses, or
    whose bytes are damaged, does not stop the reader: the records before it come first, then the read raises what the
    class raised (or DamagedSegment), once; its ticket is a gap, and the next read goes on behind it.
    """

    _CALLED = "cursor"
    _SEND = "send cursor.positions, and let the receiver go on by store.cursor(start=positions)"

    __slots__ = ("__weakref__", "_core", "_gaps", "_partitions")

    def __init__(self, core: _core.Cursor, partitions: int) -> None:
        super().__init__()
        self._core = core
        self._partitions = partitions
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT)

    @property
    def _waits(self) -> _core.Cursor:
        return self._core

    def read(self, n: int = 1000) -> list[R]:
        """Up to `n` records, at once: fewer, or none, when no more are there. The fastest way to follow.

        A record that a live process is still writing holds back those after it in its partition until it is published.
        What is appended after the call began is left for the next one. Raises StoreClosed, DamagedSegment, and what the
        class of the records raises.
        """
        if n.__class__ is not int or not 0 <= n <= sys.maxsize:
            n = min(whole_number("n", n, "how many records at most, an int of 0 or more"), sys.maxsize)
        return self._core.read(n)

    def __iter__(self) -> Iterator[R]:
        """Yield records for ever, waiting for them, until the cursor or store is closed, or the store is unlinked and
        read.

        Records are copied up to 256 ahead; `positions` still stands just behind the record in hand.
        """
        return self._core

    def __next__(self) -> R:
        record: R = next(self._core)
        return record

    def __aiter__(self) -> AsyncIterator[R]:
        """The same for `async for`, which waits by the descriptor; over a busy store other tasks get their turns."""
        return self._core.following(self._later)

    async def __anext__(self) -> R:
        try:
            while not self._core.closed:
                for record in self._core.read(1):
                    return cast(R, record)
                await self._news()
        except (StoreClosed, StoreUnlinked):
            raise StopAsyncIteration from None
        raise StopAsyncIteration

    @property
    def lag(self) -> int:
        """How many tickets were handed out that this cursor has not passed yet (best-effort)."""
        return self._core.lag()

    @property
    def lost(self) -> int:
        """How many tickets lie in all gaps so far, exactly."""
        return self._core.lost()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The newest gaps, oldest first; at most GAPS_KEPT."""
        self._gaps.extend(gaps_of(self._core.drain_gaps()))
        return tuple(self._gaps)

    @property
    def positions(self) -> tuple[int, ...]:
        """The next position of each followed partition: `store.cursor(start=positions)` goes on from there.

        They are places of this store alone. If you keep them for another run, keep `store.store_id` with them: in a new
        store of the same name they may pass over records.
        """
        return tuple(ticket * self._partitions + partition for partition, ticket in self._core.positions())

    def __repr__(self) -> str:
        state = " (closed)" if self._core.closed else ""
        return f"<Cursor{state} at {self._core.positions()}, {self.lost} lost>"


def start_tickets(core: _core.Store, schema: Schema, start: Start, partition: int | None) -> list[tuple[int, int]]:
    """The (partition, ticket) pairs from which a cursor follows.

    Raises InvalidOption when `start` or `partition` makes no sense.
    """
    totals = core.totals()
    followed = one_partition(partition, len(totals)) or list(range(len(totals)))
    if isinstance(start, str) and start == "latest":
        return [(number, totals[number].tail) for number in followed]
    oldest = {number: totals[number].oldest for number in followed}
    if isinstance(start, str) and start == "oldest":
        return list(oldest.items())
    if is_time(start):
        time_field = require_time(schema, "start by time")
        since_ns = nanoseconds(cast(Moment, start), "start", time.time_ns())
        program = compiled(schema, core.keys, since_ns=since_ns)
        return [
            (number, _first_since(core, number, ticket, totals[number].tail, time_field, since_ns, program))
            for number, ticket in oldest.items()
        ]
    if isinstance(plain_number(start), int):
        named = _tickets([start], totals, followed)
        return list((oldest | named).items())
    positions = items_of(start)  # a text is not several values
    tickets = {} if positions is None else _tickets(positions, totals, followed)
    if not tickets:  # a cursor of no partition would wait for ever
        raise refused("start", start, _START)
    return list(tickets.items())


def _tickets(positions: Iterable[Any], totals: list[_core.Totals], followed: list[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for given in positions:
        position = whole_number("a position", given, "what append returned, an int of 0 or more", least=None)
        ticket, number = divmod(position, len(totals))
        if number not in followed or number in found:
            problem = "is named twice" if number in found else "is not the one asked for"
            raise InvalidOption(f"position {shown(position)} belongs to partition {number}, which {problem}")
        if not 0 <= ticket <= totals[number].tail:
            raise InvalidOption(
                f"position {shown(position)} is ticket {shown(ticket)} of partition {number}, which has handed out "
                f"{totals[number].tail}; it comes from another store, so start at 'oldest' or 'latest' instead"
            )
        found[number] = ticket
    return found


def _leap(core: _core.Store, partition: int, ticket: int, end: int, program: _core.Program) -> int:
    """A ticket from `ticket` on, close to the first match: no record before it matches, and none is still being
    written.

    The core looks: in a store of millions, a step of Python for each record would take too long.
    """
    most, grows = _SCAN_RECORDS, True
    while most >= _SCAN_RECORDS and ticket < end:
        length = min(most, end - ticket)
        try:
            found = core.read(partition, ticket, ticket + length, program, False)
        except DamagedSegment:  # whoever reads on from there finds it again, and is told
            return ticket
        if len(found) or any(gap.reason == _core.GAP_IN_FLIGHT for gap in found.gaps()):
            most, grows = most // 2, False
        else:
            ticket += length
            most = min(2 * most, _LEAP_RECORDS) if grows else most
    return ticket


def _first_since(
    core: _core.Store,
    partition: int,
    ticket: int,
    end: int,
    time_field: int,
    since_ns: int,
    program: _core.Program,
) -> int:
    """The first ticket below `end` whose record is not older than `since_ns`; `end` when there is none.

    Timestamps need not rise, so every record before it is looked at. The end is fixed, as writers may be faster.
    """
    ticket = _leap(core, partition, ticket, end, program)
    most = _SCAN_RECORDS
    while most and ticket < end:
        scan = core.cursor([(partition, ticket)])
        rows = scan.read_plain(min(most, end - ticket))
        if any(row[time_field] >= since_ns for row in rows):
            most //= 2  # it is among these: read them again in smaller steps
            continue
        ticket = scan.positions()[0][1]
        if not rows:
            break
    return ticket
