"""What is served over HTTP: the format that the client prefers, packed as it likes, and errors that tell nothing."""

import asyncio
import gzip
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from starlette.applications import Starlette
from starlette.routing import Route

from shmstore import metrics
from tests.helpers import programs

OPENMETRICS = metrics.CONTENT_TYPE_OPENMETRICS
TEXT = metrics.CONTENT_TYPE_PLAIN_0_0_4

# What Prometheus 3 sends, and what 2.5 sent.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;"
    "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
EARLIER_PROMETHEUS = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[..., Answer]


@pytest.fixture
def registry() -> metrics.CollectorRegistry:
    registry = metrics.CollectorRegistry()
    counter = metrics.Counter("orders", "Orders", ["gateway"], registry=registry)
    counter.labels("gw-1").inc(3)
    metrics.Gauge("load", "Load", registry=registry).set(0.5)
    return registry


def of_wsgi(app: Any, method: str, query: str, headers: dict[str, str]) -> Answer:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "QUERY_STRING": query}
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    setup_testing_defaults(environ)
    started: list[Any] = []
    body = b"".join(app(environ, lambda status, headers: started.append((int(status[:3]), dict(headers)))))
    return (*started[0], body)


def of_asgi(app: Any, method: str, query: str, headers: dict[str, str], path: str = "/") -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": pairs}
    asyncio.run(app(scope, None, send))
    names = {name.title(): value for name, value in ((n.decode(), v.decode()) for n, v in sent[0]["headers"])}
    return sent[0]["status"], names, sent[1]["body"]


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request: pytest.FixtureRequest, registry: metrics.CollectorRegistry) -> Ask:
    """Ask an application of either kind."""

    def asked(method: str = "GET", query: str = "", of: metrics.CollectorRegistry = registry, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if request.param == "wsgi":
            return of_wsgi(metrics.make_wsgi_app(of), method, query, named)
        return of_asgi(metrics.make_asgi_app(of), method, query, named)

    return asked


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (PROMETHEUS, OPENMETRICS),
        (EARLIER_PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.4", OPENMETRICS),
        ("Application/OpenMetrics-Text", OPENMETRICS),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT),
        ("application/openmetrics-text;q=0,text/plain", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;q=much", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("*/*", TEXT),
        ("application/json", TEXT),
        (",;=,", TEXT),
        ("", TEXT),
    ],
)
def test_the_format_is_what_the_client_prefers(ask: Ask, accept: str, kind: str) -> None:
    status, headers, body = ask(accept=accept)
    assert (status, headers["Content-Type"]) == (200, kind)
    families = (openmetrics_families if kind == OPENMETRICS else text_families)(body.decode())
    assert {family.name for family in families} >= {"orders", "load"}
    assert headers["Content-Length"] == str(len(body)) and headers["Vary"] == "Accept, Accept-Encoding"


@pytest.mark.parametrize(
    ("encoding", "is_packed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("*", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("deflate", False),
        ("", False),
    ],
)
def test_an_answer_is_packed_for_whoever_unpacks_it(ask: Ask, encoding: str, is_packed: bool) -> None:
    _, headers, body = ask(accept_encoding=encoding)
    assert (headers.get("Content-Encoding") == "gzip") == is_packed
    assert headers["Content-Length"] == str(len(body))
    assert b'orders_total{gateway="gw-1"} 3.0\n' in (gzip.decompress(body) if is_packed else body)


def test_compression_can_be_turned_off(registry: metrics.CollectorRegistry) -> None:
    app = metrics.make_wsgi_app(registry, disable_compression=True)
    _, headers, body = of_wsgi(app, "GET", "", {"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in headers and b"load 0.5" in body
    asgi = metrics.make_asgi_app(registry, disable_compression=True)
    assert of_asgi(asgi, "GET", "", {"Accept-Encoding": "gzip"})[2] == body


def test_a_route_of_starlette_answers_where_it_is(registry: metrics.CollectorRegistry) -> None:
    app = Starlette(routes=[Route("/metrics", metrics.make_asgi_app(registry))])

    def ask(method: str, **headers: str) -> Answer:
        return of_asgi(app, method, "name[]=load", headers, path="/metrics")

    status, headers, body = ask("GET", accept=PROMETHEUS)
    assert (status, headers["Content-Type"]) == (200, OPENMETRICS) and b"load 0.5" in body and b"orders" not in body
    assert b"load 0.5" in gzip.decompress(ask("GET", **{"accept-encoding": "gzip"})[2])
    assert [ask(method)[0] for method in ("HEAD", "OPTIONS", "POST")] == [200, 200, 405]


def test_names_choose_samples(ask: Ask) -> None:
    _, _, body = ask(query="name[]=load&name%5B%5D=nothing")
    assert b"load 0.5" in body and b"orders" not in body
    _, _, body = ask(query="name[]=load&name[]=orders_total")
    assert b"load 0.5" in body and b"orders_total" in body
    assert ask(query="name[]=nothing")[2] == b""


def test_a_head_is_an_answer_without_its_body(ask: Ask) -> None:
    _, wanted, body = ask("GET")
    status, headers, nothing = ask("HEAD")
    assert (status, headers, nothing) == (200, wanted, b"") and body


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 200), ("POST", 405), ("DELETE", 405), ("BREW", 405)])
def test_other_methods_are_told_what_is_allowed(ask: Ask, method: str, status: int) -> None:
    assert ask(method) == (status, {"Allow": "GET, HEAD, OPTIONS", "Content-Length": "0"}, b"")


def test_an_error_tells_the_log_and_not_the_client(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def collect(self) -> Iterable[metrics.Metric]:
            raise KeyError("secret")

    broken = metrics.CollectorRegistry()
    broken.register(Broken())
    status, headers, body = ask(of=broken, accept_encoding="gzip")
    assert (status, headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
    assert b"secret" not in body and b"Traceback" not in body and body.endswith(b"\n")
    assert "secret" in caplog.text


def test_only_http_is_served(registry: metrics.CollectorRegistry) -> None:
    with pytest.raises(ValueError, match="lifespan"):
        asyncio.run(metrics.make_asgi_app(registry)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost"])
def test_a_server_of_its_own(registry: metrics.CollectorRegistry, address: str) -> None:
    server, thread = metrics.start_http_server(0, address, registry)
    try:
        port = server.server_address[1]
        with urllib.request.urlopen(f"http://{address}:{port}/metrics?name[]=load", timeout=10) as answer:
            assert answer.read() == b"# HELP load Load\n# TYPE load gauge\nload 0.5\n"
        with pytest.raises(urllib.error.HTTPError, match="405"):
            urllib.request.urlopen(f"http://{address}:{port}/", data=b"x", timeout=10)
        assert thread.daemon
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@programs.needs("openssl")
def test_a_server_with_a_certificate(registry: metrics.CollectorRegistry, tmp_path: Path) -> None:
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 1 "
        "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    files = str(tmp_path / "certificate"), str(tmp_path / "key")
    server, thread = metrics.start_http_server(
        0, "localhost", registry, *files, tls_min_version=ssl.TLSVersion.TLSv1_2, tls_max_version=ssl.TLSVersion.TLSv1_3
    )
    try:
        trusting = ssl.create_default_context(cafile=files[0])
        url = f"https://localhost:{server.server_address[1]}/metrics"
        with urllib.request.urlopen(url, timeout=10, context=trusting) as answer:
            assert b"load 0.5" in answer.read()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    with pytest.raises(ssl.SSLError):
        metrics.start_http_server(0, "localhost", registry, files[1], files[1])
