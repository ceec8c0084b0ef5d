"""From expressions to programs of the core: fields found, types checked, keys looked up, comparisons made exact."""

from collections.abc import Callable, Iterable, Sequence
from operator import ge, gt, le, lt
from typing import Any, Final

from shmstore import _core
from shmstore._core import FieldSpec
from shmstore.arguments.moments import moment_ns
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError, InvalidOption
from shmstore.expressions.arithmetic import LEAST, MOST, Arithmetic, Lanes, mistake
from shmstore.expressions.comparison import float_range, int_range
from shmstore.expressions.expression import Expression, field
from shmstore.records.schema import Schema

_TEXTS: Final = (_core.TEXT, _core.BYTES)

_OPPOSITE: Final = {"!=": "==", ">": "<=", ">=": "<"}  # of text; NaN makes this wrong for floats
_MIRRORED: Final = {">": "<", ">=": "<="}
_KEY_ORDER: Final[dict[str, Callable[[str, str], bool]]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "startswith": str.startswith,
}


def compiled(
    schema: Schema,
    keys: Callable[[], list[str]],
    *,
    where: Expression | None = None,
    since_ns: int | None = None,
    until_ns: int | None = None,
    values: Sequence[str | Expression] = (),
) -> _core.Program:
    """A program that matches the records for which `where` holds and since_ns <= time < until_ns, and gives `values`.

    `keys` gives the store's keys by their ids. It is called only when `where` compares a Key with text; a key that is
    not among them yet matches nothing, except with !=. `values` are names of numeric fields, or numeric
    expressions, at most eight. A bound needs a Timestamp field.

    Raises FieldError (there is no such field), FieldTypeError (a field, or what it is compared with, is of a type that
    does not fit), InvalidOption (nested too deeply, or too many values).
    """
    arithmetic = Arithmetic(schema)
    compiler = _Compiler(arithmetic, keys)
    numbers = [field(value) if isinstance(value, str) else value for value in values]
    try:
        compiler.window(since_ns, until_ns)
        if where is not None:
            compiler.where(where)
        operands = compiler.values(numbers)
        text = ", ".join(repr(expression) for expression in (where, *numbers) if expression is not None)
    except RecursionError:
        raise InvalidOption("the expression is nested too deeply; take it apart, or use isin([...])") from None
    return _core.Program(schema.fields, arithmetic.steps, operands, text)


class _Compiler:
    """Conditions become steps, each of which leaves its result in a mask register; numbers are left to `Arithmetic`."""

    def __init__(self, arithmetic: Arithmetic, keys: Callable[[], list[str]]) -> None:
        self._arithmetic = arithmetic
        self._emit = arithmetic.emit
        self._schema = arithmetic.schema
        self._keys = keys

    def window(self, since_ns: int | None, until_ns: int | None) -> None:
        """Match only records of a half-open window."""
        if self._schema.time_field is None or (since_ns is None and until_ns is None):
            return
        since = LEAST if since_ns is None else since_ns
        last = MOST if until_ns is None else until_ns - 1
        times = self._arithmetic.column(self._schema.fields[self._schema.time_field])
        self._range(times, (since, last) if since <= last else None, 0)

    def where(self, condition: Expression) -> None:
        """Match only records for which this holds as well."""
        if not isinstance(condition, Expression):
            raise FieldTypeError("", f"where is {shown(condition)}; expected a condition, as in field('value') > 100")
        if not self._arithmetic.steps:
            self._condition(condition, 0)
            return
        self._condition(condition, 1)
        self._emit("and", 0, 0, 1)

    def values(self, numbers: Iterable[Expression]) -> list[int]:
        """Work out numbers; the operands where they are."""
        operands = []
        for number in numbers:
            if not isinstance(number, Expression):
                raise FieldTypeError(
                    "",
                    f"{shown(number)} is not a number of a record; expected a field's name or an expression, as "
                    "field('price') * field('quantity')",
                )
            operands.append(self._arithmetic.number(number).operand)
        if len(operands) > _core.MAX_VALUES:
            raise InvalidOption(f"{len(operands)} values are asked about at once; at most {_core.MAX_VALUES} are")
        return operands

    # -- conditions

    def _condition(self, node: Expression, to: int) -> None:
        operator, operands = node.operator, node.operands
        if to >= _core.MAX_REGISTERS - 1:
            raise InvalidOption("the expression has too many parentheses within each other; write a & b & c in a row")
        if operator in ("&", "|"):
            self._condition(operands[0], to)
            for operand in operands[1:]:
                self._condition(operand, to + 1)
                self._emit("and" if operator == "&" else "or", to, to, to + 1)
        elif operator == "~":
            self._condition(operands[0], to)
            self._emit("not", to, to)
        elif operator == "field":
            spec = self._arithmetic.spec(node)
            if spec.kind != _core.BOOL:
                raise mistake(spec, f"is not a condition; compare it, as in {node!r} == ...")
            self._range(self._arithmetic.column(spec), (1, 1), to)
        elif not node.is_condition:
            raise FieldTypeError(node.fields()[0], f"{node!r} is a number, not a condition; compare it, as in ... > 0")
        elif any(isinstance(operand, Expression) for operand in operands[1:]):
            self._compare_expressions(node, to)
        else:
            self._compare_constants(node, to)

    def _compare_expressions(self, node: Expression, to: int) -> None:
        if node.operator == "between":
            value, low, high = node.operands
            self._condition((value >= low) & (value <= high), to)
            return
        relation, sides = node.operator, node.operands
        specs = [self._arithmetic.spec(side) for side in sides if side.operator == "field"]
        kinds = [spec.kind for spec in specs]
        places = [self._arithmetic.column(spec).operand for spec in specs]
        if kinds in ([_core.TEXT] * 2, [_core.BYTES] * 2):
            self._text(relation, places[0], places[1], None, to)
            return
        if kinds == [_core.KEY] * 2:
            if relation not in ("==", "!="):
                raise mistake(specs[0], "is ordered against text only; two Keys are equal or not")
            free, lanes = self._arithmetic.used, [self._arithmetic.load(spec) for spec in specs]
            self._arithmetic.used = free
        elif texts := [spec for spec in specs if spec.kind in (_core.KEY, *_TEXTS)]:
            raise mistake(texts[0], f"holds no numbers, and in {node!r} it is compared with something of another type")
        else:
            lanes = list(self._arithmetic.comparable(*sides))
        if relation in _MIRRORED:
            relation = _MIRRORED[relation]
            lanes.reverse()
        self._emit("==" if relation == "!=" else relation, to, lanes[0].operand, lanes[1].operand)
        self._negate(relation == "!=", to)

    def _compare_constants(self, node: Expression, to: int) -> None:
        relation, value = node.operator, node.operands[0]
        constants = list(node.operands[1] if relation == "isin" else node.operands[1:])
        spec = self._arithmetic.spec(value) if value.operator == "field" else None
        if spec and spec.kind == _core.KEY:
            self._key(relation, spec, [_checked_text(spec, constant) for constant in constants], to)
        elif spec and spec.kind in _TEXTS:
            self._texts(relation, spec, [_checked_text(spec, constant) for constant in constants], to)
        elif relation == "startswith":
            raise FieldTypeError(
                value.fields()[0], f"{node!r}: a number does not begin with anything; expected text or a Key"
            )
        else:
            self._numbers(relation, value, spec, [_checked_number(value, spec, constant) for constant in constants], to)

    # -- numbers against constants

    def _numbers(
        self, relation: str, value: Expression, spec: FieldSpec | None, numbers: list[int | float], to: int
    ) -> None:
        free = self._arithmetic.used
        lanes = self._arithmetic.column(spec) if spec and relation != "isin" else self._arithmetic.number(value)
        self._arithmetic.used = free
        if relation == "isin":
            exact = [_bounds(lanes, "==", number) for number in numbers]
            members = sorted({bounds[0] for bounds in exact if bounds})
            if len(members) > 1:
                self._emit("member", to, lanes.operand, 0, members)
            else:
                self._range(lanes, (members[0], members[0]) if members else None, to)
        elif relation == "between":
            above, below = _bounds(lanes, ">=", numbers[0]), _bounds(lanes, "<=", numbers[1])
            common = (above[0], below[1]) if above and below and above[0] <= below[1] else None
            self._range(lanes, common, to)
        else:
            self._range(lanes, _bounds(lanes, "==" if relation == "!=" else relation, numbers[0]), to)
            self._negate(relation == "!=", to)

    def _range(self, lanes: Lanes, bounds: tuple[Any, Any] | None, to: int) -> None:
        if bounds is not None and (lanes.is_float or bounds != (lanes.least, lanes.most)):
            self._emit("range", to, lanes.operand, 0, bounds)
        elif lanes.operand < _core.MAX_FIELDS:
            self._emit("fill", to, constant=bounds is not None)
        else:  # decided, except for records in which the calculation overflows
            self._emit("member", to, lanes.operand, 0, [])
            self._negate(bounds is not None, to)

    def _negate(self, negated: bool, mask: int) -> None:
        if negated:
            self._emit("not", mask, mask)

    # -- keys and text against constants

    def _key(self, relation: str, spec: FieldSpec, texts: list[Any], to: int) -> None:
        keys = self._keys()
        if relation in ("==", "!=", "isin"):
            wanted = set(texts)
            ids = [number for number, key in enumerate(keys) if key in wanted]
        elif relation == "between":
            ids = [number for number, key in enumerate(keys) if texts[0] <= key <= texts[1]]
        else:
            holds = _KEY_ORDER[relation]
            ids = [number for number, key in enumerate(keys) if holds(key, texts[0])]
        place = self._arithmetic.column(spec).operand
        if not ids:
            self._emit("fill", to, constant=False)
        elif ids[-1] - ids[0] == len(ids) - 1:
            self._emit("range", to, place, 0, (ids[0], ids[-1]))
        else:
            bits = bytearray(ids[-1] // 8 + 1)
            for number in ids:
                bits[number // 8] |= 1 << number % 8
            self._emit("ids", to, place, 0, bytes(bits))
        self._negate(relation == "!=", to)

    def _texts(self, relation: str, spec: FieldSpec, texts: list[Any], to: int) -> None:
        place = self._arithmetic.column(spec).operand
        if relation == "isin" and not texts:
            self._emit("fill", to, constant=False)
        elif relation == "isin":
            self._emit("text member", to, place, 0, sorted(set(texts)))
        elif relation == "between":
            self._text(">=", place, 0, texts[:1], to)
            self._text("<=", place, 0, texts[1:], to + 1)
            self._emit("and", to, to, to + 1)
        else:
            self._text(relation, place, 0, texts, to)

    def _text(self, relation: str, left: int, right: int, texts: list[bytes] | None, to: int) -> None:
        step = "starts" if relation == "startswith" else _OPPOSITE.get(relation, relation)
        self._emit(f"text {step}", to, left, right, texts)
        self._negate(relation in _OPPOSITE, to)


def _bounds(lanes: Lanes, relation: str, number: int | float) -> tuple[Any, Any] | None:
    return float_range(relation, number) if lanes.is_float else int_range(relation, number, lanes.least, lanes.most)


def _checked_number(value: Expression, spec: FieldSpec | None, constant: object) -> int | float:
    """A constant that numbers are compared with. Raises FieldTypeError."""
    if isinstance(constant, int | float):
        return constant
    if spec and spec.kind == _core.TIMESTAMP and (ns := moment_ns(constant)) is not None:
        return ns
    expected = "a number" if not spec or spec.kind != _core.TIMESTAMP else "an aware datetime, or an int of ns"
    wrong = f"is compared with {shown(constant)} ({type(constant).__name__}); expected {expected}"
    raise mistake(spec, wrong) if spec else FieldTypeError(value.fields()[0], f"{value!r} {wrong}")


def _checked_text(spec: FieldSpec, constant: object) -> Any:
    """A constant that text is compared with, as it is stored; for a Key, as it is. Raises FieldTypeError."""
    expected = bytes if spec.kind == _core.BYTES else str
    if not isinstance(constant, expected):
        found = f"{shown(constant)} ({type(constant).__name__})"
        raise mistake(spec, f"is compared with {found}; expected {expected.__name__}")
    if spec.kind != _core.TEXT or not isinstance(constant, str):
        return constant
    try:
        return constant.encode()
    except UnicodeEncodeError:
        raise mistake(spec, f"is compared with {shown(constant)}, which cannot be encoded as UTF-8") from None
