"""What a question is put to: the live records of a store, or those of a snapshot, and which of them it is about."""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from shmstore import _core
from shmstore.arguments.calls import SEVERAL_KEYS
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError
from shmstore.expressions.compiler import compiled
from shmstore.expressions.expression import Expression
from shmstore.questions.aggregates import Number
from shmstore.reading.selection import require_time
from shmstore.records.fields import Marker
from shmstore.records.schema import Schema
from shmstore.tables.column import kind_of
from shmstore.tables.text import ColumnKind

Value = str | Expression
"""A number of a record that a question is about: the name of a field, or an expression over fields."""

FieldValue = int | float | str | bytes | None
"""What a field holds: a Timestamp as an int of ns, a Key as its text, None when its text is lost."""


class _Chosen(TypedDict):
    """Which records the core is asked about."""

    partitions: Sequence[int] | None
    ends: Sequence[int] | None
    summaries: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """Which records of a schema a question is about: those for which `where` holds, of times [since_ns, until_ns)."""

    schema: Schema
    keys: Callable[[], list[str]]
    where: Expression | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def program(self, values: Sequence[Value] = ()) -> _core.Program:
        """The condition and some values, compiled."""
        return compiled(
            self.schema, self.keys, where=self.where, since_ns=self.since_ns, until_ns=self.until_ns, values=values
        )


@dataclass(frozen=True, slots=True)
class Scope(ABC):
    """Records and a condition on them, as they are when the question is put: `Copied` or `Live` ones."""

    source: _core.Columns | _core.Store
    condition: Condition
    partitions: Sequence[int] | None = None
    """Numbers of partitions; None for all, and for a snapshot."""
    ends: Sequence[int] | None = None
    """The ticket of each partition where the question ends; None for a snapshot."""
    summaries: bool = True
    """Whether block summaries may answer."""

    @property
    def schema(self) -> Schema:
        """The fields of the records."""
        return self.condition.schema

    def program(self, values: Sequence[Value] = ()) -> _core.Program:
        """The condition and some values, compiled."""
        return self.condition.program(values)

    @abstractmethod
    def matching(self) -> _core.Columns:
        """A copy of the records that match, in the order of a snapshot."""

    def accepted(self, accept: Callable[[Any], object]) -> "Copied":
        """The matching records that a callable accepts."""
        columns = self.matching()
        chosen = [row for row, record in enumerate(columns) if accept(record)]
        return Copied(columns.take(chosen), Condition(self.schema, columns.keys))

    def until_now(self) -> "Scope":
        """The same, without what is appended from now on: for questions that are put in several passes."""
        return self

    def tally(self, values: Sequence[Value], what: int) -> _core.Tallied:
        """What `_core.Store.tally` answers, of each value the same."""
        return self.source.tally(self.program(values), (what,) * len(values), **self._chosen())

    def group_tallies(self, values: Sequence[Value], what: int, by: int) -> _core.GroupTallies:
        """What `_core.Store.group_tallies` answers, of each value the same."""
        return self.source.group_tallies(self.program(values), (what,) * len(values), by, **self._chosen())

    def window_tallies(
        self,
        values: Sequence[Value],
        what: int,
        *,
        by: int | None,
        pane_ns: int = 0,
        every_ns: int = 0,
        period_ns: int = 0,
        edges: "array[int] | bytes" = b"",
    ) -> _core.WindowTallies:
        """What `_core.Store.window_tallies` answers, of each value the same."""
        return self.source.window_tallies(
            self.program(values),
            (what,) * len(values),
            by=by,
            pane_ns=pane_ns,
            every_ns=every_ns,
            period_ns=period_ns,
            edges=edges,
            **self._chosen(),
        )

    def quantiles(self, value: Value, wanted: Sequence[float]) -> list[Number | None]:
        """What `_core.Store.quantiles` answers."""
        return self.source.quantiles(self.program([value]), wanted, **self._chosen())

    def group_quantiles(
        self, value: Value, wanted: Sequence[float], by: int
    ) -> tuple[list[FieldValue], list[list[Number | None]]]:
        """What `_core.Store.group_quantiles` answers."""
        return self.source.group_quantiles(self.program([value]), wanted, by, **self._chosen())

    def distinct(self, name: str) -> int:
        """What `_core.Store.distinct` answers."""
        return self.source.distinct(self.program(), self.schema.index(name), **self._chosen())

    def group_distinct(self, name: str, by: int) -> tuple[list[FieldValue], list[int]]:
        """What `_core.Store.group_distinct` answers."""
        return self.source.group_distinct(self.program(), self.schema.index(name), by, **self._chosen())

    def edge(self, name: str, latest: bool) -> FieldValue:
        """What `_core.Store.edge` answers."""
        return self.source.edge(self.program(), self.schema.index(name), latest, **self._chosen())

    def group_edges(self, name: str, latest: bool, by: int) -> tuple[list[FieldValue], list[FieldValue]]:
        """What `_core.Store.group_edges` answers."""
        return self.source.group_edges(self.program(), self.schema.index(name), latest, by, **self._chosen())

    def time_bounds(self) -> tuple[int, int] | None:
        """The least and the greatest timestamp; None without records. Raises InvalidOption when they have no
        Timestamp.
        """
        time = self.schema.names[require_time(self.schema, "a window")]
        _, low_ns, high_ns, _ = self.tally([time], _core.TALLY_BOUNDS).tallies[0]
        return (low_ns, high_ns) if isinstance(low_ns, int) and isinstance(high_ns, int) else None

    def oldest_ns(self) -> int | None:
        """The least timestamp; None without records. Raises as `time_bounds`."""
        bounds = self.time_bounds()
        return bounds and bounds[0]

    def field_kind(self, name: str) -> ColumnKind:
        """What a column with the values of a field holds. Raises FieldError."""
        return kind_of(self.schema.fields[self.schema.index(name)])

    def _chosen(self) -> _Chosen:
        return {"partitions": self.partitions, "ends": self.ends, "summaries": self.summaries}


@dataclass(frozen=True, slots=True)
class Copied(Scope):
    """Records of a snapshot."""

    source: _core.Columns

    def matching(self) -> _core.Columns:
        return self.source.keep(self.program().matches(self.source))


@dataclass(frozen=True, slots=True)
class Live(Scope):
    """Live records of a store."""

    source: _core.Store

    def matching(self) -> _core.Columns:
        return self.source.snapshot(self.partitions, self.program(), self.ends, self.summaries)

    def ranges(self) -> list[tuple[int, int, int]]:
        """(partition, first ticket, end) of the live records: never more of them than there are slots."""
        found = self.source.ranges()
        chosen = range(len(found)) if self.partitions is None else self.partitions
        ends = [tail for _, tail in found]
        if self.ends is not None:
            ends = list(map(min, ends, self.ends))
        return [(partition, found[partition][0], ends[partition]) for partition in chosen]

    def until_now(self) -> "Live":
        tails = [tail for _, tail in self.source.ranges()]
        return replace(self, ends=tails if self.ends is None else list(map(min, tails, self.ends)))

    def read(self, partition: int, first: int, end: int, program: _core.Program) -> _core.Columns:
        """The records of tickets [first, end) that match."""
        return self.source.read(partition, first, end, program, self.summaries)


def group_index(schema: Schema, name: str) -> int:
    """The field that groups go by. Raises FieldError, FieldTypeError for floats."""
    if not isinstance(name, str):
        raise FieldTypeError("", f"{shown(name)} is not a field; expected the name of one; {SEVERAL_KEYS}")
    index = schema.index(name)
    spec = schema.fields[index]
    if spec.kind in (_core.FLOAT32, _core.FLOAT64):
        raise FieldTypeError(
            name,
            f"field {name!r} is a {Marker(spec.kind, spec.size)!r}, and groups go by values that are equal; give a "
            "Key, text, bytes, int, bool or Timestamp field",
        )
    return index
