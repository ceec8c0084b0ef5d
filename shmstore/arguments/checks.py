"""Arguments of calls: each is what it must be, or an error names it, what was found and what was expected."""

from collections.abc import Callable
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from itertools import islice
from operator import index
from types import FunctionType, MethodType
from typing import Any

from shmstore.arguments import moments
from shmstore.arguments.moments import Unclear
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError, InvalidOption


def refused(name: str, value: object, expected: str) -> InvalidOption:
    """The error for an argument that is not what was expected."""
    return InvalidOption(f"{name} is {shown(value)}; expected {expected}")


def whole_number(name: str, value: Any, expected: str, least: int | None = 0, most: int | None = None) -> int:
    """An int within bounds, also one of NumPy's. Raises InvalidOption."""
    number = number_but_no_bool(value)
    fits = isinstance(number, int) and (least is None or number >= least) and (most is None or number <= most)
    if not isinstance(number, int) or not fits:
        raise refused(name, value, expected)
    return number


def real_number(name: str, value: Any, expected: str) -> float:
    """A number that a float can be, also one of NumPy's. Raises InvalidOption."""
    number = number_but_no_bool(value)
    try:
        if number is not None:
            return float(number)
    except OverflowError:
        pass
    raise refused(name, value, expected)


def length_ns(name: str, value: Any) -> int | None:
    """Nanoseconds of a timedelta, or of NumPy's; None for what is neither. Raises InvalidOption."""
    try:
        return moments.length_ns(value)
    except Unclear as error:
        raise InvalidOption(f"{name} is {shown(value)}, which {error}") from error


def row_number(item: Any) -> int:
    """A row by its number, also one of NumPy's. Raises FieldTypeError."""
    number = plain_number(item)
    if not isinstance(number, int):
        raise FieldTypeError("", f"{shown(item)} is not a row; expected a number, a slice, or a name")
    return number


def items_of(values: Any, most: int | None = None) -> list[Any] | None:
    """Several values as a list, the first `most` at most; None for anything else, such as a text. What a generator
    raises is passed on.
    """
    try:
        iterator = None if isinstance(values, str | bytes) else iter(values)
    except Exception:  # raised by another library
        return None
    return None if iterator is None else list(iterator if most is None else islice(iterator, most))


def function(name: str, value: Any) -> Callable[..., Any] | None:
    """A callable, or None. Raises InvalidOption."""
    return None if value is None else called(name, value, "what can be called, or None")


def called(name: str, value: Any, expected: str) -> Callable[..., Any]:
    """A callable whose work is done when the call returns. Raises InvalidOption.

    An async function or a generator has not even begun by then, and the object that it returns counts as true.
    """
    if not callable(value):
        raise refused(name, value, expected)
    body = value if isinstance(value, FunctionType | MethodType | partial) else type(value).__call__
    if iscoroutinefunction(body) or isasyncgenfunction(body) or isgeneratorfunction(body):
        raise refused(name, value, f"{expected}, but no async function and no generator: nobody would run its body")
    return value  # type: ignore[no-any-return]


def plain_number(value: Any) -> int | float | None:
    """A number, also of another library's, as an int or float of the same value; None for everything else."""
    if isinstance(value, int | float):
        return value
    try:
        kind = getattr(getattr(value, "dtype", None), "kind", "f")
        if kind not in "iufb" or getattr(value, "mask", None) is not None:
            return None  # a time, a complex number, or a value that may be missing
        whole = _index(value)
        return _float(value) if whole is None else whole
    except Exception:  # raised by another library
        return None


def number_but_no_bool(value: Any) -> int | float | None:
    """The same, but None for a bool: True is hardly meant as 1."""
    return None if isinstance(value, bool) else plain_number(value)


def _index(value: Any) -> int | None:
    try:
        return index(value)
    except TypeError:
        return None


def _float(value: Any) -> float | None:
    if not hasattr(type(value), "__float__"):  # text, which float() reads
        return None
    number = float(value)
    return number if number == value or number != number else None
