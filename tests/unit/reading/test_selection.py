"""Points in time, windows and partitions as users give them."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from shmstore import Record, Schema, Timestamp
from shmstore.arguments import units
from shmstore.errors import InvalidOption
from shmstore.reading.selection import as_datetime, is_time, nanoseconds, one_partition, window

NOW_NS = 1_700_000_000_123_456_789
SECOND_NS = 10**9


class Timed(Record):
    timestamp: Timestamp


class Untimed(Record):
    value: float


TIMED, UNTIMED = Schema.of(Timed), Schema.of(Untimed)


@pytest.fixture
def havana(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A local zone that is five hours behind UTC, and four in summer."""
    monkeypatch.setenv("TZ", "America/Havana")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("moment", "expected_ns"),
    [
        (0, 0),
        (-5, -5),
        (NOW_NS, NOW_NS),
        (timedelta(0), NOW_NS),
        (timedelta(seconds=1.5), NOW_NS - 1_500_000_000),
        (timedelta(days=10, microseconds=1), NOW_NS - 10 * 86400 * SECOND_NS - 1000),
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 1_704_067_200_000_001_000),
        (datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 1_704_067_200_000_000_000),
        (datetime.max.replace(tzinfo=UTC), 2**63 - 1),
        (datetime.min.replace(tzinfo=UTC), -(2**63)),
        (2**70, 2**63 - 1),
        (timedelta.max, -(2**63)),
    ],
)
def test_a_moment_in_nanoseconds(moment: object, expected_ns: int) -> None:
    assert nanoseconds(moment, "since", NOW_NS) == expected_ns


@pytest.mark.parametrize(
    ("moment", "advice"),
    [
        (datetime(2024, 1, 1), "zone"),
        (timedelta(seconds=-1), "how long ago"),
        (1.5, "timedelta"),
        (True, "timedelta"),
    ],
)
def test_what_is_no_moment_is_refused_by_name_with_advice(moment: object, advice: str) -> None:
    with pytest.raises(InvalidOption, match=advice) as refused:
        nanoseconds(moment, "older_than", NOW_NS)
    assert "older_than" in str(refused.value)
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:01Z", SECOND_NS),
        ("1970-01-01T00:00:01.000000001Z", SECOND_NS + 1),
        ("2025-03-05 10:20:00.5+01:00", 1_741_166_400_500_000_000),
        ("2025-03-05T10:20:00,25-05:30", 1_741_189_800_250_000_000),
        ("20250305T102000.000000007Z", 1_741_170_000 * SECOND_NS + 7),
        ("2025-W10-3T10:20Z", 1_741_170_000 * SECOND_NS),
        ("1969-12-31T23:59:59.75Z", -250_000_000),
        ("1937-06-01T00:00:00+00:19:32", -1_028_333_972 * SECOND_NS),
        ("0001-01-01T00:00:00Z", -(2**63)),
        ("9999-12-31T23:59:59Z", 2**63 - 1),
        ("2025-03-05T10:20", 1_741_188_000 * SECOND_NS),
        ("2025-07-05", 1_751_688_000 * SECOND_NS),
        ("90", NOW_NS - 90 * SECOND_NS),
        ("1h 30m", NOW_NS - 5400 * SECOND_NS),
        ("1.5us", NOW_NS - 1500),
        ("7ns", NOW_NS - 7),
        ("31536000", NOW_NS - 31_536_000 * SECOND_NS),
    ],
)
def test_a_moment_may_be_written(havana: None, text: str, time_ns: int) -> None:
    assert nanoseconds(text, "since", NOW_NS) == time_ns
    assert is_time(text)


def test_what_the_command_line_writes_is_read_again() -> None:
    for time_ns in (0, 1, -1, NOW_NS):
        assert nanoseconds(units.iso(time_ns), "since", 0) == time_ns
        assert nanoseconds(units.iso(time_ns, ZoneInfo("Asia/Kathmandu")), "since", 0) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "now", "10x", "-10m", "0", "0s", "10 minutes", "10m ago", "\u0661m", "9" * 1000, "\udc80"),
        *("2025-13-01", "2025-02-29", "2025-03-05T25:00", "10:20", "99999-01-01", "2025-03-05T10:20:00Europe/Berlin"),
        *("2025-03-05T10:20.5Z", "2025-03-05T10:20:00.0123456789Z", "2025-03-05T10:20:00+01:00:00.5", "2025-03-05.5"),
    ],
)
def test_a_text_that_is_no_moment_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        nanoseconds(text, "until", NOW_NS)
    assert str(refused.value).startswith("until is ")
    assert all(form in str(refused.value) for form in ("'10m'", "'2025-03-05T10:20:00Z'", "local"))
    assert not is_time(text) or text in ("0", "0s")


@pytest.mark.parametrize("text", ["20250305", "1741170000", "1741170000.5", "1741170000000"])
def test_a_bare_number_that_may_be_a_date_or_a_clock_is_refused_with_both_readings(text: str) -> None:
    with pytest.raises(InvalidOption, match=f"could count seconds or be a date; write '{text}s' for so long ago"):
        nanoseconds(text, "since", NOW_NS)
    assert nanoseconds(f"{text}s", "since", NOW_NS) < NOW_NS


@pytest.mark.parametrize(
    ("moment", "advice"),
    [
        (1_699_999_000, r"2023-11-14T21:56:40\+00:00: give a datetime, or 1699999000 \* 10\*\*9"),
        (1_699_999_000_000, r"in milliseconds it would be 2023-11-14T21:56:40\+00:00.*\* 10\*\*6"),
        (1_699_999_000_000_000, r"in microseconds it would be 2023-11-14T21:56:40\+00:00.*\* 10\*\*3"),
        (600, r"it is 1970-01-01T00:00:00\+00:00, .* for so long ago a timedelta or a text such as '10m'"),
        (-600, "for so long ago a timedelta"),
        (600 * SECOND_NS, r"it is 1970-01-01T00:10:00\+00:00, and the oldest record is of 2020-09-13T12:26:40"),
    ],
)
def test_an_int_in_another_unit_is_refused_where_every_record_is_of_this_century(moment: int, advice: str) -> None:
    with pytest.raises(InvalidOption, match=advice) as refused:
        nanoseconds(moment, "since", NOW_NS, lambda: 1_600_000_000 * SECOND_NS)
    assert str(refused.value).startswith(f"since is {moment}, which counts nanoseconds since the Unix epoch")
    for oldest_ns in (None, 0, moment, 10**18 - 1):
        assert nanoseconds(moment, "since", NOW_NS, lambda oldest_ns=oldest_ns: oldest_ns) == moment
    assert nanoseconds(moment, "since", NOW_NS) == moment


@pytest.mark.parametrize("moment", [0, 1, -1, 31 * 86_400 * SECOND_NS, 10**17, NOW_NS, -(2**63), 2**63 - 1])
def test_an_int_that_can_only_be_nanoseconds_is_taken_without_a_look_at_the_records(moment: int) -> None:
    def looked_at() -> int:
        raise AssertionError("the records were looked at")

    assert nanoseconds(moment, "since", NOW_NS, looked_at) == moment


def test_a_float_is_told_what_nanoseconds_are() -> None:
    with pytest.raises(InvalidOption, match=r"since is 1741170000.5; .*time.time\(\) counts seconds, time.time_ns\(\)"):
        nanoseconds(1_741_170_000.5, "since", NOW_NS)  # type: ignore[arg-type]


def test_a_time_and_back() -> None:
    moment = datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)
    assert as_datetime(nanoseconds(moment, "since", 0)) == moment


def test_a_window_has_two_one_or_no_bounds() -> None:
    assert window(TIMED, None, None) == (None, None)
    assert window(TIMED, 5, None) == (5, None)
    assert window(TIMED, None, 5) == (None, 5)
    assert window(TIMED, 5, 5) == (5, 5)


def test_both_bounds_of_a_window_go_by_one_clock_reading() -> None:
    before_ns = time.time_ns()
    since_ns, until_ns = window(TIMED, timedelta(seconds=2), timedelta(seconds=1))
    assert since_ns is not None and until_ns is not None
    assert until_ns - since_ns == SECOND_NS
    assert before_ns <= until_ns + SECOND_NS <= time.time_ns()


def test_a_window_that_ends_before_it_begins_is_refused_naming_both() -> None:
    with pytest.raises(InvalidOption, match=r"since \(7\).*until \(3\)"):
        window(TIMED, 7, 3)


def test_a_window_needs_timestamps() -> None:
    assert window(UNTIMED, None, None) == (None, None)
    with pytest.raises(InvalidOption, match="Timestamp"):
        window(UNTIMED, timedelta(minutes=1), None)


def test_one_partition_of_many() -> None:
    assert one_partition(None, 4) is None
    assert one_partition(3, 4) == [3]
    for wrong in (4, -1, "0", 1.0):
        with pytest.raises(InvalidOption, match="0 to 3"):
            one_partition(wrong, 4)
