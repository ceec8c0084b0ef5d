"""Queries: the records that match a question, found while they are taken."""

import heapq
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any, Generic, Literal, TypeVar

from shmstore.alone import Question
from shmstore.arguments import refused, whole_number
from shmstore.lines import Target
from shmstore.scope import Scope
from shmstore.snapshot import Snapshot

R = TypeVar("R")

Order = Literal["partition", "newest"]

_FIRST_TICKETS, _MOST_TICKETS = 256, 65_536  # looked at in one go: few at first, for who takes only a few


class Query(Question, Generic[R]):
    """The matching records of a store, one after the other; made by `query`.

    Iteration finds them while it goes, in little memory; each iteration asks anew. What is appended after it began is
    not among them, what is overwritten before it gets there neither. `snapshot` gives all at once; whatever a table
    offers (columns, Arrow, CSV, JSON lines) is made of that.
    """

    _SEND = "send what it finds: its snapshot(), or a list of its records"

    __slots__ = ("_accept", "_ask", "_limit", "_order", "_snapshot")

    def __init__(
        self,
        ask: Callable[[], Scope],
        accept: Callable[[R], object] | None,
        snapshot: Callable[[], Snapshot[R]],
        limit: int | None,
        order: Order,
    ) -> None:
        """`ask` gives the live records as a scope, among which `accept` chooses; `snapshot` all that match."""
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
        records: Iterator[R] = _newest(scope, self._accept) if self._order == "newest" else _in_order(scope)
        if self._accept is not None and self._order == "partition":
            records = filter(self._accept, records)
        return islice(records, None if self._limit is None else min(self._limit, sys.maxsize))

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

    def to_dicts(self) -> list[dict[str, Any]]:
        """Every record as a dictionary by field name."""
        return self.snapshot().to_dicts()

    def to_csv(self, file: Target) -> int:
        """Write the records as CSV; see `Tabular.to_csv`. Returns how many."""
        return self.snapshot().to_csv(file)

    def to_jsonl(self, file: Target) -> int:
        """Write a JSON object a record; see `Tabular.to_jsonl`. Returns how many."""
        return self.snapshot().to_jsonl(file)

    def structured(self) -> "memoryview[Any]":
        """Every record packed; see `Tabular.structured`."""
        return self.snapshot().structured()

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """For numpy.asarray."""
        return self.snapshot().__array_interface__

    def __arrow_c_schema__(self) -> object:
        """For programs that speak Arrow: names and types."""
        return self.snapshot().__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """For programs that speak Arrow: all records."""
        return self.snapshot().__arrow_c_array__(requested_schema)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """For programs that speak Arrow: all records, in one batch."""
        return self.snapshot().__arrow_c_stream__(requested_schema)


def _pieces(first: int, end: int) -> Iterator[int]:
    """Where to stop on the way from ticket `first` to `end`: near at first, then ever farther apart."""
    length = _FIRST_TICKETS
    while first < end:
        first = min(end, first + length)
        yield first
        length = min(_MOST_TICKETS, 2 * length)


def _in_order(scope: Scope) -> Iterator[Any]:
    """The partitions one after the other, the oldest records first in each."""
    program = scope.program()
    for partition, first, end in scope.ranges():
        for stop in _pieces(first, end):
            yield from scope.read(partition, first, stop, program)
            first = stop


def _newest(scope: Scope, accept: Callable[[Any], object] | None) -> Iterator[Any]:
    """The newest records first: in each partition in the reverse of the order of appends, among them by time."""
    # What is not accepted goes before partitions meet: where their times do not ascend it would change the order.
    partitions = [_backwards(scope, accept, *bounds) for bounds in scope.ranges()]
    if scope.schema.time_field is None:
        return (record for _, record in chain(*partitions))
    return (record for _, record in heapq.merge(*partitions, key=_time_of, reverse=True))


def _time_of(pair: tuple[int, Any]) -> int:
    return pair[0]


def _backwards(
    scope: Scope, accept: Callable[[Any], object] | None, partition: int, first: int, end: int
) -> Iterator[tuple[int, Any]]:
    """A partition's records with their times (0 without), the last first."""
    program, time_field = scope.program(), scope.schema.time_field
    stop = end
    for distance in _pieces(0, end - first):
        start = end - distance
        columns = scope.read(partition, start, stop, program)
        times = [0] * len(columns) if time_field is None else columns.values(time_field)
        pairs = zip(reversed(times), reversed(columns.rows()), strict=True)
        yield from pairs if accept is None else (pair for pair in pairs if accept(pair[1]))
        stop = start
