"""What an expression says of a record, worked out by Python alone: the model that the core is held to."""

import math
import operator
from typing import Any, Final

from shmstore import Expression

FAULT: Final = object()  # an integer has left its 64 bits, or was divided by zero

_COMBINE = {"+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod}
_EQUAL = {"==": operator.eq, "!=": operator.ne}
_COMPARE = _EQUAL | {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def say(node: Any, record: Any, *, strict: bool = False) -> Any:
    """The value of an expression, or FAULT; `strict`: an integer of 2**63 or more is always one."""
    if not isinstance(node, Expression):
        return node
    operator_, operands = node.operator, node.operands
    if operator_ == "field":
        return getattr(record, operands[0])
    if operator_ in ("&", "|"):
        said = [say(operand, record, strict=strict) for operand in operands]
        decisive = operator_ == "|"
        return decisive if decisive in said else FAULT if FAULT in said else not decisive
    if operator_ == "between":
        return say((operands[0] >= operands[1]) & (operands[0] <= operands[2]), record, strict=strict)
    values = [say(operand, record, strict=strict) for operand in operands]
    if any(value is FAULT for value in values):
        return FAULT
    if operator_ == "negative":
        return _cut(-values[0], strict)
    if operator_ in _COMPARE:
        return bool(_COMPARE[operator_](*values))
    if operator_ in ("*", "+", "-", "/", "//", "%"):
        return _cut(_combined(operator_, *values), strict)
    if operator_ == "~":
        return not values[0]
    if operator_ == "isin":
        return any(values[0] == constant for constant in values[1])
    return values[0].startswith(values[1])


def _cut(number: Any, strict: bool) -> Any:
    if isinstance(number, float) or number is FAULT:
        return number
    return number if -(2**63) <= number < (2**63 if strict else 2**64) else FAULT


def _combined(operator_: str, left: Any, right: Any) -> Any:
    floats = isinstance(left, float) or isinstance(right, float)
    if operator_ == "/" or (floats and operator_ in ("//", "%")):
        if right == 0:  # as IEEE 754 has it, where Python raises
            left, right = float(left), float(right)
            if operator_ == "%" or left == 0 or left != left:
                return math.nan
            return math.copysign(math.inf, left) * math.copysign(1.0, right)
        return left / right if operator_ == "/" else _COMBINE[operator_](left, right)
    if operator_ in ("//", "%") and right == 0:
        return FAULT
    return _COMBINE[operator_](left, right)
