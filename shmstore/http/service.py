"""The service as a WSGI application: `gunicorn shmstore.http.service:app`, with any number of workers on one store.

Each process opens the segments at its first request, so that workers may be forked before or after. Whatever goes wrong
is answered in JSON with a sentence for whoever asked, and nothing of a traceback.
"""

import re
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from shmstore import metrics
from shmstore.arguments.shown import bracketed, near
from shmstore.errors import (
    DamagedSegment,
    EventTooLarge,
    InvalidCapacity,
    InvalidEvent,
    InvalidOption,
    KeyTableFull,
    PartitionStalled,
    ShmStoreError,
    StoreClosed,
    StoreUnlinked,
    StreamDeleted,
    StreamTableFull,
    StreamTruncated,
    WrongExpectedVersion,
)
from shmstore.events import store as events
from shmstore.events.store import EventStore
from shmstore.http import access, admin_routes, metric_routes, stream_routes
from shmstore.http.continued import DETACH, GOING_ON, Continued
from shmstore.http.dashboard.files import FILES
from shmstore.http.dashboard.routes import ROUTES as DASHBOARD_ROUTES
from shmstore.http.dashboard.routes import Dashboard
from shmstore.http.detaching import Detached, detaching
from shmstore.http.followers import Followers
from shmstore.http.following import Following
from shmstore.http.message import Answer, HttpError, Request, json_answer
from shmstore.http.metric_routes import Measurement
from shmstore.http.openapi import document
from shmstore.http.settings import Settings
from shmstore.streams.event import ExpectedVersion
from shmstore.streams.store import StreamStore, open_streams

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_STATUSES: Final[tuple[tuple[type[ShmStoreError], int], ...]] = (
    (StreamDeleted, 410),
    (StreamTableFull, 507),
    (KeyTableFull, 507),
    (PartitionStalled, 503),
    (StoreUnlinked, 503),
    (StoreClosed, 503),  # while another request has opened a new one
    (DamagedSegment, 503),
)
T = TypeVar("T")

CAPACITY: Final = 100_000
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # what a proxy keeps by itself would be old
}
"""Headers of each answer, unless it has its own."""

_STATUS_LINES: Final = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_STREAMS: Final = "/streams/"
_A_STREAM: Final = "/streams/{name}"


class Stores(NamedTuple):
    """The segments of a service."""

    streams: StreamStore
    records: EventStore[Any]


Handler = Callable[[Stores, Request], Answer]

_EXPOSITION: Final = Answer(200)  # stands for what the metrics answer by themselves


def _of_records(handler: Callable[[EventStore[Any], Request], Answer]) -> Handler:
    return lambda stores, request: handler(stores.records, request)


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/health": {"GET": lambda _stores, _request: json_answer(200, "OK")},
    "/ready": {"GET": lambda _stores, _request: json_answer(200, {"ready": True})},
    "/openapi.json": {"GET": lambda _stores, _request: json_answer(200, document())},
    "/streams": {"GET": lambda stores, request: stream_routes.names(stores.streams, request)},
    "/metrics/sum": {"GET": _of_records(metric_routes.total)},
    "/metrics/sum-window": {"GET": _of_records(metric_routes.total_of_minutes)},
    "/metrics/window": {"GET": _of_records(metric_routes.window)},
    "/metrics/top": {"GET": _of_records(metric_routes.top)},
    "/metrics/snapshot-views": {"GET": _of_records(metric_routes.views)},
    "/metrics/aggregate-zero-alloc": {"GET": _of_records(metric_routes.summary)},
    "/metrics/process-events": {"GET": _of_records(metric_routes.process)},
    "/metrics": {"POST": _of_records(metric_routes.append), "GET": lambda _stores, _request: _EXPOSITION},
    "/admin/clear": {"POST": _of_records(admin_routes.clear)},
    "/admin/reset": {"POST": _of_records(admin_routes.reset)},
    "/admin/purge": {"POST": _of_records(admin_routes.purge)},
    **{path: {"GET": lambda _stores, _request: Answer(200)} for path in DASHBOARD_ROUTES},
}
_OF_A_STREAM: Final = ("GET", "POST")


class Service:
    """A WSGI application that serves the stores of its settings. `close` it when no request is on its way.

    Its requests are counted in `registry`, which `GET /metrics` shows; with None they are not counted.
    """

    def __init__(self, settings: Settings, registry: metrics.CollectorRegistry | None = metrics.REGISTRY) -> None:
        self.settings = settings
        self._lock = threading.RLock()  # a signal handler may close it
        self._stores: Stores | None = None
        self._followers = Followers()
        self._dashboard = Dashboard(settings)
        self._of_streams: dict[str, Handler] = dict.fromkeys(_OF_A_STREAM, self._of_a_stream)
        self._exposition = metrics.make_wsgi_app(metrics.CollectorRegistry() if registry is None else registry)
        self._counted: WSGIApplication = self._answered
        if registry is not None:
            self._counted = metrics.WSGIMiddleware(self._answered, route=_route_of, registry=registry)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[DETACH] = detach = detaching(start_response)
        body = self._counted(environ, start_response)
        going_on = environ.get(GOING_ON)
        if detach is None or going_on is None:
            return body
        take = partial(self._follow, going_on) if isinstance(going_on, Following) else going_on.take
        return Continued(body, going_on, detach, take)

    def _follow(self, following: Following, client: Detached) -> None:
        with suppress(StoreClosed, StoreUnlinked):  # meanwhile: its client asks again
            self._followers.add(client, following)

    def stores(self) -> Stores:
        """The segments, which are opened, or made, when this is called first."""
        stores = self._stores
        if stores is not None and not (stores.streams.unlinked or stores.records.unlinked):
            return stores
        with self._lock:
            if self._stores is not stores and self._stores is not None:
                return self._stores  # another thread has opened them
            self._close()
            given = self.settings
            sizes = {"capacity": given.capacity, "partitions": given.partitions}
            streams = _opened(partial(open_streams, given.name), {**sizes, "data_bytes": given.event_size})
            try:
                records = _opened(partial(events.open, f"{given.name}-records", Measurement), sizes)
            except BaseException:
                streams.close()
                raise
            self._stores = Stores(streams, records)
            return self._stores

    def close(self) -> None:
        """Let go of the segments, which stay."""
        self._followers.close()
        self._dashboard.close()
        with self._lock:
            self._close()

    def _close(self) -> None:
        stores, self._stores = self._stores, None
        for store in stores or ():
            store.close()

    # -- one request

    def _answered(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request_id = environ.get("HTTP_X_REQUEST_ID")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{getrandbits(64):016x}"  # os.urandom would let another thread go first
        try:
            answer = self._answer(Request(environ, self.settings.body_limit))
        except HttpError as error:
            answer = json_answer(error.status, {"error": str(error), **error.more}, *error.headers)
        except ShmStoreError as error:
            answer = _of_error(error)
        except Exception:
            environ["wsgi.errors"].write(f"request {request_id} failed:\n{_indented(traceback.format_exc())}")
            answer = json_answer(500, {"error": f"the service failed; its log says why, under request {request_id}"})
        status, body, content_type, more = answer
        headers = {**_ALWAYS, "X-Request-Id": request_id, **dict(more)}
        if answer is _EXPOSITION:
            return self._exposition(environ, _adding([*headers.items()], start_response))
        if status != 304:
            headers["Content-Type"] = content_type
        if isinstance(body, bytes):
            headers["Content-Length"] = str(len(body))
            body = () if environ["REQUEST_METHOD"] == "HEAD" or status == 304 else (body,)
        start_response(_STATUS_LINES[status], [*headers.items()])
        return body

    def _answer(self, request: Request) -> Answer:
        path, environ = request.path, request.environ
        route = _A_STREAM if path.startswith(_STREAMS) else path
        handlers = self._of_streams if route is _A_STREAM else ROUTES.get(path)
        if handlers is None:
            close = bracketed(near(path, ROUTES))
            raise HttpError(404, f"there is nothing at this path{close}; GET /openapi.json tells what there is")
        environ["shmstore.route"] = route
        access.require_known_host(request, self.settings.hosts)
        method = "GET" if request.method == "HEAD" else request.method
        if method not in handlers:
            allowed = ", ".join(sorted({*handlers, "OPTIONS", *(("HEAD",) if "GET" in handlers else ())}))
            if method == "OPTIONS":  # as balancers ask whether it runs; other sites' pages are allowed nothing by it
                return Answer(200, headers=(("Allow", allowed),))
            refusal = HttpError(405, f"{request.method} is not for this path; it takes {allowed}")
            refusal.headers.append(("Allow", allowed))
            raise refusal
        if path in DASHBOARD_ROUTES:
            environ["shmstore.route"] = "/dashboard/{file}" if path in FILES else path
            with suppress(ShmStoreError):  # it shows what is wrong with them
                self.stores()
            return self._dashboard.answer(request)
        self._let_in(request, path)
        if path == "/health":
            return json_answer(200, "OK")
        try:
            stores = self.stores()
        except ShmStoreError as error:
            raise HttpError(503, f"the service has no stores: {error}") from error
        return handlers[method](stores, request)

    def _let_in(self, request: Request, path: str) -> None:
        given = self.settings
        if path.startswith("/admin/"):
            if given.admin_token == "off":
                raise HttpError(403, "administration is switched off here")
            if given.admin_token:
                access.require_token(request, given.admin_token, path)
            else:
                access.require_this_machine(request)
        elif given.read_token and path not in ("/health", "/ready"):
            access.require_token(request, given.read_token, path)

    def _of_a_stream(self, stores: Stores, request: Request) -> Answer:
        name = request.path.removeprefix(_STREAMS)
        if not name:
            raise HttpError(404, "the path names no stream; give one, as /streams/orders")
        if "/." in request.path or "//" in request.path:
            access.require_plain_steps(request)
        serve = stream_routes.append if request.method == "POST" else stream_routes.read
        return serve(stores.streams, request, name)


def share_requests(settings: Settings) -> None:
    """Count requests, and what else this process counts, together with all processes of a service: in NAME-metrics."""
    with suppress(InvalidOption):  # the program that serves it shares its metrics already, by another name
        metrics.configure(f"{settings.name}-metrics")


def _opened(opening: Callable[..., T], options: Mapping[str, int | None]) -> T:
    """A store that is attached, or made. One that exists is compared with what was asked for, not what is usual."""
    asked = {name: number for name, number in options.items() if number is not None}
    try:
        return opening(**asked)
    except InvalidCapacity:
        if "capacity" in asked:
            raise
        return opening(capacity=CAPACITY, **asked)  # there is none


def _indented(text: str) -> str:
    """A traceback for a log of lines: what a client has sent and an error repeats cannot begin a line, or colour it."""
    lines = ("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in text.splitlines())
    return "".join(f"  {line}\n" for line in lines)


def _adding(more: list[tuple[str, str]], start_response: "StartResponse") -> "StartResponse":
    """`start_response` for another application, whose answer gets these headers, too."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        return start_response(status, [*headers, *more], exc_info)

    return start


def _route_of(environ: "WSGIEnvironment") -> str | None:
    route: str | None = environ.get("shmstore.route")
    return route


def _of_error(error: ShmStoreError) -> Answer:
    """What the library has refused, as an answer."""
    if isinstance(error, WrongExpectedVersion):
        expected = error.expected.name.lower() if isinstance(error.expected, ExpectedVersion) else error.expected
        return json_answer(409, {"error": str(error), "expected": expected, "actual": error.actual})
    if isinstance(error, StreamTruncated):
        return json_answer(410, {"error": str(error), "firstVersion": error.first})
    too_large = error.__cause__ if isinstance(error.__cause__, EventTooLarge) else error  # of a batch it is the cause
    if isinstance(too_large, EventTooLarge):
        told = str(error).replace("data_bytes=", "event size (SHMSTORE_EVENT_SIZE)")
        return json_answer(413, {"error": told, "size": too_large.size, "limit": too_large.limit})
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            headers = (("Retry-After", "1"),) if status == 503 else ()
            return json_answer(status, {"error": str(error)}, *headers)
    is_mistake = isinstance(error, InvalidEvent | InvalidOption | ValueError | TypeError)
    return json_answer(400 if is_mistake else 503, {"error": str(error)})


def __getattr__(name: str) -> Service:
    """`app`, the service whose settings are variables of the environment, made when a server asks for it: one that is
    wrong is told as the server starts.
    """
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    settings = Settings.from_environment()
    share_requests(settings)
    globals()[name] = made = Service(settings)
    return made
