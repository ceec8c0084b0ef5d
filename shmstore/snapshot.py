"""A private, immutable copy of a store's records, column by column; it stays whole whatever happens to the store."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, overload

from shmstore import _core
from shmstore.gap import Gap, GapReason
from shmstore.schema import Schema

R = TypeVar("R")


class Snapshot(Generic[R]):
    """Records copied out of a store: oldest first within each partition, or all by time, as it was asked for.

    Each record is whole; across partitions the cut is best-effort: partitions are copied one after the other.
    Made by `EventStore.snapshot`.
    """

    __slots__ = ("__weakref__", "_columns", "_gaps", "_schema")

    def __init__(self, columns: _core.Columns, schema: Schema, gaps: tuple[Gap, ...]) -> None:
        self._columns = columns
        self._schema = schema
        self._gaps = gaps

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
            return Snapshot[R](self._columns.take(range(*item.indices(len(self)))), self._schema, self._gaps)
        row = item + len(self) if item < 0 else item
        if not 0 <= row < len(self):
            raise IndexError(f"record {item} of a snapshot of {len(self)}")
        return self._columns[row]

    def values(self, name: str) -> list[Any]:
        """One field of every record as Python values. Raises FieldError for an unknown field."""
        return self._columns.values(self._schema.index(name))

    def rows(self) -> list[tuple[Any, ...]]:
        """Every record as a plain tuple of its fields."""
        return self._columns.rows(plain=True)

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        """The same one at a time: much quicker, and without the memory, for who does not keep them."""
        return self._columns.iter_plain()

    def to_dicts(self) -> list[dict[str, Any]]:
        """Every record as a dictionary by field name."""
        return [dict(zip(self._schema.names, row, strict=True)) for row in self.rows()]

    def where(self, accept: Callable[[R], object]) -> "Snapshot[R]":
        """A snapshot of the records for which `accept(record)` is true, in the same order. One Python call a record."""
        chosen = [row for row, record in enumerate(self) if accept(record)]
        return Snapshot(self._columns.take(chosen), self._schema, self._gaps)

    @property
    def schema(self) -> Schema:
        """The fields of the records."""
        return self._schema

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """The ticket ranges that the copy passed over; a part of a snapshot keeps those of the whole."""
        return self._gaps

    @property
    def complete(self) -> bool:
        """Whether the copy missed no record: none was being written, none was overwritten while it was made."""
        return not any(gap.reason in (GapReason.IN_FLIGHT, GapReason.LAPPED) for gap in self._gaps)

    def __repr__(self) -> str:
        state = "" if self.complete else ", incomplete"
        return f"<Snapshot of {len(self)} records ({', '.join(self._schema.names)}){state}>"
