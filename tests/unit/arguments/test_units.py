"""Quantities as the tools write and read them."""

import time
from argparse import ArgumentTypeError
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from shmstore.arguments import units


@pytest.mark.parametrize(
    ("bytes_", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (3 << 19, "1.5 MiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 60, "1024.0 PiB"),
    ],
)
def test_sizes_have_binary_units(bytes_: int, text: str) -> None:
    assert units.size(bytes_) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [
        (None, "-"),
        (0, "0/s"),
        (0.5, "0.50/s"),
        (812, "812/s"),
        (999.9, "1.00 k/s"),
        (12_345, "12.3 k/s"),
        (2.5e6, "2.50 M/s"),
    ],
)
def test_rates_have_three_digits(per_second: float | None, text: str) -> None:
    assert units.rate(per_second) == text


def test_only_full_is_100_percent_and_only_empty_is_0() -> None:
    assert [units.percent(f) for f in (0, 0.0001, 0.5, 0.9999, 1)] == ["0 %", "1 %", "50 %", "99 %", "100 %"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 ms"), (0.35, "350 ms"), (4.25, "4.2 s"), (60, "1 m 0 s"), (7_500, "2 h 5 m"), (90_000, "1 d 1 h")],
)
def test_durations_have_their_two_largest_units(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_iso_loses_no_nanosecond() -> None:
    assert units.iso(1_700_000_000_123_456_789) == "2023-11-14T22:13:20.123456789Z"
    assert units.iso(-1) == "1969-12-31T23:59:59.999999999Z"


def test_iso_of_a_time_beyond_the_calendar_is_its_number() -> None:
    assert units.iso(1 << 63) == "2262-04-11T23:47:16.854775808Z"
    assert units.iso(10**21) == f"{10**21} ns"


def test_time_zero_is_never() -> None:
    assert units.ago(0) == units.when(0) == "never"
    assert units.ago(time.time_ns() - 10 * 10**9).endswith(" s ago")


@pytest.mark.parametrize(
    ("text", "seconds"), [("5", 5), ("1.5", 1.5), ("250ms", 0.25), ("90s", 90), ("1h30m", 5_400), ("2d 1h", 176_400)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "0", "0s", "-1s", "1y", "1h30", "1e9", "9999999999d"])
def test_what_is_no_positive_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        units.parse_duration(text)


def test_arguments_of_commands_are_refused_in_words() -> None:
    assert units.whole("10_000") == 10_000
    assert units.seconds("1m") == 60
    for read, text in ((units.whole, "-1"), (units.whole, "x"), (units.seconds, "x"), (units.span, "0")):
        with pytest.raises(ArgumentTypeError, match=text):
            read(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (12.3333333, "12.3333"),
        (1234.5, "1,234.5"),
        (123456.0, "123,456"),
        (12345678.9, "12,345,679"),
        (-0.00001, "-1e-05"),
        (1.5e300, "1.5e+300"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_numbers_have_six_digits_and_their_thousands_apart(value: float, text: str) -> None:
    assert units.number(value) == text


@pytest.mark.parametrize("text", ["500us", "250ms", "1s", "1m30s", "1h", "2d1h1ms"])
def test_lengths_are_read_as_they_are_written(text: str) -> None:
    assert units.length(units.parse_duration(text) // timedelta(microseconds=1) * 1000) == text


def test_a_time_of_a_zone_has_its_offset_and_digits_only_where_there_are_some() -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert units.iso(1_743_289_200 * 10**9, zone) == "2025-03-30T00:00:00+01:00"
    assert units.iso(1_743_296_400 * 10**9 + 5, zone) == "2025-03-30T03:00:00.000000005+02:00"
    assert units.iso(-1, zone) == "1970-01-01T00:59:59.999999999+01:00"
    assert units.iso(10**21, zone) == f"{10**21} ns"


def test_how_far_apart_windows_are_is_a_duration_or_a_unit_of_the_calendar() -> None:
    assert [units.every(text) for text in ("1h 30m", "7ns", "day", "quarter")] == ["1h 30m", "7ns", "day", "quarter"]
    for read, text in ((units.every, "fortnight"), (units.every, "0s"), (units.lasting, "day"), (units.span, "7ns")):
        with pytest.raises(ArgumentTypeError, match=text):
            read(text)
    with pytest.raises(ArgumentTypeError, match=r"'hour' is not a duration.*1h30m.*day, week, month, quarter, year"):
        units.every("hour")
