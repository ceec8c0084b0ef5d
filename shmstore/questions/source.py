"""What a question is put to: the live records of a store, or those of a snapshot, and which of them it is about."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shmstore import _core
from shmstore.arguments.calls import SEVERAL_KEYS
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError
from shmstore.expressions.compiler import compiled
from shmstore.expressions.expression import Expression
from shmstore.records.fields import Marker
from shmstore.records.schema import Schema
from shmstore.tables.column import kind_of
from shmstore.tables.text import ColumnKind

Value = str | Expression
"""A number of a record that a question is about: the name of a field, or an expression over fields."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A source of records and a condition on them, as they are when the question is put.

    condition   what `compiled` takes besides the values
    partitions  numbers of partitions, None for all; ends: the ticket of each partition where the question ends
    summaries   whether block summaries may answer
    """

    source: _core.Store | _core.Columns
    schema: Schema
    keys: Callable[[], list[str]]
    condition: dict[str, Any] = field(default_factory=dict)
    partitions: Sequence[int] | None = None
    ends: Sequence[int] | None = None
    summaries: bool = True

    def program(self, values: Sequence[Value] = ()) -> _core.Program:
        """The condition and some values, compiled."""
        return compiled(self.schema, self.keys, **self.condition, values=values)

    def live(self) -> _core.Store:
        """The store whose live records these are."""
        assert isinstance(self.source, _core.Store)
        return self.source

    def ranges(self) -> list[tuple[int, int, int]]:
        """(partition, first ticket, end) of the live records: never more of them than there are slots."""
        found = self.live().ranges()
        chosen = range(len(found)) if self.partitions is None else self.partitions
        ends = [tail for _, tail in found]
        if self.ends is not None:
            ends = list(map(min, ends, self.ends))
        return [(partition, found[partition][0], ends[partition]) for partition in chosen]

    def until_now(self) -> "Scope":
        """The same, without what is appended from now on: for questions that are put in several passes."""
        if isinstance(self.source, _core.Columns):
            return self
        tails = [tail for _, tail in self.source.ranges()]
        return replace(self, ends=tails if self.ends is None else list(map(min, tails, self.ends)))

    def tally(self, values: Sequence[Value], what: int, **grouping: Any) -> Any:
        """What `_core.Store.tally` answers, of each value the same."""
        return self.source.tally(self.program(values), (what,) * len(values), **self._part(), **grouping)

    def quantiles(self, value: Value, wanted: Sequence[float], by: int = -1) -> Any:
        """What `_core.Store.quantiles` answers."""
        return self.source.quantiles(self.program([value]), wanted, by=by, **self._part())

    def distinct(self, name: str, by: int = -1) -> Any:
        """What `_core.Store.distinct` answers."""
        return self.source.distinct(self.program(), self.schema.index(name), by=by, **self._part())

    def edge(self, name: str, latest: bool, by: int = -1) -> Any:
        """What `_core.Store.edge` answers."""
        return self.source.edge(self.program(), self.schema.index(name), latest, by=by, **self._part())

    def read(self, partition: int, first: int, end: int, program: _core.Program) -> _core.Columns:
        """The live records of tickets [first, end) that match."""
        return self.live().read(partition, first, end, program, self.summaries)

    def _part(self) -> dict[str, Any]:
        return {"partitions": self.partitions, "ends": self.ends, "summaries": self.summaries}

    def field_kind(self, name: str) -> ColumnKind:
        """What a column with the values of a field holds. Raises FieldError."""
        return kind_of(self.schema.fields[self.schema.index(name)])


def group_index(schema: Schema, name: str) -> int:
    """The field that groups go by. Raises FieldError, FieldTypeError for floats."""
    if not isinstance(name, str):
        raise FieldTypeError("", f"{shown(name)} is no field; expected the name of one; {SEVERAL_KEYS}")
    index = schema.index(name)
    spec = schema.fields[index]
    if spec.kind in (_core.FLOAT32, _core.FLOAT64):
        raise FieldTypeError(
            name,
            f"field {name!r} is a {Marker(spec.kind, spec.size)!r}, and groups go by values that are equal; give a "
            "Key, text, bytes, int, bool or Timestamp field",
        )
    return index
