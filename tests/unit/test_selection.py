"""Points in time, windows and partitions as users give them."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shmstore import Record, Schema, Timestamp
from shmstore.errors import InvalidOption
from shmstore.selection import as_datetime, nanoseconds, one_partition, window

NOW_NS = 1_700_000_000_123_456_789
SECOND_NS = 10**9


class Timed(Record):
    timestamp: Timestamp


class Untimed(Record):
    value: float


TIMED, UNTIMED = Schema.of(Timed), Schema.of(Untimed)


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
        ("yesterday", "timedelta"),
        (True, "timedelta"),
    ],
)
def test_what_is_no_moment_is_refused_by_name_with_advice(moment: object, advice: str) -> None:
    with pytest.raises(InvalidOption, match=advice) as refused:
        nanoseconds(moment, "older_than", NOW_NS)
    assert "older_than" in str(refused.value)
    assert isinstance(refused.value, ValueError)


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
