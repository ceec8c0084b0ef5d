"""Clients of the server that are slow, silent, many, or gone; and those that follow streams of events."""

import io
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

from tests.helpers.processes import eventually
from tests.helpers.raw_http import (
    GET,
    LIMIT_S,
    Pieces,
    Start,
    asked,
    client,
    echo,
    everything,
    serving,
    streaming,
    until,
)


def test_clients_that_wait_take_no_thread() -> None:
    with serving(echo, threads=1) as server:
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        for number, connection in enumerate(slow):
            whole = GET if number % 3 else b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello"
            connection.sendall(whole if number % 3 < 2 else GET[:-3])  # idle later, or amid headers, or amid a body
        for _ in range(3):
            assert asked(server, GET).endswith(b"GET /")
        for connection in slow:
            connection.close()


def test_a_client_that_does_not_finish_is_sent_away() -> None:
    log = io.StringIO()
    with serving(echo, header_timeout=0.2, access_log=log) as server:
        with client(server) as silent, client(server, GET[:-2]) as late:
            drip = threading.Thread(target=lambda: [time.sleep(0.02) or _try(late, b"") for _ in range(5)])
            drip.start()
            assert everything(silent) == b""
            assert everything(late).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
            drip.join()
        with client(server, b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello") as late:
            assert everything(late).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert [json.loads(line)["path"] for line in log.getvalue().splitlines()] == ["", "/x"]


def _try(connection: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        connection.sendall(data)


def test_a_client_that_drips_is_sent_away() -> None:
    with serving(echo, header_timeout=0.3) as server, client(server, b"GET / HTTP/1.1\r\n") as connection:
        began = time.monotonic()
        connection.settimeout(0.02)
        said = b""
        while not said:
            assert time.monotonic() - began < LIMIT_S
            _try(connection, b"X: y\r\n")
            try:
                said = connection.recv(1000)
            except TimeoutError:
                continue
        assert said.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed() -> None:
    with serving(echo, keep_alive=0.2) as server, client(server, GET) as connection:
        began = time.monotonic()
        assert until(connection, b"GET /") and everything(connection) == b""
        assert 0.15 < time.monotonic() - began < LIMIT_S


def test_a_client_that_does_not_read_is_given_up() -> None:
    pieces = Pieces(b"x" * 1_000_000 for _ in range(1000))
    with serving(streaming(pieces), header_timeout=0.2) as server, client(server, GET):
        assert pieces.is_closed.wait(LIMIT_S)


def test_the_pieces_are_closed_when_the_client_goes_away() -> None:
    log = io.StringIO()
    pieces = Pieces(iter(lambda: time.sleep(0.005) or b"x", None))
    with serving(streaming(pieces), access_log=log) as server:
        with client(server, GET) as connection:
            until(connection, b"x\r\n")
        assert pieces.is_closed.wait(LIMIT_S)
        assert eventually(log.getvalue)
    assert json.loads(log.getvalue())["status"] == 200


def test_quiet_clients_make_room_when_there_are_too_many() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    log = io.StringIO()
    with serving(echo, access_log=log) as server, ExitStack() as closing:
        clients = [closing.enter_context(socket.socket()) for _ in range(40)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (clients[-1].fileno() + 20, before[1]))
        try:
            for connection in clients:
                connection.connect(("127.0.0.1", server.port))
            clients[-1].sendall(GET)
            assert until(clients[-1], b"GET /")
            assert clients[0].recv(1) == b""
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert log.getvalue().count("Too many open files") == 1


# -- streams of events


def test_each_event_is_sent_at_once() -> None:
    gate = threading.Semaphore(0)

    def events() -> Iterator[bytes]:
        for number in range(3):
            gate.acquire()
            yield b"data: %d\n\n" % number
        gate.acquire()

    with serving(streaming(events(), "text/event-stream")) as server, client(server, GET) as connection:
        for number in range(3):
            gate.release()
            assert until(connection, b"\n\n\r\n").endswith(b"data: %d\n\n\r\n" % number)
        gate.release()
        assert until(connection, b"0\r\n\r\n") == b"0\r\n\r\n"


def follow(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    if environ["PATH_INFO"] != "/follow":
        return echo(environ, start)
    start("200 OK", [("Content-Type", "text/event-stream")])
    return _followed(environ["shmstore.is_wanted"])


def _followed(is_wanted: Callable[[], bool]) -> Iterator[bytes]:
    yield b": begins\n\n"
    while is_wanted():
        time.sleep(0.005)
    yield b": ends\n\n"


FOLLOW = GET.replace(b"/ ", b"/follow ", 1)


def test_followers_take_no_thread_from_the_others() -> None:
    with serving(follow, threads=1) as server:
        followers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(16)]
        for connection in followers:
            connection.sendall(FOLLOW)
            until(connection, b": begins\n\n\r\n")
        assert asked(server, GET).endswith(b"GET /")
        refused = asked(server, FOLLOW)
        assert refused.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 1\r\n" in refused
        followers[0].sendall(GET)  # which waits for the end of the stream
        for connection in followers:
            connection.close()  # each is noticed, and makes room
        assert eventually(lambda: server._pool.lent == 0)
        with client(server, FOLLOW) as connection:
            assert until(connection, b": begins\n\n\r\n")


def test_a_stop_ends_streams_of_events_as_they_should_end() -> None:
    with serving(follow) as server, client(server, FOLLOW) as connection:
        until(connection, b": begins\n\n\r\n")
        server.stop(LIMIT_S)
        assert everything(connection).endswith(b"0\r\n\r\n")


def test_a_follower_that_does_not_end_is_not_waited_for() -> None:
    waits, goes_on = threading.Event(), threading.Event()

    def events() -> Iterator[bytes]:
        yield b": begins\n\n"
        waits.set()
        goes_on.wait(LIMIT_S)

    with serving(streaming(events(), "text/event-stream")) as server, client(server, GET) as connection:
        until(connection, b": begins\n\n\r\n")
        assert waits.wait(LIMIT_S)
        began = time.monotonic()
        server.stop(LIMIT_S)
        assert everything(connection) == b"" and time.monotonic() - began < LIMIT_S / 4
        goes_on.set()
