"""A WSGI application that the service is measured against: by path it does nothing, or next to nothing."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from http_servers import REDIS, STREAMS
from stream_peers import REDIS_SCRIPT

import shmstore

with suppress(ImportError):
    from redis import Redis

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


def empty(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Accepts whatever comes, reads nothing of it and says nothing about it."""
    start_response("202 Accepted", [("Content-Length", "0")])
    return []


def constant(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The same, and says something."""
    return _accepted(start_response, 0)


def appending(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """What a program does that wants no more than to append JSON to one stream."""
    return _accepted(start_response, _stream.append(json.loads(_body(environ))))


def under_condition(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The same, if the stream that the path names has the expected version."""
    expected = int(parse_qs(environ["QUERY_STRING"])["expectedVersion"][0])
    stream = _streams[environ["PATH_INFO"]]
    return _accepted(start_response, stream.append(json.loads(_body(environ)), expected_version=expected))


def in_redis(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Appends the body to a list of Redis if that has the expected version."""
    expected = int(parse_qs(environ["QUERY_STRING"])["expectedVersion"][0])
    assert _script is not None
    length = _script(keys=[environ["PATH_INFO"]], args=[expected + 1, _body(environ)])
    if length < 0:
        start_response("409 Conflict", [("Content-Length", "0")])
        return []
    return _accepted(start_response, length - 1)


# Each worker has them before its first request.
_streams = shmstore.attach_streams(os.environ[STREAMS])
_stream = _streams["appending"]
_script = Redis(unix_socket_path=os.environ[REDIS]).register_script(REDIS_SCRIPT) if os.environ[REDIS] else None
_APPLICATIONS = {"constant": constant, "appending": appending, "conditional": under_condition, "redis": in_redis}


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The one that the path begins with."""
    return _APPLICATIONS.get(environ["PATH_INFO"].split("/")[1], empty)(environ, start_response)


def _body(environ: "WSGIEnvironment") -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return body


def _accepted(start_response: "StartResponse", version: int) -> Iterable[bytes]:
    answer = b'{"version":%d}' % version
    start_response("202 Accepted", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
