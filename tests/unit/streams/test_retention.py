"""What is kept of a stream: so many events, for so long, and a reserve that others do not overwrite."""

import time
from datetime import timedelta
from typing import Any

import pytest

from shmstore import InvalidOption, Retention, Stream, StreamTableFull
from tests.helpers.processes import eventually
from tests.unit.streams.conftest import Make

HOUR = timedelta(hours=1)


def versions(stream: Stream) -> list[int]:
    return [event.version for event in stream.read(missing="report")]


def test_nothing_is_limited_at_first(stream: Stream) -> None:
    assert stream.retention == Retention(None, None) and stream.reserve == 0


def test_only_so_many_events_are_read(stream: Stream) -> None:
    stream.retain(events=3)
    stream.append_many(range(10))
    assert versions(stream) == [7, 8, 9] and len(stream) == 3 and stream.first_version == 7
    assert stream.retention == Retention(3, None)
    stream.retain(events=5)
    assert versions(stream) == [5, 6, 7, 8, 9]
    stream.retain()
    assert versions(stream) == list(range(10))


def test_only_young_events_are_read(stream: Stream) -> None:
    stream.append_many(range(3))
    stream.retain(age=HOUR)
    assert versions(stream) == [0, 1, 2] and stream.retention == Retention(None, HOUR)
    age = timedelta(milliseconds=50)
    stream.retain(age=age)
    assert eventually(lambda: not len(stream))
    version = stream.append("young")
    stream.retain(age=HOUR, events=2)
    assert version == 3 and versions(stream) == [2, 3]


def test_what_could_not_be_read_any_more_is_not_discarded(make: Make) -> None:
    stream = make(capacity=10)["a"]
    stream.retain(events=4)
    for number in range(20):
        stream.append(number)
    assert stream.discarded == 0 and versions(stream) == [16, 17, 18, 19]


@pytest.mark.parametrize("streams_options", [{"capacity": 10}, {"capacity": 50}])
def test_a_reserve_is_not_overwritten_by_others(make: Make, streams_options: dict[str, Any]) -> None:
    streams = make(**streams_options)
    kept, other = streams["kept"], streams["other"]
    kept.reserve = 3
    assert kept.reserve == 3
    for number in range(5):
        kept.append(number, event_id=f"id-{number}")
    for number in range(500):
        other.append(number)
    assert versions(kept) == [2, 3, 4] and kept.discarded == 2 and kept.dedup_window == 3
    assert kept.append("again", event_id="id-4") == 4
    assert streams.check() == []
    kept.reserve = 0
    for number in range(100):
        other.append(number)
    assert versions(kept) == [] and kept.version == 4


def test_reserves_that_take_all_give_way(make: Make) -> None:
    streams = make(capacity=10)
    for name in "ab":
        streams[name].reserve = 9
    for number in range(100):
        assert streams["ab"[number % 2]].append(number) == number // 2
    assert len(streams["a"]) + len(streams["b"]) <= 10 and streams.check() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": 0},
        {"events": -1},
        {"events": "many"},
        {"age": timedelta(0)},
        {"age": -HOUR},
        {"age": timedelta.max},
        {"age": 5},
        {"age": "1h"},
    ],
)
def test_what_is_no_limit_is_refused(stream: Stream, wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=f"{next(iter(wrong))} is .*; expected"):
        stream.retain(**wrong)
    assert stream.retention == Retention(None, None)


def test_a_reserve_is_a_number(stream: Stream) -> None:
    with pytest.raises(InvalidOption, match="reserve is -1; expected how many events"):
        stream.reserve = -1


def test_a_reserve_leaves_room_for_others(make: Make) -> None:
    stream = make(capacity=20, partitions=2)["a"]
    for reserve in (10, 11, 1 << 62):
        with pytest.raises(InvalidOption, match=f"reserve is {reserve}; expected less than the 10 .*: reserve less"):
            stream.reserve = reserve
    assert stream.reserve == 0
    stream.reserve = 9
    assert stream.reserve == 9


def test_a_limit_may_be_said_before_there_is_a_stream(make: Make) -> None:
    streams = make(streams=1)
    streams["a"].retain(events=1)
    assert "a" not in streams and streams.names() == []
    streams["a"].append_many(list("xy"))
    assert versions(streams["a"]) == [1]
    with pytest.raises(StreamTableFull):
        streams["b"].reserve = 1


def test_the_age_of_an_event_is_that_of_its_append(stream: Stream) -> None:
    stream.append("old")
    time.sleep(0.02)
    stream.append("new")
    first, second = stream.read()
    assert second.timestamp - first.timestamp >= 20_000_000
    assert stream.find_time(first.timestamp + 1) == 1 and stream.find_time(0) == 0
    assert stream.find_time(second.timestamp + 1) == 2
