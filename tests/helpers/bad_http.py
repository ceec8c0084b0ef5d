"""Requests for the service by chance: good ones, bad ones, and bytes that are none; the same for the same dice."""

import json
from random import Random

BODY_LIMIT = 20_000

_METHODS = (
    "GET",
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "get",
    "X",
)
_STREAMS = ("a", "b/c", "gateway/orders", "%C3%A9", "x%2Fy", "none")
_PATHS = (
    *("/health", "/ready", "/streams", "/metrics/sum", "/metrics/window", "/metrics/top", "/metrics/sum-window"),
    *("/metrics/snapshot-views", "/metrics/aggregate-zero-alloc", "/metrics/process-events", "/openapi.json"),
    *("/admin/clear", "/admin/reset", "/admin/purge", "/", "/none", "//", "/streams/", "/streams/../admin/clear"),
    *("/streams//a", "/streams/%2e%2e/x", "/streams/%00", "/streams/a%0d%0aX:%20y", "/streams/%FF", "/streams/%zz"),
    *("/%", "http://localhost/health", "http://evil.example/health", "/streams/" + "n" * 300, "/" + "p" * 3000),
)
_QUERIES = (
    *("from=0", "from=-1", "from=999999999999", "limit=3", "limit=0", "limit=x", "backwards=true", "missing=report"),
    *("missing=", "aggregate=true", "by=a&sum=b", "many=true", "expectedVersion=any", "expectedVersion=5", "type=t"),
    *("eventId=e", "eventId=" + "i" * 70, "from=2026-01-01", "to=2026-13-01", "label=a", "k=NaN", "k=2", "minutes=1"),
    *("%", "%FF", "a&a", "=", "&&&", "prefix=%C3%A9", "x=" + "y" * 900, "olderThanMinutes=1", "olderThan=1970-01-01"),
)
_HEADERS = (
    *("Accept: application/json", "Accept: application/x-ndjson", "X-Request-Id: a-1", "X-Request-Id: a b"),
    *("Content-Type: text/plain", "Expected-Version: 1", "Event-Id: \xff", "If-None-Match: *", 'If-None-Match: "0"'),
    *("Authorization: Bearer x", "Authorization: Basic", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"),
    *("X-Forwarded-For: 127.0.0.1", "Via: 1.1 a", "Cookie: a=b", "Expect: 100-continue", "TE: trailers", "X:"),
    *("Connection: keep-alive", "Upgrade: h2c", "Range: bytes=0-", "Accept-Encoding: gzip", "X-Long: " + "v" * 3000),
)
_LAST_HEADERS = (  # after which the connection ends
    *("Host: other", "Host : x", "no colon", " folded", "X: a\0b", "X-Long: " + "v" * 9000, "Content-Length: 3"),
    *("Content-Length: -1", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Content_Length: 5"),
    *("Connection: close", "Connection: upgrade", "Expect: tea"),
)
_BODIES = (
    *(b"", b"1", b'"x"', b"null", b"{}", b"[]", b'{"a": [1, 2.5, true, null]}', b'{"label": "a", "value": 1}'),
    *(b'[{"data": 1}, {"data": 2, "eventId": "m", "metadata": {}}]', b'{"gatewayId": "g", "valor": 2}', b"NaN"),
    *(
        b'{"label": "a", "value": 1e999}',
        b'{"label": 5, "value": "x"}',
        b'{"a": ',
        b"[" * 3000,
        b'"\xff"',
        b'"\\ud800"',
    ),
    *(b'{"base64": "AAAA"}', b'{"base64": "?"}', b"9" * 5000, b'{"valor": ' + b"9" * 350 + b"}", b"\0" * 20),
    *(b'{"label": "a", "value": 1, "timestamp": "2026-02-30"}', b'"' + b"y" * 3000 + b'"'),
)
_ENDS = (b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\0", b" ", b":", b"HTTP/1.1", b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n")


def good(dice: Random) -> bytes:
    """A request that a well-meaning client may send; what it asks for need not be there."""
    name = dice.choice(_STREAMS)
    kind = dice.randrange(6)
    if kind < 2:
        return _whole("POST", f"/streams/{name}?eventId=e{dice.randrange(1000)}", (), dice.choice(_BODIES[:7]), False)
    if kind == 2:
        return _whole("POST", "/metrics", (), json.dumps({"label": name, "value": dice.random()}).encode(), False)
    if kind == 3:
        return _whole("GET", f"/streams/{name}?limit=5&backwards=true&missing=report", (), b"", False)
    return _whole("GET", dice.choice(_PATHS[:9]), (), b"", False)


def bad(dice: Random) -> bytes:
    """A request of HTTP, of parts that mostly do not belong together."""
    path = f"/streams/{dice.choice(_STREAMS)}" if dice.random() < 0.4 else dice.choice(_PATHS)
    query = "&".join(dice.choices(_QUERIES, k=dice.randrange(4)))
    headers = dice.choices(_HEADERS, k=dice.choice((0, 0, 0, 1, 1, 2, 5)))
    if dice.random() < 0.03:
        headers.append(dice.choice(_LAST_HEADERS))
    body = dice.choice(_BODIES)
    if dice.random() < 0.01:
        body = b"z" * dice.randrange(BODY_LIMIT - 5, BODY_LIMIT + 5000)
    return _whole(dice.choice(_METHODS), f"{path}?{query}" if query else path, headers, body, dice.random() < 0.2)


def mutated(dice: Random, data: bytes) -> bytes:
    """The same with some bytes changed, left out, doubled, or put in."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 4, 10))):
        at = dice.randrange(len(changed) + 1)
        kind = dice.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] = dice.randrange(256)
        elif kind == 1:
            del changed[at : at + dice.choice((1, 1, 2, 20))]
        elif kind == 2:
            changed[at:at] = changed[at : at + dice.choice((1, 2, 50))]
        elif kind == 3:
            changed[at:at] = dice.choice(_ENDS)
        else:
            changed[at:at] = dice.randbytes(dice.choice((1, 2, 8)))
    return bytes(changed)


def pieces(dice: Random, data: bytes) -> list[bytes]:
    """The same in a few pieces, that are cut anywhere."""
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice((0, 0, 0, 1, 3, 9))))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True) if end > start]


def _whole(method: str, target: str, headers: "tuple[str, ...] | list[str]", body: bytes, is_chunked: bool) -> bytes:
    if is_chunked:
        size = max(1, len(body) // 2)
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        length = "Transfer-Encoding: chunked\r\n"
    else:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
    more = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}{more}\r\n".encode("latin-1") + body
