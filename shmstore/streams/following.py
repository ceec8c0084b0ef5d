"""Following a stream, or all streams of a store: each event as it comes, and waiting for the next."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar, cast

from shmstore import _core
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import whole_number
from shmstore.errors import StoreClosed, StoreUnlinked
from shmstore.public import public
from shmstore.reading.waiting import Waiting, seconds_of
from shmstore.streams.position import NO_LIMIT, Missed, Position, positions_missing, positions_of, versions_missing

T = TypeVar("T")


Instead = Callable[[int, int, int], Any]
"""What stands for missing tickets or versions: (partition, first, next) -> a value; or it raises."""


@checked_calls("read")
class Follower(Waiting, Generic[T]):
    """Reads on from a place of its own: what is there, and what comes. Use it in a `with` or `async with` block, or
    `close` it.

    Use it from one thread at a time (`close` may come from any); several tasks of asyncio may share it. A place moves
    when its event is handed over, so a read that fails in the middle loses nothing.
    """

    _CALLED = "follower"
    _SEND = "send its place, and let the receiver go on by follow(from_=place)"

    __slots__ = ("__weakref__", "_core", "_seconds")

    def __init__(self, core: _core.Follower, seconds: float) -> None:
        super().__init__()
        self._core = core
        self._seconds = seconds

    @property
    def _waits(self) -> _core.Follower:
        return self._core

    def read(self, n: int = 1000) -> list[T]:
        """Up to `n` events, at once: fewer, or none, when no more are there. The fastest way to follow.

        What is appended after the call began is left for the next one. Raises StoreClosed, StreamTruncated,
        StreamDeleted.
        """
        if n.__class__ is not int or not 0 <= n <= sys.maxsize:
            n = min(whole_number("n", n, "how many events at most, an int of 0 or more"), sys.maxsize)
        return self._core.read(n)

    def __iter__(self) -> Iterator[T]:
        """Yield events, waiting for them, until none has come for the timeout, this or the store is closed, or the
        store is unlinked and read. After a timeout it can be iterated over again.
        """
        return self._core

    def __next__(self) -> T:
        event: T = next(self._core)
        return event

    def __aiter__(self) -> AsyncIterator[T]:
        """The same for `async for`, which waits by the descriptor; over a busy store other tasks get their turns."""
        return self._core.following(self._later)

    async def __anext__(self) -> T:
        core = self._core
        try:
            while not core.closed:
                event = core.take()
                if event is not None:
                    return cast(T, event)
                if self._seconds < 0:
                    await self._news()
                elif not await self._in_time():
                    break
        except (StoreClosed, StoreUnlinked):
            pass
        raise StopAsyncIteration

    async def _in_time(self) -> bool:
        """Wait for news; False when there was none for the timeout."""
        import asyncio

        if not self._seconds:
            return self._core.wait(0.0)
        try:
            async with asyncio.timeout(self._seconds):
                await self._news()
        except TimeoutError:
            return False
        return True

    def __repr__(self) -> str:
        state = " (closed)" if self._core.closed else ""
        return f"<{type(self).__name__}{state} at {self._place()}>"

    def _place(self) -> object:
        return self._core.places()


@public
class StreamFollower(Follower[T]):
    """Follows one stream: made by `Stream.follow`."""

    __slots__ = ()

    @property
    def next_version(self) -> int:
        """The version behind the event that was handed over last: `stream.follow(from_=version)` goes on from there."""
        return self._core.places()[0]

    @property
    def lag(self) -> int:
        """How many versions there are that it has not passed yet."""
        return self._core.lag()

    def _place(self) -> int:
        return self.next_version


@public
class StoreFollower(Follower[T]):
    """Follows all streams of a store: made by `StreamStore.follow_all`."""

    __slots__ = ("_store_id",)

    def __init__(self, core: _core.Follower, seconds: float, store_id: bytes) -> None:
        super().__init__(core, seconds)
        self._store_id = store_id

    @property
    def position(self) -> Position:
        """The place behind the event that was handed over last: `streams.follow_all(from_=position)` goes on from
        there, and gives no event twice and leaves none out.
        """
        return Position.of(self._store_id, self._core.places())

    @property
    def lag(self) -> int:
        """How many positions were given to events that it has not passed yet (best-effort)."""
        return self._core.lag()

    def _place(self) -> Position:
        return self.position


def instead_of_versions(stream: _core.Stream, missing: Literal["raise", "report"]) -> Instead:
    """What a follower of a stream gives for missing versions."""

    def instead(_place: int, first: int, held: int) -> Missed:
        if missing == "raise":
            raise versions_missing(stream, first, held, held)
        return Missed(stream.name, range(first, held))

    return instead


def instead_of_positions(store: str, partitions: int, missing: Literal["raise", "report"]) -> Instead:
    """What a follower of all streams gives for missing tickets."""

    def instead(partition: int, first: int, end: int) -> Missed:
        numbers = positions_of(partition, first, end, partitions)
        if missing == "raise":
            raise positions_missing(store, numbers)
        return Missed(None, numbers)

    return instead


def follow_stream(
    stream: _core.Stream,
    next_version: int,
    missing: Literal["raise", "report"],
    timeout: float | timedelta | None,
    *,
    fresh: bool,
) -> StreamFollower[Any]:
    """Follow a stream from a version on; `fresh`: what is gone before it first looks is not missed."""
    seconds = seconds_of(timeout)
    core = stream.streams.follower(
        stream,
        [next_version],
        missed=instead_of_versions(stream, missing),
        stops=missing == "raise",
        bounded=False,
        fresh=fresh,
        limit=NO_LIMIT,
        timeout_s=seconds,
    )
    return StreamFollower(core, seconds)
