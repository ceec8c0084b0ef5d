"""Moments and lengths of time in whole nanoseconds, also of NumPy and pandas, which are told by their attributes.

Python's datetime counts microseconds. That of pandas is a subclass with hidden nanoseconds, and its NaT is a datetime
too; NumPy's datetime64 and timedelta64 count units of their own. Each is taken exactly or refused.
"""

import re
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

from shmstore.arguments.shown import shown

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_PLAIN: Final = (timedelta, int, float, bool, str, type(None))
_PLAIN_ZONES: Final = (timezone, type(None))
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_NS: Final = 86_400 * 10**9
_UNITS_NS: Final = {
    "W": 7 * _DAY_NS,
    "D": _DAY_NS,
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 1000,
    "μs": 1000,
    "ns": 1,
}
_PARTS: Final = {"ps": 10**3, "fs": 10**6, "as": 10**9}  # of a nanosecond
_MONTHS: Final = {"Y": 12, "M": 1}
_NUMPY_TYPE: Final = re.compile(r"[<>=|]([Mm])8(?:\[(\d*)(\w+)\])?")
_WRITTEN_NS: Final = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": _DAY_NS,
}
_MOST_DIGITS: Final = 20
_NUMBER: Final = rf"\d{{1,{_MOST_DIGITS}}}(?:\.\d{{1,{_MOST_DIGITS}}})?"
_PART: Final = rf"{_NUMBER}\s?(?:ns|us|ms|s|m|h|d)\s?"
_PART_GROUPS: Final = rf"({_NUMBER})\s?(ns|us|ms|s|m|h|d)"
_BARE: Final = re.compile(_NUMBER, re.ASCII)
_FRACTION: Final = re.compile(r"(.{7,10}[^\d+-]\d\d(:?)\d\d\2\d\d)[.,](\d{1,9})(\D.*)?", re.ASCII)  # of a second
_CLOCK_S: Final = 10**9  # so many seconds are hardly how long ago something was
_WRITTEN: Final = (
    "is not a time; write how long ago, as '90s', '10m' or '1h30m', or a date or time, as '2025-03-05' or "
    "'2025-03-05T10:20:00Z' (one without a zone is in the local one)"
)
_ADVICE: Final = "so it names no instant; add one, as in datetime.now(timezone.utc)"


class Unclear(ValueError):
    """A value is not an exact moment or length of time. Its text says why, and follows the value in a sentence."""


def moment_ns(value: object) -> int | None:
    """Nanoseconds from the Unix epoch to a datetime or datetime64; None for what is neither. Raises Unclear.

    A datetime must be aware. A datetime64 is in UTC, as NumPy has it.
    """
    if type(value) is datetime and _is_plain_zone(type(value.tzinfo)):
        return _datetime_ns(value)  # what is raised here comes from a signal handler, say, and not from another library
    if type(value) in _PLAIN:
        return None
    try:
        return _datetime_ns(value) if isinstance(value, datetime) else _numpy_ns(value, "M")
    except Unclear:
        raise
    except Exception as error:  # raised by another library, or by a zone
        raise Unclear(f"cannot be read as a time ({type(error).__name__}: {shown(str(error))})") from error


def length_ns(value: object) -> int | None:
    """Nanoseconds of a timedelta or timedelta64; None for what is neither. Raises Unclear."""
    if type(value) in _PLAIN:
        return timedelta.__floordiv__(value, _MICROSECOND) * 1000 if isinstance(value, timedelta) else None
    try:
        if isinstance(value, timedelta):
            # What a subclass adds to the names of its parts, such as years, is in the timedelta below it already.
            ns = timedelta.__floordiv__(value, _MICROSECOND) * 1000
            hidden = 0 if type(value) is timedelta else getattr(value, "nanoseconds", 0)
            return ns + hidden if isinstance(hidden, int) else ns
        return _numpy_ns(value, "m")
    except Unclear:
        raise
    except Exception as error:
        raise Unclear(f"cannot be read as a length of time ({type(error).__name__}: {shown(str(error))})") from error


def text_ns(text: str) -> int | None:
    """Nanoseconds of a length of time as people write it: 90s, 1h30m, 250ms, 1.5us; None for any other text.

    A bare number counts seconds.
    """
    parts = re.fullmatch(rf"(?:{_PART})+", f"{text}s" if _BARE.fullmatch(text) else text, re.ASCII)
    if not parts:
        return None
    scaled = sum(_scaled(number) * _WRITTEN_NS[unit] for number, unit in re.findall(_PART_GROUPS, parts[0], re.ASCII))
    ns, rest = divmod(scaled, 10**_MOST_DIGITS)
    return None if rest else ns


def written_ns(text: str, now_ns: int) -> int:
    """Nanoseconds from the Unix epoch to a moment as people write it. 10m is that long before `now_ns`; a date, or a
    date and time, is ISO 8601, in the local zone when it does not name one. Raises Unclear.
    """
    length = text_ns(text)
    if length is None:
        time_ns = iso_ns(text)
        if time_ns is None:
            raise Unclear(_WRITTEN)
        return time_ns
    if length == 0:
        raise Unclear(_WRITTEN)
    if _BARE.fullmatch(text) and (length >= _CLOCK_S * 10**9 or iso_ns(text) is not None):
        raise Unclear(
            f"could count seconds or be a date; write '{text}s' for so long ago, or a date or time as '2025-03-05' or "
            "'2025-03-05T10:20:00Z'"
        )
    return now_ns - length


def is_written(text: str) -> bool:
    """Whether `written_ns` reads it, or says in which ways it could be read."""
    return text_ns(text) is not None or iso_ns(text) is not None


def iso_ns(text: str) -> int | None:
    """Nanoseconds from the Unix epoch to an ISO 8601 date or time; None for any other text."""
    fraction = _FRACTION.fullmatch(text)
    if fraction is None and ("." in text or "," in text):
        return None
    whole, digits = (f"{fraction[1]}{fraction[4] or ''}", fraction[3]) if fraction else (text, "")
    try:
        time = datetime.fromisoformat(whole)
        since = (time.astimezone() if time.utcoffset() is None else time) - UNIX_EPOCH
    except (ValueError, OverflowError, OSError):
        return None
    return since // _MICROSECOND * 1000 + int(digits.ljust(9, "0"))


def _scaled(number: str) -> int:
    """A number as `_NUMBER` has it, times 10 ** _MOST_DIGITS, so that all its digits stand before the point."""
    whole, _, digits = number.partition(".")
    return int(whole + digits.ljust(_MOST_DIGITS, "0"))


def _is_plain_zone(kind: type) -> bool:
    """Whether a datetime's tzinfo of this class is Python's own, or none."""
    if kind in _PLAIN_ZONES:
        return True
    zoneinfo = sys.modules.get("zoneinfo")  # whoever has a ZoneInfo has imported it
    return zoneinfo is not None and kind is zoneinfo.ZoneInfo


def _datetime_ns(value: datetime) -> int | None:
    if value != value:
        raise Unclear("is not a time: something is missing there")
    if value.utcoffset() is None:
        raise Unclear(f"has no time zone, {_ADVICE}")
    return length_ns(value - UNIX_EPOCH)


def _numpy_ns(value: Any, letter: str) -> int | None:
    dtype: Any = getattr(value, "dtype", None)
    if getattr(dtype, "kind", None) != letter or getattr(value, "shape", None) != ():
        return None
    found = _NUMPY_TYPE.fullmatch(dtype.str)
    if bool(value != value):
        raise Unclear("is not a time: something is missing there")
    if not found or not found[3]:
        raise Unclear("has no unit; give one, as in numpy.datetime64(value, 'ns')")
    unit, count = found[3], int(value.astype("i8")) * int(found[2] or 1)
    if unit in _UNITS_NS:
        return count * _UNITS_NS[unit]
    if unit in _PARTS:
        ns, rest = divmod(count, _PARTS[unit])
        if rest:
            raise Unclear("has parts of a nanosecond; round it")
        return ns
    if unit not in _MONTHS or letter == "m":
        raise Unclear(f"counts units of {unit!r}, which have no length in nanoseconds; give days or seconds")
    year, month = divmod(count * _MONTHS[unit], 12)
    if not 1 <= year + 1970 <= 9999:
        raise Unclear("is not from 1677-09-21 to 2262-04-11")
    return (date(year + 1970, month + 1, 1).toordinal() - date(1970, 1, 1).toordinal()) * _DAY_NS
