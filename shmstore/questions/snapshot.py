"""A private, immutable copy of a store's records, column by column; it stays whole whatever happens to the store."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, Unpack, overload

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import called, row_number
from shmstore.arguments.shown import shown
from shmstore.errors import DamagedSegment, InvalidOption
from shmstore.expressions.expression import Expression
from shmstore.public import public
from shmstore.questions.questions import Questions
from shmstore.questions.source import Condition, Copied
from shmstore.reading.detached import Detached, attached, detached
from shmstore.reading.gap import Gap, GapReason
from shmstore.reading.selection import Moment, Selection, window
from shmstore.records.fields import KINDS, Marker
from shmstore.records.schema import Schema
from shmstore.tables import arrow
from shmstore.tables.arrow import ArrowColumn
from shmstore.tables.column import kind_of
from shmstore.tables.tabular import Packable, Tabular
from shmstore.tables.text import ColumnKind

R = TypeVar("R")


@public
@checked_calls()
class Snapshot(Tabular[R], Questions[R]):
    """Records copied out of a store: oldest first within each partition, or all by time, whichever was asked for.

    Each record is whole; across partitions the cut is best-effort: partitions are copied one after the other.
    Made by `EventStore.snapshot`. It answers the questions that a store answers, from its own records.
    """

    __slots__ = ("__weakref__", "_columns", "_gaps", "_reaches", "_schema")

    def __init__(self, columns: _core.Columns, schema: Schema, gaps: tuple[Gap, ...], *, reaches: bool = True) -> None:
        self._columns = columns
        self._schema = schema
        self._gaps = gaps
        self._reaches = reaches

    def __reduce__(self) -> tuple[Any, ...]:
        """The records as plain values: the other side needs no store, only the class of the records."""
        return Snapshot._unpickled, (tuple(detached(self._columns, self._schema)), self._gaps, self._reaches)

    @staticmethod
    @public
    def _unpickled(records: tuple[Any, ...], gaps: tuple[Gap, ...], reaches: bool) -> "Snapshot[Any]":
        columns, schema = attached(Detached(*records))
        return Snapshot(columns, schema, gaps, reaches=reaches)

    def __copy__(self) -> "Snapshot[R]":
        return self  # it never changes

    def __deepcopy__(self, memo: object) -> "Snapshot[R]":
        return self

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[R]:
        return iter(self._columns)

    @overload
    def __getitem__(self, item: int) -> R: ...
    @overload
    def __getitem__(self, item: slice) -> "Snapshot[R]": ...
    @overload
    def __getitem__(self, item: str) -> memoryview: ...
    def __getitem__(self, item: int | slice | str) -> Any:
        """One record, a snapshot of a slice, or a field's column as a read-only memoryview.

        Columns of numbers and timestamps (int64 ns since the Unix epoch) have their natural format. Text and Bytes are
        fixed-size items padded with NUL, a Key is its uint32 id; `values` gives these as Python values.
        Raises IndexError, or FieldError for an unknown field.
        """
        if isinstance(item, str):
            return self._columns.column(self._schema.index(item))
        if isinstance(item, slice):
            return self._of(self._columns.take(range(*item.indices(len(self)))))
        item = row_number(item)
        row = item + len(self) if item < 0 else item
        if not 0 <= row < len(self):
            raise IndexError(f"record {shown(item)} of a snapshot of {len(self)}")
        return self._columns[row]

    def values(self, name: str) -> list[Any]:
        """One field of every record as Python values. Raises FieldError for an unknown field."""
        return self._columns.values(self._schema.index(name))

    def rows(self) -> list[tuple[Any, ...]]:
        """Every record as a plain tuple of its fields."""
        return self._columns.rows(plain=True)

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        """The same, one at a time: much quicker and in little memory, if they are not kept."""
        return self._columns.iter_plain()

    def where(self, accept: Expression | Callable[[R], object]) -> "Snapshot[R]":
        """A snapshot of the records that match, in the same order.

        `accept` is an expression, as in `field("value") > 100`, or a Python callable that says of each record whether
        it matches: the same answer, but with a Python call for each record. Raises FieldError, FieldTypeError for an
        expression that these records do not allow.
        """
        if isinstance(accept, Expression):
            return self._of(self._all(accept).matching())
        called("accept", accept, "an expression, as field('value') > 100, or a callable")
        return self._of(self._all().accepted(accept).source)

    def _of(self, columns: _core.Columns) -> "Snapshot[R]":
        """A part of this one."""
        return Snapshot(columns, self._schema, self._gaps, reaches=self._reaches)

    def _ask(
        self, where: Expression | None, since: Moment | None, until: Moment | None, partition: int | None
    ) -> Copied:
        if partition is not None:
            raise InvalidOption(
                f"partition is {shown(partition)}, and a snapshot does not know which partition its records come from; "
                "take one of a single partition: store.snapshot(partition=...)"
            )
        since_ns, until_ns = window(self._schema, since, until, self._all().oldest_ns)
        return self._all(where, since_ns, until_ns)

    def _all(self, where: Expression | None = None, since_ns: int | None = None, until_ns: int | None = None) -> Copied:
        return Copied(self._columns, Condition(self._schema, self._columns.keys, where, since_ns, until_ns))

    def _chosen(self, **selection: Unpack[Selection[R]]) -> "Snapshot[R]":
        return self._of(self._scope(**selection).matching())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the fields."""
        return self._schema.names

    @property
    def schema(self) -> Schema:
        """The fields of the records."""
        return self._schema

    @property
    def core(self) -> _core.Columns:
        """The columns of the core that it consists of; they may change with any version."""
        return self._columns

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The ticket ranges that the copy passed over; a part of a snapshot keeps those of the whole."""
        return self._gaps

    @property
    def complete(self) -> bool:
        """Whether the copy missed no record of what was asked for.

        No record was being written or overwritten while it was made, and `since` is not before the moment from which on
        the store has everything (`complete_since`).
        """
        return self._reaches and not any(gap.reason in (GapReason.IN_FLIGHT, GapReason.LAPPED) for gap in self._gaps)

    def __repr__(self) -> str:
        state = "" if self.complete else ", incomplete"
        return f"<Snapshot of {len(self)} records ({', '.join(self._schema.names)}){state}>"

    # -- as a table

    def _kinds(self) -> Sequence[ColumnKind]:
        return [kind_of(field) for field in self._schema.fields]

    def _arrow_columns(self) -> list[ArrowColumn]:
        """Each carries the marker of its field as metadata, so that records kept elsewhere can come back."""
        return [
            arrow.described(self._arrow_column(index, field), {"shmstore": repr(Marker(field.kind, field.size))})
            for index, field in enumerate(self._schema.fields)
        ]

    def _arrow_column(self, index: int, field: FieldSpec) -> ArrowColumn:
        rows = len(self)
        if field.kind in (_core.TEXT, _core.BYTES):
            if poured := self._columns.ragged(index):
                return arrow.poured(field.name, field.kind == _core.TEXT, rows, *poured)
            return arrow.strings(field.name, self._columns.values(index))  # damaged text: unreadable bytes are replaced
        values = self._columns.column(index)
        if field.kind == _core.KEY:
            try:
                return arrow.keys(field.name, rows, values, self._columns.dictionary(index))
            except DamagedSegment:
                return arrow.some_keys(field.name, self._columns.values(index))
        if field.kind == _core.BOOL:
            return arrow.truths(field.name, rows, values)
        return arrow.fixed(
            field.name, arrow.TIME if field.kind == _core.TIMESTAMP else arrow.NUMBERS[values.format], rows, values
        )

    def _packable_columns(self) -> list[Packable]:
        columns = [self._columns.column(index) for index in range(len(self.names))]
        return [
            Packable(field.name, column.format, _numpy_type(field, column.itemsize), column.itemsize, column)
            for field, column in zip(self._schema.fields, columns, strict=True)
        ]


def _numpy_type(field: FieldSpec, size: int) -> str:
    """NumPy's name for the items of a field's column, in native byte order."""
    if field.kind == _core.TIMESTAMP:
        return "=M8[ns]"
    letter = {"f": "f", "d": "f", "?": "b", "s": "S"}.get(KINDS[field.kind].format[-1])
    return f"={letter or ('u' if KINDS[field.kind].format.isupper() else 'i')}{size}"
