"""The route of a request, as its framework has matched it: what the application declares, never what a client wrote.

Applications may be mounted in others. What is before the route then is taken from the mounts themselves, and not from
`SCRIPT_NAME` and `root_path`: these may hold parts of a path, or what a proxy has passed on.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

Scope: TypeAlias = Mapping[str, Any]


def wsgi_route(app: Any, environ: Mapping[str, Any], outer: str) -> str | None:
    """What Flask, another user of Werkzeug's requests, or Bottle has matched, in Werkzeug's dispatchers.

    `outer` is the `SCRIPT_NAME` that the application was called with.
    """
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None) or environ.get("bottle.route")
    path: str | None = getattr(rule, "rule", None)
    script_name = environ.get("SCRIPT_NAME", "")
    if path is None or script_name == outer:
        return path
    inner = script_name.removeprefix(outer)
    return max((mount for mount in _dispatched(app, []) if inner.endswith(mount)), key=len, default="") + path


def _dispatched(app: Any, within: list[Any]) -> Iterator[str]:
    """Where dispatchers in this application have others; `within` are those that it is looked for in."""
    if any(app is outer for outer in within):
        return  # what wraps an application may keep it, and be kept by it
    mounts = getattr(app, "mounts", None)
    if isinstance(mounts, Mapping):
        for path, mounted in mounts.items():
            yield path
            yield from (path + below for below in _dispatched(mounted, [*within, app]))
    for name in ("app", "wsgi_app"):
        inner = getattr(app, name, None)
        if inner is not None:
            yield from _dispatched(inner, [*within, app])


class ASGIRoutes:
    """What FastAPI or Starlette has matched, in their mounts."""

    def __init__(self) -> None:
        self._fixed: set[str] = set()
        """Mounts without parameters that were found before."""

    def of(self, scope: Scope) -> str | None:
        route = scope.get("route")
        path = _path(scope, route)
        outer = scope.get("app_root_path")  # set by the outermost mount
        root_path = scope.get("root_path", "")
        if path is None or hasattr(route, "routes"):  # FastAPI tells of no route of Starlette that it has matched
            plain = _plain(scope, root_path if outer is None else outer)
            if plain is not None:
                return plain
        if path is None or outer is None or root_path == outer:
            return path
        mounts = self._mounts(scope, root_path.removeprefix(outer))
        if mounts is None:
            return path
        return mounts if hasattr(route, "routes") else mounts + path  # Starlette calls a mount the route as well

    def _mounts(self, scope: Scope, path: str) -> str | None:
        if path in self._fixed:
            return path
        mounts = _declared(_routes(scope.get("router")), f"{path}/")
        if mounts == path:
            self._fixed.add(path)
        return mounts


def _plain(scope: Scope, outer: str) -> str | None:
    """The route whose endpoint was called, where its router tells of that alone."""
    endpoint, path = scope.get("endpoint"), scope.get("path", "")
    if endpoint is None:
        return None
    inner = path.removeprefix(outer)
    return _called(_routes(scope.get("router")), inner if inner[:1] in ("", "/") else path, endpoint)


def _called(routes: Iterable[Any], path: str, endpoint: Any) -> str | None:
    """The route, as it is declared with its mounts, that leads from a path to an endpoint."""
    for route in _effective(routes):
        if not hasattr(route, "routes"):
            regex = getattr(route, "path_regex", None)
            if getattr(route, "endpoint", None) is endpoint and regex is not None and regex.match(path):
                return cast(str, route.path)
            continue
        parted = _parted(route, path)
        if parted is None:
            continue
        own, rest = parted
        below: Iterable[Any] = _routes(route)
        if not below and getattr(route, "app", None) is endpoint:
            return own  # of other than routes, as files
        called = _called(below, rest, endpoint)
        if called is not None:
            return f"{own}{called}"
    return None


def _path(scope: Scope, route: Any) -> str | None:
    """FastAPI keeps the route as its router has it, and the whole path of a router that is included apart from it."""
    fastapi = scope.get("fastapi")
    context = fastapi.get("effective_route_context") if isinstance(fastapi, dict) else None
    if context is not None and getattr(context, "original_route", None) is route:
        return getattr(context, "path", None) or getattr(route, "path", None)
    return getattr(route, "path", None)


def _declared(routes: Iterable[Any], path: str) -> str | None:
    """The mounts that lead to a path, which ends with a slash, as they are declared; None where none do."""
    if path == "/":
        return ""
    for mount in _mounts_of(routes):
        parted = _parted(mount, path)
        below = None if parted is None else _declared(_routes(mount), parted[1])
        if parted is not None and below is not None:
            return f"{parted[0]}{below}"
    return None


def _parted(mount: Any, path: str) -> tuple[str, str] | None:
    """A mount as it is declared, and the path below it; None where it does not lead to the path."""
    regex = getattr(mount, "path_regex", None)
    if regex is None:
        return "", path  # of a host
    found = regex.match(path)
    return (mount.path, f"/{found['path']}") if found is not None and "path" in regex.groupindex else None


def _mounts_of(routes: Iterable[Any]) -> Iterator[Any]:
    return (route for route in _effective(routes) if hasattr(route, "routes"))


def _effective(routes: Iterable[Any]) -> Iterator[Any]:
    """Routes and mounts, those of routers that FastAPI has included with their prefixes, other than FastAPI's own."""
    for route in routes:
        included = getattr(route, "effective_route_contexts", None)
        if included is None:
            yield route
        else:
            yield from (getattr(context, "starlette_route", None) for context in included())


def _routes(app: Any) -> Iterable[Any]:
    """Those of an application, or of what it wraps."""
    if app is None:
        return ()
    routes: Iterable[Any] = getattr(app, "routes", None) or _routes(getattr(app, "app", None))
    return routes
