"""User code of streams that a strict type checker must accept, and the mistakes in it that it must find."""

from datetime import timedelta
from typing import assert_type

import shmstore
from shmstore import (
    ANY,
    NO_STREAM,
    Event,
    Missed,
    NewEvent,
    Position,
    Retention,
    StoreFollower,
    Stream,
    StreamStore,
    Table,
)


async def follow(streams: StreamStore) -> None:
    async for event in streams["a"].follow():
        assert_type(event, Event)
    async for item in streams.follow_all(missing="report"):
        assert_type(item, Event | Missed)


def use(streams: StreamStore) -> None:
    stream = streams["gateway/orders"]
    assert_type(stream, Stream)
    assert_type(stream.append({"n": 1}, type="Placed", expected_version=NO_STREAM, event_id="a", metadata=b"m"), int)
    assert_type(stream.append_many([NewEvent(b"x"), "y"], expected_version=3), list[int])
    for event in stream.read(0, 10, backwards=True, missing="report"):
        assert_type(event, Event)
        assert_type(event.version + event.position + event.timestamp, int)
        assert_type((event.event_id, event.type), tuple[str | None, str | None])
    assert_type(stream.last(), Event | None)
    assert_type(stream.at(3), Event | None)
    assert_type(stream.read().missing, list[range])
    assert_type(stream.fold(0.5, lambda total, event: total + event.version, from_=3, limit=2), float)
    assert_type(stream.count(type="Placed"), int)
    assert_type(stream.counts_by_type(), dict[str | None, int])
    assert_type(stream.to_table(["n"]), Table)
    assert_type(stream.to_table({"n": "real", "m": None}, columns=["version", "position"], missing="report"), Table)
    stream.retain(events=10, age=timedelta(hours=1))
    assert_type(stream.retention, Retention)
    stream.reserve = 3
    stream.delete(hard=True, expected_version=ANY)
    assert_type(streams.names(prefix="gateway/"), list[str])
    with shmstore.open_streams("ledger", capacity=10, strict=True) as again:
        assert_type(again, StreamStore)

    for event in stream.follow(3, timeout=1.0):
        assert_type(event, Event)
    for item in stream.follow("latest", missing="report"):
        assert_type(item, Event | Missed)
    reading = streams.read_all("oldest", limit=10)
    assert_type(list(reading), list[Event])
    assert_type(reading.position, Position)
    with streams.follow_all(reading.position, timeout=timedelta(seconds=1)) as follower:
        assert_type(follower.read(10), list[Event])
        assert_type(follower, StoreFollower[Event])
        assert_type(streams.follow_all(str(follower.position), missing="report").read(), list[Event | Missed])
    assert_type(stream.follow().next_version, int)

    stream.follow("newest")  # type: ignore[call-overload]
    streams.follow_all(3)  # type: ignore[call-overload]
    streams.read_all(3)  # type: ignore[arg-type]
    stream.append("x", kind="Placed")  # type: ignore[call-arg]
    stream.read(missing="skip")  # type: ignore[arg-type]
    stream.append_many(["x"], expected_version="any")  # type: ignore[arg-type]
    stream.to_table(columns=["data"])  # type: ignore[list-item]
    stream.fold(0, lambda total: total)  # type: ignore[arg-type,misc]
    stream.version = 3  # type: ignore[misc]
    shmstore.create_streams("ledger", capacity="many")  # type: ignore[arg-type]
    shmstore.open_streams("ledger", partition=3)  # type: ignore[call-arg]
