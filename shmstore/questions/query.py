"""Queries: the records that match a question, found while they are taken."""

import math
import sys
from collections.abc import Callable, Iterator
from heapq import heappop, heapreplace
from itertools import chain
from typing import Any, Final, Generic, Literal, TypeVar

from shmstore import _core
from shmstore.arguments.alone import Question
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import refused, whole_number
from shmstore.errors import DamagedSegment
from shmstore.public import public
from shmstore.questions.snapshot import Snapshot
from shmstore.questions.source import Live
from shmstore.tables.tabular import Offered

R = TypeVar("R")

Order = Literal["partition", "newest"]

_TAKEN: Final = object()
_FIRST_TICKETS, _MOST_TICKETS = 256, 65_536  # looked at in one go: few at first, for whoever takes only a few


@public
@checked_calls()
class Query(Question, Offered, Generic[R]):
    """The matching records of a store, one after the other; made by `query`.

    Iteration finds them while it goes, in little memory; each iteration asks anew. Records that are appended after it
    began are not among them, nor are those that are overwritten before it gets there. `snapshot` gives all at once;
    whatever a table offers (columns, Arrow, CSV, JSON lines) is made of that.

    An iteration that fails loses nothing. Asked for the next record, it goes on with the one that a signal handler
    interrupted. A record that its class or `where` refuses, or that is damaged, raises once; the iteration then goes on
    behind it.
    """

    _SEND = "send what it finds: its snapshot(), or a list of its records"

    __slots__ = ("_accept", "_ask", "_limit", "_order", "_snapshot")

    def __init__(
        self,
        ask: Callable[[], Live],
        accept: Callable[[R], object] | None,
        snapshot: Callable[[], Snapshot[R]],
        limit: int | None,
        order: Order,
    ) -> None:
        """`ask` gives the live records, among which `accept` chooses; `snapshot` all that match."""
        if limit is not None:
            limit = whole_number("limit", limit, "how many records at most, an int of 0 or more")
        if not isinstance(order, str) or order not in ("partition", "newest"):
            raise refused("order", order, "'partition' or 'newest'")
        self._ask = ask
        self._accept = accept
        self._snapshot = snapshot
        self._limit = limit
        self._order = order

    def __iter__(self) -> Iterator[R]:
        scope = self._ask()
        program, limit = scope.program(), sys.maxsize if self._limit is None else min(self._limit, sys.maxsize)
        newest = self._order == "newest"
        partitions = [_Pieces(scope, program, *bounds, backwards=newest) for bounds in scope.ranges()]
        if not newest or scope.schema.time_field is None or len(partitions) == 1:
            return _core.rows(chain.from_iterable(partitions), self._accept, limit)
        # Records that are not accepted are dropped before the partitions are merged: where times do not ascend, they
        # would change the order.
        return _Newest([_Backwards(pieces, self._accept) for pieces in partitions], limit)

    def snapshot(self) -> Snapshot[R]:
        """All of them, as a private copy. With order="newest" it goes by timestamp alone, the latest first: another
        order than that of iteration where timestamps are equal, or do not ascend within a partition."""
        taken = self._snapshot()
        if self._order == "newest":
            taken = taken[::-1]
        return taken if self._limit is None else taken[: self._limit]

    def __getitem__(self, name: str) -> "memoryview[Any]":
        """A field's column; see `Snapshot.__getitem__`."""
        return self.snapshot()[name]

    def __repr__(self) -> str:
        most = "" if self._limit is None else f", at most {self._limit}"
        return f"<Query of records in the order {self._order!r}{most}: loop over it, or take its snapshot()>"

    def _table(self) -> Snapshot[R]:
        return self.snapshot()


class _Pieces:
    """The matching records of tickets [first, end) of a partition, piece by piece: short at first, then ever longer.

    The place moves only when all else is done, in a step that no signal handler interrupts. A damaged slot is found by
    ever shorter pieces: the records before it come first, then it raises, once, and is passed.
    """

    __slots__ = ("_backwards", "_end", "_first", "_length", "_partition", "_program", "_scope", "times")

    def __init__(
        self, scope: Live, program: _core.Program, partition: int, first: int, end: int, *, backwards: bool = False
    ) -> None:
        self._scope = scope
        self._program = program
        self._partition = partition
        self._first = first
        self._end = end
        self._backwards = backwards
        self._length = _FIRST_TICKETS
        self.times: list[int] = []  # backwards: of the records of the last piece, if they have any

    def __iter__(self) -> Iterator[_core.Columns]:
        return self

    def __next__(self) -> _core.Columns:
        while self._first < self._end:
            length = min(self._length, self._end - self._first)
            first = self._end - length if self._backwards else self._first
            rest = (self._first, first) if self._backwards else (first + length, self._end)
            try:
                columns = self._scope.read(self._partition, first, first + length, self._program)
            except DamagedSegment:
                self._length = max(1, length // 2)
                if length > 1:
                    continue
                self._first, self._end = rest
                raise
            times = self.times
            if self._backwards:
                columns = columns.take(range(len(columns) - 1, -1, -1))
                field = self._scope.schema.time_field
                times = [] if field is None else columns.values(field)
            self._length = min(_MOST_TICKETS, 2 * length)
            self.times, (self._first, self._end) = times, rest  # no call follows, so no handler runs
            return columns
        raise StopIteration


class _Backwards:
    """A partition's records, the last first: `record` is the next one, and `key` its timestamp, negative."""

    __slots__ = ("key", "pieces", "record", "rows")

    def __init__(self, pieces: _Pieces, accept: Callable[[Any], object] | None) -> None:
        self.pieces = pieces
        self.rows = _core.rows(pieces, accept)
        self.record: Any = _TAKEN
        self.key = -math.inf  # before all others, as it is not known yet


class _Newest:
    """The newest records first: in each partition in the reverse of the order of appends, among them by time.

    All is done in one method, which is quick, and safe from signal handlers: they run after a call or a pass of a loop,
    so never between taking a record and keeping it with its key.
    """

    __slots__ = ("_heap", "_left")

    def __init__(self, partitions: list[_Backwards], limit: int) -> None:
        self._heap = [(partition.key, number, partition) for number, partition in enumerate(partitions)]
        self._left = limit

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        heap = self._heap
        while heap and self._left:
            key, number, first = heap[0]
            if first.record is _TAKEN:
                for first.record in first.rows:  # noqa: B020 (unlike a call of next, it lets no handler in between)
                    break
                else:
                    heappop(heap)
                    continue
                first.key = -first.pieces.times[first.rows.row]
            if key != first.key:
                heapreplace(heap, (first.key, number, first))
                continue
            self._left -= 1
            record, first.record = first.record, _TAKEN
            return record
        raise StopIteration
