"""The service under gunicorn: workers share the streams, and no answered append is lost when one is killed."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sized
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest

import shmstore
from tests.helpers.served import LIMIT_S, Gunicorn

SERVICE = "from shmstore.http.service import app\n"
THREADS = ("--worker-class", "gthread", "--threads", "4")


@pytest.fixture
def unlinked(name: str) -> Iterator[str]:
    yield name
    for each in (name, f"{name}-records", f"{name}-metrics"):
        shmstore.unlink(each)


def served(folder: Path, name: str, **options: str) -> Gunicorn:
    folder.mkdir()
    environment = {"SHMSTORE_NAME": name, "SHMSTORE_CAPACITY": "20000", "SHMSTORE_PARTITIONS": "1", **options}
    return Gunicorn(folder, "", *THREADS, application=SERVICE, **environment)


def append(server: Gunicorn, number: int) -> int | None:
    """The version of an append that is repeated until it is answered, as a client with ids may do."""
    while True:
        try:
            status, body = server.request(f"/streams/orders?eventId=o-{number}", json.dumps({"n": number}).encode())
        except (OSError, http.client.HTTPException):
            continue  # the worker was killed, or another is not there yet
        assert status == 202, body
        version: int = json.loads(body)["version"]
        return version


def has_as_many(answered: Sized, enough: int) -> bool:
    return len(answered) >= enough


def test_killed_workers_lose_no_answered_append_and_make_none_twice(tmp_path: Path, unlinked: str) -> None:
    with served(tmp_path / "a", unlinked) as server:
        answered: dict[int, int | None] = {}

        def work(first: int) -> None:
            for number in range(first, 400, 4):
                answered[number] = append(server, number)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for enough in range(50, 350, 60):
            server.until(partial(has_as_many, answered, enough))
            for worker in psutil.Process(server.pid).children()[:1]:
                os.kill(worker.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()
        events = json.loads(server.get("/streams/orders?limit=1000"))
        assert {event["data"]["n"]: event["version"] for event in events} == answered
        assert [event["version"] for event in events] == list(range(400))


def test_two_services_of_one_name_serve_the_same(tmp_path: Path, unlinked: str) -> None:
    with served(tmp_path / "a", unlinked) as one, served(tmp_path / "b", unlinked) as other:
        assert [append(one, 1), append(other, 2), append(other, 1)] == [0, 1, 0]
        assert len(json.loads(one.get("/streams/orders"))) == 2
        samples = one.scrape()  # of all workers of both
        assert samples["http_requests_total{POST,/streams/{name},202}"] == 3
        assert not [key for key in samples if "orders" in key]  # a client could ask for any number of names


def test_who_follows_or_looks_keeps_no_thread_and_holds_up_no_stop(tmp_path: Path, unlinked: str) -> None:
    with ExitStack() as closed_after, served(tmp_path / "a", unlinked) as server:

        def asking(path: str, answer: bytes) -> socket.socket:
            client = closed_after.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(LIMIT_S)
            client.connect(str(tmp_path / "a" / "socket"))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            received(client, answer)
            return client

        followers = [asking("/streams/orders?follow=true", b"following") for _ in range(40)]
        viewers = [asking("/dashboard/live", b"looking") for _ in range(10)]  # of two workers, which have eight threads
        append(server, 1)
        append(server, 2)
        for follower in followers:
            data = received(follower, b'"n": 2')
            assert data.count(b"id: ") == 2 and data.index(b"id: 0\n") < data.index(b"id: 1\n")
        for viewer in viewers:
            received(viewer, b"id: 2\n")
        began_s = time.monotonic()
        server.stop()
        assert time.monotonic() - began_s < 4.0  # the grace that it is given is 5 s
        assert "Error" not in server.said() and "Traceback" not in server.said()


def received(follower: socket.socket, end: bytes) -> bytes:
    """What comes until this is in it."""
    data = b""
    while end not in data:
        part = follower.recv(1 << 16)
        assert part, data
        data += part
    return data
