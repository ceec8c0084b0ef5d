"""Expressions: conditions and numbers written over the fields of a record, as in `field("value") * 2 > 100`.

An expression is only what was written. It does not know a store: fields and their types are checked when it is compiled
for one (`shmstore.expressions.compiler`), which every call that takes an expression does at once.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from shmstore.arguments.calls import checked, checked_calls
from shmstore.arguments.checks import items_of, plain_number
from shmstore.arguments.moments import Unclear, moment_ns
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError
from shmstore.public import public

Number = int | float
Constant = int | float | str | bytes | datetime
"""What a field is compared with. A datetime must be aware, and stands for its nanoseconds since the Unix epoch."""

ARITHMETIC: Final = ("+", "-", "*", "/", "//", "%")
COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=")
CONDITIONS: Final = (*COMPARISONS, "between", "isin", "startswith", "&", "|", "~")

# How tightly an operator holds its operands, as in Python. Whatever is not listed is a name or a call.
_BINDS: Final = {**dict.fromkeys(COMPARISONS, 0), "|": 1, "&": 2, "+": 3, "-": 3}
_BINDS_MORE: Final = {**dict.fromkeys(("*", "/", "//", "%"), 4), "~": 5, "negative": 5}
_TIGHT: Final = {**_BINDS, **_BINDS_MORE}
_CALL: Final = 6
_MOST_SHOWN: Final = 100  # constants of a list


@public
@checked_calls("__init__")
@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Expression:
    """A condition on a record, or a number worked out of its fields. Made by `field` and operators; immutable.

    Conditions: `==`, `!=`, `<`, `<=`, `>`, `>=`, `between`, `isin`, `startswith`, a field that is a bool, and what `&`
    (and), `|` (or) and `~` (not) make of conditions, with parentheses around comparisons. Numbers: fields that are
    numbers, bools (0 or 1) and Timestamps, and `+`, `-`, `*`, `/`, `//`, `%` among these and plain numbers.

    An expression says of a record just what the same Python expression says of the record's values: an int and a float
    are compared exactly, NaN does not equal anything, text is ordered by its characters. Two things differ. Integers
    have 64 bits: an overflow, or a division of integers by zero with `//` or `%`, raises FieldError, unless the rest of
    the expression decides about the record without it. A float divided by zero is an infinity or NaN, as IEEE 754 has
    it.

    `==` makes a condition, so expressions are hashed and told apart by identity. Several threads may use one.
    """

    operator: str
    operands: tuple[Any, ...]

    __array_ufunc__: ClassVar[None] = None  # a NumPy scalar on the left leaves the operator to the expression

    # -- conditions

    def __eq__(self, other: object) -> "Expression":  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> "Expression":  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: "Expression | Constant") -> "Expression":
        return self._compared("<", other)

    def __le__(self, other: "Expression | Constant") -> "Expression":
        return self._compared("<=", other)

    def __gt__(self, other: "Expression | Constant") -> "Expression":
        return self._compared(">", other)

    def __ge__(self, other: "Expression | Constant") -> "Expression":
        return self._compared(">=", other)

    def __hash__(self) -> int:
        return object.__hash__(self)

    def between(self, low: "Expression | Constant", high: "Expression | Constant") -> "Expression":
        """Whether low <= it <= high: both ends are included."""
        return Expression("between", (self._plain("between"), self._operand(low), self._operand(high)))

    def isin(self, values: Iterable[Constant]) -> "Expression":
        """Whether it is equal to one of these constants."""
        given = items_of(values)
        if given is None:
            raise self._mistake(f"isin({shown(values)}) takes a list of constants, as in isin([{shown(values)}])")
        constants = tuple(self._operand(value) for value in given)
        if found := [constant for constant in constants if isinstance(constant, Expression)]:
            raise self._mistake(f"isin takes constants, and {found[0]!r} is not one; write == and |")
        return Expression("isin", (self._plain("isin"), constants))

    def startswith(self, prefix: str | bytes) -> "Expression":
        """Whether the text or key begins with `prefix`; for a Bytes field, with these bytes."""
        if not isinstance(prefix, str | bytes):
            raise self._mistake(f"startswith({shown(prefix)}): expected text, found {type(prefix).__name__}")
        return Expression("startswith", (self._plain("startswith"), prefix))

    def __and__(self, other: "Expression") -> "Expression":
        return self._joined("&", other)

    def __or__(self, other: "Expression") -> "Expression":
        return self._joined("|", other)

    def __rand__(self, other: object) -> "Expression":
        raise self._no_condition("&", other)

    def __ror__(self, other: object) -> "Expression":
        raise self._no_condition("|", other)

    def __invert__(self) -> "Expression":
        if self._is_number():
            raise self._no_condition("~", self)
        return Expression("~", (self,))

    def __bool__(self) -> bool:
        raise self._mistake(
            f"{self!r} is a condition on records, neither true nor false by itself; use & | ~ instead of and, or, not, "
            "with parentheses around each comparison, and x.between(a, b) or (a < x) & (x < b) instead of a < x < b"
        )

    # -- numbers

    def __add__(self, other: "Expression | Number") -> "Expression":
        return self._calculated("+", self, other)

    def __radd__(self, other: Number) -> "Expression":
        return self._calculated("+", other, self)

    def __sub__(self, other: "Expression | Number") -> "Expression":
        return self._calculated("-", self, other)

    def __rsub__(self, other: Number) -> "Expression":
        return self._calculated("-", other, self)

    def __mul__(self, other: "Expression | Number") -> "Expression":
        return self._calculated("*", self, other)

    def __rmul__(self, other: Number) -> "Expression":
        return self._calculated("*", other, self)

    def __truediv__(self, other: "Expression | Number") -> "Expression":
        return self._calculated("/", self, other)

    def __rtruediv__(self, other: Number) -> "Expression":
        return self._calculated("/", other, self)

    def __floordiv__(self, other: "Expression | Number") -> "Expression":
        return self._calculated("//", self, other)

    def __rfloordiv__(self, other: Number) -> "Expression":
        return self._calculated("//", other, self)

    def __mod__(self, other: "Expression | Number") -> "Expression":
        return self._calculated("%", self, other)

    def __rmod__(self, other: Number) -> "Expression":
        return self._calculated("%", other, self)

    def __neg__(self) -> "Expression":
        return Expression("negative", (self._plain("-"),))

    # -- what it says of itself

    def fields(self) -> list[str]:
        """The names of the fields it reads, in the order of their first use."""
        if self.operator == "field":
            return [self.operands[0]]
        inner = [name for operand in self.operands if isinstance(operand, Expression) for name in operand.fields()]
        return list(dict.fromkeys(inner))

    @property
    def is_condition(self) -> bool:
        """Whether it is surely a condition. Whether a field alone is one, only its type can tell."""
        return self.operator in CONDITIONS

    def __repr__(self) -> str:
        """As it was written; very long parts are cut."""
        operator, operands = self.operator, self.operands
        if operator == "field":
            return f"field({operands[0]!r})"
        if operator in ("~", "negative"):
            return f"{'-' if operator == 'negative' else '~'}{_shown(operands[0], _TIGHT[operator])}"
        if operator in _TIGHT:
            tight = _TIGHT[operator]
            first = tight + 1 if operator in "&|" else tight
            shown = [_shown(operands[0], first), *(_shown(operand, tight + 1) for operand in operands[1:])]
            return f" {operator} ".join(shown)
        arguments = ", ".join(_shown(operand, 0) for operand in operands[1:])
        return f"{_shown(operands[0], _CALL)}.{operator}({arguments})"

    # -- checks that do not need a schema

    def _is_number(self) -> bool:
        return self.operator in ARITHMETIC or self.operator == "negative"

    def _mistake(self, message: str) -> FieldTypeError:
        return FieldTypeError(next(iter(self.fields()), ""), message)

    def _no_condition(self, operator: str, found: object) -> FieldTypeError:
        return self._mistake(
            f"{operator} joins conditions, and {shown(found)} is not one; compare it, as in {shown(found)} > 0, with "
            f"parentheses around each comparison: (a > 1) & (b > 2)"
        )

    def _plain(self, operator: str) -> "Expression":
        """Itself, when it may be a value."""
        if self.is_condition:
            raise self._mistake(f"{self!r} is a condition, true or false; {operator} takes a field or a number")
        return self

    def _operand(self, value: object) -> Any:
        """A constant or expression to compare with."""
        if isinstance(value, Expression):
            return value._plain("a comparison")
        if isinstance(value, bool | int | float | str | bytes):
            return value
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        try:
            if moment_ns(value) is not None:
                return value
        except Unclear as error:
            raise self._mistake(f"{shown(value)} {error}") from error
        return self._plain_number(value)

    def _compared(self, operator: str, other: object) -> "Expression":
        return Expression(operator, (self._plain(operator), self._operand(other)))

    def _joined(self, operator: str, other: "Expression") -> "Expression":
        for found in (self, other):
            if not isinstance(found, Expression) or found._is_number():
                raise self._no_condition(operator, found)
        mine = self.operands if self.operator == operator else (self,)
        return Expression(operator, (*mine, other))

    def _calculated(self, operator: str, *operands: object) -> "Expression":
        numbers = tuple(self._plain_operand(operator, operand) for operand in operands)
        return Expression(operator, numbers)

    def _plain_operand(self, operator: str, operand: object) -> Any:
        if isinstance(operand, Expression):
            return operand._plain(operator)
        if isinstance(operand, str | bytes | datetime):
            found = f"{shown(operand)} ({type(operand).__name__})"
            raise self._mistake(f"{operator} takes fields and numbers, found {found}")
        return self._plain_number(operand)

    def _plain_number(self, value: object) -> Number:
        """A number, also one of another library's, as an int or a float."""
        number = plain_number(value)
        if number is None:
            raise self._mistake(
                f"{self!r} and {shown(value)} ({type(value).__name__}): expected an int, float, str, bytes, bool, an "
                "aware datetime, or an expression"
            )
        return number


@public
@checked
def field(name: str) -> Expression:
    """The value of a field, to compare and calculate with: `field("value") > 100`."""
    if not isinstance(name, str):
        raise FieldTypeError("", f"field({shown(name)}): expected the name of a field, found {type(name).__name__}")
    return Expression("field", (name,))


def _shown(operand: object, least: int) -> str:
    """An operand as it was written, in parentheses when it binds less than `least`."""
    if isinstance(operand, Expression):
        return repr(operand) if _TIGHT.get(operand.operator, _CALL) >= least else f"({operand!r})"
    if isinstance(operand, tuple):
        rest = f", ... ({len(operand):,} in all)" if len(operand) > _MOST_SHOWN else ""
        return f"[{', '.join(_shown(item, 0) for item in operand[:_MOST_SHOWN])}{rest}]"
    if isinstance(operand, float) and not math.isfinite(operand):
        return f"float('{operand}')"
    return shown(operand)
