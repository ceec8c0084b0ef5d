"""Events: what was appended comes back as what it was, as a value of its own."""

import copy
import gc
import pickle
import time
import weakref
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from shmstore import Event, Stream, StreamStore
from tests.unit.streams.conftest import Make


@dataclass
class Order:
    id: str
    value: Decimal


def read_back(stream: Stream, data: Any, metadata: Any = None) -> Event:
    event = stream.at(stream.append(data, metadata=metadata))
    assert event is not None
    return event


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\x00\xff" * 50,
        "",
        "text, Ä and \N{SNOWMAN} and \x00",
        {},
        [],
        {"a": [1, 2.5, None, True, {"b": "Ä"}], "b": -(10**30)},
        [[1], ["x"]],
        0,
        True,
        3.25,
    ],
)
def test_it_comes_back_as_what_it_was(stream: Stream, value: Any) -> None:
    for event in (read_back(stream, value), read_back(stream, "other", value), read_back(stream, value, value)):
        for found in (event.data, event.metadata):
            assert found in (value, "other", None) and (found is None or type(found) in (type(value), str))
        assert value in (event.data, event.metadata)
    event = read_back(stream, value)
    assert event.data == value and type(event.data) is type(value) and event.metadata is None


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_bytes_of_any_type_come_back_as_bytes(stream: Stream, kind: Any) -> None:
    assert read_back(stream, kind(b"abc")).data == b"abc"
    assert read_back(stream, memoryview(b"abcdef")[::2]).data == b"ace"


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (Order("o-1", Decimal("12.50")), {"id": "o-1", "value": "12.50"}),
        ([(1, 2)], [[1, 2]]),
        ({"at": datetime(2025, 3, 5, 10, 20, tzinfo=UTC)}, {"at": "2025-03-05T10:20:00+00:00"}),
        ({"on": date(2025, 3, 5), "at": clock(10, 20)}, {"on": "2025-03-05", "at": "10:20:00"}),
        ({"id": UUID(int=7)}, {"id": "00000000-0000-0000-0000-000000000007"}),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        (Decimal("0.1"), "0.1"),
    ],
)
def test_what_json_does_not_have_comes_back_as_documented(stream: Stream, value: Any, back: Any) -> None:
    assert read_back(stream, value).data == back


def test_an_event_says_all_of_itself(make: Make) -> None:
    streams = make(partitions=3)
    before = time.time_ns()
    for name in ("a", "b", "c", "a"):
        streams[name].append({"n": 1}, type="Placed", event_id=f"{name}-{streams[name].version}", metadata={"m": 2})
    after = time.time_ns()
    event = streams["a"].last()
    assert event is not None
    assert (event.stream, event.version, event.type, event.event_id) == ("a", 1, "Placed", "a-0")
    assert (event.data, event.metadata) == ({"n": 1}, {"m": 2})
    assert before <= event.timestamp <= after
    positions = [event.position for name in streams for event in streams[name].read()]
    assert len(set(positions)) == 4


def test_data_is_decoded_once(stream: Stream) -> None:
    event = read_back(stream, {"n": 1})
    assert event.data is event.data


def test_an_event_is_a_value(stream: Stream) -> None:
    event = read_back(stream, {"n": [1]}, "who")
    again = stream.last()
    assert again == event and again is not event and hash(again) == hash(event)
    assert event != read_back(stream, {"n": [1]}, "who") and event != "event"
    for copied in (pickle.loads(pickle.dumps(event)), copy.deepcopy(event), copy.copy(event)):
        assert copied == event and type(copied) is Event and copied.data == {"n": [1]}


def test_an_event_shows_itself_in_short(stream: Stream) -> None:
    stream.append("x" * 400, type="Placed")
    text = repr(stream.last())
    assert text.startswith("<Event 0 of 'gateway/orders': 'Placed', 'xxx") and len(text) < 250
    assert repr(read_back(stream, b"x")) == "<Event 1 of 'gateway/orders': b'x'>"


def test_an_event_outlives_its_store(streams: StreamStore) -> None:
    event = read_back(streams["a"], {"n": 1})
    streams.close()
    assert event.data == {"n": 1} and event.stream == "a"


def test_an_event_in_a_cycle_is_collected(stream: Stream) -> None:
    class Marked(dict[str, Any]):
        pass

    event = read_back(stream, {"n": 1})
    marked = Marked()
    event.data["cycle"] = [event, marked]
    gone = weakref.ref(marked)
    del event, marked
    gc.collect()
    assert gone() is None


def test_an_event_cannot_be_changed(stream: Stream) -> None:
    event = read_back(stream, {"n": 1})
    for name in ("stream", "version", "position", "event_id", "type", "data", "metadata", "timestamp", "other"):
        with pytest.raises(AttributeError):
            setattr(event, name, 1)
