"""What does the service cost over HTTP, under gunicorn and by itself, against servers that do less, and Redis?"""

import importlib.util
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from io import BytesIO
from itertools import count
from typing import Any, NamedTuple

import wrk
from harness import medians, nanoseconds
from http_servers import REDIS, STREAMS, gunicorn, shmstore_serve
from report import Row, at_least, faster, main, within
from stream_peers import has_redis, redis_server

import shmstore
from shmstore.http.service import Service
from shmstore.http.settings import Settings

ORDER = '{"gatewayId":"gateway-17","valor":129.9,"currency":"EUR","items":[{"sku":"A-1","count":2}],"note":"by hand"}'
EVENTS = 10_000
RECORDS = 100_000
LABELS = 8
CHAINS = 4  # connections that append under a condition, each to a stream of its own

POST = """
wrk.method, wrk.path, wrk.body = "POST", "/%s", '%s'
wrk.headers["Content-Type"] = "application/json"
"""
WITHOUT_BODY = 'wrk.headers["Prefer"] = "return=minimal"\n'  # are answers wanted
# In "constant" there is a body without any work; in "appending" there is no more than the work.
PATHS = {
    "gunicorn": "streams/orders",
    "serve": "streams/orders",
    "empty": "empty",
    "constant": "constant",
    "least": "appending",
}
GET = 'wrk.path = "/%s"\n'
# A thread has one connection, so it knows at which version its stream is.
CONDITIONAL = """
local threads, prefix, body = 0, "/%s", '%s'
local headers = {["Content-Type"] = "application/json"}
function setup(thread)
   thread:set("id", threads)
   threads = threads + 1
end
function init()
   version = -1
end
function request()
   return wrk.format("POST", prefix .. id .. "?expectedVersion=" .. version, headers, body)
end
function response()
   version = version + 1
end
"""


class Servers(NamedTuple):
    """The ports of what is asked, and whether there is a Redis behind the last one."""

    gunicorn: int
    serve: int
    peers: int
    has_redis: bool


@contextmanager
def service_name() -> Iterator[str]:
    """The name of a service, whose segments are removed at the end."""
    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    try:
        yield name
    finally:
        for each in (name, f"{name}-records", f"{name}-metrics"):
            with suppress(shmstore.StoreNotFound):
                shmstore.unlink(each)


@contextmanager
def serving(name: str) -> Iterator[Servers]:
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server()) if has_redis() else None
        serve = stack.enter_context(shmstore_serve(SHMSTORE_NAME=name))
        ours = stack.enter_context(gunicorn("shmstore.http.service:app", SHMSTORE_NAME=name))
        peers = stack.enter_context(gunicorn("http_peers:app", **{STREAMS: name, REDIS: redis or ""}))
        yield Servers(ours, serve, peers, redis is not None)


def asked(port: int, load: wrk.Load, seconds: float) -> float:
    """Answers a second."""
    return wrk.ask(port, load, seconds).rate


def conditional(port: int, path: str, numbers: Iterator[int], seconds: float) -> float:
    """The same for appends under a condition, to streams that are new."""
    script = CONDITIONAL % (f"{path}/{next(numbers)}-", ORDER)
    return asked(port, wrk.Load(script, connections=CHAINS, threads=CHAINS), seconds)


def appends(servers: Servers, smoke: bool) -> Iterator[Row]:
    """Eight connections that append one event after the other."""
    seconds, numbers = 0.2 if smoke else 0.5, count()
    loads = {who: wrk.Load(POST % (path, ORDER)) for who, path in PATHS.items()}
    loads["minimal"] = wrk.Load(loads["gunicorn"].script + WITHOUT_BODY)
    ports = dict.fromkeys(loads, servers.peers) | {"serve": servers.serve}
    ports |= dict.fromkeys(("gunicorn", "minimal"), servers.gunicorn)
    measures: dict[str, Callable[[], float]] = {
        who: partial(asked, ports[who], load, seconds) for who, load in loads.items()
    }
    measures["conditional"] = partial(conditional, servers.gunicorn, "streams", numbers, seconds)
    if servers.has_redis:
        measures["redis"] = partial(conditional, servers.peers, "redis", numbers, seconds)
        for path in ("conditional", "constant"):  # what can be had at most
            measures[f"peer {path}"] = partial(conditional, servers.peers, path, numbers, seconds)
    a_second = medians(1 if smoke else 31, measures)
    what, empty, constant = "POST /streams/orders", "gunicorn, an empty 202", "gunicorn, a constant 202 with a body"
    for question, ours, baseline, bar, note in (
        (f"{what}, gunicorn", "gunicorn", "empty", at_least(0.8), empty),
        (f"{what}, gunicorn, against an answer as long", "gunicorn", "constant", None, constant),
        (f"{what}, Prefer: return=minimal, gunicorn", "minimal", "empty", None, empty),
        ("a constant 202 with a body of 13 bytes, gunicorn", "constant", "empty", None, empty),
        ("json.loads and Stream.append alone, gunicorn", "least", "constant", None, constant),
        (f"{what}, shmstore-serve", "serve", "gunicorn", at_least(0.5), "gunicorn"),
    ):
        yield Row(question, a_second[ours], "1/s", a_second[baseline], bar, note)
    if servers.has_redis:
        what, peer = f"{what}?expectedVersion=, gunicorn", "gunicorn with Redis, a script"
        yield Row(what, a_second["conditional"], "1/s", a_second["redis"], at_least(1.5), peer)
        least, nothing = "json.loads and Stream.append alone, with expectedVersion=", "a constant 202 with a body"
        yield Row(f"{least}, gunicorn", a_second["peer conditional"], "1/s", a_second["redis"], None, peer)
        yield Row(
            f"{nothing}, the same client, gunicorn", a_second["peer constant"], "1/s", a_second["redis"], None, peer
        )
    else:
        warn("without Redis and its client for Python, appends under a condition are compared with nothing")


def questions(port: int, name: str, smoke: bool) -> Iterator[Row]:
    """Half of the answers took no longer than this, one at a time."""
    half = time.time_ns() - RECORDS * 10**6 // 2
    since = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(half // 10**9))}Z"
    with closing(Service(Settings(name=name), None)) as service:
        records = service.stores().records
        times = range(half - RECORDS * 10**6 // 2, half + RECORDS * 10**6 // 2, 10**6)
        records.append_many(
            {"label": f"label-{at % LABELS}", "value": at / 8, "timestamp": time_ns} for at, time_ns in enumerate(times)
        )
    paths = {
        "": "health",
        "/metrics/sum": "metrics/sum?label=label-3",
        "/metrics/window": f"metrics/window?label=label-3&from={since}",
    }

    def median_us(path: str) -> float:
        return wrk.ask(port, wrk.Load(GET % path, connections=1), 0.1 if smoke else 0.5).median_us

    us = medians(1 if smoke else 11, {what: partial(median_us, path) for what, path in paths.items()})
    for what in list(paths)[1:]:
        more = max(1.0, us[what] - us[""]) / 1000
        note = f"beside {us['']:.0f} µs of GET /health"
        yield Row(f"GET {what} of {RECORDS:,} records, gunicorn", more, "ms", bar=within(0.5), note=note)


def readings(name: str, smoke: bool) -> Iterator[Row]:
    """In the application, without a server."""
    events = 1_000 if smoke else EVENTS
    with closing(Service(Settings(name=name), None)) as service:
        service.stores().streams["read"].append_many([json.loads(ORDER)] * events)
        found = json.loads(read(service, events))
        ours, theirs = partial(nanoseconds, read, service, events), partial(nanoseconds, json.dumps, found)
        ns = medians(3 if smoke else 31, {"ours": ours, "json": theirs})
        ms = {who: figure / 1e6 for who, figure in ns.items()}
    yield Row(f"{events:,} events read", ms["ours"], "ms", ms["json"], faster(0.7), "json.dumps of the same list")


def read(service: Service, events: int) -> bytes:
    """The body of an answer."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/streams/read",
        "QUERY_STRING": f"limit={events}",
        "wsgi.input": BytesIO(),
    }
    return b"".join(service(environ, lambda _status, _headers, _failure=None: print))


def warn(sentence: str) -> None:
    print(f"warning: {sentence}", file=sys.stderr)


def rows(smoke: bool) -> Iterator[Row]:
    with service_name() as name:
        yield from readings(name, smoke)
        if wrk.is_there() and importlib.util.find_spec("gunicorn"):
            with serving(name) as servers:
                yield from appends(servers, smoke)
                yield from questions(servers.gunicorn, name, smoke)
        else:
            warn("without wrk and gunicorn, nothing is asked over HTTP")


if __name__ == "__main__":
    main(rows)
