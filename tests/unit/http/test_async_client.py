"""The client for asyncio, and that it leaves no thread behind."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from shmstore import errors
from shmstore.http.client import AsyncEventStoreClient, RemoteEvent
from tests.helpers.scripted import (
    Fake,
    Say,
    Stream,
    accepted,
    page,
    refusal,
    sent,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("pauses")


def threads_of_the_client() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("shmstore-client")]


async def versions(events: AsyncIterator[RemoteEvent]) -> list[int]:
    return [found.version async for found in events]


def test_the_same_for_asyncio(fake: Fake) -> None:
    fake.script = [accepted(0), Say(202, {"versions": [1, 2]}), page(0, 1), page(9), page(9)]
    fake.script += [Say(200, {"totalEvents": 2}), Say(200, {"streams": ["s"]}), Say(202, {}), Say(200, 1.5)]
    fake.script += [Say(200, {"count": 1}), Say(200, []), Say(200, "OK"), refusal(409, actual=4)]

    async def run() -> None:
        async with AsyncEventStoreClient(fake.url, pool=1) as client:
            assert await client.append("s", 1, metadata=None, type="t") == 0
            assert await client.append_many("s", [1, 2]) == [1, 2]
            assert await versions(client.read("s")) == [0, 1]
            last = await client.last("s")
            assert last is not None and last.version == 9 and await client.version("s") == 9
            assert await client.aggregate("s") == {"totalEvents": 2} and await client.streams() == ["s"]
            assert await client.add("cpu", 1) is None and await client.sum() == 1.5
            assert await client.window() == {"count": 1} and await client.top() == [] and await client.health()
            with pytest.raises(errors.WrongExpectedVersion):
                await client.append("s", 1, expected_version=3)
            with pytest.raises(errors.InvalidOption, match="from_ is -1"):
                client.read("s", -1)
        with pytest.raises(errors.StoreClosed):
            await client.streams()
        await client.close()

    asyncio.run(run())
    assert wait_for(lambda: threads_of_the_client() == [])


def test_following_for_asyncio_leaves_no_thread(fake: Fake) -> None:
    fake.script = [Stream([sent(0)]), Stream([sent(1)], stays=True), Stream([sent(0)], stays=True)]

    async def run() -> None:
        async with AsyncEventStoreClient(fake.url) as client:
            found: list[int] = []
            is_there = asyncio.Event()

            async def follow() -> None:
                async for each in client.follow("s"):
                    found.append(each.version)
                    if each.version:
                        is_there.set()

            task = asyncio.create_task(follow())
            await asyncio.wait_for(is_there.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert found == [0, 1]
            assert wait_for(fake.gone.is_set) and wait_for(lambda: threads_of_the_client() == [])
            following = client.follow("s")
            assert (await anext(following)).version == 0
            await following.aclose()
            assert wait_for(lambda: threads_of_the_client() == [])

    asyncio.run(run())
