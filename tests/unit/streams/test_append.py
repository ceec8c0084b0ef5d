"""Appending to a stream: versions, what is expected of it, ids, and what is refused."""

import inspect
import os
import uuid
from typing import Any

import pytest

from shmstore import (
    ANY,
    EXISTS,
    NO_STREAM,
    EventTooLarge,
    InvalidCall,
    InvalidEvent,
    InvalidOption,
    NewEvent,
    Stream,
    StreamDeleted,
    StreamStore,
    StreamTableFull,
    WrongExpectedVersion,
)
from tests.unit.streams.conftest import Make


def stored(streams: StreamStore) -> list[object]:
    """What an append leaves: names, streams, tickets. (It may keep a slot that it has claimed for the next.)"""
    regions = {region: (first, size) for region, first, size in streams.core.plan().regions}
    with open(f"/dev/shm/{streams.name}", "rb") as file:
        texts = [os.pread(file.fileno(), size, first) for first, size in map(regions.__getitem__, STORED)]
    return [streams.core.streams_room(), *texts]


STORED = ("name buckets", "name cells", "streams")

# -- versions


def test_versions_count_from_0(stream: Stream) -> None:
    assert stream.version == -1
    assert [stream.append(number) for number in range(5)] == [0, 1, 2, 3, 4]
    assert stream.version == 4 and len(stream) == 5


def test_each_stream_has_versions_of_its_own(streams: StreamStore) -> None:
    first, second = streams["a"], streams["b"]
    assert [first.append(1), second.append(1), first.append(1), second.append(1)] == [0, 0, 1, 1]


def test_two_objects_of_one_stream_are_the_same_stream(streams: StreamStore) -> None:
    assert [streams["a"].append(1), streams["a"].append(2)] == [0, 1]
    assert streams["a"].version == 1


# -- what is expected


def test_an_append_at_the_expected_version_succeeds(stream: Stream) -> None:
    assert stream.append("a", expected_version=NO_STREAM) == 0
    assert stream.append("b", expected_version=0) == 1
    assert stream.append("c", expected_version=EXISTS) == 2
    assert stream.append("d", expected_version=ANY) == 3
    assert stream.append("e", expected_version=stream.version) == 4


def test_the_version_of_no_stream_is_expected_as_no_stream(stream: Stream) -> None:
    assert stream.append("a", expected_version=stream.version) == 0
    with pytest.raises(WrongExpectedVersion):
        stream.append("b", expected_version=-1)


@pytest.mark.parametrize(
    ("has", "expected"), [(0, 0), (0, 3), (0, EXISTS), (2, 0), (2, 2), (2, NO_STREAM), (2, 1 << 62)]
)
def test_another_version_is_refused(streams: StreamStore, has: int, expected: Any) -> None:
    stream = streams["orders"]
    for number in range(has):
        stream.append(number)
    before = stored(streams)
    for done, refused in (
        ("appended", lambda: stream.append("x", expected_version=expected)),
        ("appended", lambda: stream.append_many(["x", "y"], expected_version=expected)),
        ("deleted", lambda: stream.delete(expected_version=expected)),
    ):
        with pytest.raises(WrongExpectedVersion) as caught:
            refused()
        error = caught.value
        assert (error.stream, error.expected, error.actual) == ("orders", expected, has - 1)
        assert f"is at version {has - 1}, expected {expected}; nothing was {done}: read what" in str(error)
        assert ("'orders' does not exist" in str(error)) == (not has)
    assert stream.version == has - 1 and stored(streams) == before


def test_of_a_stream_that_was_deleted_that_is_said(stream: Stream) -> None:
    stream.append("x")
    stream.delete()
    with pytest.raises(WrongExpectedVersion, match="was deleted at version 0, expected EXISTS; nothing was appended"):
        stream.append("y", expected_version=EXISTS)


def test_the_signature_of_an_append_can_be_asked_for() -> None:
    names = ["self", "data", "type", "expected_version", "event_id", "metadata"]
    assert list(inspect.signature(Stream.append).parameters) == names


@pytest.mark.parametrize("expected", [-2, -(1 << 70), 1 << 63, 1.5, "any", None, True])
def test_what_is_no_version_is_refused(stream: Stream, expected: Any) -> None:
    with pytest.raises(InvalidOption, match=r"expected_version is .*; expected a version of 0 or more"):
        stream.append("x", expected_version=expected)
    assert not stream.exists


# -- ids


def test_an_id_is_appended_once(stream: Stream) -> None:
    assert stream.append("a", event_id="id-1") == 0
    assert stream.append("b") == 1
    assert stream.append("other data", event_id="id-1") == 0
    assert stream.append("other data", event_id="id-1", expected_version=NO_STREAM) == 0
    assert [event.data for event in stream.read()] == ["a", "b"]


def test_a_uuid_is_its_text(stream: Stream) -> None:
    event_id = uuid.UUID(int=7)
    assert stream.append("a", event_id=event_id) == stream.append("b", event_id=str(event_id)) == 0
    event = stream.last()
    assert event is not None and event.event_id == str(event_id)


def test_streams_have_ids_of_their_own(streams: StreamStore) -> None:
    assert streams["a"].append(1) == 0
    assert streams["a"].append(1, event_id="x") == 1
    assert streams["b"].append(1, event_id="x") == 0


def test_an_id_is_known_as_long_as_the_window_says(make: Make) -> None:
    stream = make(capacity=10)["orders"]
    for number in range(25):
        stream.append(number, event_id=f"id-{number}")
    assert stream.dedup_window == 10
    for number in range(15, 25):
        assert stream.append("again", event_id=f"id-{number}") == number
    assert stream.append("again", event_id="id-0") == 25


# -- batches


def test_a_batch_has_consecutive_versions(stream: Stream) -> None:
    stream.append("a")
    batch = [NewEvent({"n": 1}, type="Placed", event_id="p", metadata={"m": 1}), "b", b"c"]
    assert stream.append_many(batch, expected_version=0) == [1, 2, 3]
    assert [(event.data, event.type, event.event_id, event.metadata) for event in stream.read(1)] == [
        ({"n": 1}, "Placed", "p", {"m": 1}),
        ("b", None, None, None),
        (b"c", None, None, None),
    ]


def test_a_batch_appends_only_ids_that_are_new(stream: Stream) -> None:
    stream.append("a", event_id="a")
    assert stream.append_many([NewEvent("b", event_id="b"), NewEvent("a", event_id="a"), "c"]) == [1, 0, 2]
    assert stream.append_many([NewEvent("b", event_id="b"), NewEvent("a", event_id="a")], expected_version=77) == [1, 0]
    assert [event.data for event in stream.read()] == ["a", "b", "c"]


def test_a_batch_without_events_appends_none(stream: Stream) -> None:
    assert stream.append_many([]) == [] and stream.append_many(iter(())) == []
    assert not stream.exists


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ([1, object()], r"event 1 of the batch: data is <object .*nothing was appended"),
        ([NewEvent(1, event_id="x"), NewEvent(2, event_id="x")], r"event 1 .*two events have the event_id 'x'"),
        ([NewEvent(1, event_id=uuid.UUID(int=1)), NewEvent(2, event_id=str(uuid.UUID(int=1)))], "two events have"),
        ([b"x" * 513], r"event 0 .* take 513 bytes, and there is room for 512"),
        ([NewEvent(1, type="t" * 65)], r"event 0 .*type takes 65 bytes of UTF-8; expected 1 to 64"),
        ([0] * 300, "300 events at once are more than a partition keeps, which are 100"),
        (range(101), "101 events at once are more than a partition keeps, which are 100"),
    ],
)
def test_a_batch_is_appended_whole_or_not_at_all(streams: StreamStore, batch: Any, said: str) -> None:
    stream = streams["orders"]
    before = stored(streams)
    with pytest.raises(InvalidEvent, match=said):
        stream.append_many(batch)
    assert not stream.exists and stored(streams) == before


def test_of_a_batch_without_end_no_more_is_taken_than_tells_that_it_is_too_long(stream: Stream) -> None:
    numbers = iter(range(100_000))
    with pytest.raises(InvalidEvent, match="101 events at once are more than a partition keeps, which are 100"):
        stream.append_many(numbers)
    assert next(numbers) == 101 and stream.append_many(iter(range(100))) == list(range(100))


@pytest.mark.parametrize(
    "event", [NewEvent("a", type="A"), {"a": 1}, "ab", b"ab", bytearray(b"ab"), memoryview(b"ab"), 5, None]
)
def test_one_event_is_no_batch(stream: Stream, event: Any) -> None:
    with pytest.raises(InvalidOption, match=r"events is .*; expected several events, as \[event\]"):
        stream.append_many(event)
    assert stream.append_many([event]) == [0]


class Placed(NewEvent):
    """A NewEvent of its user's own kind."""


A = NewEvent("a", type="A")


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (A, "data"),
        ([A, A], r"data\[0\]"),
        (Placed("a"), "data"),
        ((1, A), r"data\[1\]"),
        ({"a": [1, {"b": (A,)}]}, r"data\['a'\]\[1\]\['b'\]\[0\]"),
    ],
)
def test_a_new_event_is_no_data(stream: Stream, data: Any, where: str) -> None:
    said = f"{where} is a NewEvent, which is no data: append_many takes those, .*; append takes .* event_id="
    with pytest.raises(InvalidEvent, match=f"^{said}"):
        stream.append(data)
    with pytest.raises(InvalidEvent, match=f"event 0 of the batch: {said.replace('data', 'metadata', 1)}"):
        stream.append_many([NewEvent("a", metadata=data)])
    assert stream.version == -1


def test_a_batch_takes_new_events_of_a_kind_of_its_own(stream: Stream) -> None:
    assert stream.append_many([Placed({"n": 1}, type="Placed")]) == [0]
    event = stream.last()
    assert event is not None and (event.data, event.type) == ({"n": 1}, "Placed")


def test_a_batch_may_fill_a_partition(stream: Stream) -> None:
    assert stream.append_many(range(100)) == list(range(100))
    assert stream.append_many(range(100)) == list(range(100, 200))
    assert stream.first_version == 100


# -- what is refused


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"type": ""}, "type takes 0 bytes of UTF-8; expected 1 to 64: leave it out"),
        ({"type": "é" * 33}, "type takes 66 bytes of UTF-8; expected 1 to 64"),
        ({"type": 5}, "type is 5; expected a str"),
        ({"type": "\ud800"}, r"type is '\\ud800', which UTF-8 cannot hold .*; write it in other characters"),
        ({"event_id": ""}, "event_id takes 0 bytes of UTF-8; expected 1 to 64"),
        ({"event_id": "x" * 65}, "event_id takes 65 bytes of UTF-8; expected 1 to 64"),
        ({"event_id": 7}, "event_id is 7; expected a str of at most 64 bytes, or a UUID"),
        ({"data": "\ud800"}, r"data is '\\ud800', which UTF-8 cannot hold .*; encode it, and append bytes"),
        ({"data": {"a": [1, {"b": float("nan")}]}}, r"data\['a'\]\[1\]\['b'\] is nan; append bytes, or what JSON has"),
        ({"metadata": {"at": {1, 2}}}, r"metadata\['at'\] is \{1, 2\} \(set\)"),
        ({"data": {(1, 2): 3}}, r"data has the key \(1, 2\)"),
        ({"data": "x" * 500, "metadata": b"y" * 13}, "take 513 bytes, and there is room for 512"),
    ],
)
def test_what_cannot_be_stored_is_named_and_leaves_nothing(streams: StreamStore, wrong: Any, said: str) -> None:
    stream = streams["orders"]
    before = stored(streams)
    with pytest.raises(InvalidEvent, match=said):
        stream.append(**({"data": "x"} | wrong))
    assert "orders" not in streams and stored(streams) == before


def test_too_large_an_event_says_both_sizes(stream: Stream) -> None:
    with pytest.raises(EventTooLarge, match="larger data_bytes=") as caught:
        stream.append("é" * 300)
    assert (caught.value.size, caught.value.limit) == (600, 512)


def test_data_that_contains_itself_is_refused(stream: Stream) -> None:
    data: list[Any] = [1]
    data += [data, data]
    with pytest.raises(InvalidEvent, match="data contains itself, or is nested too deep"):
        stream.append(data)


def test_a_call_with_wrong_arguments_says_so(stream: Stream) -> None:
    for wrong in ({"data": 1, "expected": 3}, {"type": "x"}, {"data": 1, "Data": 2}):
        with pytest.raises(
            InvalidCall, match=r"append\(\) (takes no '(expected|Data)'; it takes data, type|needs data)"
        ):
            stream.append(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidCall, match=r"append\(\) takes data by position, and all else by name; found 2"):
        stream.append(1, "x")  # type: ignore[misc]
    with pytest.raises(InvalidCall, match="given 'data' twice"):
        stream.append(1, data=2)  # type: ignore[misc]


def test_a_full_table_keeps_known_streams(make: Make) -> None:
    streams = make(streams=2)
    streams["a"].append(1)
    streams["b"].append(1)
    with pytest.raises(StreamTableFull, match="no room for stream 'c': the store was created for 2 streams"):
        streams["c"].append(1)
    assert streams["a"].append(2) == 1 and streams.names() == ["a", "b"]


# -- deleted


def test_versions_go_on_after_a_deletion(stream: Stream) -> None:
    stream.append_many(["a", "b"])
    stream.delete(expected_version=1)
    assert (stream.exists, len(stream), stream.version, stream.last()) == (False, 0, 1, None)
    with pytest.raises(WrongExpectedVersion):
        stream.append("c", expected_version=EXISTS)
    assert stream.append("c", expected_version=NO_STREAM) == 2
    assert [event.version for event in stream.read(2)] == [2]


def test_a_stream_that_was_deleted_for_ever_stays_so(streams: StreamStore) -> None:
    stream = streams["a"]
    stream.append("a")
    stream.delete(hard=True)
    for refused in (
        lambda: stream.append("b"),
        lambda: stream.append_many(["b"]),
        lambda: stream.read(),
        lambda: stream.read(limit=0),
        lambda: stream.count(),
        lambda: stream.count("a"),
        lambda: stream.last(),
        lambda: stream.at(0),
        lambda: stream.truncate(1),
        lambda: stream.retain(events=1),
        lambda: setattr(stream, "reserve", 1),
    ):
        with pytest.raises(StreamDeleted, match="stream 'a' was deleted for ever"):
            refused()
    stream.delete(hard=True)
    assert stream.retention == (None, None) and stream.reserve == 0
    assert "a" not in streams and streams["b"].append("b") == 0


def test_a_name_can_be_closed_before_anything_is_appended(streams: StreamStore) -> None:
    streams["a"].delete()
    assert streams.core.streams_room().names == 0
    streams["a"].delete(hard=True)
    with pytest.raises(StreamDeleted):
        streams["a"].append(1)
