"""What an application starts and yields, as it goes over the wire."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.helpers.processes import eventually
from tests.helpers.raw_http import GET, Application, Pieces, Start, answer, asked, echo, empty, serving, streaming


def test_an_empty_answer() -> None:
    assert answer(empty) == (b"HTTP/1.1 202 Accepted", {"Content-Length": "0"}, b"")


def test_a_list_tells_its_length() -> None:
    headers = {"Content-Type": "text/plain", "Content-Length": "5"}
    assert answer(echo) == (b"HTTP/1.1 200 OK", headers, b"GET /")


def test_pieces_of_unknown_length_are_chunks() -> None:
    _, headers, body = answer(streaming(iter([b"hello", b"", b"x" * 26])))
    assert headers == {"Content-Type": "text/plain", "Transfer-Encoding": "chunked"}
    assert body == b"5\r\nhello\r\n1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n"


def test_pieces_to_an_old_client_end_with_the_connection() -> None:
    _, headers, body = answer(streaming(iter([b"hello", b"!"])), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert headers == {"Content-Type": "text/plain", "Connection": "close"} and body == b"hello!"


def test_an_old_client_may_go_on() -> None:
    _, headers, _ = answer(empty, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert headers["Connection"] == "keep-alive"


@pytest.mark.parametrize("pieces", [[b"hello"], iter([b"hello"])])
def test_head_has_the_headers_of_get(pieces: Iterable[bytes]) -> None:
    first, headers, body = answer(streaming(pieces), GET.replace(b"GET", b"HEAD") + GET.replace(b"GET", b"HEAD"))
    assert first == b"HTTP/1.1 200 OK" and body.startswith(b"HTTP/1.1 200 OK") and body.endswith(b"\r\n\r\n")
    assert headers.get("Content-Length") == ("5" if isinstance(pieces, list) else None)


@pytest.mark.parametrize(("status", "length"), [("204 No Content", None), ("304 Not Modified", "5")])
def test_an_answer_without_a_body(status: str, length: str | None) -> None:
    def application(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start(status, [("Content-Length", "5")])
        return [b"hello"]

    _, headers, body = answer(application)
    assert headers.get("Content-Length") == length and body == b"" and "Transfer-Encoding" not in headers


def test_the_old_way_to_write() -> None:
    def application(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        write = start("200 OK", [("Content-Length", "6")])
        write(b"abc")
        return [b"def"]

    assert answer(application)[2] == b"abcdef"


def test_what_was_started_may_be_replaced_before_it_was_sent() -> None:
    def application(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "6")])
        try:
            raise KeyError
        except KeyError as error:
            start("503 Service Unavailable", [("X-Why", "key")], (KeyError, error, error.__traceback__))
        return [b"no"]

    assert answer(application) == (b"HTTP/1.1 503 Service Unavailable", {"X-Why": "key", "Content-Length": "2"}, b"no")


def test_headers_of_the_connection_are_the_servers() -> None:
    def application(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Connection", "close"), ("Transfer-Encoding", "gzip"), ("Keep-Alive", "5"), ("X", "y")])
        return []

    assert answer(application)[1] == {"X": "y", "Content-Length": "0", "Connection": "close"}


@pytest.mark.parametrize(
    "application",
    [
        lambda _environ, start: start("200 OK", [("X", "a\r\nSet-Cookie: b")]) and [b""],
        lambda _environ, start: start("200 OK", [("X\n", "a")]) and [b""],
        lambda _environ, start: start("200 OK\r\nX: y", []) and [b""],
        lambda _environ, start: start("OK", []) and [b""],
        lambda _environ, start: start("200 OK", [("Content-Length", "-1")]) and [b""],
        lambda _environ, start: start("200 OK", []) and start("200 OK", []) and [b""],
        lambda _environ, _start: [b"not started"],
        lambda _environ, start: start("200 OK", []) and ["text"],
        lambda _environ, start: start("200 OK", []) and iter(["text"]),
        lambda _environ, start: start("200 OK", []) and None,
        lambda _environ, _start: 1 / 0,
        lambda _environ, _start: (_ for _ in ()).throw(SystemExit),
    ],
)
def test_what_fails_is_answered_without_a_traceback(application: Application) -> None:
    log = io.StringIO()
    with serving(application, access_log=log) as server:
        said = asked(server, GET + GET)
        assert said.count(b"HTTP/1.1 500 Internal Server Error\r\n") == 2  # the connection goes on
        assert said.endswith(b'\r\n\r\n{"error": "the service failed; its log says why"}')
        assert b"Traceback" not in said and b"Set-Cookie" not in said
        assert eventually(lambda: log.getvalue().count("\n") == 4)
    error, request, *_ = map(json.loads, log.getvalue().splitlines())
    assert "Traceback (most recent call last):\n" in error["error"] and request["status"] == 500


@pytest.mark.parametrize("pieces", [[b"abc", b"d"], [b"ab"]])
def test_a_wrong_length_ends_the_connection(pieces: list[bytes]) -> None:
    def application(_environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        start("200 OK", [("Content-Length", "3")])
        yield from pieces

    with serving(application, access_log=io.StringIO()) as server:
        assert asked(server, GET + GET).count(b"HTTP/1.1") == 1


def test_a_failure_amid_an_answer_cuts_it_off() -> None:
    def fails() -> Iterator[bytes]:
        yield b"a"
        raise KeyError

    pieces = Pieces(fails())
    with serving(streaming(pieces), access_log=io.StringIO()) as server:
        said = asked(server, GET + GET)
    assert said.endswith(b"1\r\na\r\n") and said.count(b"HTTP/1.1") == 1 and pieces.is_closed.is_set()
