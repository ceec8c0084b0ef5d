"""What the server makes of the bytes that come in: requests, whole ones, or a refusal; with no socket."""

from typing import Any

import pytest

from shmstore.http.incoming import Incoming, Received
from shmstore.http.requests import LONGEST_LINE, LONGEST_OPENING, MOST_HEADERS, Refused

HOST = b"Host: localhost\r\n"
CHUNKED = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def all_of(data: bytes, at_once: int = 1 << 20, body_limit: int = 1000) -> list[Received]:
    """The requests in this data, which comes in pieces."""
    incoming = Incoming(body_limit)
    found = []
    for start in range(0, len(data), at_once):
        incoming.feed(data[start : start + at_once])
        while (received := incoming.next()) is not None:
            found.append(received)
    return found


def one(data: bytes) -> Received:
    (received,) = all_of(data)
    return received


def with_headers(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([first, b"Host: localhost", *lines, b"", b""])


def environ(*lines: bytes, first: bytes = b"GET / HTTP/1.1") -> dict[str, Any]:
    return one(with_headers(*lines, first=first)).environ


def refused(data: bytes, at_once: int = 1 << 20) -> int:
    with pytest.raises(Refused) as caught:
        all_of(data, at_once)
    return int(caught.value.status[:3])


def test_what_an_application_is_told() -> None:
    assert environ(
        *(b"Accept: a", b"accept:\t b \t", b"Cookie: x=1", b"Cookie: y=2", b"X-Empty:", b"Content-Type: text/plain"),
        first=b"DELETE /a%20b/%C3%BC%2Fc?x=%201&y HTTP/1.1",
    ) == {
        "REQUEST_METHOD": "DELETE",
        "RAW_URI": "/a%20b/%C3%BC%2Fc?x=%201&y",
        "REQUEST_URI": "/a%20b/%C3%BC%2Fc?x=%201&y",
        "PATH_INFO": "/a b/ü/c".encode().decode("latin-1"),
        "QUERY_STRING": "x=%201&y",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": "a, b",
        "HTTP_COOKIE": "x=1; y=2",
        "HTTP_X_EMPTY": "",
        "CONTENT_TYPE": "text/plain",
    }


def test_a_header_keeps_its_bytes_as_latin_1() -> None:
    assert environ("X-Name: Zürich\tx".encode())["HTTP_X_NAME"].encode("latin-1").decode() == "Zürich\tx"


def test_headers_that_pass_for_others_are_left_out() -> None:
    found = environ(b"X_Forwarded_For: 127.0.0.1", b"Proxy: evil", b"Content_Length: 7", b"X-Real: 1")
    assert sorted(key for key in found if key.startswith(("HTTP", "CONTENT"))) == ["HTTP_HOST", "HTTP_X_REAL"]


@pytest.mark.parametrize(
    ("target", "path", "query", "host"),
    [
        (b"http://example.org/a?b", "/a", "b", "example.org"),
        (b"HTTP://example.org:80", "/", "", "example.org:80"),
        (b"http://example.org?b", "/", "b", "example.org"),
        (b"//a//b", "//a//b", "", "localhost"),
        (b"/a?b?c", "/a", "b?c", "localhost"),
    ],
)
def test_targets(target: bytes, path: str, query: str, host: str) -> None:
    found = environ(first=b"GET %b HTTP/1.1" % target)
    assert (found["PATH_INFO"], found["QUERY_STRING"], found["HTTP_HOST"]) == (path, query, host)


def test_options_of_the_whole_server() -> None:
    assert environ(first=b"OPTIONS * HTTP/1.1")["PATH_INFO"] == "*"


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 1000])
def test_requests_come_in_any_pieces(at_once: int) -> None:
    data = (
        b"\r\n"
        + with_headers(b"Content-Length: 5", first=b"POST /1 HTTP/1.1")
        + b"hello\r\n"
        + with_headers(first=b"GET /2 HTTP/1.1")
        + CHUNKED
        + b'5\r\nhello\r\n00A ; name="a b"\r\n, 10 bytes\r\n0\r\nX-Trailer: 1\r\n\r\n'
        + with_headers(b"Content-Length: 0", first=b"PUT /4 HTTP/1.1")
    )
    found = all_of(data, at_once)
    assert [each.body for each in found] == [b"hello", b"", b"hello, 10 bytes", b""]
    assert [each.environ["PATH_INFO"] for each in found] == ["/1", "/2", "/", "/4"]
    assert found[2].environ["CONTENT_LENGTH"] == "15" and "HTTP_TRANSFER_ENCODING" not in found[2].environ
    assert all(each.keeps_alive for each in found)


def test_headers_that_come_again_mean_the_same_again() -> None:
    headers = b"Host: a\r\nConnection: close\r\nX: y\r\n\r\n"
    incoming = Incoming(100)
    found = []
    for first in (b"GET /1 HTTP/1.1", b"GET /2 HTTP/1.1", b"GET http://b/3 HTTP/1.1", b"GET /4 HTTP/1.0"):
        incoming.feed(first + b"\r\n" + headers)
        received = incoming.next()
        assert received is not None
        found.append((received.environ["PATH_INFO"], received.environ["HTTP_HOST"], received.environ.pop("HTTP_X")))
    assert found == [("/1", "a", "y"), ("/2", "a", "y"), ("/3", "b", "y"), ("/4", "a", "y")]
    incoming.feed(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n")
    with pytest.raises(Refused):
        incoming.next()


@pytest.mark.parametrize(
    ("version", "connection", "keeps_alive"),
    [
        (b"1.1", b"X: y", True),
        (b"1.1", b"Connection: Upgrade, CLOSE", False),
        (b"1.0", b"X: y", False),
        (b"1.0", b"Connection: Keep-Alive", True),
        (b"1.2", b"X: y", True),
    ],
)
def test_whether_the_connection_goes_on(version: bytes, connection: bytes, keeps_alive: bool) -> None:
    received = one(with_headers(connection, first=b"GET / HTTP/" + version))
    assert received.keeps_alive == keeps_alive and received.is_old == (version == b"1.0")


def test_an_old_request_needs_no_host() -> None:
    assert "HTTP_HOST" not in one(b"GET / HTTP/1.0\r\n\r\n").environ


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"GET /", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET  / HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /#a HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"GET ftp://a/ HTTP/1.1", 400),
        (b"GET http://u@a/ HTTP/1.1", 400),
        (b"CONNECT a:80 HTTP/1.1", 501),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
    ],
)
def test_request_lines_that_are_refused(first: bytes, status: int) -> None:
    assert refused(with_headers(first=first)) == status


@pytest.mark.parametrize(
    "line",
    [
        *(b"no colon", b": no name", b"name : space", b"na me: x", b"\xe4: x", b" fold", b"\tfold", b"n\0: x"),
        *(
            b"x: a\0",
            b"x: a\rb",
            b"x: a\nb",
            b"x: a\r",
            b"x: a\x0b",
            b"x: \x7f",
            b"x: a\r\n b",
            b"Host: other",
            b"Host",
        ),
    ],
)
def test_headers_that_are_refused(line: bytes) -> None:
    assert refused(with_headers(line)) == 400


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a?b", b"u@a", b"a\xff", b"[::1", b"a:b"])
def test_hosts_that_are_refused(host: bytes) -> None:
    assert refused(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host) == 400


def test_a_host_is_asked_for() -> None:
    assert refused(b"GET / HTTP/1.1\r\n\r\n") == 400
    assert refused(b"GET http://a/ HTTP/1.1\r\n\r\n") == 400


@pytest.mark.parametrize("host", [b"", b"localhost", b"a.b:80", b"127.0.0.1:7070", b"[::1]:7070"])
def test_hosts_that_are_taken(host: bytes) -> None:
    assert one(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host).environ["HTTP_HOST"] == host.decode()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([b"Content-Length: 3", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 3"], 400),
        ([b"Content-Length: 3", b"Content-Length: 4"], 400),
        ([b"Content-Length: 3, 3"], 400),
        *(
            ([b"Content-Length: " + value], 400)
            for value in (b"", b"-1", b"+1", b"1_0", b"0x1", b"1.0", b"\xb2", b"9" * 40)
        ),
        ([b"Transfer-Encoding: chunked, chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked, gzip"], 400),
        ([b"Transfer-Encoding: identity"], 400),
        ([b"Transfer-Encoding:"], 400),
        ([b"Transfer-Encoding: \x0bchunked"], 400),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding : chunked"], 400),
        ([b"Expect: tea"], 417),
        ([b"Content-Length: 1001"], 413),
    ],
)
def test_bodies_whose_end_is_in_doubt_are_refused(lines: list[bytes], status: int) -> None:
    assert refused(with_headers(*lines, first=b"POST / HTTP/1.1")) == status


def test_an_old_request_is_not_chunked() -> None:
    assert refused(CHUNKED.replace(b"1.1", b"1.0")) == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        *((line + b"\r\n", 400) for line in (b"", b"x", b"-1", b"0x5", b"5 5", b"+5", b"5;\x00", b"5\r", b"1" * 16)),
        (b"5\nhello\r\n", 400),
        (b"5\r\nhello!\r\n", 400),
        (b"5\r\nhello\n0\r\n\r\n", 400),
        (b"5;" + b"x" * 2000, 400),
        (b"0\r\nX: y\n\r\n", 400),
        (b"0\r\n" + b"X: y\r\n" * (MOST_HEADERS + 1), 400),
        (b"0\r\n" + b"X" * (LONGEST_LINE + 1), 400),
        (b"3e9\r\n", 413),
        (b"fffffffffffffff\r\n", 413),
        (b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n", 413),
    ],
)
def test_chunks_that_are_refused(body: bytes, status: int) -> None:
    assert refused(CHUNKED + body) == status
    assert refused(CHUNKED + body, at_once=1) == status


def test_as_much_as_the_limit_is_taken() -> None:
    assert len(one(with_headers(b"Content-Length: 1000") + b"x" * 1000).body) == 1000
    assert len(one(CHUNKED + b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n").body) == 1000


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nA: b\n\n"]
)
def test_lines_that_end_with_lf_alone_are_refused_at_once(data: bytes) -> None:
    assert refused(data) == 400


@pytest.mark.parametrize("at_once", [1000, 1 << 20])
def test_limits_of_the_opening(at_once: int) -> None:
    longest = b"GET /" + b"a" * (LONGEST_LINE - len("GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(all_of(with_headers(first=longest), at_once)) == 1
    assert refused(with_headers(first=longest.replace(b"/a", b"/aa")), at_once) == 414
    assert refused(b"GET /" + b"a" * LONGEST_LINE * 2, at_once) == 414
    assert refused(with_headers(b"X: " + b"a" * LONGEST_LINE), at_once) == 431
    assert refused(with_headers(*[b"X: " + b"a" * 1000] * (LONGEST_OPENING // 1000 + 1)), at_once) == 431
    assert refused(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (LONGEST_OPENING // 4), at_once) == 431
    assert len(all_of(with_headers(*[b"X: y"] * (MOST_HEADERS - 1)), at_once)) == 1
    assert refused(with_headers(*[b"X: y"] * MOST_HEADERS), at_once) == 431


def test_a_body_that_the_client_asks_about_is_asked_for_once() -> None:
    incoming = Incoming(100)
    opening = with_headers(b"Content-Length: 2", b"Expect: 100-Continue", first=b"POST / HTTP/1.1")
    incoming.feed(opening)
    assert incoming.next() is None and incoming.wants_continue
    incoming.feed(b"a")
    assert incoming.next() is None and not incoming.wants_continue
    incoming.feed(b"b")
    assert incoming.next() is not None and not incoming.wants_continue and incoming.is_idle
    incoming.feed(opening + b"a")  # the body comes unasked
    assert incoming.next() is None and not incoming.wants_continue
