"""Axes: the ends of a scale of numbers or times, and its ticks at values that people find round."""

import bisect
import math
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from typing import NamedTuple

from shmstore.arguments.calendars import CalendarUnit, edges
from shmstore.reading.selection import as_datetime

_LEAST, _MOST = 1e-290, 1e300  # what is smaller is drawn as 0; what is greater would not leave room for round ends

_UNITS = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, ""))

_SLACK = 1e-9  # of a step: what floats are off

_SECOND_NS = 10**9
_HOUR_NS = 3600 * _SECOND_NS
_DAY_NS = 86400 * _SECOND_NS
# 1 µs is the shortest, as for a timedelta; longer than a day: 1, 2 or 5 times a power of ten of days.
_ROUND_NS: tuple[int, ...] = (
    *(digit * 10**power for power in range(3, 9) for digit in (1, 2, 5)),
    *(count * _SECOND_NS for count in (1, 2, 5, 10, 15, 30)),
    *(count * 60 * _SECOND_NS for count in (1, 2, 5, 10, 15, 30)),
    *(count * 3600 * _SECOND_NS for count in (1, 2, 3, 6, 12)),
    *(digit * 10**power * _DAY_NS for power in range(6) for digit in (1, 2, 5)),
)


class Axis(NamedTuple):
    """A scale from `low` to `high`, and its ticks: values within it, with their labels."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def fraction(self, value: float) -> float:
        """Where on the scale a value lies: 0 at its low end, 1 at its high end."""
        return (value - self.low) / (self.high - self.low)


Ticks = Callable[[int, int, int], Axis]
"""Makes an axis from one time to another (in ns since the Unix epoch), with about so many ticks."""


def drawable(value: float | None) -> float | None:
    """The value as a scale can hold it: None when there is none, or for NaN, an infinity and the like."""
    if value is None or not abs(value) <= _MOST:
        return None
    return value if abs(value) >= _LEAST else 0


def numbers(low: float, high: float, most: int) -> Axis:
    """An axis over [low, high], which are drawable, with round ends and at most `most` ticks (3 or more).

    0 is on it when the values are not further from it than from each other, or all the same.
    """
    flat = high - low <= 1e-9 * max(abs(low), abs(high))
    if flat or high - low >= min(abs(low), abs(high)):
        low, high = min(low, 0), max(high, 0) or (1 if low == 0 else 0)
    step = _round_step((high - low) / (most - 1))
    # Round ends lie outside of the values, so they can take a tick too many.
    while (last := math.ceil(high / step - _SLACK)) - (first := math.floor(low / step + _SLACK)) >= most:
        step = _round_step(step * 1.5)
    largest = max(abs(first), abs(last)) * step
    ticks = tuple((n * step, _label(n * step, step, largest)) for n in range(first, last + 1))
    return Axis(min(low, first * step), max(high, last * step), ticks)


def times(low_ns: int, high_ns: int, most: int) -> Axis:
    """An axis from one time to another, with about `most` ticks (1 or more) at round times of the local zone."""
    high_ns = max(high_ns, low_ns + 1)
    step_ns = round_length(-(-(high_ns - low_ns) // most))
    offset_ns = _offset_ns(low_ns)
    first_ns = -(-(low_ns + offset_ns) // step_ns) * step_ns - offset_ns
    ticks: Iterable[int] = range(first_ns, high_ns + 1, step_ns)
    if step_ns > _HOUR_NS:  # clocks that are put forward or back meanwhile show what is round an hour off
        later = range(first_ns, high_ns + _HOUR_NS + 1, step_ns)
        ticks = (ns for each in later if low_ns <= (ns := each + offset_ns - _offset_ns(each)) <= high_ns)
    return Axis(low_ns, high_ns, tuple((ns, clock(ns, step_ns)) for ns in ticks))


def calendar(unit: CalendarUnit, zone: tzinfo) -> Ticks:
    """Axes with ticks where units of a zone's calendar begin."""

    def ticked(low_ns: int, high_ns: int, most: int) -> Axis:
        *starts, _ = edges(unit, zone, low_ns, high_ns)
        chosen = starts[:: -(-len(starts) // most)]
        ticks = tuple((ns, unit_label(ns, unit, zone)) for ns in chosen if low_ns <= ns <= high_ns)
        return Axis(low_ns, max(high_ns, low_ns + 1), ticks)

    return ticked


def unit_label(start_ns: int, unit: CalendarUnit, zone: tzinfo) -> str:
    """A unit of a zone's calendar by its beginning: 2025-03-30 for a day or week, 2025-03, 2025-Q1, 2025."""
    day = as_datetime(start_ns).astimezone(zone)
    match unit:
        case "month":
            return f"{day.year:04}-{day.month:02}"
        case "quarter":
            return f"{day.year:04}-Q{(day.month + 2) // 3}"
        case "year":
            return f"{day.year:04}"
        case _:
            return day.date().isoformat()


def round_length(least_ns: int) -> int:
    """The shortest round length of time that is not shorter than this; the longest there is when none is."""
    return _ROUND_NS[min(bisect.bisect_left(_ROUND_NS, least_ns), len(_ROUND_NS) - 1)]


def clock(time_ns: int, step_ns: int) -> str:
    """A time in the local zone, as exact as steps of this length need it."""
    seconds, fraction_ns = divmod(time_ns, _SECOND_NS)
    time = datetime.fromtimestamp(seconds)
    if step_ns >= _DAY_NS:
        return f"{time:%Y-%m-%d}"
    if step_ns >= 60 * _SECOND_NS:
        return f"{time:%H:%M}"
    digits = 0 if step_ns >= _SECOND_NS else 9 - int(math.log10(step_ns))
    return f"{time:%H:%M:%S}" + (f".{fraction_ns:09}"[: digits + 1] if digits else "")


def _offset_ns(time_ns: int) -> int:
    """How far clocks of the local zone are ahead of UTC."""
    offset = datetime.fromtimestamp(time_ns // _SECOND_NS).astimezone().utcoffset()
    return 0 if offset is None else round(offset.total_seconds()) * _SECOND_NS


def _round_step(least: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is not below this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((digit * power for digit in (1, 2, 5) if digit * power >= least * (1 - _SLACK)), 10 * power)


def _label(value: float, step: float, largest: float) -> str:
    """The number as exact as its step, in the unit that suits the largest of its axis."""
    if not 1e-4 <= largest < 1e15:
        return f"{value:.{max(1, math.ceil(math.log10(largest / step))) + 1}g}"
    size, unit = next((size, unit) for size, unit in _UNITS if largest >= size * (10 if size > 1 else 0))
    return f"{value / size:.{max(0, -math.floor(math.log10(step / size) + _SLACK))}f}{unit if value else ''}"
