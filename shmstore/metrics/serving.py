"""Serving an exposition over HTTP: as a WSGI or an ASGI application, or by a server of its own in a thread.

The format is the one that the client prefers: OpenMetrics where it asks for it, else text 0.0.4.
"""

import gzip
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qs

from shmstore.metrics.exposition import CONTENT_TYPE_OPENMETRICS, CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from shmstore.metrics.registry import REGISTRY, Collector, CollectorRegistry
from shmstore.public import PACKAGE

if TYPE_CHECKING:
    from ssl import SSLContext, TLSVersion
    from wsgiref.simple_server import WSGIServer
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Message: TypeAlias = MutableMapping[str, Any]
ASGIApplication: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

_ALLOWED: Final = ("GET", "HEAD", "OPTIONS")
_OPENMETRICS: Final = "application/openmetrics-text"
_VERSIONS: Final = ("", "0.0.1", "1.0.0")  # of OpenMetrics, that 1.0.0 is an answer to
_TEXTS: Final = ("text/plain", "text/*", "*/*")
_FAST: Final = 1  # text of metrics is small already at the fastest level
_REASONS: Final = {200: "OK", 405: "Method Not Allowed", 500: "Internal Server Error"}


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


def make_wsgi_app(registry: CollectorRegistry = REGISTRY, disable_compression: bool = False) -> "WSGIApplication":
    """A WSGI application that answers with all samples of a registry, or those that ``name[]`` asks for."""

    def metrics_app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = _answer(
            registry,
            environ["REQUEST_METHOD"],
            environ.get("QUERY_STRING", ""),
            environ.get("HTTP_ACCEPT", ""),
            "" if disable_compression else environ.get("HTTP_ACCEPT_ENCODING", ""),
        )
        start_response(f"{answer.status} {_REASONS[answer.status]}", answer.headers)
        return [answer.body]

    return metrics_app


def make_asgi_app(registry: CollectorRegistry = REGISTRY, disable_compression: bool = False) -> ASGIApplication:
    """An ASGI application that answers with all samples of a registry, or those that ``name[]`` asks for."""
    return _ASGIExposition(registry, disable_compression)


class _ASGIExposition:
    """No function: Starlette's `Route` takes those for views, and anything else for an ASGI application."""

    def __init__(self, registry: CollectorRegistry, disable_compression: bool) -> None:
        self._registry = registry
        self._disable_compression = disable_compression

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            raise ValueError(f"metrics are served over http, not {scope['type']}")
        found: dict[bytes, list[str]] = {}
        for name, value in scope.get("headers", ()):
            found.setdefault(name.lower(), []).append(value.decode("latin-1"))
        accept, encoding = (",".join(found.get(name, ())) for name in (b"accept", b"accept-encoding"))
        query = scope.get("query_string", b"").decode("latin-1")
        encoding = "" if self._disable_compression else encoding
        answer = _answer(self._registry, scope["method"], query, accept, encoding)
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def start_http_server(
    port: int,
    addr: str = "0.0.0.0",
    registry: CollectorRegistry = REGISTRY,
    certfile: str | None = None,
    keyfile: str | None = None,
    client_cafile: str | None = None,
    client_capath: str | None = None,
    protocol: int | None = None,
    client_auth_required: bool = False,
    tls_min_version: "TLSVersion | None" = None,
    tls_max_version: "TLSVersion | None" = None,
) -> tuple["WSGIServer", threading.Thread]:
    """Serve all samples of a registry from a thread of this process. Returns the server and its thread.

    With `certfile` over TLS; with `client_auth_required` clients have to show a certificate.
    """
    from socketserver import ThreadingMixIn  # only whoever serves pays for it
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    family, address = _address_of(addr, port)

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        address_family = family

    class Silent(WSGIRequestHandler):
        def log_message(self, format: str, *values: Any) -> None:
            pass

    server = make_server(address, port, make_wsgi_app(registry), Server, handler_class=Silent)
    if certfile:
        try:
            context = _tls_context(protocol, client_cafile, client_capath, client_auth_required)
            context.load_cert_chain(certfile, keyfile)
            if tls_min_version is not None:
                context.minimum_version = tls_min_version
            if tls_max_version is not None:
                context.maximum_version = tls_max_version
            # The handshake is left to the thread of the request, as a client may take its time.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        except BaseException:
            server.server_close()
            raise
    thread = threading.Thread(target=server.serve_forever, name=f"shmstore metrics on port {port}", daemon=True)
    thread.start()
    return server, thread


def _answer(registry: CollectorRegistry, method: str, query: str, accept: str, encoding: str) -> _Answer:
    if method not in _ALLOWED or method == "OPTIONS":
        status = 200 if method == "OPTIONS" else 405
        return _Answer(status, [("Allow", ", ".join(_ALLOWED)), ("Content-Length", "0")], b"")
    is_openmetrics = _wants_openmetrics(accept)
    names = parse_qs(query).get("name[]")
    of: Collector = registry.restricted_registry(names) if names else registry
    headers = []
    try:
        body = generate_latest(of, openmetrics=is_openmetrics)
    except Exception:
        import logging  # only where something is wrong

        logging.getLogger(__name__).exception("metrics could not be written")
        headers.append(("Content-Type", "text/plain; charset=utf-8"))
        status, body = 500, b"the metrics could not be written; the server's log says why\n"
    else:
        headers.append(("Content-Type", CONTENT_TYPE_OPENMETRICS if is_openmetrics else CONTENT_TYPE_PLAIN_0_0_4))
        status = 200
        if _takes_gzip(encoding):
            headers.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, _FAST, mtime=0)
    headers += [("Vary", "Accept, Accept-Encoding"), ("Content-Length", str(len(body)))]
    return _Answer(status, headers, b"" if method == "HEAD" else body)


def _wants_openmetrics(accept: str) -> bool:
    """Whether a client that sends this takes OpenMetrics, and likes it no less than text."""
    openmetrics = text = 0.0
    for kind, parameters in _choices(accept):
        quality = _quality(parameters)
        if kind == _OPENMETRICS and parameters.get("version", "") in _VERSIONS:
            openmetrics = max(openmetrics, quality)
        elif kind in _TEXTS:
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def _takes_gzip(encoding: str) -> bool:
    found = {kind: _quality(parameters) for kind, parameters in _choices(encoding)}
    return found.get("gzip", found.get("*", 0.0)) > 0


def _choices(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    for choice in header.split(","):
        kind, *parameters = (part.strip() for part in choice.lower().split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        yield kind, {name.strip(): value.strip(' "') for name, _, value in pairs}


def _quality(parameters: dict[str, str]) -> float:
    try:
        return min(max(float(parameters.get("q", 1)), 0.0), 1.0)
    except ValueError:
        return 0.0


def _address_of(addr: str, port: int) -> tuple[socket.AddressFamily, str]:
    family, _, _, _, address = socket.getaddrinfo(addr, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return family, str(address[0])


def _tls_context(protocol: int | None, cafile: str | None, capath: str | None, is_required: bool) -> "SSLContext":
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if protocol is None else protocol)
    if cafile or capath:
        context.load_verify_locations(cafile, capath)
    else:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    if is_required:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


for _function in (make_asgi_app, make_wsgi_app, start_http_server):
    _function.__module__ = f"{PACKAGE}.metrics"
