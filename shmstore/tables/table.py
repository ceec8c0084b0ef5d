"""Tables: the answers of grouped questions, as named columns in a known order of rows."""

import heapq
from collections import namedtuple
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from keyword import iskeyword
from typing import Any, overload

from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import items_of, row_number, whole_number
from shmstore.arguments.shown import bracketed, near, shown
from shmstore.errors import FieldError, FieldTypeError
from shmstore.public import PACKAGE, public
from shmstore.tables.arrow import ArrowColumn
from shmstore.tables.column import Column, TypedColumn
from shmstore.tables.tabular import Packable, Tabular
from shmstore.tables.text import ColumnKind, base64_text, iso_time

_SHOWN_ROWS = 10


@public
@checked_calls()
class Table(Tabular[Any]):
    """Rows of named, typed columns. Immutable; two tables are equal when their columns are, NaN like NaN.

    `table["sum"]` is a column, `table[0]` a row, `table[:5]` a table; iteration gives the rows as named tuples. A
    column that has the name of an earlier one gets a number: sum, sum_2. In a row, a name that Python
    does not allow is changed: to class_, or to _1 for the second column when nothing better can be made of it.
    """

    __slots__ = ("_columns", "_names", "_row")

    def __init__(self, columns: Iterable[Column]) -> None:
        """Raises FieldTypeError for a value that is not of its column's kind, FieldError for unequal lengths."""
        given = items_of(columns)
        if given is None or not all(isinstance(column, Column) for column in given):
            raise FieldTypeError("", f"{shown(columns)} has no columns; expected some Columns: (name, kind, values)")
        names = _distinct([column.name for column in given])
        self._set([TypedColumn.of(name, kind, values) for name, (_, kind, values) in zip(names, given, strict=True)])
        for column in self._columns:
            if len(column.values) != len(self):
                raise FieldError(
                    column.name,
                    f"column {column.name!r} has {len(column.values)} values, but {names[0]!r} has {len(self)}; "
                    "give one for each row, None where it is missing",
                )

    def _set(self, columns: Sequence[TypedColumn]) -> None:
        self._columns = tuple(columns)
        self._names = tuple(column.name for column in columns)
        self._row = _row_type(self._names)

    @classmethod
    def _of(cls, columns: Sequence[TypedColumn]) -> "Table":
        table = cls.__new__(cls)
        table._set(columns)
        return table

    def __reduce__(self) -> tuple[Any, ...]:
        return Table._unpickled, ([(column.name, column.kind, column.values) for column in self._columns],)

    @staticmethod
    @public
    def _unpickled(columns: Iterable[tuple[str, ColumnKind, Sequence[Any]]]) -> "Table":
        return Table._of([TypedColumn(*column) for column in columns])

    @staticmethod
    @public
    def _row_unpickled(names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
        return _row_type(names)._make(values)

    def _column(self, name: str) -> TypedColumn:
        for column in self._columns:
            if isinstance(name, str) and column.name == name:
                return column
        known, hint = ", ".join(self._names), bracketed(near(name, self._names))
        raise FieldError(
            name if isinstance(name, str) else shown(name), f"there is no column {shown(name)}{hint}; there are {known}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._names

    @property
    def kinds(self) -> tuple[ColumnKind, ...]:
        """What each column holds: "integer", "real", "text", "bytes", "timestamp" or "bool"."""
        return tuple(column.kind for column in self._columns)

    def __len__(self) -> int:
        return len(self._columns[0].values) if self._columns else 0

    def __iter__(self) -> Iterator[Any]:
        return map(self._row._make, self.iter_rows())

    def iter_rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows as plain tuples, one at a time."""
        return zip(*(column.values for column in self._columns), strict=True)

    @overload
    def __getitem__(self, item: int) -> Any: ...
    @overload
    def __getitem__(self, item: slice) -> "Table": ...
    @overload
    def __getitem__(self, item: str) -> "memoryview[Any] | list[Any]": ...
    def __getitem__(self, item: int | slice | str) -> Any:
        """One row, a table of a slice of the rows, or a column.

        A column of numbers (also bool and timestamps), none missing and none beyond 64 bits, is a read-only memoryview
        of int64, uint64, double or bool; any other is a list. Raises IndexError, or FieldError for an unknown column.
        """
        if isinstance(item, str):
            return self._column(item).view()
        if isinstance(item, slice):
            return self._of([column.take(item) for column in self._columns])
        item = row_number(item)
        if not -len(self) <= item < len(self):
            raise IndexError(f"row {shown(item)} of a table of {len(self)}")
        return self._row._make(column.values[item] for column in self._columns)

    def values(self, name: str) -> list[Any]:
        """One column as Python values, None for a missing one. Raises FieldError for an unknown column."""
        return list(self._column(name).values)

    def top(self, k: int, by: str | None = None) -> "Table":
        """The k rows with the greatest values in a column (the last one when left out), the greatest first.

        Equal ones keep their order; NaN comes after all numbers, a missing value after that. Raises InvalidOption for
        a k that is not an int of 0 or more, FieldError for an unknown column.
        """
        return self._ranked(k, by, greatest=True)

    def bottom(self, k: int, by: str | None = None) -> "Table":
        """The k rows with the least values in a column, the least first; all else as in `top`."""
        return self._ranked(k, by, greatest=False)

    def _ranked(self, k: int, by: str | None, *, greatest: bool) -> "Table":
        k = whole_number("k", k, "how many rows, an int of 0 or more")
        values = self._column(self._names[-1] if by is None else by).values
        rows = range(len(self))
        ranked = [row for row in rows if values[row] is not None and values[row] == values[row]]
        chosen = (heapq.nlargest if greatest else heapq.nsmallest)(k, ranked, key=values.__getitem__)
        if len(chosen) < k:
            chosen += [row for row in rows if values[row] is not None and values[row] != values[row]]
            chosen += [row for row in rows if values[row] is None]
        return self._of([column.take(chosen[:k]) for column in self._columns])

    def _kinds(self) -> Sequence[ColumnKind]:
        return self.kinds

    def _arrow_columns(self) -> list[ArrowColumn]:
        return [column.arrow() for column in self._columns]

    def _packable_columns(self) -> list[Packable]:
        return [column.packable() for column in self._columns]

    def __eq__(self, other: object) -> bool:
        return self._columns == other._columns if isinstance(other, Table) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        cells = [
            [column.name, *(_shown(column.kind, value) for value in column.values[:_SHOWN_ROWS])]
            for column in self._columns
        ]
        widths = [max(map(len, texts)) for texts in cells]
        left = [kind in ("text", "bytes", "timestamp") for kind in self.kinds]
        lines = [
            "  ".join(
                text.ljust(width) if is_left else text.rjust(width)
                for text, width, is_left in zip(line, widths, left, strict=True)
            )
            for line in zip(*cells, strict=True)
        ]
        if len(self) > _SHOWN_ROWS:
            lines.append(f"and {len(self) - _SHOWN_ROWS:,} more rows")
        return "\n".join(line.rstrip() for line in lines)


def _shown(kind: ColumnKind, value: Any) -> str:
    """A value as people see it in a table."""
    if value is None:
        return "-"
    match kind:
        case "timestamp":
            return iso_time(value)
        case "bytes":
            return base64_text(value)
        case "text":
            return str(value) if str(value).isprintable() else repr(value)
        case _:
            return str(value)


@lru_cache(64)  # making a class takes longer than most questions
def _row_type(names: tuple[str, ...]) -> Any:
    """A named tuple for the rows; a keyword gets a _, and what cannot be a name at all becomes its number after a _.

    It is not in any module, so a row is pickled with its names.
    """
    row = _named_tuple(names)
    row.__reduce__ = lambda values: (Table._row_unpickled, (names, tuple(values)))
    return row


def _named_tuple(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", [f"{name}_" if iskeyword(name) else name for name in names], rename=True, module=PACKAGE)


def _distinct(names: Sequence[str]) -> list[str]:
    distinct: list[str] = []
    for name in names:
        number = 2
        unique = name
        while unique in distinct:
            unique = f"{name}_{number}"
            number += 1
        distinct.append(unique)
    return distinct
