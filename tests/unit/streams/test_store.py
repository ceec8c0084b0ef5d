"""Stores of streams: made, opened, attached to and named; their names of streams; what is left when they are closed."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import shmstore
from shmstore import (
    InvalidCall,
    InvalidCapacity,
    InvalidName,
    InvalidOption,
    NotPicklable,
    ReadOnlyStore,
    StoreClosed,
    StoreExists,
    StoreNotFound,
    Stream,
    StreamStore,
    StreamTruncated,
)
from tests.unit.streams.conftest import Make

# -- made and opened


def test_a_store_says_what_it_was_made_as(name: str) -> None:
    with shmstore.create_streams(name, capacity=101, partitions=4, data_bytes=100) as streams:
        assert (streams.name, streams.capacity, streams.partitions, streams.data_bytes) == (name, 104, 4, 100)
        assert len(streams.store_id) == 16 and not streams.read_only and not streams.closed
        assert repr(streams) == f"<StreamStore {name!r}: 0 streams, 104 events at most>"
        assert len(streams.processes()) == 1 and streams.check() == []
        assert bool(streams)
    assert repr(streams) == f"<StreamStore {name!r}: closed>"


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        ({"capacity": 0}, InvalidCapacity, "capacity is 0"),
        ({"capacity": "many"}, InvalidCapacity, "capacity is 'many'"),
        ({"partitions": -1}, InvalidCapacity, "partitions is -1"),
        ({"data_bytes": 0}, InvalidCapacity, "data_bytes is 0"),
        ({"data_bytes": None}, InvalidCapacity, "data_bytes is None"),
        ({"streams": 0}, InvalidCapacity, "streams is 0"),
        ({"processes": 5000}, InvalidCapacity, "processes is 5000"),
        ({"mode": 7777777}, InvalidOption, "mode is"),
    ],
)
def test_a_wrong_option_is_named(name: str, wrong: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        shmstore.create_streams(name, **({"capacity": 10} | wrong))
    with pytest.raises(StoreNotFound):
        shmstore.attach_streams(name)


def test_a_name_is_taken_once(make: Make, name: str) -> None:
    make()
    with pytest.raises(StoreExists, match="exists already; attach to it"):
        shmstore.create_streams(name, capacity=10)


def test_opening_makes_or_attaches(name: str) -> None:
    with pytest.raises(InvalidCapacity, match="to make them takes capacity="):
        shmstore.open_streams(name)
    with shmstore.open_streams(name, capacity=10) as first, shmstore.open_streams(name) as second:
        assert first.store_id == second.store_id
        first["a"].append(1)
        assert second["a"].version == 0


@pytest.mark.filterwarnings("error")
def test_opening_tells_of_other_options(make: Make, name: str) -> None:
    make(capacity=99, partitions=2, data_bytes=200)
    same = {"capacity": 100, "partitions": 2, "data_bytes": 200, "streams": 20, "processes": 8, "mode": 0o600}
    for options in (same, {"capacity": 99, "partitions": None}, {}):
        shmstore.open_streams(name, **options).close()  # type: ignore[arg-type]
    other = {"capacity": 200, "partitions": 3, "data_bytes": 201, "streams": 21, "processes": 9, "mode": 0o640}
    said = r"capacity is 99, not 200; partitions is 2, not 3; data_bytes is 200, not 201; streams is 20, not 21; "
    with pytest.raises(UserWarning, match=said + r"processes is 8, not 9; mode is 0o600, not 0o640"):
        shmstore.open_streams(name, **other)  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="exist and keep their own options"):
        shmstore.open_streams(name, strict=True, capacity=1)
    with pytest.raises(InvalidCapacity, match="streams is 0"):
        shmstore.open_streams(name, streams=0)


# -- names of streams


def test_a_stream_is_there_when_it_was_appended_to(streams: StreamStore) -> None:
    assert "a" not in streams and len(streams) == 0 and streams.names() == [] and streams["a"].version == -1
    streams["a"].append(1)
    assert "a" in streams and len(streams) == 1 and list(streams) == ["a"] and streams["a"].exists
    streams["a"].delete()
    assert "a" not in streams and len(streams) == 0
    streams["a"].append(1)
    assert "a" in streams


def test_names_begin_with_a_prefix(streams: StreamStore) -> None:
    for name in ("gateway/orders", "gateway/fills", "other", "é"):
        streams[name].append(1)
    assert streams.names() == ["gateway/orders", "gateway/fills", "other", "é"]
    assert streams.names(prefix="gateway/") == ["gateway/orders", "gateway/fills"]
    assert streams.names("é") == ["é"] and streams.names("x") == streams.names("\ud800") == []
    with pytest.raises(InvalidOption, match="prefix is 5"):
        streams.names(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["", "x" * 256, "é" * 128, "\ud800", 5, None, b"a"])
def test_what_is_no_name_is_refused(streams: StreamStore, wrong: Any) -> None:
    with pytest.raises(InvalidName, match="is not the name of a stream; expected a str that takes 1 to 255 bytes"):
        streams[wrong]
    assert wrong not in streams
    if wrong == "é" * 128:
        with pytest.raises(InvalidName, match=r"\(128 in all\) is not .* of UTF-8, found 256$"):
            streams[wrong]


def test_a_name_may_be_any_text(streams: StreamStore) -> None:
    for name in ("x" * 255, "a\x00b", "../..", " "):
        streams[name].append(name)
        assert name in streams and [event.data for event in streams[name].read()] == [name]


def test_a_stream_is_taken_from_its_store(streams: StreamStore) -> None:
    stream = streams["a"]
    assert stream.store is streams and stream.name == "a" and bool(stream)
    assert repr(stream) == f"<Stream 'a' of {streams.name!r}>"
    with pytest.raises(TypeError, match=r"take it from its store, as streams\['orders'\]"):
        Stream()


# -- read-only


def test_a_reader_reads_and_changes_nothing(make: Make, name: str) -> None:
    streams = make()
    streams["a"].append_many(list("xy"))
    with shmstore.attach_streams(name, read_only=True) as reader:
        stream = reader["a"]
        assert reader.read_only and [event.data for event in stream.read()] == ["x", "y"]
        assert reader.names() == ["a"] and "b" not in reader and reader["b"].version == -1
        writes: list[Callable[[], object]] = [
            lambda: stream.append("z"),
            lambda: reader["b"].append("z"),
            lambda: stream.append_many(list("z")),
            lambda: stream.append_many([]),
            stream.delete,
            lambda: stream.truncate(before=1),
            lambda: stream.retain(events=1),
            lambda: setattr(stream, "reserve", 1),
        ]
        for write in writes:
            with pytest.raises(ReadOnlyStore):
                write()
        streams["a"].append("z")
        assert stream.version == 2
        assert len(streams.processes()) == 1


def test_a_reader_leaves_every_byte(make: Make, name: str) -> None:
    make()["a"].append_many(list("xy"))
    with open(f"/dev/shm/{name}", "rb") as file:
        before = file.read()
        with shmstore.attach_streams(name, read_only=True) as reader:
            list(reader["a"].read()), reader["b"].last(), len(reader), reader.check()
            with pytest.raises(ReadOnlyStore):
                reader["c"].append(1)
        file.seek(0)
        assert file.read() == before


# -- closed, unlinked, sent elsewhere


def test_a_closed_store_says_so(streams: StreamStore) -> None:
    stream = streams["a"]
    stream.append("x")
    reading = stream.read()
    streams.close()
    streams.close()
    calls: list[Callable[[], object]] = [
        lambda: stream.append("y"),
        lambda: stream.append_many(list("y")),
        lambda: stream.version,
        lambda: len(stream),
        lambda: list(reading),
        lambda: stream.read(),
        lambda: stream.retention,
        stream.delete,
        lambda: stream.truncate(before=0),
        lambda: streams.names(),
        lambda: len(streams),
        lambda: "a" in streams,
    ]
    for call in calls:
        with pytest.raises(StoreClosed):
            call()
    assert streams.closed and streams.partitions == 1


def test_a_store_may_be_closed_while_an_event_is_made(streams: StreamStore) -> None:
    class Closes(dict[str, int]):
        def items(self) -> Any:
            streams.close()
            return super().items()

    with pytest.raises(StoreClosed):
        streams["a"].append(Closes(a=1))


def test_nothing_is_appended_to_a_store_without_a_name(make: Make, name: str) -> None:
    streams = make()
    streams["a"].append("x")
    shmstore.unlink(name)
    with pytest.raises(shmstore.StoreUnlinked):
        streams["a"].append("y")
    assert streams.unlinked and [event.data for event in streams["a"].read()] == ["x"]


def test_stores_and_streams_are_pickled_by_name(make: Make, name: str) -> None:
    streams = make()
    streams["a"].append("x")
    with pickle.loads(pickle.dumps(streams)) as again:
        assert again.store_id == streams.store_id and not again.read_only
    stream = pickle.loads(pickle.dumps(streams["a"]))
    with stream.store:
        assert stream.append("y") == 1
    sent = pickle.dumps(streams)
    shmstore.unlink(name)
    with shmstore.create_streams(name, capacity=10), pytest.raises(StoreNotFound, match="are gone; others have"):
        pickle.loads(sent)


def test_streams_of_one_name_are_equal_in_one_store(make: Make, name: str) -> None:
    streams = make()
    stream = streams["a"]
    with pickle.loads(pickle.dumps(streams)) as again:
        assert stream == streams["a"] == again["a"] and len({stream, streams["a"], again["a"]}) == 1
        assert stream not in (streams["b"], "a", None)
    shmstore.unlink(name)
    with shmstore.create_streams(name, capacity=10) as other:
        assert other["a"] not in {stream}


def test_the_inside_of_a_store_is_not_pickled(streams: StreamStore) -> None:
    for inside in (streams.core, streams["a"].streams):
        with pytest.raises(NotPicklable, match="send the store itself"):
            pickle.dumps(inside)


def test_errors_are_pickled(streams: StreamStore) -> None:
    streams["a"].append_many(list("xy"))
    streams["a"].truncate(before=1)
    with pytest.raises(StreamTruncated) as caught:
        streams["a"].read()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.stream, again.version, again.first, str(again)) == ("a", 0, 1, str(caught.value))


def test_a_process_that_ends_without_a_close_leaves_nothing_claimed(make: Make, name: str) -> None:
    streams = make(partitions=3)
    program = f"""
import shmstore
streams = shmstore.attach_streams({name!r})
for number in range(30):
    streams[f"s{{number % 7}}"].append_many(range(5))
"""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert [place.state for place in streams.processes()] == ["alive"]
    assert streams.check() == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda stream: stream.read(start=3), "start= is called from_= here$"),
        (lambda stream: stream.read(max_count=3), "max_count= is called limit= here$"),
        (lambda stream: stream.read(reverse=True), "reverse= is called backwards= here$"),
        (lambda stream: stream.read(order="newest"), "missing=.$"),
        (lambda stream: stream.count(where="type"), r"write count\(type=None\)$"),
        (lambda stream: stream.follow(since=3), "since= is called from_= here$"),
        (lambda stream: stream.retain(max_count=3), "max_count= is called events= here$"),
        (lambda stream: stream.delete(expected=3), "expected= is called expected_version= here$"),
        (lambda stream: stream.store.follow_all(position="latest"), "position= is called from_= here$"),
        (lambda stream: stream.store.names(startswith="a"), "startswith= is called prefix= here$"),
        (lambda stream: stream.last(5), r"write last\(\)$"),
        (lambda stream: stream.count("a", "b"), r"write count\(type=None\)$"),
    ],
)
def test_what_others_call_it_is_told_as_streams_call_it(stream: Stream, call: Any, said: str) -> None:
    with pytest.raises(InvalidCall, match=said):
        call(stream)
