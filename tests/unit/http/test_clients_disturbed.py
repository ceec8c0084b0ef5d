"""Clients after a fork, and closed by a signal handler at any line."""

import asyncio
import socket
import time
from contextlib import ExitStack, suppress

import pytest

from shmstore.errors import StoreClosed
from shmstore.http.client import AsyncEventStoreClient, EventStoreClient
from shmstore.http.connections import Connections
from shmstore.http.remote_following import _Link
from tests.helpers.disturbing import disturbed
from tests.helpers.processes import Child, eventually
from tests.helpers.scripted import Fake, Say, Stream, sent

# -- forks


def test_a_follower_goes_on_in_both_processes_after_a_fork(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Stream([sent(0) + sent(1)], stays=True), Stream([sent(1)], stays=True)]
    with client.follow("s") as follower:
        assert next(follower).version == 0
        with Child(lambda: next(follower).version) as child:  # over a connection of its own
            assert eventually(child.is_over) and child.code == 1
        assert [each.headers["Last-Event-ID"] for each in fake.asked] == [None, "0"]
        assert next(follower).version == 1 and len(fake.asked) == 2


def test_a_fork_that_closes_a_client_ends_nothing_of_its_parent(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Stream([sent(0)], stays=True)]
    with client.follow("s") as follower:
        assert next(follower).version == 0
        with Child(client.close) as child:
            assert eventually(child.is_over) and child.code == 0
        assert not fake.gone.wait(0.05)
    assert eventually(fake.gone.is_set)


def test_a_client_for_asyncio_has_threads_after_a_fork(fake: Fake) -> None:
    client = AsyncEventStoreClient(fake.url)
    fake.script = [Say(200, "OK"), Say(200, "OK")]
    assert asyncio.run(client.health())
    with Child(lambda: 0 if asyncio.run(client.health()) else 1) as child:
        assert eventually(child.is_over) and child.code == 0
    asyncio.run(client.close())


# -- signal handlers


def test_a_client_may_be_closed_at_any_line_of_what_begins_to_follow() -> None:
    for place in range(200):
        client = EventStoreClient("http://127.0.0.1:1")

        def follow(client: EventStoreClient = client) -> None:
            with suppress(StoreClosed):
                client.follow("s")

        assert disturbed(follow, client.close, place), place


def test_a_follower_may_be_closed_at_any_line_of_a_pause() -> None:
    for place in range(40):
        link = _Link(Connections("http://127.0.0.1:1", None, 1.0, 0, 1))
        assert disturbed(lambda: link.pause(0.001), link.end, place), place  # noqa: B023
        link.end()
        assert link.has_ended


# -- services that cannot be reached


def test_who_follows_waits_for_a_connection_no_longer_than_for_an_event() -> None:
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # then the kernel takes no more
            connection = waiting.enter_context(socket.socket())
            connection.setblocking(False)
            with suppress(BlockingIOError):
                connection.connect(listener.getsockname())
        began = time.monotonic()
        with EventStoreClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=10) as client:
            with pytest.raises(ConnectionError, match="did not answer"):
                next(client.follow("s", timeout=0.1))
        assert time.monotonic() - began < 5
