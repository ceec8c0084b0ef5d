"""Following in asyncio: what comes while the loop goes on, fairness, cancelling, and the ends."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

import shmstore
from shmstore import InvalidCall, StoreClosed, Stream, StreamDeleted, StreamStore, StreamTruncated
from tests.unit.streams.conftest import Make

LIMIT_S = 20.0


async def collect(follower: Any, into: list[int]) -> None:
    async for event in follower:
        into.append(event.version)


@pytest.mark.parametrize("all_streams", [False, True])
def test_async_for_delivers_while_the_loop_goes_on(stream: Stream, streams: StreamStore, all_streams: bool) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        follower: Any = streams.follow_all() if all_streams else stream.follow()
        following = asyncio.create_task(collect(follower, seen))
        for number in range(20):
            await asyncio.sleep(0.002)
            stream.append(number)
        async with asyncio.timeout(LIMIT_S):
            while len(seen) < 20:
                await asyncio.sleep(0.001)
        shmstore.unlink(streams.name)
        async with asyncio.timeout(LIMIT_S):
            await following
        return seen

    assert asyncio.run(main()) == list(range(20))


def test_it_is_cancelled_at_once_and_goes_on_where_it_stood(stream: Stream) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        follower = stream.follow()
        for number in range(10):
            following = asyncio.create_task(collect(follower, seen))
            await asyncio.sleep(0.001)
            stream.append(number)
            if number % 2:
                await asyncio.sleep(0.001)
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        with suppress(TimeoutError):
            await asyncio.wait_for(collect(follower, seen), 0.05)
        return seen

    assert asyncio.run(main()) == list(range(10))


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_it_ends_when_nothing_came_in_time(stream: Stream, timeout: float) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        follower = stream.follow(timeout=timeout)
        stream.append_many(list("ab"))
        for _ in range(2):
            async with asyncio.timeout(LIMIT_S):
                await collect(follower, seen)
            stream.append("c")
        return seen

    assert asyncio.run(main()) == [0, 1, 2]


@pytest.mark.parametrize("who", ["follower", "store"])
def test_close_ends_it(stream: Stream, who: str) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        with shmstore.attach_streams(stream.store.name) as reader:
            follower = reader[stream.name].follow()
            following = asyncio.create_task(collect(follower, seen))
            stream.append("a")
            await asyncio.sleep(0.05)
            (follower if who == "follower" else reader).close()
            async with asyncio.timeout(LIMIT_S):
                await following
        return seen

    assert asyncio.run(main()) == [0]


@pytest.mark.parametrize("all_streams", [False, True])
def test_it_is_closed_at_the_end_of_its_block(stream: Stream, streams: StreamStore, all_streams: bool) -> None:
    async def main() -> None:
        follower: Any = streams.follow_all() if all_streams else stream.follow()
        with suppress(KeyError):
            async with follower as entered:
                assert entered is follower
                waiting = asyncio.create_task(collect(follower, []))
                await asyncio.sleep(0.01)
                raise KeyError
        await asyncio.wait_for(waiting, LIMIT_S)
        with pytest.raises(StoreClosed):
            follower.read()

    asyncio.run(main())


def test_over_a_busy_stream_others_have_their_turn(make: Make) -> None:
    stream = make(capacity=1000)["a"]
    seen = 0

    async def follow() -> None:
        nonlocal seen
        async for _ in stream.follow():
            seen += 1
            stream.append(0)  # so that there always is another

    async def main() -> None:
        stream.append(0)
        with suppress(TimeoutError):
            await asyncio.wait_for(follow(), 0.1)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < LIMIT_S and seen > 100


def test_losses_and_deletions_are_raised(make: Make) -> None:
    stream = make(capacity=10)["a"]
    for number in range(25):
        stream.append(number)
    with pytest.raises(StreamTruncated):
        asyncio.run(collect(stream.follow(3), []))
    stream.delete(hard=True)
    with pytest.raises(StreamDeleted):
        asyncio.run(collect(stream.follow(), []))


def test_tasks_that_share_a_follower_share_its_events(stream: Stream) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        follower = stream.follow()
        tasks = [asyncio.create_task(collect(follower, seen)) for _ in range(3)]
        await asyncio.sleep(0.01)
        stream.append_many(range(10))
        async with asyncio.timeout(LIMIT_S):
            while len(seen) < 10:
                await asyncio.sleep(0.001)
        follower.close()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*tasks)
        return sorted(seen)

    assert asyncio.run(main()) == list(range(10))


def test_tasks_that_share_what_there_is_all_wait_for_more_and_end_in_time(make: Make) -> None:
    """They give each other turns, and find after some that the others have taken all."""
    stream = make(capacity=3000)["a"]
    stream.append_many(range(3000))

    async def main() -> list[int]:
        seen: list[int] = []
        follower = stream.follow(timeout=0.05)
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*(collect(follower, seen) for _ in range(3)))
        return sorted(seen)

    assert asyncio.run(main()) == list(range(3000))


def test_another_loop_than_asyncios_is_told_how_to_wait(stream: Stream) -> None:
    with pytest.raises(InvalidCall, match=r"no asyncio loop runs here.* follower\.fileno\(\) is readable"):
        stream.follow().__anext__().send(None)
