"""What questions must be answered, worked out from plain values in Python: the model that the core is held to."""

import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Any

TINY = 5e-324  # the least float
HALF = Fraction(1, 2**53)  # the relative error of one rounding
MOST = Fraction(1.7976931348623157e308)
GROUP_ROWS = 1024  # that groups sum plainly

_POINT = 1074  # every float is a multiple of 2 ** -_POINT


def _fixed(value: float) -> int:
    """A number in units of 2 ** -_POINT: such integers are added quicker than Fractions."""
    above, below = value.as_integer_ratio()
    return above * (2**_POINT // below)


def _sums(values: Sequence[Any]) -> tuple[Fraction, Fraction]:
    """Exactly: the sum, and that of the sizes."""
    fixed = [_fixed(value) for value in values]
    return Fraction(sum(fixed), 2**_POINT), Fraction(sum(map(abs, fixed)), 2**_POINT)


class Nearly:
    """A float that is equal to whatever lies within `error` of it; and, when `wild`, to any infinity and NaN."""

    def __init__(self, exact: Fraction, error: Fraction = Fraction(0), *, wild: bool = False) -> None:
        self._exact = exact
        self._error = error + 2 * HALF * abs(exact) + Fraction(TINY)
        self._wild = wild or abs(exact) + self._error >= MOST

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, float):
            return False
        return self._wild if not math.isfinite(other) else abs(Fraction(other) - self._exact) <= self._error

    def __repr__(self) -> str:
        exact = float(self._exact) if abs(self._exact) < MOST else self._exact
        return f"{exact!r} +- {float(min(self._error, MOST))}{' or beyond' * self._wild}"


class Nan:
    """Equal to a float that is NaN."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and math.isnan(other)

    def __repr__(self) -> str:
        return "NaN"


class Exactly:
    """Equal to the same number of the same type. Zeros are alike."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def real(self) -> "Exactly":
        """As a float."""
        return Exactly(float(self._value))

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self._value) and other == self._value

    def __repr__(self) -> str:
        return repr(self._value)


def special(values: Sequence[float]) -> Any:
    """What sum and mean are of values of which some are not finite; None when all are."""
    odd = {value for value in values if math.isinf(value)}
    if any(math.isnan(value) for value in values) or len(odd) == 2:
        return Nan()
    if odd and _sums([value for value in values if math.isfinite(value)])[1] >= MOST:
        return Nearly(MOST, wild=True)  # a part of the sum may have left the floats the other way
    return Exactly(odd.pop()) if odd else None


def total(values: Sequence[Any], is_float: bool, rows: int = 1) -> Any:
    """The sum. `rows`: how many floats are added plainly before they are in twice their precision."""
    if not is_float:
        return Exactly(sum(values))
    if odd := special(values):
        return odd
    exact, size = _sums(values)
    error = rows * HALF * size if rows > 1 else len(values) ** 2 * HALF**2 * size
    return Nearly(exact, error, wild=size >= MOST)


def mean(values: Sequence[Any], is_float: bool, rows: int = 1) -> Any:
    if not values:
        return None
    if not is_float:
        return Exactly(sum(values) / len(values))
    if odd := special(values):
        return odd
    exact, size = _sums(values)
    error = (rows if rows > 1 else len(values) ** 2 * HALF) * HALF * size
    return Nearly(exact / len(values), error / len(values), wild=size >= MOST)


def bounds(values: Sequence[Any], is_float: bool) -> tuple[Any, Any]:
    """The least and the greatest, NaN aside."""
    numbers = [value for value in values if value == value]
    kind = float if is_float else int
    return (Exactly(kind(min(numbers))), Exactly(kind(max(numbers)))) if numbers else (None, None)


def summary(values: Sequence[Any], is_float: bool, rows: int = 1) -> tuple[Any, ...]:
    """Count, sum, mean, min, max."""
    return len(values), total(values, is_float, rows), mean(values, is_float, rows), *bounds(values, is_float)


def variance(values: Sequence[Any], ddof: int, root: bool = False) -> Any:
    """The variance, or its root."""
    if len(values) <= ddof:
        return None
    if any(not math.isfinite(value) for value in values):
        return Nan()
    fixed, count = [_fixed(value) for value in values], len(values)
    squares = count * sum(value * value for value in fixed) - sum(fixed) ** 2
    found = Fraction(squares, count * (count - ddof) * 2 ** (2 * _POINT))
    spread = Fraction(max(fixed) - min(fixed), 2**_POINT)
    # Ten digits are right, as long as squares are neither beyond the floats nor lost below them.
    error, wild = found / 10**10 + Fraction(TINY) * 10**6, spread > 10**150
    if not root:
        return Nearly(found, error, wild=wild)
    square = Fraction(math.sqrt(found)) if found < MOST else Fraction(math.isqrt(int(found)))
    return Nearly(square, square / 10**9 + Fraction(1, 10**150), wild=wild)


def quantile(values: Sequence[Any], q: float, is_float: bool) -> Any:
    """Between two neighbours of the sorted numbers, as NumPy's linear method."""
    numbers = sorted(value for value in values if value == value)
    if not numbers:
        return None
    rank = q * (len(numbers) - 1)
    low = min(int(rank), len(numbers) - 1)
    high = min(low + 1, len(numbers) - 1)
    below, above, part = numbers[low], numbers[high], rank - low
    if below == above or not part:
        return Exactly(float(below) if is_float else int(below))
    if math.isinf(below) or math.isinf(above):
        return Nan() if math.isinf(below) and math.isinf(above) else Exactly(below if math.isinf(below) else above)
    exact = Fraction(below) + Fraction(part) * (Fraction(above) - Fraction(below))
    return Nearly(exact, 8 * HALF * max(abs(Fraction(below)), abs(Fraction(above))))


def different(values: Iterable[Any]) -> int:
    """How many different values; all NaN are one."""
    return len({"nan" if value != value else value for value in values})


def edge(records: Sequence[Any], time: str | None, latest: bool) -> Any:
    """The earliest or the latest record; None of none."""
    if not records:
        return None
    if time is None:
        return records[-1 if latest else 0]
    moment = (max if latest else min)(getattr(record, time) for record in records)
    at_it = [record for record in records if getattr(record, time) == moment]
    return at_it[-1 if latest else 0]


def groups(records: Iterable[Any], by: str) -> list[tuple[Any, list[Any]]]:
    """Each value of a field, in order, and its records in theirs."""

    def value(record: Any) -> Any:
        return getattr(record, by)

    return [(label, list(found)) for label, found in groupby(sorted(records, key=value), key=value)]


def windows(records: Iterable[Any], time: str, every: int, period: int) -> list[tuple[int, list[Any]]]:
    """Where each window that holds a record begins, and its records."""
    found: dict[int, list[Any]] = {}
    for record in records:
        moment = getattr(record, time)
        start = moment // every * every
        while start > moment - period:
            found.setdefault(start, []).append(record)
            start -= every
    return sorted(found.items())


def newest(partitions: Sequence[Sequence[Any]], time: str | None) -> list[Any]:
    """All records, the last of each partition first."""
    backwards = [list(reversed(records)) for records in partitions]
    if time is None:
        return [record for records in backwards for record in records]
    key: Callable[[Any], int] = lambda record: int(getattr(record, time))  # noqa: E731
    return list(heapq.merge(*backwards, key=key, reverse=True))
