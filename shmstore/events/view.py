"""What can be seen of a store: snapshots, cursors, single records, counts and state."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar, Unpack

from shmstore import _core
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import refused, whole_number
from shmstore.events.reach import complete_since_ns
from shmstore.events.statistics import Meter, Statistics
from shmstore.expressions.compiler import compiled
from shmstore.expressions.expression import Expression
from shmstore.questions.query import Order, Query
from shmstore.questions.questions import Questions
from shmstore.questions.snapshot import Snapshot
from shmstore.questions.source import Condition, Live
from shmstore.reading.cursor import Cursor, Start, start_tickets
from shmstore.reading.gap import gaps_of
from shmstore.reading.selection import Moment, Selection, as_datetime, condition, one_partition, require_time, window
from shmstore.records.schema import Schema

R = TypeVar("R")

_NO_TICKET = 1 << 64  # nor any greater


@checked_calls("read_at")
class View(Questions[R]):
    """What can be done with a store without changing it; `EventStore` adds the rest."""

    __slots__ = ("_core", "_header", "_meter", "_name", "_schema", "_slots", "summaries")

    summaries: bool
    """Whether block summaries may answer questions of this handle; True at first; set it to False to measure or check
    answers without them."""

    def __init__(self, core: _core.Store, name: str, schema: Schema) -> None:
        self._core = core
        self._name = name
        self._schema = schema
        self._header = core.header()
        self._slots = core.plan().slots
        self._meter = Meter(
            core, schema, partial(_count, core, schema)
        )  # not a method of this object: such a cycle would never be let go
        self.summaries = True

    def snapshot(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Expression | Callable[[R], object] | None = None,
        partition: int | None = None,
        order: Literal["partition", "time"] = "partition",
    ) -> Snapshot[R]:
        """A private copy of the records that are readable now; no writer waits for it.

        since, until  only records with since <= timestamp < until; each is a timedelta (that long ago), a text such as
                      "10m" (that long ago) or "2025-03-05T10:20:00Z", an aware datetime, or an int (ns since the
                      Unix epoch; one that is hardly meant so, as seconds, is refused where every record is of this
                      century)
        where         only records that match: an expression, as field("value") > 100, or a Python callable that says
                      so of each record (one call a record, many times slower)
        partition     only this partition
        order         "partition": one after the other, oldest first in each; "time": all by timestamp

        Raises FieldError, FieldTypeError (an expression that these records do not allow), InvalidOption.
        """
        if not isinstance(order, str) or order not in ("partition", "time"):
            raise refused("order", order, "'partition' or 'time'")
        expression, accept = condition(where)
        scope = self._ask(expression, since, until, partition)
        columns = scope.matching()
        gaps = gaps_of(columns.gaps())
        if order == "time":
            columns = columns.order_by(require_time(self._schema, "order by time"))
        reaches = self.reaches(scope.condition.since_ns, None if partition is None else [partition])
        taken = Snapshot[R](columns, self._schema, gaps, reaches=reaches)
        return taken if accept is None else taken.where(accept)

    def query(
        self,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        where: Expression | Callable[[R], object] | None = None,
        partition: int | None = None,
        limit: int | None = None,
        order: Order = "partition",
    ) -> Query[R]:
        """The records that match, found while they are taken: iterate over it, as often as you like.

        limit  at most so many
        order  "partition": one after the other, oldest first in each; "newest": the last appended first in each
               partition, and among partitions by timestamp

        All else, and what is raised, as for `snapshot`.
        """
        expression, accept = condition(where)

        def ask() -> Live:
            return self._ask(expression, since, until, partition)

        def snapshot() -> Snapshot[R]:
            ordered: Literal["partition", "time"] = "time" if order == "newest" and self._has_time else "partition"
            return self.snapshot(since=since, until=until, where=where, partition=partition, order=ordered)

        found = Query(ask, accept, snapshot, limit, order)
        ask().program()  # a mistake is told now, not when the records are taken
        return found

    @property
    def _has_time(self) -> bool:
        return self._schema.time_field is not None

    def _ask(self, where: Expression | None, since: Moment | None, until: Moment | None, partition: int | None) -> Live:
        """The live records as they are now. The tails are read first, so that a later compilation knows all of their
        keys.
        """
        since_ns, until_ns = window(self._schema, since, until, self._oldest_ns)
        partitions = one_partition(partition, self.partitions)
        return Live(
            self._core,
            Condition(self._schema, self._core.keys, where, since_ns, until_ns),
            partitions,
            [tail for _, tail in self._core.ranges()],
            self.summaries,
        )

    def _oldest_ns(self) -> int | None:
        """The least timestamp of all records; None when there are none."""
        return Live(self._core, Condition(self._schema, self._core.keys), summaries=self.summaries).oldest_ns()

    def _chosen(self, **selection: Unpack[Selection[R]]) -> Query[R]:
        return self.query(**selection)

    def cursor(self, start: Start = "oldest", *, partition: int | None = None) -> Cursor[R]:
        """Follow the store, or one partition of it, from a place of its own.

        start: "oldest" readable record, "latest" (only what is appended from now on), an aware datetime, a timedelta
        (that long ago) or a text such as "10m" (that long ago) or "2025-03-05T10:20:00Z": the first record of each
        partition that is not older; a position: that record in its partition and the oldest in the others; the
        `positions` of another cursor: exactly the partitions and places where that one stands.

        Raises InvalidOption.
        """
        return Cursor(self._core.cursor(start_tickets(self._core, self._schema, start, partition)), self.partitions)

    def read_at(self, position: int) -> R | None:
        """The record at a position; None when it is not readable (any more, or yet). Raises InvalidOption."""
        partition, ticket = self.locate(position)
        if ticket >= _NO_TICKET:
            return None
        record: R | None = self._core.read_at(partition, ticket)
        return record

    def locate(self, position: int) -> tuple[int, int]:
        """The (partition, ticket) that a position stands for. Raises InvalidOption for a negative one."""
        number = whole_number("position", position, "what append returned, an int of 0 or more")
        ticket, partition = divmod(number, self.partitions)
        return partition, ticket

    def keys(self) -> list[str]:
        """Every key, by its number. Where a process died while it entered one, it is ''."""
        return self._core.keys()

    def __len__(self) -> int:
        """How many records are readable now (best-effort)."""
        return sum(totals.length for totals in self._core.totals())

    def __bool__(self) -> bool:
        """True, even when it is empty: `if store` asks whether there is a store."""
        return True

    @property
    def is_empty(self) -> bool:
        """Whether no record is readable (best-effort)."""
        return len(self) == 0

    @property
    def is_full(self) -> bool:
        """Whether the next append to any partition takes the place of an older record (best-effort)."""
        return all(totals.tail - totals.oldest >= self._slots for totals in self._core.totals())

    @property
    def complete_since(self) -> datetime | None:
        """The moment from which on nothing was discarded, in any partition (UTC, best-effort); None when nothing ever
        was.

        It is the oldest timestamp that is kept, of the partition that reaches back the least; now, when that one is
        empty. Also None for records without a Timestamp, which are not asked by time. It relies on records coming about
        in the order of their timestamps within each partition.
        """
        if not self._has_time:
            return None
        time_ns = complete_since_ns(self._core, self._schema.names[require_time(self._schema, "complete_since")])
        return None if time_ns is None else as_datetime(time_ns + 999)  # not before it, cut to microseconds

    def reaches(self, since_ns: int | None, partitions: list[int] | None = None) -> bool:
        """Whether these partitions, or all, still have every record from this time on (ns since the Unix epoch)."""
        if since_ns is None or not self._has_time:
            return True
        name = self._schema.names[require_time(self._schema, "a window")]
        complete_ns = complete_since_ns(self._core, name, partitions)
        return complete_ns is None or complete_ns <= since_ns

    @property
    def statistics(self) -> Statistics:
        """What was appended, discarded and lost so far, and how fast it comes."""
        return self._meter.read()

    def processes(self) -> list[_core.Place]:
        """The process table: every process attached for writing, and the dead that are not repaired yet."""
        return self._core.places()

    def check(self) -> list[str]:
        """What is wrong with the shared bytes, in words: empty when all invariants hold. Only reads."""
        return self._core.check()

    @property
    def core(self) -> _core.Store:
        """The handle of the core that this one stands on; it may change with any version."""
        return self._core

    @property
    def name(self) -> str:
        """The name of the store."""
        return self._name

    @property
    def schema(self) -> Schema:
        """The fields of the records."""
        return self._schema

    @property
    def capacity(self) -> int:
        """How many records are kept: what was asked for, rounded up to a multiple of `partitions`."""
        return self._slots * self.partitions

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return self._header.options["partitions"]

    @property
    def store_id(self) -> bytes:
        """Sixteen random bytes that no other store has, whatever its name."""
        return self._header.store_id

    @property
    def unlinked(self) -> bool:
        """Whether the name was removed by `unlink`."""
        return self._core.unlinked


def _count(core: _core.Store, schema: Schema, partition: int, since_ns: int, until_ns: int) -> int:
    """How many records a partition has of a window."""
    program = compiled(schema, core.keys, since_ns=since_ns, until_ns=until_ns)
    return core.tally(program, (), partitions=[partition]).records
