"""Bad requests, byte by byte as they come over the wire, to real servers: each is told why, and harms nobody."""

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import shmstore
from tests.helpers.served import Gunicorn
from tests.helpers.shmstore_serve import LIMIT_S, serving

SERVERS = ("shmstore-serve", "gthread", "sync")
SERVICE = "from shmstore.http.service import app\n"
BODY_LIMIT = 100_000
SIZES = {"CAPACITY": "2000", "PARTITIONS": "1", "BODY_LIMIT": str(BODY_LIMIT), "EVENT_SIZE": "1000"}

Connect = Callable[[], socket.socket]
Said = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module", params=SERVERS)
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """What connects to a server of the service, of which nothing but bad requests is asked."""
    name = f"shmstore-test-{os.getpid()}-bad-{request.param}"
    variables = {f"SHMSTORE_{key}": value for key, value in {"NAME": name, **SIZES}.items()}
    folder = Path(tempfile.mkdtemp())
    with ExitStack() as end:
        end.callback(shutil.rmtree, folder)
        for each in (name, f"{name}-records", f"{name}-metrics"):
            end.callback(shmstore.unlink, each)
        if request.param == "shmstore-serve":
            port = end.enter_context(serving("--port", "0", **variables)).port
            yield lambda: socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
            return
        workers = ("--worker-class", request.param, "--threads", "4" if request.param == "gthread" else "1")
        server = end.enter_context(Gunicorn(folder, "", *workers, application=SERVICE, **variables))
        yield lambda: connected(str(folder / "socket"))
        assert "Traceback" not in server.said()


def connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(LIMIT_S)
    connection.connect(path)
    return connection


def asked(connect: Connect, *pieces: bytes) -> Said:
    """The first answer to these bytes, which are sent one piece after the other."""
    with connect() as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:
                break  # it has heard enough
        file = connection.makefile("rb")
        status = int(file.readline().split()[1])
        lines = iter(lambda: file.readline().strip().decode("latin-1"), "")
        headers = dict(line.split(": ", 1) for line in lines)
        return status, headers, file.read(int(headers.get("Content-Length", 0)))


def opening(line: str, *headers: str) -> bytes:
    told = "".join(f"{header}\r\n" for header in ("Host: localhost", *headers))
    return f"{line} HTTP/1.1\r\n{told}\r\n".encode("latin-1")


def post(target: str, body: bytes, *headers: str) -> bytes:
    return opening(f"POST {target}", f"Content-Length: {len(body)}", *headers) + body


CHUNKED = "Transfer-Encoding: chunked"
BAD = {  # by what is wrong: the bytes, and the status
    "empty body": (post("/streams/a", b""), 400),
    "half a JSON": (post("/streams/a", b'{"a": '), 400),
    "two JSON": (post("/streams/a", b"1 2"), 400),
    "not UTF-8": (post("/streams/a", b'"\xff"'), 400),
    "UTF-16": (post("/streams/a", '{"a": 1}'.encode("utf-16")), 400),
    "half a character": (post("/streams/a", b'"\\ud800"'), 400),
    "deep": (post("/streams/a", b"[" * 90_000), 400),
    "NaN": (post("/streams/a", b'{"a": NaN}'), 400),
    "Infinity": (post("/streams/a", b"-Infinity"), 400),
    "beyond all numbers": (post("/streams/a", b"1e999"), 400),
    "endless digits": (post("/streams/a", b"9" * 50_000), 400),
    "larger than an event": (post("/streams/a", b'"%b"' % (b"x" * 2000)), 413),
    "no batch": (post("/streams/a?many=true", b'{"data": 1}'), 400),
    "no data": (post("/streams/a?many=true", b"[{}]"), 400),
    "type that is no text": (post("/streams/a?many=true", b'[{"data": 1, "type": 5}]'), 400),
    "more than there is room": (post("/streams/a?many=true", b'[%b{"data":1}]' % (b'{"data":1},' * 3000)), 400),
    "value that is a text": (post("/metrics", b'{"label": "a", "value": "1"}'), 400),
    "value that is NaN": (post("/metrics", b'{"label": "a", "value": NaN}'), 400),
    "no label": (post("/metrics", b'{"value": 1}'), 400),
    "list for an object": (post("/metrics", b"[1]"), 400),
    "no such day": (post("/metrics", b'{"label": "a", "value": 1, "timestamp": "2026-02-30"}'), 400),
    "time that is a number": (post("/metrics", b'{"label": "a", "value": 1, "timestamp": 1e9}'), 400),
    "bad date": (opening("GET /metrics/sum?from=2026-13-01"), 400),
    "missing date": (opening("GET /metrics/sum?from="), 400),
    "missing value": (opening("GET /metrics/top?k"), 400),
    "number that is none": (opening("GET /metrics/top?k=NaN"), 400),
    "too many": (opening("GET /streams/a?limit=99999999999999999999"), 400),
    "no truth": (opening("GET /streams/a?backwards=perhaps"), 400),
    "no version": (post("/streams/a?expectedVersion=1e3", b"1"), 400),
    "two versions": (post("/streams/a?expectedVersion=1", b"1", "Expected-Version: 2"), 400),
    "id that is too long": (post(f"/streams/a?eventId={'x' * 65}", b"1"), 400),
    "header that is not UTF-8": (post("/streams/a", b"1", "Event-Type: \xff"), 400),
    "huge body": (post("/streams/a", b"x" * (BODY_LIMIT + 1)), 413),
    "huge body to come": (opening("POST /streams/a", "Content-Length: 99999999999"), 413),
    "huge chunked body": (opening("POST /streams/a", CHUNKED) + b"186a1\r\n" + b"x" * 100_001 + b"\r\n0\r\n\r\n", 413),
    "unknown stream": (opening("GET /streams/none"), 404),
    "no stream": (opening("GET /streams/"), 404),
    "unknown path": (opening("GET /stream/a"), 404),
    "wrong method": (opening("DELETE /streams/a"), 405),
    "two slashes": (post("//streams/a", b"1"), 404),
    "slash in between": (post("/streams//a", b"1"), 400),
    "step up": (post("/streams/../admin/clear", b""), 400),
    "encoded step up": (post("/streams/%2e%2E/admin/clear", b""), 400),
    "step up from afar": (post("/health/../admin/clear", b""), 404),
    "NUL": (post("/streams/a%00b", b"1"), 400),
    "line in a name": (post("/streams/a%0d%0aSet-Cookie:%20x=y", b"1"), 400),
    "line in a name that is asked for": (opening("GET /streams/a%0d%0aSet-Cookie:%20x=y"), 404),
    "very long name": (post(f"/streams/{'x' * 3000}", b"1"), 400),
    "name that is not UTF-8": (opening("GET /streams/%FF"), 400),
    "half a percent": (opening("GET /streams/a%2"), 400),
    "percent of no digits": (opening("GET /streams/a?prefix=%zz"), 400),
    "query that is not UTF-8": (opening("GET /streams?prefix=%FF"), 400),
    "query with a thing twice": (opening("GET /streams?prefix=a&prefix=b"), 400),
    "query without end": (opening("GET /streams?" + "&".join(f"a{n}=" for n in range(100))), 400),
    "administration from afar": (post("/admin/clear", b"", "X-Forwarded-For: 127.0.0.1"), 403),
    "name that leads here": (opening("GET /streams").replace(b"localhost", b"evil.example"), 421),
    "page of another site": (post("/streams/a", b"1", "Origin: https://evil.example"), 403),
    "page of nowhere": (post("/streams/a", b"1", "Origin: http://[::1"), 403),
    "page of another site, as a browser says": (post("/streams/a", b"1", "Sec-Fetch-Site: cross-site"), 403),
}
MALFORMED = {  # HTTP itself, which gunicorn answers in its own words, or not at all
    "no request": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
    "NUL in a header": opening("GET /health", "X: a\0b"),
    "header without a name": opening("GET /health", ": x"),
    "header with a space": opening("GET /health", "X : y"),
    "two lengths": opening("POST /streams/a", "Content-Length: 1", "Content-Length: 2") + b"12",
    "length and chunks": opening("POST /streams/a", "Content-Length: 1", CHUNKED) + b"0\r\n\r\n",
    "negative length": opening("POST /streams/a", "Content-Length: -1"),
    "chunk without a size": opening("POST /streams/a", CHUNKED) + b"zz\r\nab\r\n0\r\n\r\n",
    "too long a line": opening(f"GET /{'a' * 9000}"),
    "too many headers": opening("GET /health", *(f"X{n}: y" for n in range(200))),
}


def wrong_with(connect: Connect, data: bytes, status: int) -> str:
    """What is wrong with the answer to a bad request."""
    found, headers, body = asked(connect, data)
    if (found, headers["Content-Type"]) != (status, "application/json") or "Set-Cookie" in headers:
        return f"{found} {headers} {body!r}"
    sentence = json.loads(body)["error"]
    is_one = isinstance(sentence, str) and sentence.isprintable() and len(sentence) < 1000
    return "" if is_one and "Traceback" not in sentence else f"it says {sentence!r}"


def test_what_is_bad_is_told_in_json(connect: Connect) -> None:
    wrong = {bad: wrong_with(connect, *given) for bad, given in BAD.items()}
    assert {bad: what for bad, what in wrong.items() if what} == {}


def test_what_is_no_http_harms_nobody(connect: Connect, request: pytest.FixtureRequest) -> None:
    is_ours = "shmstore-serve" in request.node.name
    for malformed, data in MALFORMED.items():
        try:
            status, _, body = asked(connect, data)
        except (ConnectionError, IndexError):
            assert not is_ours, malformed  # others hang up
        else:
            assert 400 <= status < 500, (malformed, body)
            assert not is_ours or json.loads(body)["error"]
        assert asked(connect, opening("GET /health"))[0] == 200


def test_a_request_that_comes_byte_by_byte_is_answered(connect: Connect) -> None:
    data = post("/streams/slow", b'{"a": "slow"}')
    chunked = opening("POST /streams/slow", CHUNKED) + b'3;x=y\r\n{"a\r\na\r\n": "slow"}\r\n0\r\n\r\n'
    for each in (data, chunked):
        assert asked(connect, *(each[at : at + 1] for at in range(len(each))))[0] == 202


def test_a_request_that_is_cut_off_is_not_made(connect: Connect) -> None:
    data = post("/streams/cut", b'{"a": 1}')
    for end in range(0, len(data), 7):
        with connect() as connection:
            connection.sendall(data[:end])
    with connect() as connection:
        connection.sendall(data[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert not re.match(rb"HTTP/1.1 2", connection.makefile("rb").read())
    assert asked(connect, opening("GET /streams/cut"))[0] == 404


def test_a_request_id_cannot_forge_a_line(connect: Connect) -> None:
    for given in ("a b", "a\x85b", "x" * 200, '"}'):
        found = asked(connect, opening("GET /health", f"X-Request-Id: {given}"))[1]["X-Request-Id"]
        assert re.fullmatch("[0-9a-f]{16}", found)
    assert asked(connect, opening("GET /health", "X-Request-Id: a-1"))[1]["X-Request-Id"] == "a-1"
