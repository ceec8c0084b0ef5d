"""What every table offers, wherever its values come from: rows, columns, Arrow, a structured buffer, lines of text."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from shmstore import _core
from shmstore.arguments.calls import checked_calls
from shmstore.tables.arrow import ArrowColumn, Buffer
from shmstore.tables.text import ColumnKind, Target, write_csv, write_jsonl

R = TypeVar("R", covariant=True)


class Packable(NamedTuple):
    """One column as a part of packed rows: values of `size` bytes, and their type in PEP 3118's and NumPy's words."""

    name: str
    format: str
    numpy: str
    size: int
    values: Buffer


@checked_calls()
class Offered(ABC):
    """What a table offers, made of the one that it is or that it finds.

    Arrow: pyarrow.table(t), polars.DataFrame(t), pandas.DataFrame.from_arrow(t), duckdb.sql("from t") and all others
    that know the PyCapsule protocol. Columns of numbers and times are used where they lie, without a copy; text and
    bytes are brought together, bool goes to bits, a Key becomes dictionary-encoded text, a Timestamp a timestamp[ns,
    UTC]. What a program takes this way is its own: it stays when the table, or the store, is gone.

    NumPy: numpy.asarray(t) is a structured array of the packed rows, made once; its times are datetime64[ns], its text
    is NUL-padded UTF-8, a Key is its uint32 id.
    """

    __slots__ = ()

    @abstractmethod
    def _table(self) -> "Tabular[Any]":
        """The table; for each call one."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """Every row as a dictionary by column name."""
        table = self._table()
        names = table.names
        return [dict(zip(names, row, strict=True)) for row in table.iter_rows()]

    def to_csv(self, file: Target) -> int:
        """Write the rows as CSV, names first, to a path (UTF-8) or a text stream. Returns how many rows.

        Times are ISO 8601 in UTC with all nanoseconds, bytes are base64, bool is true or false, NaN and the infinities
        are nan, inf and -inf; a missing value is an empty cell, as is empty text.
        """
        table = self._table()
        return write_csv(table.names, table._kinds(), table.iter_rows(), file)

    def to_jsonl(self, file: Target) -> int:
        """Write one JSON object a row, a line each, to a path (UTF-8) or a text stream. Returns how many rows.

        Times are ISO 8601 in UTC with all nanoseconds, bytes are base64. A missing value is null; so are NaN and the
        infinities, which JSON has no numbers for.
        """
        table = self._table()
        return write_jsonl(table.names, table._kinds(), table.iter_rows(), file)

    def structured(self) -> memoryview:
        """Every row packed, one after the other, as a read-only buffer of PEP 3118 structs `T{...}`. Made anew.

        Values have native byte order and no padding between them. A Timestamp is int64 ns since the Unix epoch, text
        and bytes are NUL-padded, a Key is its uint32 id. Raises FieldError for what a row has no place for.
        """
        table = self._table()
        parts = table._packable_columns()
        format = "".join(f"={part.format}:{part.name.replace(':', '_')}:" for part in parts)
        return _core.pack_rows(f"T{{{format}}}", len(table), [(part.values, part.size) for part in parts])

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """For numpy.asarray: `structured`, with times as datetime64[ns]."""
        table = self._table()
        parts = table._packable_columns()
        return {
            "version": 3,
            "shape": (len(table),),
            "typestr": f"|V{sum(part.size for part in parts)}",
            "descr": [(part.name, part.numpy) for part in parts],
            "data": table.structured().cast("B") if len(table) else bytes(1),
        }

    def __arrow_c_schema__(self) -> object:
        """For programs that speak Arrow: names and types, as a PyCapsule `arrow_schema`."""
        return _core.arrow_schema(self._table()._arrow_columns())

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """For programs that speak Arrow: all rows, as PyCapsules `arrow_schema` and `arrow_array`.

        `requested_schema` is a wish, and it is the taker who converts: the types are those of `__arrow_c_schema__`.
        """
        table = self._table()
        columns = table._arrow_columns()
        return _core.arrow_schema(columns), _core.arrow_array(columns, len(table))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """For programs that speak Arrow: all rows in one batch, as a PyCapsule `arrow_array_stream`."""
        table = self._table()
        return _core.arrow_stream(table._arrow_columns(), len(table))


class Tabular(Offered, Generic[R]):
    """Named columns of equal length, as rows of type R and as what other programs take."""

    __slots__ = ()

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[R]: ...

    @abstractmethod
    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows as plain tuples, one at a time."""

    @abstractmethod
    def _kinds(self) -> Sequence[ColumnKind]:
        """What each column holds."""

    @abstractmethod
    def _arrow_columns(self) -> list[ArrowColumn]:
        """The columns as Arrow lays them out. Raises FieldError when a value has no place in Arrow."""

    @abstractmethod
    def _packable_columns(self) -> list[Packable]:
        """The columns as parts of packed rows. Raises FieldError when a value has no place in one."""

    def _table(self) -> "Tabular[R]":
        return self
