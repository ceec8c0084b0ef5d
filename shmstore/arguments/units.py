"""Quantities as people read and write them: sizes, counts, rates, durations, times. Nothing is printed here."""

import time
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from shmstore.arguments.calendars import CALENDAR_UNITS, is_calendar_unit
from shmstore.arguments.moments import text_ns

T = TypeVar("T")

_SIZE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_RATE_UNITS = ("", " k", " M", " G", " T")
_DURATION_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}


def size(count_bytes: float) -> str:
    """A size in bytes with a binary unit: ``1.5 MiB``."""
    value, unit = _scaled(count_bytes, 1024, _SIZE_UNITS)
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def count(number: int) -> str:
    """A whole number with its thousands apart: ``1,234,567``."""
    return f"{number:,}"


def number(value: float) -> str:
    """A number that was computed: a whole one with its thousands apart, another one to six digits: ``12.3333``."""
    if isinstance(value, int):
        return count(value)
    return f"{value:,.0f}" if 1e6 <= abs(value) < 1e15 else f"{value:,.6g}"


def rate(per_second: float | None) -> str:
    """Events per second, three digits: ``812/s``, ``12.3 k/s``; ``-`` when it is not known."""
    if per_second is None:
        return "-"
    value, unit = _scaled(per_second, 1000, _RATE_UNITS)
    digits = 0 if value >= 100 or (unit == "" and value == int(value)) else 1 if value >= 10 else 2
    return f"{value:.{digits}f}{unit}/s"


def percent(fraction: float) -> str:
    """A fraction as a whole percentage; only what is exactly full says 100 %, only what is exactly empty 0 %."""
    shown = 100 if fraction >= 1 else 0 if fraction <= 0 else min(99, max(1, round(fraction * 100)))
    return f"{shown} %"


def duration(seconds: float) -> str:
    """A length of time in its one or two largest units: ``350 ms``, ``4.2 s``, ``2 h 5 m``."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length} {unit} {whole % length // part} {smaller}"
    raise AssertionError(f"no unit for {seconds} s")


class Time(int):
    """A time in ns since the Unix epoch, so that a renderer knows it from a number; 0 is never."""


def ago(time_ns: int) -> str:
    """How long ago a time was: ``3.0 s ago``; ``never`` for time 0."""
    return "never" if time_ns == 0 else f"{duration((time.time_ns() - time_ns) / 1e9)} ago"


def when(time_ns: int) -> str:
    """A time in the local zone, to the second; ``never`` for time 0."""
    return "never" if time_ns == 0 else local(time_ns)


def local(time_ns: int) -> str:
    """The same, for a time that may really be 0."""
    return f"{datetime.fromtimestamp(time_ns // 10**9):%Y-%m-%d %H:%M:%S}"


def iso(time_ns: int, zone: tzinfo | None = None) -> str:
    """A time as ISO 8601: in UTC with all nine digits, or in a zone, with its offset, and digits only where there are
    some; a time beyond the calendar is written as its number.
    """
    seconds, fraction_ns = divmod(time_ns, 10**9)
    try:
        time = datetime.fromtimestamp(seconds, UTC)
        if zone is None:
            return f"{time:%Y-%m-%dT%H:%M:%S}.{fraction_ns:09}Z"
        told = time.astimezone(zone).isoformat()  # of whole seconds, so that the offset comes 19 letters on
        return told[:19] + (f".{fraction_ns:09}" if fraction_ns else "") + told[19:]
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


def parse_duration(text: str) -> timedelta:
    """A positive duration such as ``90s``, ``1h30m``, ``250ms``; a bare number counts seconds. Raises ValueError."""
    length_ns = _positive_ns(text)
    if length_ns % 1000:
        raise ValueError(f"{text!r} is too exact a duration; give whole microseconds")
    try:
        return timedelta(microseconds=length_ns // 1000)
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration; {timedelta.max.days}d is the longest") from None


def _positive_ns(text: str) -> int:
    length_ns = text_ns(text)
    if not length_ns:
        raise ValueError(f"{text!r} is not a duration; write a positive one such as 90s, 10m, 1h30m or 250ms")
    return length_ns


def length(length_ns: int) -> str:
    """A positive duration as `parse_duration` reads it: ``1h30m``, ``250ms``."""
    parts = []
    for unit, unit_ns in sorted(_DURATION_NS.items(), key=lambda each: -each[1]):
        count, length_ns = divmod(length_ns, unit_ns)
        parts += [f"{count}{unit}"] * (count > 0)
    return "".join(parts)


def lasting(text: str) -> str:
    """A positive duration as an argument of a command, as it is written. Raises ArgumentTypeError."""
    _argument(_positive_ns, text)
    return text


def every(text: str) -> str:
    """The same, or a unit of the calendar. Raises ArgumentTypeError."""
    if is_calendar_unit(text):
        return text
    try:
        return lasting(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, or a unit of the calendar: {', '.join(CALENDAR_UNITS)}") from None


def span(text: str) -> timedelta:
    """A positive duration as an argument of a command. Raises ArgumentTypeError."""
    return _argument(parse_duration, text)


def seconds(text: str) -> float:
    """A positive duration as an argument of a command, in seconds. Raises ArgumentTypeError."""
    return span(text).total_seconds()


def whole(text: str, least: int = 0) -> int:
    """A whole number of 0 or more as an argument of a command; ``10_000`` is read too. Raises ArgumentTypeError."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < least:
        raise ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
    return number


def some(text: str) -> int:
    """A whole number of 1 or more. Raises ArgumentTypeError."""
    return whole(text, 1)


def _argument(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _scaled(value: float, base: int, units: tuple[str, ...]) -> tuple[float, str]:
    for unit in units[:-1]:
        if abs(value) < base * 0.9995:
            return value, unit
        value /= base
    return value, units[-1]
