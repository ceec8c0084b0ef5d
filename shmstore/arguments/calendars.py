"""Units of the calendar in a time zone: where days, weeks, months, quarters and years begin, in ns since 1970."""

from array import array
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal, TypeGuard, get_args

from shmstore.arguments.checks import refused
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption

CalendarUnit = Literal["day", "week", "month", "quarter", "year"]
"""A unit of the calendar. A week begins on Monday (ISO 8601), a quarter in January, April, July or October."""

CALENDAR_UNITS: tuple[CalendarUnit, ...] = get_args(CalendarUnit)

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400 * 10**6
_MONTHS: dict[CalendarUnit, int] = {"month": 1, "quarter": 3, "year": 12}
_MOST_DAYS: dict[CalendarUnit, int] = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}


def is_calendar_unit(every: object) -> TypeGuard[CalendarUnit]:
    """Whether this is one of CALENDAR_UNITS."""
    return isinstance(every, str) and every in CALENDAR_UNITS


def checked_zone(zone: tzinfo | str | None) -> tzinfo:
    """A time zone by its IANA name, as "Europe/Berlin", or as it is; None is UTC.

    Raises InvalidOption for a name that this system does not know, and for anything that is not a time zone.
    """
    if zone is None:
        return UTC
    if isinstance(zone, tzinfo) and datetime(1970, 1, 1, tzinfo=zone).utcoffset() is not None:
        return zone
    if not isinstance(zone, str):
        raise refused("zone", zone, "the name of a time zone, as 'Europe/Berlin', or a tzinfo")
    from zoneinfo import ZoneInfo  # only whoever names a zone pays for it

    try:
        return ZoneInfo(zone)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        raise InvalidOption(
            f"zone is {shown(zone)}, which is not a time zone that this system knows; give an IANA name such as "
            "'Europe/Berlin' (where all are missing, install the package tzdata)"
        ) from None


def edges(unit: CalendarUnit, zone: tzinfo, first_ns: int, last_ns: int) -> "array[int]":
    """Where each unit that has a time from first_ns to last_ns in it begins, ascending, and where the last one ends.

    A day that a zone left out (Samoa's 30 December 2011) does not begin; one whose midnight was left out begins with
    its first moment. So days have 23, 24 or 25 hours, and hardly ever another number. Times beyond 64 bits are clamped.
    """
    first_day = _local(first_ns, zone).date()
    last_day = _local(last_ns, zone).date()
    starts = [_beginning_ns(day, zone) for day in _days(unit, first_day, last_day)]
    return array("q", [start for start, following in pairwise(starts) if start < following] + starts[-1:])


def _local(time_ns: int, zone: tzinfo) -> datetime:
    return (_UNIX_EPOCH + timedelta(microseconds=time_ns // 1000)).astimezone(zone)


def _days(unit: CalendarUnit, first: date, last: date) -> Iterator[date]:
    """The first day of each unit, from the unit that `first` is in to the unit after the one that `last` is in."""
    day = _first_day(unit, first)
    while day <= last:
        yield day
        day = _first_day(unit, day + timedelta(days=_MOST_DAYS[unit]))
    yield day


def _first_day(unit: CalendarUnit, day: date) -> date:
    """The first day of the unit that this day is in."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "day":
        return day
    return day.replace(day=1, month=(day.month - 1) // _MONTHS[unit] * _MONTHS[unit] + 1)


def _beginning_ns(day: date, zone: tzinfo) -> int:
    """The first moment of a local day, clamped to 64 bits of ns."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    offset, later = _offset_us(midnight), _offset_us(midnight.replace(fold=1))
    start_us = (day.toordinal() - _UNIX_EPOCH.toordinal()) * _DAY_US - offset
    if offset < later:  # clocks were put forward over midnight; where they went back, the first midnight counts
        start_us = _first_moment_us(day, zone, start_us - (later - offset), start_us)
    return max(-(1 << 63), min((1 << 63) - 1, start_us * 1000))


def _offset_us(time: datetime) -> int:
    offset = time.utcoffset()
    assert offset is not None  # checked_zone
    return offset // timedelta(microseconds=1)


def _first_moment_us(day: date, zone: tzinfo, low_us: int, high_us: int) -> int:
    """The first microsecond from `low_us` to `high_us` whose local date is `day` or a later one."""
    while low_us < high_us:
        middle_us = (low_us + high_us) // 2
        if _local(middle_us * 1000, zone).date() >= day:
            high_us = middle_us
        else:
            low_us = middle_us + 1
    return low_us
