"""The client of the service for asyncio."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from shmstore.arguments.calls import checked_calls
from shmstore.http.blocking_client import EventStoreClient, Missing
from shmstore.http.remote import RemoteEvent
from shmstore.http.remote_following import RemoteFollower
from shmstore.public import PACKAGE
from shmstore.streams.event import ANY, ExpectedVersion

P = ParamSpec("P")
T = TypeVar("T")


@checked_calls()
class AsyncEventStoreClient:
    """The same as EventStoreClient for asyncio: each request is a coroutine, `read` and `follow` are for `async for`.

    Requests run on at most `pool` threads of its own, so that they take none of those of `asyncio.to_thread`. Each
    `follow` has one more thread while it is iterated, which ends with it, also when its task is cancelled: the
    connection is shut down, and that wakes the thread. Use it in an `async with` block or await `close`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float | timedelta = 10.0,
        retries: int = 4,
        pool: int = 8,
    ) -> None:
        self._client = EventStoreClient(url, token=token, timeout=timeout, retries=retries, pool=pool)
        self._most = max(1, pool)
        self._process = 0
        self._own_threads()

    # -- appending

    async def append(
        self,
        stream: str,
        data: Any,
        *,
        type: str | None = None,
        expected_version: ExpectedVersion | int = ANY,
        event_id: Any = None,
        metadata: Any = None,
    ) -> int:
        """Append one event and return its version."""
        about: dict[str, Any] = {"type": type, "expected_version": expected_version, "event_id": event_id}
        return await self._run(self._client.append, stream, data, **about, metadata=metadata)

    async def append_many(
        self, stream: str, events: Iterable[Any], *, expected_version: ExpectedVersion | int = ANY
    ) -> list[int]:
        """Append many events, all or none, and return their versions."""
        return await self._run(self._client.append_many, stream, events, expected_version=expected_version)

    # -- reading

    def read(
        self,
        stream: str,
        from_: int | None = None,
        limit: int | None = None,
        *,
        backwards: bool = False,
        missing: Missing = "raise",
    ) -> AsyncIterator[RemoteEvent]:
        """The events from a version on, `limit` at most, for `async for`."""
        return self._read(self._client._pages(stream, from_, limit, backwards, missing))

    async def last(self, stream: str) -> RemoteEvent | None:
        """The newest event; None when there is none that can be read."""
        return await self._run(self._client.last, stream)

    async def version(self, stream: str) -> int:
        """The version of its newest event; -1 when there is none."""
        return await self._run(self._client.version, stream)

    def follow(
        self, stream: str, from_: int = 0, *, timeout: float | timedelta | None = None
    ) -> AsyncGenerator[RemoteEvent, None]:
        """The events from a version on, and each that comes, for `async for`. `aclose` it when you leave the loop."""
        return self._follow(self._client.follow(stream, from_, timeout=timeout))

    # -- asking

    async def aggregate(self, stream: str, by: str = "gatewayId", sum: str = "valor") -> dict[str, Any]:
        """Count the events of a stream, and add up the numbers in one field of their data, by another field."""
        return await self._run(self._client.aggregate, stream, by, sum)

    async def streams(self, prefix: str = "") -> list[str]:
        """The names of all streams that begin with `prefix`."""
        return await self._run(self._client.streams, prefix)

    # -- metrics

    async def add(self, label: str, value: float, timestamp: datetime | None = None) -> None:
        """Add a number, at a time, or now."""
        await self._run(self._client.add, label, value, timestamp)

    async def sum(
        self, label: str | None = None, from_: datetime | None = None, to: datetime | None = None
    ) -> float | None:
        """The sum of what was added."""
        return await self._run(self._client.sum, label, from_, to)

    async def window(
        self, label: str | None = None, from_: datetime | None = None, to: datetime | None = None
    ) -> dict[str, Any]:
        """The count, sum, min, max and avg of what was added."""
        return await self._run(self._client.window, label, from_, to)

    async def top(self, k: int = 5, from_: datetime | None = None, to: datetime | None = None) -> list[dict[str, Any]]:
        """The labels with the largest sums."""
        return await self._run(self._client.top, k, from_, to)

    async def health(self) -> bool:
        """Whether the service answers."""
        return await self._run(self._client.health)

    # -- lifecycle

    async def close(self) -> None:
        """Close all connections, and end whatever follows. Idempotent."""
        self._client.close()
        self._own_threads().shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._client)[1:]}"

    async def _run(self, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        self._client.require_open()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._own_threads(), partial(function, *values, **named))

    def _own_threads(self) -> ThreadPoolExecutor:
        """A forked process has none of those of its parent."""
        if self._process != os.getpid():
            self._threads = ThreadPoolExecutor(self._most, "shmstore-client")
            self._process = os.getpid()
        return self._threads

    async def _read(self, pages: Iterator[list[RemoteEvent]]) -> AsyncIterator[RemoteEvent]:
        while (page := await self._run(_next, pages)) is not None:
            for event in page:
                yield event

    async def _follow(self, follower: RemoteFollower) -> AsyncGenerator[RemoteEvent, None]:
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, "shmstore-client-follow")
        try:
            while (event := await loop.run_in_executor(thread, _next, follower)) is not None:
                yield event
        finally:
            follower.close()
            thread.shutdown(wait=False)


def _next(iterator: Iterator[T]) -> T | None:
    return next(iterator, None)


AsyncEventStoreClient.__module__ = f"{PACKAGE}.http.client"
