"""One column of a table: values of one kind, checked once, some of them perhaps missing."""

import operator
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments.checks import items_of
from shmstore.arguments.shown import shown
from shmstore.errors import FieldError, FieldTypeError
from shmstore.public import public
from shmstore.records.fields import KINDS
from shmstore.tables import arrow
from shmstore.tables.arrow import ArrowColumn
from shmstore.tables.tabular import Packable
from shmstore.tables.text import ColumnKind

_LEAST, _MOST = _core.KIND_RANGES[_core.INT64]
_MOST_UNSIGNED: Final = _core.KIND_RANGES[_core.UINT64][1]


_PYTHON_KINDS: Final[dict[type, ColumnKind]] = {
    int: "integer",
    float: "real",
    bool: "bool",
    str: "text",
    bytes: "bytes",
}


def kind_of(field: FieldSpec) -> ColumnKind:
    """What a column with the values of a record's field holds."""
    return "timestamp" if field.kind == _core.TIMESTAMP else _PYTHON_KINDS[KINDS[field.kind].python_type]


@public
class Column(NamedTuple):
    """What a table is made of: a name, a kind, and a value for each row, None where it is missing.

    kind is "integer" (ints of any size), "real" (floats, or what becomes one; an int that no float equals is kept),
    "text" (str), "bytes", "bool" or "timestamp" (int64 ns since the Unix epoch). An `array.array` of type q, Q
    (integer), d (real) or q (timestamp) is not copied: it belongs to the table from then on.
    """

    name: str
    kind: ColumnKind
    values: Iterable[Any]


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _time(value: Any) -> int:
    time_ns = _whole(value)
    if not _LEAST <= time_ns <= _MOST:
        raise TypeError
    return time_ns


def _real(value: Any) -> int | float:
    if isinstance(value, str | bytes):
        raise TypeError
    number = float(value)
    return value if isinstance(value, int) and number != value else number


def _only(accepted: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, accepted):
            return value
        raise TypeError

    return check


class _Rules(NamedTuple):
    """What a kind accepts: in words, as a function that converts or raises TypeError, and as types of array."""

    words: str
    convert: Callable[[Any], Any]
    arrays: str


_RULES: Final[dict[ColumnKind, _Rules]] = {
    "integer": _Rules("ints", _whole, "qQ"),
    "real": _Rules("floats", _real, "d"),
    "text": _Rules("str", _only(str), ""),
    "bytes": _Rules("bytes", _only(bytes), ""),
    "timestamp": _Rules("ints of 64 bits, ns since the Unix epoch", _time, "q"),
    "bool": _Rules("True and False", _truth, ""),
}


class TypedColumn:
    """A column whose values were checked: a list, or an array of numbers of which none is missing. Never changed."""

    __slots__ = ("kind", "name", "values")

    def __init__(self, name: str, kind: ColumnKind, values: Sequence[Any]) -> None:
        self.name = name
        self.kind = kind
        self.values = values

    @classmethod
    def of(cls, name: str, kind: ColumnKind, values: Iterable[Any]) -> "TypedColumn":
        """Check the values. Raises FieldTypeError for one of another kind, FieldError for an unknown kind."""
        if not isinstance(kind, str) or kind not in _RULES:
            raise FieldError(name, f"column {name!r} is of kind {shown(kind)}; expected one of {', '.join(_RULES)}")
        rules, checked, value = _RULES[kind], [], None
        if isinstance(values, array) and values.typecode in rules.arrays:
            return cls(name, kind, values)
        given = items_of(values)
        if given is None:
            raise FieldTypeError(name, f"column {name!r} holds {shown(values)}; expected several values, as a list")
        try:
            for value in given:
                checked.append(None if value is None else rules.convert(value))
        except Exception:  # raised by the code of the value
            raise FieldTypeError(
                name,
                f"column {name!r} of kind {kind} holds {shown(value)} ({type(value).__name__}) in row {len(checked)}; "
                f"expected {rules.words}, or None",
            ) from None
        return cls(name, kind, checked)

    def take(self, rows: slice | Iterable[int]) -> "TypedColumn":
        """The same column with some of the rows, in this order."""
        if isinstance(rows, slice):
            return TypedColumn(self.name, self.kind, self.values[rows])
        return TypedColumn(self.name, self.kind, [self.values[row] for row in rows])

    def view(self) -> "memoryview[Any] | list[Any]":
        """A read-only buffer (int64, uint64, double, bool) when all are numbers that fit one, else a list."""
        numbers = None if self.present() else self._numbers()
        if numbers is None:
            return list(self.values)
        view: memoryview[Any] = memoryview(numbers).toreadonly()
        return view.cast("?") if self.kind == "bool" else view

    def present(self) -> bytes | None:
        """A byte for each row, 0 where its value is missing; None when no value is."""
        if isinstance(self.values, array) or None not in self.values:
            return None
        return bytes(value is not None for value in self.values)

    def arrow(self) -> ArrowColumn:
        """The column for Arrow: int64; uint64 or decimal128(38, 0) when a value needs it; double, utf8, binary, bool,
        timestamp[ns, UTC]. Raises FieldError for an integer of more than 38 digits.
        """
        rows = len(self.values)
        present = self.present() or b"\1" * rows
        if self.kind in ("text", "bytes"):
            return arrow.strings(self.name, self.values, present, text=self.kind == "text")
        numbers = self._numbers()
        if numbers is None:
            wide = arrow.wide_integers(self.name, self.values, present)
            if wide is None:
                raise self._no_place("an integer of more than 38 digits", "Arrow")
            return wide
        if self.kind == "bool":
            return arrow.truths(self.name, rows, numbers, present)
        format = arrow.TIME if self.kind == "timestamp" else arrow.NUMBERS[numbers.typecode]
        return arrow.fixed(self.name, format, rows, numbers, present)

    def packable(self) -> Packable:
        """The column for packed rows: int64 or uint64, double, bool, NUL-padded text or bytes.

        A missing real is NaN. Raises FieldError for any other missing value, and for an integer beyond 64 bits.
        """
        if self.kind != "real" and self.present():
            raise self._no_place("missing values", "a packed row")
        if self.kind in ("text", "bytes"):
            pieces = [value.encode() if isinstance(value, str) else value for value in self.values]
            width = max(1, *map(len, pieces)) if pieces else 1
            padded = b"".join(piece.ljust(width, b"\0") for piece in pieces)
            return Packable(self.name, f"{width}s", f"|S{width}", width, padded)
        numbers = self._numbers(float("nan"))
        if numbers is None:
            raise self._no_place("an integer beyond 64 bits", "a packed row")
        if self.kind == "bool":
            return Packable(self.name, "?", "|b1", 1, numbers)
        letter = {"q": "i", "Q": "u", "d": "f"}[numbers.typecode]
        numpy = "=M8[ns]" if self.kind == "timestamp" else f"={letter}8"
        return Packable(self.name, numbers.typecode, numpy, 8, numbers)

    def _numbers(self, missing_real: float = 0.0) -> "array[Any] | None":
        """The values as an array, with a number in the place of missing ones; None when an array cannot hold them."""
        if isinstance(self.values, array):
            return self.values
        match self.kind:
            case "real":
                return array("d", [missing_real if value is None else value for value in self.values])
            case "bool":
                return array("B", [value or 0 for value in self.values])
            case "integer" | "timestamp":
                numbers = [value or 0 for value in self.values]
                least, most = min(numbers, default=0), max(numbers, default=0)
                if least >= _LEAST and most <= _MOST:
                    return array("q", numbers)
                return array("Q", numbers) if least >= 0 and most <= _MOST_UNSIGNED else None
        return None

    def _no_place(self, what: str, where: str) -> FieldError:
        return FieldError(
            self.name, f"column {self.name!r} holds {what}, for which {where} has no place; take `values`"
        )

    def __eq__(self, other: object) -> bool:
        """Whether name, kind and values are the same; one NaN is the same as another."""
        if not isinstance(other, TypedColumn):
            return NotImplemented
        return (self.name, self.kind, len(self.values)) == (other.name, other.kind, len(other.values)) and all(
            one == two or (one != one and two != two) for one, two in zip(self.values, other.values, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]
