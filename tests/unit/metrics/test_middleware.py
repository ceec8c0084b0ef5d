"""Middleware counts each request once: by route and status, however its response ends."""

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from shmstore.metrics import ASGIMiddleware, CollectorRegistry, WSGIMiddleware
from tests.helpers.processes import LIMIT_S

HEADERS = [("Content-Type", "text/plain")]


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def counted(registry: CollectorRegistry, name: str = "http_requests") -> dict[tuple[str, ...], float]:
    """What a metric has counted, by its label values."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == f"{name}_total"
    }


def durations(registry: CollectorRegistry, route: str = "unknown") -> float | None:
    return registry.get_sample_value("http_request_duration_seconds_count", {"method": "GET", "route": route})


def in_flight(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("http_requests_in_flight") or 0.0


class Server:
    """A WSGI server of one request, which does what the standard says, and no more."""

    def __init__(self, app: Any, **environ: Any) -> None:
        self.environ: dict[str, Any] = {"QUERY_STRING": "", **environ}
        setup_testing_defaults(self.environ)
        self.started: list[str] = []
        self.written: list[bytes] = []
        self.chunks = app(self.environ, self.start_response)

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info and self.written:
            raise exc_info[1]
        self.started.append(status)
        return self.written.append

    def send(self, most: int | None = None) -> list[bytes]:
        """Take chunks until there are no more, or only so many, and close."""
        try:
            for chunk in self.chunks:
                self.written.append(chunk)
                if len(self.written) == most:
                    break
        finally:
            if hasattr(self.chunks, "close"):
                self.chunks.close()
        return self.written


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", HEADERS)
    return [b"hello"]


def test_a_request_is_counted_with_its_route_and_status(registry: CollectorRegistry) -> None:
    app = WSGIMiddleware(hello, lambda environ: "/hello", registry=registry)
    server = Server(app)
    assert in_flight(registry) == 1 and counted(registry) == {}
    assert server.send() == [b"hello"] and server.started == ["200 OK"]
    assert counted(registry) == {("GET", "/hello", "200"): 1}
    assert durations(registry, "/hello") == 1
    assert in_flight(registry) == 0


def test_the_middleware_keeps_to_the_standard_on_both_sides(registry: CollectorRegistry) -> None:
    def streams(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", HEADERS)
        yield b"a"
        yield b"b"

    for app in (hello, streams):
        assert b"".join(Server(validator(WSGIMiddleware(validator(app), registry=registry))).send())
    assert counted(registry) == {("GET", "unknown", "200"): 1, ("GET", "unknown", "201"): 1}


def test_paths_and_unknown_methods_never_become_labels(registry: CollectorRegistry) -> None:
    app = WSGIMiddleware(hello, registry=registry)
    for number in range(3):
        Server(app, PATH_INFO=f"/users/{number}", REQUEST_METHOD=f"M{number}").send()
    assert counted(registry) == {("OTHER", "unknown", "200"): 3}


@pytest.mark.parametrize(
    "matched",
    [
        {"werkzeug.request": SimpleNamespace(url_rule=SimpleNamespace(rule="/users/<id>"))},
        {"bottle.route": SimpleNamespace(rule="/users/<id>")},
    ],
)
def test_what_a_framework_has_matched_is_the_route(registry: CollectorRegistry, matched: dict[str, Any]) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ.update(matched)
        chunks = hello(environ, start_response)
        environ.update(dict.fromkeys(matched))  # as Flask forgets it
        return chunks

    Server(WSGIMiddleware(app, registry=registry)).send()
    assert counted(registry) == {("GET", "/users/<id>", "200"): 1}


def test_flask_without_a_match_has_no_route(registry: CollectorRegistry) -> None:
    request = SimpleNamespace(url_rule=None)
    Server(WSGIMiddleware(hello, registry=registry), **{"werkzeug.request": request}).send()
    assert counted(registry) == {("GET", "unknown", "200"): 1}


def test_a_route_function_that_fails_fails_no_request(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    app = WSGIMiddleware(hello, lambda environ: 1 / 0, registry=registry)  # type: ignore[arg-type,return-value]
    for _ in range(3):
        assert Server(app).send() == [b"hello"]
    assert counted(registry) == {("GET", "unknown", "200"): 3}
    assert len(caplog.records) == 1


def test_a_response_counts_when_it_ends(registry: CollectorRegistry) -> None:
    def streams(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", HEADERS)
        yield b"a"
        assert in_flight(registry) == 1 and counted(registry) == {}
        yield b"b"

    assert Server(WSGIMiddleware(streams, registry=registry)).send() == [b"a", b"b"]
    assert counted(registry) == {("GET", "unknown", "200"): 1}
    assert durations(registry) == 1 and in_flight(registry) == 0


@pytest.mark.parametrize(("chunks", "status"), [(0, "499"), (1, "200")])
def test_a_client_that_goes_away_ends_its_request(registry: CollectorRegistry, chunks: int, status: str) -> None:
    closed = []

    def streams(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            start_response("200 OK", HEADERS)
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    server = Server(WSGIMiddleware(streams, registry=registry))
    if chunks:
        server.send(most=chunks)
    else:
        server.chunks.close()
    assert counted(registry) == {("GET", "unknown", status): 1}
    assert in_flight(registry) == 0 and len(closed) == chunks
    assert counted(registry, "http_exceptions") == {}


def raises_at_once(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise KeyError("x")


def raises_when_started(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    raise KeyError("x")


def raises_before_a_chunk(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    yield b""
    raise KeyError("x")


def raises_after_a_chunk(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    yield b"a"
    raise KeyError("x")


def raises_after_a_write(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)(b"a")
    raise KeyError("x")


@pytest.mark.parametrize(
    ("app", "status"),
    [
        (raises_at_once, "500"),
        (raises_when_started, "500"),
        (raises_before_a_chunk, "500"),
        (raises_after_a_chunk, "200"),
        (raises_after_a_write, "200"),
    ],
)
def test_an_exception_is_counted_and_goes_on(registry: CollectorRegistry, app: Any, status: str) -> None:
    with pytest.raises(KeyError):
        Server(WSGIMiddleware(app, registry=registry)).send()
    assert counted(registry, "http_exceptions") == {("GET", "unknown", "KeyError"): 1}
    assert counted(registry) == {("GET", "unknown", status): 1}
    assert in_flight(registry) == 0 and durations(registry) == 1


def test_the_status_of_an_error_page_counts(registry: CollectorRegistry) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", HEADERS)
        try:
            raise KeyError("x")
        except KeyError as error:
            start_response("503 Service Unavailable", HEADERS, (KeyError, error, error.__traceback__))
        return [b"sorry"]

    Server(WSGIMiddleware(app, registry=registry)).send()
    assert counted(registry) == {("GET", "unknown", "503"): 1}


def test_an_exception_of_a_close_is_counted(registry: CollectorRegistry) -> None:
    class Chunks(list[bytes]):
        def close(self) -> None:
            raise OSError("x")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        return Chunks([b"a"])

    with pytest.raises(OSError):
        Server(WSGIMiddleware(app, registry=registry)).send()
    assert counted(registry) == {("GET", "unknown", "200"): 1}
    assert counted(registry, "http_exceptions") == {("GET", "unknown", "OSError"): 1}


def test_a_file_stays_what_the_server_sends_by_itself(registry: CollectorRegistry) -> None:
    file = io.BytesIO(b"content")

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", HEADERS)
        return FileWrapper(file)

    server = Server(WSGIMiddleware(app, registry=registry), **{"wsgi.file_wrapper": FileWrapper})
    assert type(server.chunks) is FileWrapper and in_flight(registry) == 1
    server.send()
    assert file.closed and in_flight(registry) == 0
    assert counted(registry) == {("GET", "unknown", "200"): 1}


def test_the_length_of_a_single_chunk_is_told(registry: CollectorRegistry) -> None:
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    output = io.BytesIO()
    handler = SimpleHandler(io.BytesIO(), output, io.StringIO(), environ)
    handler.run(WSGIMiddleware(hello, registry=registry))
    assert b"Content-Length: 5\r\n" in output.getvalue()
    assert counted(registry) == {("GET", "unknown", "200"): 1}


def test_two_applications_of_a_process_count_together(registry: CollectorRegistry) -> None:
    for route in ("/a", "/b"):
        Server(WSGIMiddleware(hello, lambda environ, route=route: route, registry=registry)).send()  # type: ignore[misc]
    assert counted(registry) == {("GET", "/a", "200"): 1, ("GET", "/b", "200"): 1}


# -- ASGI


def asked(app: Any, *received: dict[str, Any], **scope: Any) -> list[dict[str, Any]]:
    """What an ASGI application sends for one request."""
    sent: list[dict[str, Any]] = []
    messages = iter(received or ({"type": "http.request"},))

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": "GET", "path": "/users/1", **scope}, receive, send))
    return sent


def start(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"x", "more_body": more}


def test_a_request_of_asgi_is_counted_by_what_matched(registry: CollectorRegistry) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        scope["route"] = SimpleNamespace(path="/users/{id}")
        await send(start(404))
        await send(body(more=True))
        assert in_flight(registry) == 1 and counted(registry) == {}
        await send(body())
        assert in_flight(registry) == 0  # what comes now runs in the background

    sent = asked(ASGIMiddleware(app, registry=registry))
    assert [message["type"] for message in sent] == ["http.response.start"] + 2 * ["http.response.body"]
    assert counted(registry) == {("GET", "/users/{id}", "404"): 1}
    assert durations(registry, "/users/{id}") == 1


def test_a_function_says_the_route_of_a_scope(registry: CollectorRegistry) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send({"type": "http.response.body"})

    asked(ASGIMiddleware(app, lambda scope: scope["endpoint"], registry=registry), endpoint="users")
    assert counted(registry) == {("GET", "users", "200"): 1}


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_what_is_no_request_passes_through(registry: CollectorRegistry, kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": f"{scope['type']}.done"})

    assert asked(ASGIMiddleware(app, registry=registry), type=kind) == [{"type": f"{kind}.done"}]
    assert counted(registry) == {} and in_flight(registry) == 0


@pytest.mark.parametrize(
    ("sends", "status"), [([], "500"), ([start()], "200"), ([start(), body(True)], "200"), ([start(), body()], "200")]
)
def test_an_exception_of_asgi_is_counted_and_goes_on(
    registry: CollectorRegistry, sends: list[dict[str, Any]], status: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in sends:
            await send(message)
        raise KeyError("x")

    with pytest.raises(KeyError):
        asked(ASGIMiddleware(app, registry=registry))
    assert counted(registry) == {("GET", "unknown", status): 1}
    assert counted(registry, "http_exceptions") == {("GET", "unknown", "KeyError"): 1}
    assert in_flight(registry) == 0 and durations(registry) == 1


@pytest.mark.parametrize(("sends", "status"), [([], "499"), ([start(), body(True)], "200")])
def test_a_client_of_asgi_that_goes_away_ends_its_request(
    registry: CollectorRegistry, sends: list[dict[str, Any]], status: str
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in sends:
            await send(message)
        assert (await receive())["type"] == "http.disconnect"

    asked(ASGIMiddleware(app, registry=registry), {"type": "http.disconnect"})
    assert counted(registry) == {("GET", "unknown", status): 1}
    assert in_flight(registry) == 0


def test_a_request_that_is_cancelled_ends(registry: CollectorRegistry) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.ensure_future(
            ASGIMiddleware(app, registry=registry)({"type": "http", "method": "GET"}, None, None)  # type: ignore[arg-type]
        )
        await asyncio.sleep(0)
        assert in_flight(registry) == 1
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(cancelled())
    assert in_flight(registry) == 0
    assert counted(registry, "http_exceptions") == {("GET", "unknown", "CancelledError"): 1}


def test_threads_that_wrap_applications_at_once_share_the_metrics_of_a_registry() -> None:
    threads, registries = 4, [CollectorRegistry() for _ in range(100)]
    barrier = threading.Barrier(threads)

    def wrap(_: int) -> None:
        for registry in registries:
            barrier.wait(LIMIT_S)
            WSGIMiddleware(lambda environ, start_response: [], registry=registry)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(wrap, range(threads)))
    finally:
        sys.setswitchinterval(before)
