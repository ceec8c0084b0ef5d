"""User code of the clients of the service that a strict type checker must accept, and mistakes that it must find."""

from datetime import datetime, timedelta
from typing import Any, assert_type

from shmstore import EXISTS, NO_STREAM, NewEvent
from shmstore.http.client import AsyncEventStoreClient, EventStoreClient, RemoteEvent, RemoteFollower


def use(client: EventStoreClient, at: datetime) -> None:
    assert_type(
        client.append("a", {"n": 1}, type="Placed", expected_version=NO_STREAM, event_id="e", metadata=b"m"), int
    )
    assert_type(client.append_many("a", [NewEvent(b"x"), "y"], expected_version=3), list[int])
    for event in client.read("a", 0, 10, backwards=True, missing="report"):
        assert_type(event, RemoteEvent)
        assert_type(event.version + event.position, int)
        assert_type((event.event_id, event.type), tuple[str | None, str | None])
        assert_type(event.timestamp, datetime)
    assert_type(client.last("a"), RemoteEvent | None)
    assert_type(client.version("a"), int)
    follower = client.follow("a", 3, timeout=timedelta(seconds=1))
    assert_type(follower, RemoteFollower)
    assert_type(next(follower), RemoteEvent)
    assert_type(client.aggregate("a", by="gatewayId", sum="valor"), dict[str, Any])
    assert_type(client.streams("prefix"), list[str])
    client.add("cpu", 12.5, at)
    assert_type(client.sum("cpu", at, at), float | None)
    assert_type(client.window(from_=at), dict[str, Any])
    assert_type(client.top(3), list[dict[str, Any]])
    assert_type(client.health(), bool)
    with EventStoreClient("http://localhost:7070", token="t", timeout=timedelta(seconds=3), retries=0, pool=2) as again:
        assert_type(again, EventStoreClient)


async def use_in_tasks(client: AsyncEventStoreClient) -> None:
    assert_type(await client.append("a", 1, expected_version=EXISTS), int)
    assert_type(await client.append_many("a", [1, 2]), list[int])
    async for event in client.read("a"):
        assert_type(event, RemoteEvent)
    async for event in client.follow("a", timeout=1.0):
        assert_type(event, RemoteEvent)
    assert_type(await client.last("a"), RemoteEvent | None)
    assert_type(await client.sum(), float | None)
    async with AsyncEventStoreClient("http://localhost:7070") as again:
        assert_type(again, AsyncEventStoreClient)


def mistakes(client: EventStoreClient, asynchronous: AsyncEventStoreClient) -> None:
    client.append(5, "data")  # type: ignore[arg-type]
    client.append("a", 1, expected_version="any")  # type: ignore[arg-type]
    client.read("a", missing="maybe")  # type: ignore[arg-type]
    client.add("cpu", "12.5")  # type: ignore[arg-type]
    client.follow("a", timeout="1s")  # type: ignore[arg-type]
    _ = client.last("a").version  # type: ignore[union-attr]
    EventStoreClient("http://localhost", 5)  # type: ignore[call-arg, arg-type]
    asynchronous.append("a", 1) + 1  # type: ignore[operator]
