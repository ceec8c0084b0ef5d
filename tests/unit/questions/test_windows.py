"""Windows: the count, sum, mean, least and greatest of every stretch of time that holds a record."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import shmstore
from shmstore import EventStore, Key, Record, Timestamp, field
from shmstore.errors import FieldError, FieldTypeError, InvalidOption


class Reading(Record):
    sensor: Key
    value: float
    number: int
    timestamp: Timestamp


TIMES = [0, 5, 9, 10, 19, 35, 36]  # ns


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=100, partitions=2) as store:
        store.append_many([Reading(f"s-{place % 2}", time / 2, time, time) for place, time in enumerate(TIMES)])
        yield store


def rows(table: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table]


def test_windows_side_by_side(store: EventStore[Reading]) -> None:
    table = store.windows("value", every=10)
    assert rows(table) == [
        (0, 3, 7.0, 7 / 3, 0.0, 4.5),
        (10, 2, 14.5, 7.25, 5.0, 9.5),
        (30, 2, 35.5, 17.75, 17.5, 18.0),
    ]
    assert table.names == ("start", "count", "sum", "mean", "min", "max")
    assert table.kinds == ("timestamp", "integer", "real", "real", "real", "real")


def test_without_a_value_they_count(store: EventStore[Reading]) -> None:
    assert rows(store.windows(every=10)) == [(0, 3), (10, 2), (30, 2)]
    assert store.windows(every=10).names == ("start", "count")


def test_windows_that_overlap(store: EventStore[Reading]) -> None:
    assert rows(store.windows(every=10, period=20)) == [(-10, 3), (0, 5), (10, 2), (20, 2), (30, 2)]
    assert rows(store.windows(every=10, period=15)) == [(-10, 1), (0, 4), (10, 2), (30, 2)]
    slid = store.windows("number", every=4, period=10)
    for start, count, total, mean, low, high in slid:
        inside = [time for time in TIMES if start <= time < start + 10]
        assert (count, total, mean) == (len(inside), sum(inside), sum(inside) / len(inside))
        assert (low, high) == (min(inside), max(inside))
    assert [start for start, *_ in slid] == [
        start for start in range(-8, 40, 4) if any(start <= time < start + 10 for time in TIMES)
    ]


def test_windows_with_gaps_between_them(store: EventStore[Reading]) -> None:
    assert rows(store.windows(every=10, period=6)) == [(0, 2), (10, 1), (30, 1)]


def test_windows_of_each_group(store: EventStore[Reading]) -> None:
    table = store.windows("number", every=20, by="sensor")
    assert rows(table) == [
        ("s-0", 0, 3, 28, 28 / 3, 0, 19),
        ("s-0", 20, 1, 36, 36.0, 36, 36),
        ("s-1", 0, 2, 15, 7.5, 5, 10),
        ("s-1", 20, 1, 35, 35.0, 35, 35),
    ]
    assert table.names == ("sensor", "start", "count", "sum", "mean", "min", "max")


def test_they_begin_at_multiples_since_1970_also_before(store: EventStore[Reading]) -> None:
    store.append(Reading("s-0", 0.0, 0, -1))
    assert [start for start, _ in store.windows(every=7)] == [-7, 0, 7, 14, 35]
    assert store.windows(every=timedelta(microseconds=1))["start"].tolist() == [-1000, 0]


def test_since_and_until_may_cut_the_first_and_the_last(store: EventStore[Reading]) -> None:
    assert rows(store.windows(every=10, since=5, until=36)) == [(0, 2), (10, 2), (30, 1)]
    assert rows(store.windows(every=10, where=field("sensor") == "s-1")) == [(0, 1), (10, 1), (30, 1)]
    assert store.windows(every=10, where=lambda record: record.sensor == "s-1") == store.windows(
        every=10, where=field("sensor") == "s-1"
    )
    assert len(store.windows(every=10, since=1000)) == 0


def test_a_record_is_in_as_many_windows_as_they_overlap(store: EventStore[Reading]) -> None:
    table = store.windows(every=1, period=10_000, since=36)
    assert len(table) == 10_000 and set(table["count"]) == {1}


@pytest.mark.parametrize("length", [0, -1, timedelta(0), timedelta(seconds=-1), 2**62])
@pytest.mark.parametrize("which", ["every", "period"])
def test_a_length_that_is_none(store: EventStore[Reading], which: str, length: Any) -> None:
    lengths = {"every": 1, which: length}
    with pytest.raises(InvalidOption, match=re.escape(f"{which} is {length!r}")):
        store.windows(**lengths)


@pytest.mark.parametrize("length", [1.5, "one second", True, None])
def test_a_length_of_another_type(store: EventStore[Reading], length: Any) -> None:
    with pytest.raises(InvalidOption, match=f"every is {length!r}"):
        store.windows(every=length)


def test_too_many_windows_at_once(store: EventStore[Reading]) -> None:
    with pytest.raises(InvalidOption, match=r"period is 10001 and every is 1.*10,000"):
        store.windows(every=1, period=10_001)


def test_what_else_is_refused(store: EventStore[Reading], name: str) -> None:
    with pytest.raises(InvalidOption, match=r"since \(5\) lies after until \(3\)"):
        store.windows(every=1, since=5, until=3)
    with pytest.raises(FieldTypeError, match="'value'"):
        store.windows(every=1, by="value")
    with pytest.raises(FieldError, match="colour"):
        store.windows(every=1, by="colour")
    with pytest.raises(FieldTypeError, match="'sensor'"):
        store.windows("sensor", every=1)
    with pytest.raises(TypeError, match="every"):
        store.windows("value")

    class Plain(Record):
        value: float

    with shmstore.create(f"{name}-plain", Plain, capacity=10) as plain:
        with pytest.raises(InvalidOption, match="windows needs a Timestamp field"):
            plain.windows(every=1)


HOUR_NS = 3_600 * 10**9


def moment(text: str, zone: str = "UTC") -> int:
    """A local time in ns since the Unix epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


@pytest.fixture
def spring(name: str) -> Iterator[EventStore[Reading]]:
    """A record every half hour of five days, in the middle of which Berlin's clocks are put forward."""
    first = moment("2025-03-28T00:00", "Europe/Berlin")
    with shmstore.create(name, Reading, capacity=1000, partitions=2, layout="columns") as store:
        store.append_many(
            [Reading(f"s-{number % 2}", number / 2, number, first + number * HOUR_NS // 2) for number in range(240)]
        )
        yield store


@pytest.mark.parametrize("zone", ["Europe/Berlin", ZoneInfo("Europe/Berlin")])
def test_days_of_a_zone_have_23_hours_when_clocks_are_put_forward(spring: EventStore[Reading], zone: Any) -> None:
    for _ in range(3):  # the second time makes block summaries, the third uses them
        table = spring.windows("number", every="day", zone=zone)
        assert table["start"].tolist()[:4] == [
            moment(f"2025-03-{day}T00:00", "Europe/Berlin") for day in (28, 29, 30, 31)
        ]
        assert list(table["count"]) == [48, 48, 46, 48, 48, 2]
        assert sum(table["sum"]) == sum(range(240))


def test_days_of_a_zone_have_25_hours_when_clocks_are_put_back(name: str) -> None:
    first = moment("2025-10-26T00:00", "Europe/Berlin")
    with shmstore.create(name, Reading, capacity=100, partitions=1) as store:
        store.append_many([Reading("s", 0.0, 0, first + number * HOUR_NS) for number in range(26)])
        assert [row.count for row in store.windows(every="day", zone="Europe/Berlin")] == [25, 1]
        assert [row.count for row in store.windows(every="day")] == [2, 24]


def test_other_units_of_the_calendar(spring: EventStore[Reading]) -> None:
    def starts(every: Any) -> list[int]:
        return list(spring.windows(every=every, zone="Europe/Berlin")["start"])

    berlin = "Europe/Berlin"
    assert starts("week") == [moment(f"2025-03-{day}T00:00", berlin) for day in (24, 31)]
    assert starts("month") == [moment(f"2025-{month}-01T00:00", berlin) for month in ("03", "04")]
    assert starts("quarter") == [moment(f"2025-{month}-01T00:00", berlin) for month in ("01", "04")]
    assert starts("year") == [moment("2025-01-01T00:00", berlin)]


def test_calendar_windows_of_each_group_and_selection(spring: EventStore[Reading]) -> None:
    table = spring.windows(every="day", zone="Europe/Berlin", by="sensor", where=field("number") >= 96)
    assert rows(table) == [
        (f"s-{sensor}", moment(day, "Europe/Berlin"), count)
        for sensor in (0, 1)
        for day, count in (("2025-03-30", 23), ("2025-03-31", 24), ("2025-04-01", 24), ("2025-04-02", 1))
    ]
    by_python = spring.windows(every="day", zone="Europe/Berlin", by="sensor", where=lambda record: record.number >= 96)
    assert by_python == table
    assert len(spring.windows(every="day", since=timedelta(0))) == 0


@pytest.mark.parametrize("time", [-(1 << 63), (1 << 63) - 1])
def test_calendar_windows_at_the_ends_of_64_bits(name: str, time: int) -> None:
    with shmstore.create(name, Reading, capacity=10, partitions=1) as store:
        store.append(Reading("s", 0.0, 0, time))
        for every in ("day", "week", "month", "quarter", "year"):
            ((start, count),) = store.windows(every=every, zone="Pacific/Apia")
            assert count == 1 and start <= time and (time - start < 367 * 24 * HOUR_NS or start == -(1 << 63))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"every": "day", "zone": "Europe/Atlantis"}, "'Europe/Atlantis', which is not a time zone"),
        ({"every": "day", "zone": 3}, "zone is 3"),
        ({"every": "day", "period": timedelta(days=2)}, "as long as every, 'day'"),
        ({"every": timedelta(days=1), "zone": "UTC"}, "zone is for units of the calendar"),
        ({"every": "fortnight"}, "every is 'fortnight'.*day, week, month, quarter, year"),
    ],
)
def test_calendars_that_are_refused(spring: EventStore[Reading], arguments: Any, says: str) -> None:
    with pytest.raises(InvalidOption, match=says):
        spring.windows(**arguments)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1s", 10**9), ("90", 90 * 10**9), ("1h30m", 5400 * 10**9), ("0.25s", 250_000_000), ("1.5us", 1500), ("7ns", 7)],
)
def test_lengths_may_be_texts(store: EventStore[Reading], text: str, ns: int) -> None:
    assert store.windows("number", every=text) == store.windows("number", every=ns)
    assert store.windows(every=ns, period=text) == store.windows(every=ns, period=ns)


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 fortnight", "0.5ns", "1e3s", "1s 5", "0s", "\u0661s", "9" * 1000])
def test_texts_that_are_no_length_are_refused(store: EventStore[Reading], text: str) -> None:
    with pytest.raises(InvalidOption, match="every is"):
        store.windows(every=text)


def test_a_plain_int_that_is_hardly_meant_in_nanoseconds_is_refused(name: str) -> None:
    class Tick(Record):
        timestamp: Timestamp

    with shmstore.create(name, Tick, capacity=4, partitions=1) as ticks:
        ticks.append((1_800_000_000_000_000_000,))
        with pytest.raises(InvalidOption, match=r"every is 60, and an int counts nanoseconds; give '60s'"):
            ticks.windows(every=60)
        assert [len(ticks.windows(every=every)) for every in ("60ns", "60s", 60 * 10**9)] == [1, 1, 1]
        shmstore.unlink(name)
