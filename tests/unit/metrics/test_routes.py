"""The route of a request is what the application has matched, never what a client has written."""

from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from shmstore.metrics import CollectorRegistry, WSGIMiddleware


def routes(registry: CollectorRegistry) -> dict[str, float]:
    """How often each has been asked for."""
    return {
        sample.labels["route"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "http_requests_total"
    }


# -- WSGI


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def ask(app: Any, path: str = "/", **environ: Any) -> None:
    """Handle one request."""
    asked = {"PATH_INFO": path, **environ}
    setup_testing_defaults(asked)
    chunks = app(asked, lambda status, headers, failure=None: list.append)
    list(chunks)
    chunks.close()


@pytest.mark.parametrize(("said", "route"), [("", ""), (None, "unknown"), ("/a", "/a")])
def test_only_none_is_no_route(said: str | None, route: str) -> None:
    registry = CollectorRegistry()
    ask(WSGIMiddleware(hello, lambda environ: said, registry=registry))
    assert routes(registry) == {route: 1}
