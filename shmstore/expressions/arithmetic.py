"""From expressions that are numbers to steps over lane registers."""

from itertools import product
from typing import Any, Final, NamedTuple

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError, InvalidOption
from shmstore.expressions.expression import Expression
from shmstore.records.fields import Marker
from shmstore.records.schema import Schema

LEAST, MOST = _core.KIND_RANGES[_core.INT64]
MOST_UNSIGNED: Final = _core.KIND_RANGES[_core.UINT64][1]

_EXACT_AS_FLOAT: Final = 1 << 53
_FLOATS: Final = (_core.FLOAT32, _core.FLOAT64)
_IN_PLACE: Final = (_core.INT64, _core.UINT64, _core.FLOAT64, _core.TIMESTAMP)  # stored as they are calculated with


class Lanes(NamedTuple):
    """Where numbers are: an operand of `_core.Program`. For integers, also the range in which all of them lie."""

    operand: int
    is_float: bool
    least: int = 0
    most: int = 0

    @property
    def is_exact_as_float(self) -> bool:
        """Whether all of these integers can become floats without rounding."""
        return max(-self.least, self.most) <= _EXACT_AS_FLOAT


class Arithmetic:
    """The steps of a program so far, and the lane registers in use.

    A method that gives Lanes leaves them in the column, or in the first register that was free when it was called; all
    registers above that are free again.
    """

    def __init__(self, schema: Schema) -> None:
        self.steps: list[tuple[str, int, int, int, Any]] = []
        self.schema = schema
        self.used = 0

    def emit(self, operation: str, to: int, left: int = 0, right: int = 0, constant: Any = None) -> None:
        """Add a step, in the terms of `_core.Program`."""
        self.steps.append((operation, to, left, right, constant))

    def spec(self, node: Expression) -> FieldSpec:
        """The field that a `field(...)` names. Raises FieldError when there is none."""
        return self.schema.fields[self.schema.index(node.operands[0])]

    def column(self, spec: FieldSpec) -> Lanes:
        """A field, read in place, whatever its width."""
        return Lanes(self.schema.index(spec.name), spec.kind in _FLOATS, *_core.KIND_RANGES.get(spec.kind, (0, 0)))

    def load(self, spec: FieldSpec) -> Lanes:
        """A field as lanes of 64 bits."""
        column = self.column(spec)
        return column if spec.kind in _IN_PLACE else self._result("load", self.used, column.operand, 0, column)

    def number(self, node: Expression) -> Lanes:
        """The numbers of an expression. Raises FieldTypeError when it is not a number."""
        if node.is_condition:
            raise FieldTypeError(node.fields()[0], f"{node!r} is a condition, true or false; expected a number")
        if node.operator == "field":
            spec = self.spec(node)
            if spec.kind in (_core.TEXT, _core.BYTES, _core.KEY):
                raise mistake(spec, "holds no numbers; expected a field of numbers, bools or Timestamps")
            return self.load(spec)
        free = self.used
        if node.operator == "negative":  # a product, so that 0.0 becomes -0.0
            left, right = self._pair(-1, node.operands[0])
            operator = "*"
        else:
            left, right = self._pair(*node.operands)
            operator = node.operator
        exact = left.is_exact_as_float and right.is_exact_as_float
        if left.is_float or right.is_float or (operator == "/" and exact):
            left, right = self.as_float(left), self.as_float(right)
        return self._result(operator, free, left.operand, right.operand, _outcome(operator, left, right))

    def comparable(self, left: Expression, right: Expression) -> tuple[Lanes, Lanes]:
        """The numbers of two expressions, ready to be compared; all registers are free again."""
        free = self.used
        one, other = self._pair(left, right)
        if one.is_float != other.is_float and (one if other.is_float else other).is_exact_as_float:
            one, other = self.as_float(one), self.as_float(other)  # quicker than to compare an integer with a float
        self.used = free
        return one, other

    def as_float(self, lanes: Lanes) -> Lanes:
        """The same as floats, each rounded to the nearest."""
        return lanes if lanes.is_float else self._result("float", self.used, lanes.operand, 0, Lanes(0, True))

    def _result(self, operation: str, register: int, left: int, right: int, like: Lanes) -> Lanes:
        """Add a step to this register, from which on all are free afterwards."""
        if register >= _core.MAX_REGISTERS:
            raise InvalidOption(f"an expression needs more than {_core.MAX_REGISTERS} registers; take it apart")
        unsigned = not like.is_float and like.most > MOST
        self.emit(operation, register, left, right, unsigned)
        self.used = register + 1
        return like._replace(operand=_core.MAX_FIELDS + register)

    def _pair(self, left: Any, right: Any) -> tuple[Lanes, Lanes]:
        """Two operands; the one that needs more registers comes first, and a constant follows the type of the other."""
        if not isinstance(left, Expression):
            other = self.number(right)
            return self._constant(left, other, right), other
        if isinstance(right, Expression) and left.operator == "field":
            other = self.number(right)
            return self.number(left), other
        one = self.number(left)
        return one, self.number(right) if isinstance(right, Expression) else self._constant(right, one, left)

    def _constant(self, constant: int | float, like: Lanes, beside: Expression) -> Lanes:
        try:
            number = float(constant) if like.is_float or isinstance(constant, float) else int(constant)
        except OverflowError:
            number = MOST_UNSIGNED + 1
        if isinstance(number, int) and not LEAST <= number <= MOST_UNSIGNED:
            raise FieldTypeError(
                beside.fields()[0], f"{shown(constant)} beside {beside!r} is beyond 64 bits; use a float"
            )
        register = self.used
        lanes = Lanes(0, True) if isinstance(number, float) else Lanes(0, False, number, number)
        result = self._result("constant", register, 0, 0, lanes)
        self.steps[-1] = ("constant", register, 0, 0, number)
        return result


def _outcome(operator: str, left: Lanes, right: Lanes) -> Lanes:
    """The result of arithmetic; for integers, with the range in which exact results would lie, cut to a lane."""
    if left.is_float or operator == "/":
        return Lanes(0, True)
    ends = list(product((left.least, left.most), (right.least, right.most)))
    if operator == "+":
        least, most = left.least + right.least, left.most + right.most
    elif operator == "-":
        least, most = left.least - right.most, left.most - right.least
    elif operator == "*":
        least, most = min(a * b for a, b in ends), max(a * b for a, b in ends)
    elif operator == "%":  # has the sign of the divisor
        least, most = min(0, right.least + 1), max(0, right.most - 1)
    elif left.least >= 0 and right.least >= 0:
        least, most = 0, left.most
    else:
        most = max(abs(left.least), abs(left.most))
        least = -most
    unsigned = least >= 0 and most > MOST
    return Lanes(0, False, max(least, LEAST), min(most, MOST_UNSIGNED if unsigned else MOST))


def mistake(spec: FieldSpec, what: str) -> FieldTypeError:
    """The error that a field of this type is not what was needed."""
    return FieldTypeError(spec.name, f"field {spec.name!r} ({Marker(spec.kind, spec.size)!r}) {what}")
