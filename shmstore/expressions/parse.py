"""Expressions from text, as a command line or a request brings them: "value > 100 and gateway == 'gw-1'".

The text is read by Python's own parser and turned into an `Expression` piece by piece. Nothing in it is ever evaluated.
"""

import ast
import operator
from collections.abc import Callable, Collection
from typing import Any, Final, NoReturn

from shmstore.arguments.shown import bracketed, near
from shmstore.errors import FieldTypeError, InvalidOption, ShmStoreError
from shmstore.expressions.expression import Expression, field

_ACCEPTED: Final = (
    "accepted are field names, numbers, 'text', b'bytes', True, False; == != < <= > >=, in [..], not in [..]; and, or, "
    "not; + - * / // %; name.startswith('x'), name.between(a, b), name.isin([..]), also as startswith(name, 'x')"
)
_MOST_CHARACTERS: Final = 10_000

_Combine = Callable[[Any, Any], Expression]
_COMPARISONS: Final[dict[type[ast.cmpop], _Combine]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Final[dict[type[ast.operator], _Combine]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_METHODS: Final = {"startswith": 1, "between": 2, "isin": 1}  # and how many arguments each takes
_INSTEAD: Final[dict[type[ast.AST], str]] = {
    ast.BitAnd: "write and",
    ast.BitOr: "write or",
    ast.Invert: "write not",
    ast.Is: "write ==",
    ast.IsNot: "write !=",
    ast.Pow: "write x * x",
}


def parse(text: str, names: Collection[str] | None = None) -> Expression:
    """The expression that a text means, in the syntax of Python. `names` are the fields that exist, if that is known.

    Raises InvalidOption, which shows the place in the text, what is wrong there and what is accepted.
    """
    return _Reader(text, names).read()


class _Reader:
    """Reads one text."""

    def __init__(self, text: str, names: Collection[str] | None) -> None:
        self._text = " ".join(text.splitlines())
        self._names = names

    def read(self) -> Expression:
        if len(self._text) > _MOST_CHARACTERS:
            raise InvalidOption(f"an expression of {len(self._text)} characters; the longest has {_MOST_CHARACTERS}")
        self._text = self._text.strip()
        try:
            tree = ast.parse(self._text, mode="eval").body
            return self._value(tree, "this does not name a field")
        except SyntaxError as error:
            start = (error.offset or len(self._text) + 1) - 1
            self._fail_at(start, start + 1, f"this is not an expression ({error.msg})")
        except (RecursionError, MemoryError):
            raise InvalidOption(f"{self._text[:40]!r}... has too many parentheses within each other") from None
        except ValueError as error:  # a NUL
            if isinstance(error, ShmStoreError):
                raise
            self._fail_at(0, len(self._text), f"this is not an expression ({error})")

    # -- errors

    def _fail(self, node: ast.expr, what: str) -> NoReturn:
        text = self._text.encode()  # columns count its bytes
        start, end = (len(text[:column].decode()) for column in (node.col_offset, node.end_col_offset or 0))
        self._fail_at(start, end, what)

    def _fail_at(self, start: int, end: int, what: str) -> NoReturn:
        marks = " " * start + "^" * max(1, end - start)
        raise InvalidOption(f"{what}; {_ACCEPTED}\n  {self._text}\n  {marks}") from None

    # -- the tree

    def _expression(self, node: ast.expr) -> Any:
        """An Expression, or a constant."""
        match node:
            case ast.BoolOp(op=op, values=values):
                joined = self._condition(values[0])
                for value in values[1:]:
                    other = self._condition(value)
                    joined = self._made(
                        value, operator.and_ if isinstance(op, ast.And) else operator.or_, joined, other
                    )
                return joined
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._made(operand, operator.invert, self._condition(operand))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                number = self._number(operand)
                return self._made(node, operator.neg, number) if isinstance(op, ast.USub) else number
            case ast.Compare():
                return self._comparison(node)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self._made(node, _ARITHMETIC[type(op)], self._number(left), self._number(right))
            case ast.Constant(value=bool() | int() | float() | str() | bytes() as value):
                return value
            case ast.Name(id=name):
                return self._field(node, name)
            case ast.Call():
                return self._call(node)
            case ast.BinOp(op=op) | ast.UnaryOp(op=op):
                self._fail(node, _INSTEAD.get(type(op), "this operator is not known"))
        self._fail(node, "this is not understood")

    def _field(self, node: ast.expr, name: str) -> Expression:
        if self._names is not None and name not in self._names:
            hint = bracketed(near(name, self._names))
            self._fail(node, f"there is no field {name!r}{hint}; the fields are {', '.join(self._names)}")
        return field(name)

    def _value(self, node: ast.expr, otherwise: str) -> Expression:
        found = self._expression(node)
        return found if isinstance(found, Expression) else self._fail(node, otherwise)

    def _condition(self, node: ast.expr) -> Expression:
        return self._value(node, "this is not a condition")

    def _number(self, node: ast.expr) -> Any:
        found = self._expression(node)
        return self._fail(node, "this is not a number") if isinstance(found, str | bytes) else found

    def _comparison(self, node: ast.Compare) -> Expression:
        """One comparison, or a chain as in 1 < x <= 5."""
        joined: Expression | None = None
        left_node = node.left
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                subject = self._value(left_node, "this is not a field")
                one = self._made(left_node, subject.isin, self._list(right_node))
                one = ~one if isinstance(op, ast.NotIn) else one
            elif type(op) in _COMPARISONS:
                left, right = self._expression(left_node), self._expression(right_node)
                if not isinstance(left, Expression) and not isinstance(right, Expression):
                    self._fail(node, "this compares two constants")
                one = self._made(node, _COMPARISONS[type(op)], left, right)
            else:
                self._fail(node, _INSTEAD.get(type(op), "this comparison is not known"))
            joined = one if joined is None else joined & one
            left_node = right_node
        assert joined is not None
        return joined

    def _list(self, node: ast.expr) -> list[Any]:
        if not isinstance(node, ast.List | ast.Tuple | ast.Set):
            self._fail(node, "expected a list of constants, as in ['a', 'b']")
        return [self._expression(item) for item in node.elts]

    def _call(self, node: ast.Call) -> Expression:
        """name.method(..), or method(name, ..)."""
        match node.func:
            case ast.Attribute(value=value, attr=method):
                arguments = [value, *node.args]
            case ast.Name(id=method):
                arguments = list(node.args)
            case _:
                self._fail(node, "this cannot be called")
        if method not in _METHODS or node.keywords:
            self._fail(node, f"there is no {method}(..) of this kind")
        if len(arguments) != _METHODS[method] + 1:
            self._fail(node, f"{method} takes {_METHODS[method]} beside the field, found {max(0, len(arguments) - 1)}")
        subject = self._value(arguments[0], "this is not a field")
        if method == "isin":
            return self._made(node, subject.isin, self._list(arguments[1]))
        return self._made(node, getattr(subject, method), *map(self._expression, arguments[1:]))

    def _made(self, node: ast.expr, make: Callable[..., Expression], *parts: Any) -> Expression:
        """What `make` makes of the parts; an error of it is shown at this place."""
        try:
            return make(*parts)
        except (FieldTypeError, ZeroDivisionError, OverflowError) as error:
            self._fail(node, str(error))
