"""Viewers of the dashboard keep no thread of the server, and go on until they leave or the service ends."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shmstore.http.service import Service
from shmstore.http.settings import Settings
from tests.helpers.processes import eventually
from tests.helpers.raw_http import LIMIT_S, asked, serving

LIVE = "/dashboard/live"


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    service = Service(Settings(name=name, capacity=100, partitions=1), None)
    yield service
    service.close()


@contextmanager
def viewing(port: int) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    connection.request("GET", LIVE)
    response = connection.getresponse()
    try:
        assert response.status == 200 and response.headers["Content-Type"] == "text/event-stream"
        yield response
    finally:
        response.close()
        connection.close()


def sees(response: http.client.HTTPResponse, line: bytes) -> bool:
    return any(found == line for found in iter(response.readline, b""))


def viewers() -> int:
    return sum(thread.name == "shmstore-viewer" for thread in threading.enumerate())


def test_more_can_look_than_there_are_threads(service: Service) -> None:
    with serving(service, threads=1) as server:
        with viewing(server.port) as one, viewing(server.port) as other:
            assert sees(one, b"id: 2\n") and sees(other, b"id: 2\n") and viewers() == 2
            health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
            assert asked(server, health).endswith(b'"OK"')
        eventually(lambda: not viewers())


def test_the_end_of_the_service_completes_what_viewers_get(service: Service) -> None:
    with serving(service) as server, viewing(server.port) as viewer:
        assert sees(viewer, b"id: 1\n")
        service.close()
        assert not sees(viewer, b"id: never\n")  # and the last chunk came
    eventually(lambda: not viewers())


def test_where_the_server_keeps_its_connections_its_thread_goes_on(service: Service) -> None:
    def wrapped(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return service(environ, lambda *told: start_response(*told))

    with serving(wrapped) as server, viewing(server.port) as viewer:
        assert sees(viewer, b"id: 2\n") and not viewers()


def test_a_request_for_the_headers_alone_begins_nothing(service: Service) -> None:
    with serving(service) as server:
        found = asked(server, b"HEAD %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % LIVE.encode())
        assert b"Content-Type: text/event-stream\r\n" in found and not viewers()
