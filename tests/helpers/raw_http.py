"""The HTTP server in a thread of this process, small applications for it, and clients that send and read bytes."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from shmstore.http.server import Server

LIMIT_S = 20.0
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

Start = Callable[..., Any]
Application = Callable[[dict[str, Any], Start], Iterable[bytes]]


def empty(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("202 Accepted", [])
    return []


def echo(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    return [
        environ["REQUEST_METHOD"].encode(),
        b" ",
        environ["PATH_INFO"].encode("latin-1"),
        environ["wsgi.input"].read(),
    ]


class Paused:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.goes_on = threading.Event()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/paused":
            self.has_begun.set()
            self.goes_on.wait(LIMIT_S)
        start("200 OK", [])
        return [b"done"]


class Pieces:
    """An iterable of pieces that notes whether it was closed."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.is_closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        self.is_closed.set()


def streaming(pieces: Iterable[bytes], content_type: str = "text/plain") -> Application:
    def application(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Type", content_type)])
        return pieces

    return application


@contextmanager
def serving(application: Application, **options: Any) -> Iterator[Server]:
    server = Server(application, port=0, **options)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.stop(0.2)
        thread.join(LIMIT_S)
        assert not thread.is_alive()


@contextmanager
def client(server: Server, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as connection:
        connection.sendall(data)
        yield connection


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    data = b""
    while part := connection.recv(1 << 16):
        data += part
    return data


def until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        part = connection.recv(1 << 16)
        assert part, data
        data += part
    return data


def asked(server: Server, data: bytes) -> bytes:
    """The answers to all this, up to the end of the connection."""
    with client(server, data) as connection:
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def answer(application: Application, data: bytes = GET) -> tuple[bytes, dict[str, str], bytes]:
    """The status, the headers and the bytes behind them of one answer."""
    with serving(application) as server:
        opening, _, body = asked(server, data).partition(b"\r\n\r\n")
    first, *lines = opening.split(b"\r\n")
    headers = dict(line.decode("latin-1").split(": ", 1) for line in lines)
    assert len(headers) == len(lines)
    assert headers.pop("Date").endswith("GMT")
    return first, headers, body
