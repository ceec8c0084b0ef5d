"""Clients that follow keep no thread: one sends to all, each event once and in order, and lets go of who has left."""

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest

import shmstore
from shmstore import metrics
from shmstore.http import followers
from shmstore.http.detaching import Detached
from shmstore.http.followers import Followers
from shmstore.http.following import Following
from shmstore.http.server import Server
from shmstore.http.service import Service
from shmstore.http.settings import Settings
from shmstore.streams.stream import Stream
from tests.helpers.processes import eventually
from tests.helpers.raw_http import LIMIT_S, client, everything, serving


class Follower:
    """A client that follows a stream, through an HTTP client of the standard library."""

    def __init__(self, server: Server, query: str = "from=0", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
        self._connection.request("GET", f"/streams/a?follow=true&{query}", headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200 and self.response.readline().startswith(b":")
        assert self.response.readline().startswith(b"retry: ")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.response.close()
        self._connection.close()

    def versions(self, count: int) -> list[int]:
        """Of the events that come next."""
        found: list[int] = []
        version = -1
        while len(found) < count:
            line = self.response.readline()
            assert line, found
            if line.startswith(b"id:"):
                version = int(line[3:])
            elif line.startswith(b"data:"):
                assert json.loads(line[5:])["version"] == version
                found.append(version)
        return found

    def rest(self) -> bytes:
        """All that comes until the answer is complete."""
        return self.response.read()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "shmstore-followers"]


@pytest.fixture
def registry() -> metrics.CollectorRegistry:
    return metrics.CollectorRegistry()


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    service = Service(Settings(name=name, capacity=4000, partitions=2), None)
    yield service
    service.close()


@pytest.fixture
def stream(service: Service) -> Stream:
    return service.stores().streams["a"]


@pytest.fixture
def server(service: Service) -> Iterator[Server]:
    with serving(service, threads=1) as server:
        yield server


def test_more_clients_follow_than_there_are_threads(server: Server, stream: Stream) -> None:
    stream.append_many(range(3))
    clients = [Follower(server) for _ in range(20)]
    assert [each.versions(3) for each in clients] == [[0, 1, 2]] * 20
    stream.append("new")
    with client(server, b"POST /streams/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1") as other:
        assert other.recv(1 << 16).startswith(b"HTTP/1.1 202 ")
    assert [each.versions(2) for each in clients] == [[3, 4]] * 20
    assert len(threads()) == 1
    for each in clients:
        each.__exit__(None, None, None)
    eventually(lambda: not threads())
    with Follower(server, "from=4") as again:
        assert again.versions(1) == [4]


def test_who_joins_at_any_time_gets_each_event_once(server: Server, stream: Stream) -> None:
    count, found = 1500, dict[int, list[int]]()

    def follow(number: int) -> None:
        first = 0 if number % 3 else 100
        with Follower(server, f"from={first}") as follower:
            found[number] = [*range(first), *follower.versions(count - first)]

    followed = [threading.Thread(target=follow, args=(number,)) for number in range(12)]
    for number in range(count):
        if number % 120 == 0:
            followed[number // 120].start() if number // 120 < len(followed) else None
        stream.append(number)
        if number % 10 == 0:
            time.sleep(0.0005)
    for thread in followed:
        thread.join(LIMIT_S)
    assert found == {number: list(range(count)) for number in range(12)}


def test_who_waits_for_a_version_that_is_far_ahead_gets_nothing_before(server: Server, stream: Stream) -> None:
    with Follower(server, "from=0") as follower, Follower(server, "from=3") as later:
        stream.append_many(range(2))
        assert follower.versions(2) == [0, 1]
        stream.append_many(range(3))
        assert (follower.versions(3), later.versions(2)) == ([2, 3, 4], [3, 4])


def test_a_stream_that_is_deleted_for_ever_ends_the_answer(server: Server, stream: Stream) -> None:
    stream.append(1)
    with Follower(server) as one, Follower(server) as other:
        assert one.versions(1) == other.versions(1) == [0]
        stream.delete(hard=True)
        assert all(b"event: deleted\n" in each.rest() for each in (one, other))  # and the last chunk came
    eventually(lambda: not threads())


def test_a_store_that_is_unlinked_or_closed_ends_the_answer(server: Server, service: Service, stream: Stream) -> None:
    with Follower(server) as follower:
        shmstore.unlink(service.settings.name)
        assert follower.rest().strip() == b""
    service.stores()
    with Follower(server) as follower:
        eventually(lambda: len(service._followers))  # else the answer ends before its connection is taken
        service.close()
        with pytest.raises(http.client.IncompleteRead):
            follower.rest()
    eventually(lambda: not threads())


def test_what_is_gone_is_told(server: Server, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.append(1)
    with Follower(server) as follower:
        follower.versions(1)
        read = Following.read

        def lapped(following: Following) -> list[tuple[int, bytes]]:
            for _ in range(5):
                stream.append_many(range(1000))
            return read(following)

        monkeypatch.setattr(Following, "read", lapped)
        stream.append(2)
        assert b"event: truncated\n" in follower.rest()


def test_an_old_client_gets_no_chunks(server: Server, stream: Stream) -> None:
    stream.append("first")
    with client(server, b"GET /streams/a?follow=true HTTP/1.0\r\n\r\n") as old:
        data = b""
        while b"first" not in data:
            data += old.recv(1 << 16)
        stream.append("second")
        while b"second" not in data:
            data += old.recv(1 << 16)
        stream.delete(hard=True)
        data += everything(old)
    body = data.partition(b"\r\n\r\n")[2]
    assert (
        re.match(rb": following\nretry: \d{4}\n\nid: 0\n", body) and b"\n\nid: 1\n" in body and body.endswith(b"\n\n")
    )
    assert b"chunked" not in data and b"\r\n" not in body


def test_a_request_for_the_headers_alone_is_answered(server: Server, stream: Stream) -> None:
    with client(
        server, b"HEAD /streams/a?follow=true HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    ) as asks:
        assert b"Content-Type: text/event-stream\r\n" in everything(asks)
    assert not threads()


def test_a_request_is_counted_when_its_thread_is_done(name: str, registry: metrics.CollectorRegistry) -> None:
    service = Service(Settings(name=name, capacity=100, partitions=1), registry)
    labels = {"method": "GET", "route": "/streams/{name}"}
    with serving(service) as server, Follower(server):
        eventually(lambda: registry.get_sample_value("http_requests_in_flight") == 0)
        assert registry.get_sample_value("http_requests_total", {**labels, "status": "200"}) == 1
        assert registry.get_sample_value("http_exceptions_total", {**labels, "type": "HandedOver"}) is None
    service.close()


def test_where_the_server_keeps_its_connections_a_thread_goes_on(service: Service, stream: Stream) -> None:
    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return service(environ, lambda *told: start_response(*told))

    eventually(lambda: not threads())
    stream.append(1)
    with serving(wrapped) as server:
        with Follower(server) as follower:
            assert follower.versions(1) == [0]
            stream.append(2)
            assert follower.versions(1) == [1] and not threads()


# -- without a server


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    for each in (ours, theirs):
        each.settimeout(LIMIT_S)
    with ours, theirs:
        yield ours, theirs


def test_who_does_not_read_is_cut_off(
    stream: Stream, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_MOST_UNSENT", 50_000)
    hub, (ours, theirs) = Followers(), pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    hub.add(Detached(ours, False), Following(stream, 0))
    for number in range(2000):
        stream.append("x" * 400)
        if number % 100 == 0:
            time.sleep(0.001)
    eventually(lambda: len(hub) == 0)
    data = everything(theirs)
    assert data.startswith(b"id: 0\n") and len(data) < 2000 * 400


def test_who_reads_slowly_gets_all(stream: Stream, pair: tuple[socket.socket, socket.socket]) -> None:
    hub, (ours, theirs) = Followers(), pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    hub.add(Detached(ours, False), Following(stream, 0))
    for _ in range(500):
        stream.append("x" * 400)
    stream.append("last")
    data = b""
    while b"last" not in data:
        data += theirs.recv(10_000)
    assert [int(line[3:]) for line in data.splitlines() if line.startswith(b"id:")] == list(range(501))
    hub.close()
    assert eventually(lambda: len(hub) == 0)  # it is its socket


def test_who_is_stuck_is_let_go_and_who_is_quiet_gets_a_heartbeat(
    stream: Stream, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "_BEAT_S", 0.02)
    monkeypatch.setattr(followers, "_PATIENCE_S", 0.2)
    hub, (ours, theirs) = Followers(), pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    hub.add(Detached(ours, True), Following(stream, 0))
    assert theirs.recv(18) == b"d\r\n: heartbeat\n\n\r\n"
    for _ in range(1000):
        stream.append("x" * 400)
    eventually(lambda: len(hub) == 0)


def test_one_that_is_closed_takes_nobody(stream: Stream, pair: tuple[socket.socket, socket.socket]) -> None:
    hub, (ours, theirs) = Followers(), pair
    hub.close()
    following = Following(stream, 0)
    with pytest.raises(shmstore.StoreClosed, match="was closed"):
        hub.add(Detached(ours, False), following)
    assert theirs.recv(1) == b"" and "closed" in repr(following.follower)


def test_a_stream_that_cannot_be_passed_on_harms_no_other(
    service: Service, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, (ours, theirs) = Followers(), pair
    streams, (our_other, their_other) = service.stores().streams, socket.socketpair()
    hub.add(Detached(ours, False), Following(streams["a"], 0))
    hub.add(Detached(our_other, False), Following(streams["b"], 0))
    read = Following.read

    def failing(following: Following) -> list[tuple[int, bytes]]:
        if following.stream.name == "a":
            raise MemoryError
        return read(following)

    monkeypatch.setattr(Following, "read", failing)
    streams["a"].append(1)
    assert theirs.recv(100) == b""
    streams["b"].append(1)
    assert their_other.recv(100).startswith(b"id: 0\n")
    hub.close()
    their_other.close()
