"""Axes: round ticks that hold the values, whatever the values are."""

import math
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shmstore.cli.charts.axis import calendar, clock, drawable, numbers, round_length, times

SECOND_NS, MINUTE_NS, HOUR_NS, DAY_NS = 10**9, 60 * 10**9, 3600 * 10**9, 86400 * 10**9


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone whose clocks are put forward in March and back in October."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A zone that is no whole number of hours from UTC: 5:45."""
    monkeypatch.setenv("TZ", "NPT-5:45")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0, 97, ["0", "20", "40", "60", "80", "100"]),
        (12.2, 12.9, ["12.2", "12.4", "12.6", "12.8", "13.0"]),
        (3, 9, ["0", "2", "4", "6", "8", "10"]),
        (-3, 5, ["-4", "-2", "0", "2", "4", "6"]),
        (-9, -3, ["-10", "-8", "-6", "-4", "-2", "0"]),
        (0, 48_000, ["0", "10 k", "20 k", "30 k", "40 k", "50 k"]),
        (0, 2_400_000, ["0", "500 k", "1000 k", "1500 k", "2000 k", "2500 k"]),
        (0, 24_000_000, ["0", "5 M", "10 M", "15 M", "20 M", "25 M"]),
        (0, 2e20, ["0", "5e+19", "1e+20", "1.5e+20", "2e+20"]),
        (0, 4e-7, ["0", "1e-07", "2e-07", "3e-07", "4e-07"]),
        (7, 7, ["0", "2", "4", "6", "8"]),
        (0, 0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-1e-5, -1e-5, ["-1e-05", "-8e-06", "-6e-06", "-4e-06", "-2e-06", "0"]),
    ],
)
def test_numbers_have_round_ticks(low: float, high: float, labels: list[str]) -> None:
    assert [label for _, label in numbers(low, high, 6).ticks] == labels


def test_any_numbers_lie_on_their_axis(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(2000):
        size = 10.0 ** rng.randint(-289, 299)
        low, high = sorted(rng.choice((rng.uniform(-1, 1) * size, rng.randint(-9, 9) * size, size)) for _ in range(2))
        most = rng.randint(3, 12)
        axis = numbers(low, high, most)
        places = [value for value, _ in axis.ticks]
        assert axis.low <= low <= high <= axis.high and 2 <= len(places) <= most
        assert (places[0], places[-1]) == pytest.approx((axis.low, axis.high), rel=1e-6, abs=0)
        assert places == sorted(set(places))
        assert len({label for _, label in axis.ticks}) == len(places)
        assert 0 <= axis.fraction(low) <= axis.fraction(high) <= 1


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 1e301])
def test_what_no_scale_holds_is_no_value(value: float | None) -> None:
    assert drawable(value) is None


def test_what_is_next_to_nothing_is_drawn_as_nothing() -> None:
    assert (drawable(5e-324), drawable(-2.5), drawable(1 << 64)) == (0, -2.5, 1 << 64)


@pytest.mark.parametrize(
    ("length_ns", "labels"),
    [
        (3000, ["10:00:00.000000", "10:00:00.000001", "10:00:00.000002", "10:00:00.000003"]),
        (SECOND_NS, ["10:00:00.0", "10:00:00.5", "10:00:01.0"]),
        (50 * SECOND_NS, ["10:00:00", "10:00:15", "10:00:30", "10:00:45"]),
        (6 * MINUTE_NS, ["10:00", "10:02", "10:04", "10:06"]),
        (11 * HOUR_NS, ["12:00", "15:00", "18:00", "21:00"]),
        (3 * DAY_NS, ["2025-03-06", "2025-03-07", "2025-03-08"]),
    ],
)
def test_times_have_round_ticks_in_the_local_zone(kathmandu: None, length_ns: int, labels: list[str]) -> None:
    start_ns = 1_741_148_100 * SECOND_NS  # 10:00 on 2025-03-05 there, 4:15 in UTC
    axis = times(start_ns, start_ns + length_ns, 4)
    assert [label for _, label in axis.ticks] == labels
    assert all(0 <= axis.fraction(time_ns) <= 1 for time_ns, _ in axis.ticks)


@pytest.mark.parametrize(
    ("first", "days", "most", "told"),
    [
        ("2025-03-28", 4, 4, ["2025-03-28", "2025-03-29", "2025-03-30", "2025-03-31", "2025-04-01"]),
        ("2025-10-25", 2, 5, ["00:00", "12:00", "00:00", "12:00", "00:00"]),
        ("2025-10-25", 3, 4, ["2025-10-25", "2025-10-26", "2025-10-27", "2025-10-28"]),
    ],
)
def test_ticks_stay_round_when_clocks_are_put_forward_or_back(
    berlin: None, first: str, days: int, most: int, told: list[str]
) -> None:
    start = datetime.fromisoformat(first)
    ends_ns = [round(day.timestamp()) * SECOND_NS for day in (start, start + timedelta(days=days))]
    ticks = times(ends_ns[0], ends_ns[1], most).ticks
    assert [label for _, label in ticks] == told
    assert all(clock(round(ns), MINUTE_NS) in ("00:00", "12:00") for ns, _ in ticks)


def test_the_hour_that_comes_twice_has_its_ticks_twice(berlin: None) -> None:
    start_ns = 1_761_433_200 * SECOND_NS  # 1:00 on 2025-10-26 there
    told = [label for _, label in times(start_ns, start_ns + 4 * HOUR_NS, 8).ticks]
    assert told == ["01:00", "01:30", "02:00", "02:30", "02:00", "02:30", "03:00", "03:30", "04:00"]


def at(text: str) -> int:
    """A time in Berlin in ns since the Unix epoch."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp()) * SECOND_NS


def test_ticks_of_a_calendar_are_where_its_units_begin() -> None:
    for unit, first, last, most, told in (
        ("day", "2025-03-28", "2025-04-01", 9, ["2025-03-28", "2025-03-29", "2025-03-30", "2025-03-31", "2025-04-01"]),
        ("day", "2025-03-28", "2025-04-01", 2, ["2025-03-28", "2025-03-31"]),
        ("week", "2025-03-24", "2025-04-07", 3, ["2025-03-24", "2025-03-31", "2025-04-07"]),
        ("month", "2024-12-01", "2025-05-01", 3, ["2024-12", "2025-02", "2025-04"]),
        ("quarter", "2024-10-01", "2025-07-01", 4, ["2024-Q4", "2025-Q1", "2025-Q2", "2025-Q3"]),
        ("year", "2024-01-01", "2024-01-01", 4, ["2024"]),
    ):
        axis = calendar(unit, ZoneInfo("Europe/Berlin"))(at(first), at(last), most)  # type: ignore[arg-type]
        assert [label for _, label in axis.ticks] == told
        assert all(ns == at((label + "-01-01")[:10]) for ns, label in axis.ticks if "Q" not in label)
        assert axis.fraction(at(first)) == 0 and axis.low < axis.high


def test_any_times_have_few_ticks(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        low = rng.randint(-(1 << 62), 1 << 62)
        high = min(low + int(10 ** rng.uniform(0, 18.9)), (1 << 63) - 1)
        most = rng.randint(1, 10)
        axis = times(low, high, most)
        assert len(axis.ticks) <= most + 1 and all(low <= time_ns <= high for time_ns, _ in axis.ticks)
    assert times(5, 5, 3).fraction(5) == 0


def test_round_lengths() -> None:
    asked = (1, 3 * SECOND_NS, 16 * SECOND_NS, 31 * MINUTE_NS, 13 * HOUR_NS, 3 * DAY_NS, 10**30)
    round_ = (1000, 5 * SECOND_NS, 30 * SECOND_NS, HOUR_NS, DAY_NS, 5 * DAY_NS, 500_000 * DAY_NS)
    assert tuple(map(round_length, asked)) == round_


def test_a_clock_is_as_exact_as_its_steps(kathmandu: None) -> None:
    moment = 1_741_148_100 * SECOND_NS + 123_456_789
    steps = (1000, 50 * 10**6, SECOND_NS, MINUTE_NS, DAY_NS)
    told = ["10:00:00.123456", "10:00:00.12", "10:00:00", "10:00", "2025-03-05"]
    assert [clock(moment, step) for step in steps] == told
