"""Reading a stream: from where to where, in which order, and what is told of versions that are gone."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from shmstore import Event, InvalidOption, NewEvent, Stream, StreamStore, StreamTruncated
from shmstore.streams.reading import BLOCK
from tests.unit.streams.conftest import Make


def versions(events: Any) -> list[int]:
    return [event.version for event in events]


@pytest.mark.parametrize("count", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_all_is_read_in_order(make: Make, count: int) -> None:
    stream = make(capacity=2000)["a"]
    stream.append_many(range(count))
    assert [(event.version, event.data) for event in stream.read()] == [(number, number) for number in range(count)]
    assert versions(stream.read(backwards=True)) == list(reversed(range(count)))


@pytest.mark.parametrize("backwards", [False, True])
def test_a_part_is_read(make: Make, backwards: bool, seed: int) -> None:
    stream = make(capacity=2000)["a"]
    stream.append_many(range(1500))
    chance = random.Random(seed)
    for _ in range(50):
        from_, limit = chance.choice([None, chance.randrange(1600)]), chance.choice([None, chance.randrange(1600)])
        if backwards:
            at = 1499 if from_ is None else min(from_, 1499)
            expected = list(range(at, -1, -1))[:limit]
        else:
            expected = list(range(from_ or 0, 1500))[:limit]
        assert versions(stream.read(from_, limit, backwards=backwards)) == expected, (from_, limit)


def test_a_reading_is_read_anew_each_time(stream: Stream) -> None:
    reading = stream.read()
    assert versions(reading) == []
    stream.append_many(list("ab"))
    assert versions(reading) == versions(reading) == [0, 1]
    assert repr(reading) == "<Reading of stream 'gateway/orders'>"


def test_a_reading_ends_where_the_stream_ended_when_it_began(stream: Stream) -> None:
    stream.append_many(list("ab"))
    seen = []
    for event in stream.read():
        stream.append(f"after {event.version}")
        seen.append(event.version)
    assert seen == [0, 1] and stream.version == 3


def test_single_events(stream: Stream) -> None:
    assert stream.last() is None and stream.at(0) is None
    stream.append_many(list("abc"))
    first, last = stream.at(0), stream.last()
    assert isinstance(first, Event) and first.data == "a"
    assert isinstance(last, Event) and last.data == "c"
    assert stream.at(3) is None


def test_the_newest_event_is_found_while_newer_ones_come(streams: StreamStore) -> None:
    class Busy(Stream):
        """Another process appends whenever this one looks."""

        __slots__ = ()

        def block(self, first: int, count: int, /) -> list[Event] | int:
            if self.version < 3:
                self.append(self.version)
            return super().block(first, count)

    stream = streams._streams.stream(Busy, "a")
    stream.store = streams
    stream.append("first")
    stream.retain(events=1)
    last = stream.last()
    assert last is not None and last.version == stream.version == 3
    for name, ask in (("b", {"limit": 1, "backwards": True}), ("c", {"missing": "report"})):
        stream = streams._streams.stream(Busy, name)
        stream.append("first")
        stream.retain(events=1)
        assert versions(stream.read(**ask)) == [3]


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.read(-1),
        lambda stream: stream.read("0"),
        lambda stream: stream.read(True),
        lambda stream: stream.read(limit=-1),
        lambda stream: stream.read(missing="skip"),
        lambda stream: stream.at(-1),
        lambda stream: stream.at(1.5),
        lambda stream: stream.truncate(-1),
    ],
)
def test_what_is_no_version_is_refused(stream: Stream, call: Any) -> None:
    with pytest.raises(InvalidOption, match="expected"):
        call(stream)


# -- what is gone


def test_overwritten_versions_are_told(make: Make) -> None:
    stream = make(capacity=10)["a"]
    stream.append_many(range(8))
    stream.append_many(range(8, 16))
    assert (stream.first_version, stream.version, len(stream), stream.discarded) == (6, 15, 10, 6)
    for read in (stream.read, lambda: stream.read(2), lambda: stream.at(0)):
        with pytest.raises(StreamTruncated) as caught:
            read()
        assert (caught.value.stream, caught.value.first) == ("a", 6)
    with pytest.raises(
        StreamTruncated, match=r"versions 0 to 5 are not there .* begins with version 6; read from there"
    ):
        stream.read(0)
    with pytest.raises(StreamTruncated, match="version 5 is not there"):
        stream.read(5)
    reading = stream.read(missing="report")
    assert versions(reading) == list(range(6, 16)) and reading.missing == [range(6)]
    assert versions(stream.read(stream.first_version)) == list(range(6, 16))


def test_backwards_what_is_gone_is_told_at_the_end(make: Make) -> None:
    stream = make(capacity=10)["a"]
    stream.append_many(range(8))
    stream.append_many(range(8, 16))
    assert versions(stream.read(limit=10, backwards=True)) == list(range(15, 5, -1))
    seen = []
    with pytest.raises(StreamTruncated, match="versions 0 to 5"):
        seen += [event.version for event in stream.read(backwards=True) if not seen.append(event.version)]
    assert seen == list(range(15, 5, -1))
    reading = stream.read(backwards=True, limit=12, missing="report")
    assert versions(reading) == list(range(15, 5, -1)) and reading.missing == [range(4, 6)]
    reading = stream.read(3, backwards=True, missing="report")
    assert versions(reading) == [] and reading.missing == [range(4)]


def test_what_is_overwritten_during_a_reading_is_told(make: Make) -> None:
    stream = make(capacity=2000)["a"]
    stream.append_many(range(2000))
    reading = stream.read(missing="report")
    seen = []
    for event in reading:
        if event.version == 0:
            for number in range(1000):
                stream.append(number)
        seen.append(event.version)
    assert reading.missing == [range(BLOCK, 1000)]
    assert seen == [*range(BLOCK), *range(1000, 2000)]
    seen.clear()
    with pytest.raises(StreamTruncated):
        for event in stream.read(1000):
            if event.version == 1000:
                for number in range(1000):
                    stream.append(number)
            seen.append(event.version)
    assert seen == list(range(1000, 1000 + BLOCK))


def test_truncated_versions_cannot_be_read(stream: Stream) -> None:
    stream.append_many(list("abcd"))
    stream.truncate(before=2)
    assert (stream.first_version, len(stream)) == (2, 2)
    assert versions(stream.read(2)) == [2, 3] and versions(stream.read(limit=2, backwards=True)) == [3, 2]
    with pytest.raises(StreamTruncated):
        stream.at(1)
    stream.truncate(before=1)
    assert stream.first_version == 2
    stream.truncate(before=100)
    assert (stream.first_version, stream.last()) == (4, None)
    assert stream.append("e") == 4 and versions(stream.read(4)) == [4]


def test_a_stream_without_events_gives_up_none(streams: StreamStore) -> None:
    streams["a"].truncate(before=5)
    assert streams.core.streams_room().names == 0
    assert streams["a"].append("x") == 0 and versions(streams["a"].read()) == [0]


def test_a_limit_counts_events(stream: Stream) -> None:
    stream.append_many(range(20))
    stream.truncate(before=12)
    reading = stream.read(0, 3, missing="report")
    assert versions(reading) == [12, 13, 14] and reading.missing == [range(12)]
    assert versions(stream.read(13, 3)) == [13, 14, 15]
    assert versions(stream.read(limit=0)) == versions(stream.read(limit=0, backwards=True)) == []


def test_why_versions_are_gone_is_told(make: Make) -> None:
    stream = make(capacity=10)["a"]
    stream.append_many(range(10))
    stream.append_many(range(5))
    more = "to keep more, give the store more capacity or the stream a reserve"
    with pytest.raises(StreamTruncated, match=f"read from there .from_=5. or with missing='report'; {more}"):
        stream.read()
    with pytest.raises(StreamTruncated, match=f"read with a smaller limit= or with missing='report'; {more}"):
        list(stream.read(backwards=True))
    with pytest.raises(StreamTruncated, match=r"read from a version that is there \(from_=5 or more\)"):
        list(stream.read(3, backwards=True))
    ways: list[Callable[[], None]] = [
        lambda: stream.retain(events=5),
        lambda: stream.truncate(before=12),
        lambda: stream.delete(),
    ]
    for way in ways:
        way()
        for read in (stream.read, lambda: list(stream.follow(0, timeout=0))):
            with pytest.raises(StreamTruncated, match="truncated or deleted, or the stream retains no more") as caught:
                read()
            assert "capacity" not in str(caught.value)


def test_deleted_versions_cannot_be_read(stream: Stream) -> None:
    stream.append_many(list("ab"))
    stream.delete()
    with pytest.raises(StreamTruncated, match="versions 0 to 1 are not there"):
        stream.read()
    stream.append("c")
    assert versions(stream.read(missing="report")) == [2]


def test_a_truncation_of_no_stream_makes_none(stream: Stream) -> None:
    stream.truncate(before=5)
    assert not stream.exists and stream.append("a") == 0


def test_ids_of_truncated_events_are_known_still(stream: Stream) -> None:
    stream.append_many([NewEvent("a", event_id="a"), "b"])
    stream.truncate(before=2)
    assert stream.append("a", event_id="a") == 0 and stream.dedup_window == 2
