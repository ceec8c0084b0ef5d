"""A thousand clients follow streams over HTTP: what memory do they take, and when has the last of them an event?"""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median

import psutil
from bench_service import service_name
from harness import pin
from http_servers import HOST, gunicorn, shmstore_serve
from report import Row, main, within

FOLLOWERS = 1000
EVENTS = 30
_LIMIT_S = 30.0
_SERVERS: dict[str, Callable[..., AbstractContextManager[int]]] = {
    "shmstore-serve": shmstore_serve,
    "gunicorn, two workers": lambda **environment: gunicorn("shmstore.http.service:app", **environment),
}


def connected(port: int, request: bytes, answer: bytes) -> socket.socket:
    """A client that was answered so."""
    client = socket.create_connection((HOST, port), timeout=_LIMIT_S)
    client.sendall(request)
    data = b""
    while answer not in data:
        part = client.recv(1 << 16)
        if not part:
            raise RuntimeError(f"the server has closed the connection after {data!r}")
        data += part
    return client


def to_the_last(poster: socket.socket, waiting: list[socket.socket], watch: select.epoll) -> float:
    """Milliseconds from a POST until all that wait have its event."""
    left = {client.fileno(): client for client in waiting}
    began = time.perf_counter()
    poster.sendall(b'POST /streams/news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{"n":1}')
    while left:
        ready = watch.poll(_LIMIT_S)
        if not ready:
            raise RuntimeError(f"{len(left)} followers got no event for {_LIMIT_S:.0f} s")
        for fd, _ in ready:
            if fd in left and b"id: " in left[fd].recv(1 << 16):
                del left[fd]
    milliseconds = (time.perf_counter() - began) * 1e3
    poster.recv(1 << 16)
    return milliseconds


def without_segments_mb(process: psutil.Process) -> float:
    """Memory of a process in MB, of its own and of files, but not the store, which is there once for all."""
    lines = dict(
        line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line
    )
    return sum(int(lines[kind].split()[0]) for kind in ("RssAnon", "RssFile")) / 1024


def followed(server: str, followers: int, events: int) -> Iterator[Row]:
    with ExitStack() as stack:
        name = stack.enter_context(service_name())
        port = stack.enter_context(_SERVERS[server](SHMSTORE_NAME=name, SHMSTORE_CAPACITY="10000"))
        follow = b"GET /streams/news?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n"
        waiting = [stack.enter_context(connected(port, follow, b"following")) for _ in range(followers)]
        poster = stack.enter_context(connected(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b'"OK"'))
        watch = stack.enter_context(select.epoll())
        for client in waiting:
            watch.register(client, select.EPOLLIN)
        times = [to_the_last(poster, waiting, watch) for _ in range(events)]
        memory = max(without_segments_mb(each) for each in psutil.Process().children(recursive=True))
    yield Row(f"{server}: an event to the last of {followers:,} that follow", median(times), "ms", None, within(100))
    yield Row(f"{server}: the slowest of {events} events", max(times), "ms", None, within(100))
    yield Row(f"{server}: memory of a process with them, but for the store", memory, "MB", None, within(60))


def rows(smoke: bool) -> Iterator[Row]:
    pin(0)
    for server in _SERVERS:
        yield from followed(server, 20 if smoke else FOLLOWERS, 3 if smoke else EVENTS)


if __name__ == "__main__":
    main(rows)
