"""Middleware that counts the requests of a WSGI or an ASGI application: by route, how long, how many, what went wrong.

Paths never become labels: a client could ask for any number of them. The route is what the framework has matched, or
what a function of the user's says.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from sys import intern
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, cast
from weakref import WeakKeyDictionary

from shmstore.metrics.instruments import Counter, Gauge, Histogram
from shmstore.metrics.memory import memory
from shmstore.metrics.registry import REGISTRY, CollectorRegistry
from shmstore.metrics.routes import ASGIRoutes, wsgi_route
from shmstore.public import PACKAGE

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
Route: TypeAlias = Callable[[Any], str | None]

_UNKNOWN_ROUTE: Final = "unknown"
_METHODS: Final = {
    name: name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
}
_OTHER_METHOD: Final = "OTHER"  # a client may send any word
_FAILED: Final = "500"  # what servers answer when the application raises
_CLIENT_GONE: Final = "499"  # before there was a response, as proxies log it


class _Metrics:
    """The metrics of all requests that are counted in one registry."""

    _of: ClassVar["WeakKeyDictionary[CollectorRegistry, _Metrics]"] = WeakKeyDictionary()

    def __init__(self, registry: CollectorRegistry) -> None:
        self.total = Counter("http_requests", "Requests", ("method", "route", "status"), registry=registry)
        self.seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds from a request to the end of its response",
            ("method", "route"),
            registry=registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests in progress", registry=registry, multiprocess_mode="livesum"
        )
        self.exceptions = Counter(
            "http_exceptions", "Exceptions that left the application", ("method", "route", "type"), registry=registry
        )

    @classmethod
    def of(cls, registry: CollectorRegistry) -> "_Metrics":
        with memory.lock:
            if registry not in cls._of:
                cls._of[registry] = cls(registry)
            return cls._of[registry]


class _Middleware:
    def __init__(self, app: Any, route: Route | None, registry: CollectorRegistry) -> None:
        self.app = app
        self.metrics = _Metrics.of(registry)
        self._route = route
        self._has_told = False

    def matched(self, request: Any) -> str | None:
        """The route that the framework has matched."""
        raise NotImplementedError

    def route_of(self, request: "_Request") -> str:
        try:
            route = self.matched(request) if self._route is None else self._route(request.asked)
            return _UNKNOWN_ROUTE if route is None else route  # Django's home page has the route ""
        except Exception:  # whoever counts requests must not fail them
            if not self._has_told:
                self._has_told = True
                import logging  # only where something is wrong

                logging.getLogger(__name__).exception("route= of the middleware failed; told once")
            return _UNKNOWN_ROUTE


class _Request:
    """One request, from its beginning until its response has ended, failed or been given up."""

    __slots__ = ("_began_s", "_method", "_middleware", "_respond", "_route", "asked", "has_ended", "status")

    def __init__(self, middleware: _Middleware, request: Any, method: str, respond: Any) -> None:
        self._middleware = middleware
        self._respond = respond
        self.asked = request
        self._method = _METHODS.get(method, _OTHER_METHOD)
        self.status: str | None = None
        self._route: str | None = None
        self.has_ended = False
        middleware.metrics.in_flight.inc()
        self._began_s = perf_counter()

    def route(self) -> str:
        """As it is found when the response starts, or else when the request fails: Flask forgets it soon after."""
        if self._route is None:
            self._route = self._middleware.route_of(self)
        return self._route

    def end(self, status: str) -> None:
        """Count it, with the status that was started or else this one; does nothing the second time."""
        if self.has_ended:
            return
        self.has_ended = True
        seconds = perf_counter() - self._began_s
        metrics = self._middleware.metrics
        metrics.in_flight.dec()
        route = self.route()
        metrics.seconds.labels(self._method, route).observe(seconds)
        metrics.total.labels(self._method, route, self.status or status).inc()

    def count_exception(self, error: BaseException) -> None:
        """It left the application."""
        self._middleware.metrics.exceptions.labels(self._method, self.route(), type(error).__name__).inc()


class WSGIMiddleware(_Middleware):
    """A WSGI application whose requests are counted.

    app       the application
    route     says the route of a request by its environ, once the response starts; None counts it as
              `unknown`. Without this function it is what Flask and Bottle have matched, behind the mounts of a
              dispatcher of Werkzeug in the application.
    registry  where the metrics are declared

    A request ends when its response is exhausted, closed, or fails.
    """

    app: "WSGIApplication"

    def __init__(
        self, app: "WSGIApplication", route: Route | None = None, *, registry: CollectorRegistry = REGISTRY
    ) -> None:
        super().__init__(app, route, registry)

    def matched(self, request: "_WSGIRequest") -> str | None:
        return wsgi_route(self.app, request.asked, request.script_name)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = _WSGIRequest(self, environ, environ["REQUEST_METHOD"], start_response)
        request.is_sent = False
        request.script_name = environ.get("SCRIPT_NAME", "")
        try:
            chunks = self.app(environ, request.start)
        except BaseException as error:
            request.fail(error)
            raise
        if type(chunks) is list or type(chunks) is tuple:
            return _WholeResponse(request, chunks)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(chunks, wrapper):
            return _file_response(request, chunks)
        return _Response(request, chunks)


class _WSGIRequest(_Request):
    __slots__ = ("_write", "is_sent", "script_name")
    is_sent: bool
    """Whether the client has the status."""
    script_name: str
    """That the application was called with; a dispatcher in it changes that of the environ."""

    def start(self, status: str, headers: list[tuple[str, str]], *failure: Any) -> Callable[[bytes], object]:
        self._write = self._respond(status, headers, *failure)
        self.status = intern(status[:3])
        self.route()
        return self.write

    def write(self, chunk: bytes) -> object:
        self.is_sent = True
        return self._write(chunk)

    def fail(self, error: BaseException) -> None:
        self.count_exception(error)
        if not self.is_sent:
            self.status = _FAILED
        self.end(_FAILED)


class _Response:
    """The chunks of a response, until its end."""

    __slots__ = ("_chunks", "_next", "_request")

    def __init__(self, request: _WSGIRequest, chunks: Iterable[bytes]) -> None:
        self._request = request
        self._chunks = chunks
        self._next: Callable[[], bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            if self._next is None:
                self._next = iter(self._chunks).__next__
            chunk = self._next()
        except StopIteration:
            self._request.end(_FAILED)
            raise
        except BaseException as error:
            self._request.fail(error)
            raise
        if chunk:
            self._request.is_sent = True
        return chunk

    def close(self) -> None:
        """The server has what it wanted; perhaps its client has gone."""
        try:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        except BaseException as error:
            self._request.count_exception(error)
            raise
        finally:
            self._request.end(_CLIENT_GONE)


class _WholeResponse:
    """A list or tuple of chunks: what fails has failed before, and servers take the length from a single chunk."""

    __slots__ = ("_chunks", "_request")

    def __init__(self, request: _WSGIRequest, chunks: list[bytes] | tuple[bytes, ...]) -> None:
        self._request = request
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def __len__(self) -> int:
        return len(self._chunks)

    def close(self) -> None:
        self._request.end(_FAILED)


def _file_response(request: _WSGIRequest, wrapper: Any) -> Iterable[bytes]:
    """A file that the server may send by itself stays its own wrapper; the request ends when that is closed."""
    close = getattr(wrapper, "close", None)

    def end() -> None:
        try:
            if close is not None:
                close()
        finally:
            request.end(_CLIENT_GONE)

    try:
        wrapper.close = end
    except AttributeError:
        return _Response(request, wrapper)
    return cast(Iterable[bytes], wrapper)


class ASGIMiddleware(_Middleware):
    """An ASGI application whose HTTP requests are counted; websockets and lifespan pass through.

    app       the application
    route     says the route of a request by its scope, once the response starts; None counts it as
              `unknown`. Without this function it is what FastAPI or Starlette has matched, with all
              prefixes and mounts.
    registry  where the metrics are declared

    A request ends with the last message of its response; what runs in the background afterwards is not part of it.
    """

    app: ASGIApplication

    def __init__(
        self, app: ASGIApplication, route: Route | None = None, *, registry: CollectorRegistry = REGISTRY
    ) -> None:
        super().__init__(app, route, registry)
        self._routes = ASGIRoutes()

    def matched(self, request: _Request) -> str | None:
        return self._routes.of(request.asked)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _ASGIRequest(self, scope, scope["method"], send)
        request.receive_message = receive
        request.is_client_gone = False
        try:
            await self.app(scope, request.receive, request.send)
        except BaseException as error:
            request.count_exception(error)
            raise
        finally:
            request.end(_CLIENT_GONE if request.is_client_gone else _FAILED)


class _ASGIRequest(_Request):
    __slots__ = ("is_client_gone", "receive_message")
    receive_message: Receive
    is_client_gone: bool

    async def receive(self) -> Message:
        message = await self.receive_message()
        if message["type"] == "http.disconnect":
            self.is_client_gone = True
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self.status = intern(str(message["status"]))
            self.route()
        await self._respond(message)
        if kind == "http.response.body" and not message.get("more_body", False):
            self.end(_FAILED)


for _class in (WSGIMiddleware, ASGIMiddleware):
    _class.__module__ = f"{PACKAGE}.metrics"
