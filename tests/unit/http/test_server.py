"""The server on a real socket: what it takes, how it ends, and what its log tells."""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest

from shmstore.http.server import Server
from tests.helpers.processes import eventually
from tests.helpers.raw_http import (
    GET,
    LIMIT_S,
    Paused,
    Start,
    asked,
    client,
    echo,
    empty,
    everything,
    serving,
    until,
)

# -- requests


def test_what_an_application_is_told() -> None:
    told: dict[str, Any] = {}

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        told.update(environ)
        return empty(environ, start)

    with serving(application) as server, client(server, GET) as connection:
        until(connection, b"\r\n\r\n")
        assert told["REMOTE_PORT"] == str(connection.getsockname()[1]) and told["SERVER_PORT"] == str(server.port)
    assert told["REMOTE_ADDR"] == told["SERVER_NAME"] == "127.0.0.1" and told["SCRIPT_NAME"] == ""
    assert told["wsgi.version"] == (1, 0) and told["wsgi.url_scheme"] == "http"
    assert (told["wsgi.multithread"], told["wsgi.multiprocess"], told["wsgi.run_once"]) == (True, False, False)
    assert all(type(value) is str for key, value in told.items() if key.isupper())


def test_another_library_agrees() -> None:
    from wsgiref.validate import validator

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    with serving(validator(application)) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=LIMIT_S)
        for body in (b"a", b"b" * 100_000, iter([b"c", b"d"])):
            connection.request("POST", "/x?y", body)
            response = connection.getresponse()
            assert (response.status, len(response.read())) == (200, 2 if not isinstance(body, bytes) else len(body))
        connection.close()


def test_requests_that_come_at_once_are_answered_in_order() -> None:
    data = b"".join(b"PUT /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % number for number in range(100))
    with serving(echo) as server:
        said = asked(server, data)
    assert [said.index(b"PUT /%dx" % number) for number in range(100)] == sorted(
        said.index(b"PUT /%dx" % number) for number in range(100)
    )
    assert said.count(b"HTTP/1.1 200 OK") == 100


def test_a_request_in_pieces() -> None:
    with serving(echo) as server, client(server) as connection:
        for byte in b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert until(connection, b"POST /aabc")


def test_a_large_body_both_ways() -> None:
    body = bytes(range(256)) * 4096
    with serving(echo, body_limit=len(body)) as server:
        said = asked(server, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert said.endswith(b"\r\n\r\nPUT /" + body)


def test_a_client_is_told_to_send_its_body() -> None:
    ask = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
    with serving(echo, body_limit=10) as server:
        with client(server, ask + b"5\r\n\r\n") as connection:
            assert until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"hello")
            assert until(connection, b"hello").startswith(b"HTTP/1.1 200 OK\r\n")
            connection.sendall(ask + b"2\r\n\r\n")  # of a connection that a thread waits for
            assert until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"yo")
            assert until(connection, b"yo")
        assert asked(server, ask + b"11\r\n\r\n").startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("length", [b"Content-Length: 4000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_is_too_large_is_refused_and_the_client_learns_why(length: bytes) -> None:
    with serving(echo, body_limit=1000) as server:
        with client(server, b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n3e9\r\n" % length) as connection:
            connection.sendall(b"x" * 4_000_000)  # which it does not look up from
            said = everything(connection)
    assert said.startswith(b"HTTP/1.1 413 Content Too Large\r\n") and b"Connection: close\r\n" in said
    assert said.endswith(b'{"error": "the body is larger than 1000 bytes, the limit"}')


def test_nothing_is_read_behind_what_is_refused() -> None:
    smuggled = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET
    with serving(echo) as server:
        said = asked(server, GET + smuggled)
    assert said.count(b"HTTP/1.1 ") == 2 and b"HTTP/1.1 400 Bad Request" in said


def test_the_client_may_end_the_connection() -> None:
    with serving(echo) as server:
        said = asked(server, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    assert said.count(b"HTTP/1.1 200 OK") == 1 and b"Connection: close" in said


# -- the end


def test_a_stop_lets_requests_on_their_way_be_answered() -> None:
    paused = Paused()
    with serving(paused) as server:
        with client(server, GET) as idle, client(server, GET.replace(b"/ ", b"/paused ", 1)) as busy:
            until(idle, b"done")
            assert paused.has_begun.wait(LIMIT_S)
            stop = threading.Thread(target=server.stop, args=(LIMIT_S,))
            stop.start()
            assert everything(idle) == b""
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", server.port))
            assert stop.is_alive()
            paused.goes_on.set()
            said = everything(busy)
            stop.join(LIMIT_S)
    assert said.endswith(b"done") and b"Connection: close\r\n" in said


def test_a_stop_waits_no_longer_than_it_was_told() -> None:
    paused = Paused()
    with serving(paused) as server, client(server, GET.replace(b"/ ", b"/paused ", 1)) as busy:
        assert paused.has_begun.wait(LIMIT_S)
        began = time.monotonic()
        server.stop(0.1)
        assert everything(busy) == b"" and time.monotonic() - began < LIMIT_S / 4
        paused.goes_on.set()


def test_what_has_come_before_a_stop_is_answered() -> None:
    server = Server(echo, port=0)
    with client(server, GET) as connection:  # the kernel has it; nobody has accepted it yet
        server.stop(LIMIT_S)
        server.serve_forever()
        assert everything(connection).endswith(b"GET /")
    server.stop()
    server.serve_forever()  # which has ended


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with serving(echo, threads=4) as server:
        for _ in range(10):
            asked(server, GET)
    assert eventually(lambda: threading.active_count() == before)


def test_a_port_in_use_is_named() -> None:
    with serving(echo) as server, pytest.raises(OSError, match=f"cannot listen at 127.0.0.1:{server.port}: address"):
        Server(echo, port=server.port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_here_is_named(host: str) -> None:
    with pytest.raises(OSError, match=f"cannot listen at {host}:0: "):
        Server(echo, host, 0)


def test_the_newer_protocol_of_addresses() -> None:
    try:
        server = Server(empty, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with socket.create_connection(("::1", server.port), timeout=LIMIT_S) as connection:
        connection.sendall(GET)
        assert until(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 202 ")
    server.stop(LIMIT_S)
    thread.join(LIMIT_S)


def test_many_clients_at_once() -> None:
    def ask(port: int, failures: list[object]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        for number in range(50):
            connection.request("PUT", f"/{number}", b"x" * number)
            if (found := connection.getresponse().read()) != b"PUT /%d" % number + b"x" * number:
                failures.append(found)
        connection.close()

    failures: list[object] = []
    with serving(echo, threads=3) as server:
        clients = [threading.Thread(target=ask, args=(server.port, failures)) for _ in range(12)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(LIMIT_S)
    assert failures == [] and not any(each.is_alive() for each in clients)


# -- the log


def test_a_line_a_request() -> None:
    log = io.StringIO()

    def application(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        environ["wsgi.errors"].write("first\nsecond\n")
        start("200 OK", [("X-Request-Id", environ.get("HTTP_X_REQUEST_ID", "made"))])
        return [b"hello"]

    with serving(application, access_log=log) as server:
        asked(
            server,
            GET + GET.replace(b"/ ", b'/%0a"{}?q ', 1).replace(b"\r\n\r\n", b'\r\nX-Request-Id: a\xff\t"\r\n\r\n'),
        )
        asked(server, b"nonsense\r\n\r\n")
    lines = log.getvalue().splitlines()
    assert log.getvalue().isascii() and len(lines) == 5
    said, first, _, second, refused = map(json.loads, lines)
    assert said["error"] == "first\nsecond"
    assert first.pop("time").endswith("Z") and 0 < first.pop("milliseconds") < LIMIT_S * 1000
    found = (first["method"], first["path"], first["status"], first["bytes"], first["remote"], first["requestId"])
    assert found == ("GET", "/", 200, 5, "127.0.0.1", "made") and len(first) == 6
    assert second["path"] == '/%0a"{}?q' and second["requestId"] == 'aÿ\t"'
    assert (refused["status"], refused["path"]) == (400, "")


def test_a_log_that_cannot_be_written_harms_nobody() -> None:
    log = open("/dev/full", "w")  # noqa: SIM115
    with serving(echo, access_log=log) as server:
        assert asked(server, GET).endswith(b"GET /")
        with suppress(OSError):
            log.close()
        assert asked(server, GET).endswith(b"GET /")
