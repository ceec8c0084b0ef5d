"""The server and its followers amid forks, ends from elsewhere, threads that cannot start and numbers used again."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest

import shmstore
from shmstore.http import followers
from shmstore.http.detaching import Detached
from shmstore.http.followers import Followers
from shmstore.http.following import Following
from shmstore.http.pool import Pool
from shmstore.http.server import Server
from shmstore.http.service import Service
from shmstore.streams.stream import Stream
from tests.helpers.asked import Ask
from tests.helpers.disturbing import disturbed
from tests.helpers.processes import Child, eventually
from tests.helpers.raw_http import GET, LIMIT_S, Paused, client, echo, everything, serving, until

PAUSED = GET.replace(b"/ ", b"/paused ", 1)


@contextmanager
def serving_alone(server: Server) -> Iterator[list[BaseException]]:
    """It serves in a thread; what that raises is noted."""
    raised: list[BaseException] = []

    def serve() -> None:
        try:
            server.serve_forever()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield raised
    finally:
        server.stop(0.2)
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def no_thread_called(name: str, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Threads of this name cannot be started until this is set."""
    may_start, start = threading.Event(), threading.Thread.start

    def started(thread: threading.Thread) -> None:
        if thread.name == name and not may_start.is_set():
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", started)
    return may_start


# -- the end


def test_a_close_from_another_thread_is_an_end_like_any_other() -> None:
    server = Server(echo, port=0)
    with serving_alone(server) as raised:
        with client(server, GET) as idle:
            until(idle, b"GET /")
            server.close()
            assert everything(idle) == b""
        server.close()
    server.serve_forever()
    assert raised == []


def test_who_is_closed_before_it_serves_does_not_serve() -> None:
    server = Server(echo, port=0)
    server.close()
    with serving_alone(server) as raised:
        pass
    assert raised == []


def test_a_signal_handler_may_stop_what_is_being_stopped() -> None:
    for place in range(15, 40):
        paused = Paused()
        with serving(paused) as server, client(server, PAUSED):
            assert paused.has_begun.wait(LIMIT_S)
            assert disturbed(partial(server.stop, 0.02), partial(server.stop, 0.01), place)
            paused.goes_on.set()


def test_a_signal_handler_may_close_what_takes_a_follower(stream: Stream) -> None:
    for place in range(50):
        hub, following, (ours, theirs) = Followers(), Following(stream, 0), socket.socketpair()
        theirs.settimeout(LIMIT_S)

        taken = partial(hub.add, Detached(ours, False), following)

        def add(taken: Callable[[], None] = taken) -> None:
            with suppress(shmstore.StoreClosed):
                taken()

        with theirs:
            assert disturbed(add, hub.close, place), place
            hub.close()
            assert everything(theirs) == b"" and eventually(lambda: len(hub) == 0)  # noqa: B023


# -- forks


def test_a_fork_keeps_neither_connections_nor_the_port() -> None:
    with serving(echo, keep_alive=0.2) as server, client(server, GET) as idle, client(server, GET[:-2]) as late:
        until(idle, b"GET /")
        with Child(lambda: time.sleep(LIMIT_S)):
            assert everything(idle) == b""
            server.stop(0.1)
            assert everything(late) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port))
            Server(echo, port=server.port).close()


def test_a_fork_that_ends_the_server_ends_nothing_of_its_parent() -> None:
    paused = Paused()
    with serving(paused) as server, client(server, GET) as idle, client(server, PAUSED) as busy:
        until(idle, b"done")
        assert paused.has_begun.wait(LIMIT_S)

        def end() -> None:
            server.stop(LIMIT_S)
            server.close()

        with Child(end) as child:
            assert eventually(child.is_over) and child.code == 0
        paused.goes_on.set()
        idle.sendall(GET)
        assert until(idle, b"done") and until(busy, b"done")


def test_a_server_that_was_made_before_a_fork_serves_in_the_child() -> None:
    server = Server(echo, port=0)
    with Child(server.serve_forever):
        server.close()
        with client(server, GET) as connection:
            assert until(connection, b"GET /")


def test_followers_are_those_of_the_process_that_has_them(service: Service) -> None:
    stream = service.stores().streams["a"]
    hub, (ours, theirs) = Followers(), socket.socketpair()
    theirs.settimeout(LIMIT_S)
    hub.add(Detached(ours, False), Following(stream, 0))

    def follow_and_close() -> int:
        near, far = socket.socketpair()
        far.settimeout(LIMIT_S)
        assert len(hub) == 0
        hub.add(Detached(near, False), Following(stream, 0))
        stream.append("child's")
        assert b"child's" in far.recv(1000)
        hub.close()
        return 0

    has_lock, may_go_on = threading.Event(), threading.Event()

    def send() -> None:
        with hub._lock:
            has_lock.set()
            may_go_on.wait(LIMIT_S)

    sends = threading.Thread(target=send)
    sends.start()
    assert has_lock.wait(LIMIT_S)
    child = Child(follow_and_close)
    may_go_on.set()
    sends.join(LIMIT_S)
    with child, theirs:
        assert eventually(child.is_over) and child.code == 0
        stream.append("parent's")
        data = b""
        while b"parent's" not in data:
            data += theirs.recv(1000)
        assert data.count(b"id:") == 2
    hub.close()


# -- what the system has no more of


def test_requests_wait_for_a_thread_until_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    may_start = no_thread_called("shmstore-http", monkeypatch)
    with serving(echo) as server, client(server, GET) as connection:
        assert eventually(lambda: server._pool.is_short)
        may_start.set()
        assert until(connection, b"GET /")


def test_who_follows_when_no_thread_can_be_started_is_sent_away(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, hub = service.stores().streams["a"], Followers()
    may_start = no_thread_called("shmstore-followers", monkeypatch)
    for has_thread in (False, True):
        ours, theirs = socket.socketpair()
        theirs.settimeout(LIMIT_S)
        if has_thread:
            may_start.set()
            hub.add(Detached(ours, False), Following(stream, 0))
            stream.append(1)
            assert theirs.recv(1000).startswith(b"id: 0\n")
        else:
            with pytest.raises(RuntimeError, match="can't start"):
                hub.add(Detached(ours, False), Following(stream, 0))
            assert theirs.recv(1) == b"" and len(hub) == 0
        theirs.close()


def test_a_thread_that_has_failed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, done = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _failure: failed.set())
    pool = Pool(lambda work: work(), 1, 0)
    pool.put(lambda: [][0])
    assert failed.wait(LIMIT_S)
    pool.put(done.set)
    assert done.wait(LIMIT_S)
    pool.stop()


class Watching:
    """An epoll that watches no more than what it watches already, once it is full."""

    def __init__(self, epoll: select.epoll) -> None:
        self._epoll = epoll
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def register(self, fd: int, events: int) -> None:
        if self.is_full:
            raise OSError("as many are watched as may be")
        self._epoll.register(fd, events)


def test_where_no_more_may_be_watched_quiet_clients_make_room() -> None:
    server = Server(echo, port=0)
    watching: Any = Watching(server._epoll)
    server._epoll = watching
    with serving_alone(server) as raised, client(server, GET) as quiet:
        until(quiet, b"GET /")
        assert eventually(lambda: server._watched)
        watching.is_full = True
        with client(server) as refused:
            assert everything(refused) == everything(quiet) == b""
        watching.is_full = False
        with client(server, GET) as connection:
            until(connection, b"GET /")
            watching.is_full = True
            with client(server):
                server.stop(LIMIT_S)
    assert raised == []


# -- followers


@pytest.fixture
def stream(service: Service) -> Stream:
    return service.stores().streams["a"]


def test_news_of_a_number_that_another_client_has_by_now_are_not_its_own(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(LIMIT_S)
    has_come, made = threading.Event(), select.epoll

    class Late:
        """Tells of an end that was that of an earlier client."""

        def __init__(self) -> None:
            self._epoll = made()
            self.has_told = False

        def __getattr__(self, name: str) -> Any:
            return getattr(self._epoll, name)

        def poll(self, seconds: float) -> list[tuple[int, int]]:
            if self.has_told:
                has_come.set()
            self.has_told = True
            return [*self._epoll.poll(min(seconds, 0.01)), (ours.fileno(), select.EPOLLHUP)]

    monkeypatch.setattr(followers.select, "epoll", Late)
    hub = Followers()
    fd = ours.fileno()
    hub.add(Detached(ours, False), Following(stream, 0))
    assert has_come.wait(LIMIT_S) and fd == ours.fileno()
    stream.append(1)
    assert theirs.recv(1000).startswith(b"id: 0\n")
    theirs.close()
    assert eventually(lambda: len(hub) == 0)


def test_a_thread_that_fails_lets_go_of_all_and_another_begins(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Followers()
    for is_broken in (True, False):
        ours, theirs = socket.socketpair()
        theirs.settimeout(LIMIT_S)
        with monkeypatch.context() as broken, theirs:
            if is_broken:
                broken.setattr(followers, "_BEAT_S", 0.0)
                broken.setattr(Followers, "_beat", lambda _self: [][0])
            hub.add(Detached(ours, False), Following(stream, 0))
            if is_broken:
                assert theirs.recv(1) == b"" and eventually(lambda: len(hub) == 0)
            else:
                stream.append(1)
                assert theirs.recv(1000).startswith(b"id: 0\n")
    hub.close()
    assert caplog.text.count("all that follow are let go of") == 1


def test_a_store_that_another_request_has_closed_asks_to_come_again(
    service: Service, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = service.stores()
    monkeypatch.setattr(service, "stores", lambda: stores)
    stores.streams.close()
    for answer in (ask("POST", "/streams/a", 1), ask("GET", "/streams/a")):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
