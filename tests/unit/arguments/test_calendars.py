"""Where days and longer units begin in a time zone: against every moment around clock changes, and in the odd zones."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from shmstore.arguments.calendars import checked_zone, edges
from shmstore.errors import InvalidOption

ODD_ZONES = {
    "Europe/Berlin": 2025,
    "America/Sao_Paulo": 2018,  # clocks were put forward at midnight
    "America/Havana": 2024,  # and back over midnight
    "America/Toronto": 1919,  # forward from 23:30 to 0:30
    "Pacific/Apia": 2011,  # a day was left out
    "Australia/Lord_Howe": 2025,  # by half an hour
    "Asia/Kathmandu": 2025,
    "Europe/Amsterdam": 1930,  # an offset of minutes and seconds
}


def local_date(second: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(second, UTC).astimezone(zone).date()


@pytest.mark.parametrize(("name", "year"), ODD_ZONES.items())
def test_a_day_begins_with_the_first_second_of_its_date_and_ends_with_the_last(name: str, year: int) -> None:
    zone = ZoneInfo(name)
    first, last = (int(datetime(each, 1, 10, tzinfo=UTC).timestamp()) for each in (year, year + 1))
    *days, end = [start // 10**9 for start in edges("day", zone, first * 10**9, last * 10**9)]
    for day, following in pairwise([*days, end]):
        assert local_date(day - 1, zone) < local_date(day, zone) == local_date(following - 1, zone)
    assert days[0] <= first < days[1] and days[-1] <= last < end
    dates = (local_date(last, zone) - local_date(first, zone)).days + 1
    assert len(days) == dates - (name == "Pacific/Apia")


def test_units_that_are_longer_begin_with_a_day() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    first, last = int(datetime(2017, 5, 3, tzinfo=UTC).timestamp()), int(datetime(2019, 5, 3, tzinfo=UTC).timestamp())
    days = set(edges("day", zone, (first - 400 * 86_400) * 10**9, (last + 400 * 86_400) * 10**9))
    for unit, count in (("week", 105), ("month", 25), ("quarter", 9), ("year", 3)):
        starts = edges(unit, zone, first * 10**9, last * 10**9)  # type: ignore[arg-type]
        assert len(starts) == count + 1 and days.issuperset(starts)
    weeks = edges("week", zone, first * 10**9, last * 10**9)
    assert {local_date(start // 10**9, zone).weekday() for start in weeks} == {0}


def test_zones_are_names_or_tzinfo() -> None:
    assert checked_zone(None) is UTC
    assert checked_zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")

    class Nowhere(tzinfo):
        def utcoffset(self, _: datetime | None) -> timedelta | None:
            return None

    for wrong in (Nowhere(), 7, "", "../etc/passwd", "x" * 10_000, "\0"):
        with pytest.raises(InvalidOption, match="zone is"):
            checked_zone(wrong)  # type: ignore[arg-type]
