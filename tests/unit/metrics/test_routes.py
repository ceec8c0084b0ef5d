"""The route of a request is what the application has matched, never what a client has written."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from fastapi import APIRouter, FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from shmstore.metrics import ASGIMiddleware, CollectorRegistry, WSGIMiddleware


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


def shop() -> Flask:
    app = Flask("shop")
    app.add_url_rule("/list/<int:number>", "list", lambda number: str(number))
    return app


def test_the_prefix_of_a_dispatcher_is_part_of_the_route() -> None:
    registry = CollectorRegistry()
    inner = DispatcherMiddleware(shop(), {"/deep": shop()})
    app = WSGIMiddleware(DispatcherMiddleware(shop(), {"/a": shop(), "/b": inner}), registry=registry)
    for path in ("/list/1", "/a/list/1", "/a/list/2", "/b/list/1", "/b/deep/list/1"):
        ask(app, path)
    rule = "/list/<int:number>"
    assert routes(registry) == {rule: 1, f"/a{rule}": 2, f"/b{rule}": 1, f"/b/deep{rule}": 1}


def test_where_the_whole_is_served_is_no_part_of_the_route() -> None:
    registry = CollectorRegistry()
    app = WSGIMiddleware(DispatcherMiddleware(shop(), {"/a": shop()}), registry=registry)
    for script_name in ("", "/a", "/elsewhere"):
        ask(app, "/list/1", SCRIPT_NAME=script_name)
        ask(app, "/a/list/1", SCRIPT_NAME=script_name)
    assert routes(registry) == {"/list/<int:number>": 3, "/a/list/<int:number>": 3}


def test_what_keeps_an_application_that_it_wraps_adds_nothing_to_the_route() -> None:
    class Extension:
        def __init__(self, app: Flask) -> None:
            self.app, self.wsgi_app = app, app.wsgi_app
            app.wsgi_app = self  # type: ignore[method-assign]

        def __call__(self, environ: Any, start_response: Any) -> Any:
            return self.wsgi_app(environ, start_response)

    registry = CollectorRegistry()
    inner = shop()
    Extension(inner)
    app = WSGIMiddleware(ProxyFix(DispatcherMiddleware(inner, {"/a": inner}), x_prefix=1), registry=registry)
    ask(app, "/list/1", HTTP_X_FORWARDED_PREFIX="/b")
    ask(app, "/a/list/1", HTTP_X_FORWARDED_PREFIX="/b")
    assert routes(registry) == {"/list/<int:number>": 1, "/a/list/<int:number>": 1}


@pytest.mark.parametrize("prefix", ["/1", "/list", "/a/2"])
def test_what_a_client_says_of_a_proxy_is_no_part_of_the_route(prefix: str) -> None:
    registry = CollectorRegistry()
    mounted = DispatcherMiddleware(shop(), {"/a": shop()})
    app = WSGIMiddleware(ProxyFix(mounted, x_prefix=1), registry=registry)
    ask(app, "/list/1", HTTP_X_FORWARDED_PREFIX=prefix)
    ask(app, "/a/list/1", HTTP_X_FORWARDED_PREFIX=prefix)
    assert routes(registry) == {"/list/<int:number>": 1, "/a/list/<int:number>": 1}


# -- ASGI


def get(app: ASGIApp, *paths: str, root_path: str = "") -> dict[str, float]:
    """Ask for these paths of an application. Returns how often each route was counted."""
    registry = CollectorRegistry()
    counted = ASGIMiddleware(app, registry=registry)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)  # files are sent beside a task that waits for the client to go
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        pass

    async def ask_all() -> None:
        for path in paths:
            scope = {"type": "http", "method": "GET", "path": f"{root_path}{path}", "root_path": root_path}
            await counted({**scope, "headers": [(b"host", b"a.b")], "query_string": b""}, receive, send)

    asyncio.run(ask_all())
    return routes(registry)


def listing(*included: tuple[str, APIRouter], **options: Any) -> FastAPI:
    app = FastAPI(**options)
    app.add_api_route("/list/{number}", lambda number: number)
    for prefix, router in included:
        app.include_router(router, prefix=prefix)
    return app


def router() -> APIRouter:
    router = APIRouter()
    router.add_api_route("/list/{number}", lambda number: number)
    return router


async def answer(request: Any) -> PlainTextResponse:
    return PlainTextResponse("x")


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("x")(scope, receive, send)


def test_the_prefix_of_an_included_router_is_part_of_the_route() -> None:
    outer = APIRouter(prefix="/outer")
    outer.include_router(router(), prefix="/inner")
    app = listing(("/users", router()), ("/orders", router()), ("", outer))
    assert get(app, "/users/list/1", "/orders/list/1", "/orders/list/2", "/list/1", "/outer/inner/list/1") == {
        "/users/list/{number}": 1,
        "/orders/list/{number}": 2,
        "/list/{number}": 1,
        "/outer/inner/list/{number}": 1,
    }


@pytest.mark.parametrize("root_path", ["", "/proxied", "/v1"])
def test_the_prefix_of_a_mounted_application_is_part_of_the_route(root_path: str) -> None:
    app = listing()
    app.mount("/v1", listing(("/users", router())))
    app.mount("/v2", CORSMiddleware(listing()))
    app.mount("/old", Starlette(routes=[Mount("/deep", routes=[Route("/list/{number:int}", answer)])]))
    paths = ("/list/1", "/v1/list/1", "/v2/list/1", "/v2/list/2", "/v1/users/list/1", "/old/deep/list/1", "/v1/no")
    assert get(app, *paths, root_path=root_path) == {
        "/list/{number}": 1,
        "/v1/list/{number}": 1,
        "/v2/list/{number}": 2,
        "/v1/users/list/{number}": 1,
        "/old/deep/list/{number:int}": 1,
        "unknown": 1,
    }


@pytest.mark.parametrize("root_path", ["", "/proxied", "/v1"])
def test_routes_of_starlette_under_fastapi_are_told(tmp_path: Path, root_path: str) -> None:
    (tmp_path / "page").write_text("x")
    plain_too = APIRouter()
    plain_too.add_route("/plain/{name}", answer)
    app = listing(
        ("/users", plain_too), ("/orders", plain_too), routes=[Route("/a/{x}", answer), Route("/b/{x}", answer)]
    )
    app.mount("/v1", listing(("/users", plain_too), routes=[Route("/a/{x}", answer)]))
    app.mount("/files", StaticFiles(directory=tmp_path))
    paths = ["/a/1", "/b/1", "/b/2", "/users/plain/1", "/orders/plain/1", "/v1/a/1", "/v1/users/plain/1", "/docs"]
    assert get(app, *paths, "/v1/docs", "/files/page", "/no", "/v1/no", root_path=root_path) == {
        "/a/{x}": 1,
        "/b/{x}": 2,
        "/users/plain/{name}": 1,
        "/orders/plain/{name}": 1,
        "/v1/a/{x}": 1,
        "/v1/users/plain/{name}": 1,
        "/docs": 1,
        "/v1/docs": 1,
        "/files": 1,
        "unknown": 2,
    }
    outer = Starlette(routes=[Mount("/in", app=app)])
    assert get(outer, "/in/a/1", "/in/v1/a/1", root_path=root_path) == {"/in/a/{x}": 1, "/in/v1/a/{x}": 1}


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_where_fastapi_is_served_is_no_part_of_the_route_of_starlette() -> None:
    app = listing(routes=[Route("/a/{x}", answer)], root_path="/proxied")
    assert get(app, "/a/1", "/proxied/a/1", "/a/proxied") == {"/a/{x}": 3}


def test_mounts_of_an_included_router_and_of_a_host_are_part_of_the_route() -> None:
    included = APIRouter()
    included.mount("/v1", listing())
    app = listing(("/included", included))
    assert get(app, "/included/v1/list/1", "/list/1") == {"/included/v1/list/{number}": 1, "/list/{number}": 1}
    hosted = Starlette(routes=[Host("a.b", app=Starlette(routes=[Mount("/v1", app=listing())]))])
    assert get(hosted, "/v1/list/1") == {"/v1/list/{number}": 1}


def test_what_a_client_writes_for_a_parameter_of_a_mount_is_no_part_of_the_route() -> None:
    app = listing()
    app.mount("/of/{tenant:path}/in", listing())
    app.mount("/{number}", listing())
    paths = [path for name in ("a", "b", "v1") for path in (f"/{name}/list/1", f"/of/{name}/{name}/in/list/1")]
    assert get(app, *paths) == {"/{number}/list/{number}": 3, "/of/{tenant:path}/in/list/{number}": 3}


def test_a_mount_of_starlette_that_holds_no_routes_is_the_route() -> None:
    app = Starlette(routes=[Mount("/files", plain), Mount("/deep", routes=[Mount("/{name}", plain)])])
    assert get(app, "/files/a", "/files/b", "/deep/a/x", "/deep/b/x") == {"/files": 2, "/deep/{name}": 2}


@pytest.mark.parametrize(
    "found",
    [
        {"root_path": "/chosen", "app_root_path": ""},
        {"root_path": "/chosen", "app_root_path": "", "router": SimpleNamespace(routes=[SimpleNamespace(routes=[])])},
        {"root_path": "/chosen"},
        {"root_path": "/of/an/application", "app_root_path": "/proxied"},
        {"fastapi": "of another library"},
        {"fastapi": {"effective_route_context": SimpleNamespace(original_route=None, path="/of/another")}},
    ],
)
def test_what_is_not_known_adds_nothing_to_the_route(found: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.update(found, route=SimpleNamespace(path="/list/{number}"))
        await plain(scope, receive, send)

    assert get(app, "/list/1") == {"/list/{number}": 1}
