"""What the service refuses: bad requests, those who may not, and pages of other sites."""

import hmac
import random
import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from shmstore.http.service import ROUTES, Service
from shmstore.http.settings import Settings
from tests.helpers.asked import LIMIT, Ask, asked

# -- refusals


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "status"),
    [
        ("POST", "/streams/a", b"", "", 400),
        ("POST", "/streams/a", b"{", "", 400),
        ("POST", "/streams/a", b"NaN", "", 400),
        ("POST", "/streams/a", b"\xff", "", 400),
        ("POST", "/streams/a", b"[" * 5000, "", 400),
        ("POST", "/streams/a", b"1" * (LIMIT + 1), "", 413),
        ("POST", "/streams/a", "x" * 600, "", 413),
        ("POST", "/streams/a", 1, "expectedVersion=many", 400),
        ("POST", "/streams/a", 1, "expectedVersion=1.5", 400),
        ("POST", "/streams/a", 1, f"eventId={'x' * 65}", 400),
        ("POST", "/streams/a", 1, "type=%FF", 400),
        ("POST", "/streams/a", 1, "type=a&type=b", 400),
        ("POST", "/streams/a", {"data": 1}, "many=true", 400),
        ("POST", "/streams/a", [], "many=true", 400),
        ("POST", "/streams/a", [1], "many=true", 400),
        ("POST", "/streams/a", [{"data": 1, "eventId": 1}], "many=true", 400),
        ("POST", f"/streams/{'x' * 256}", 1, "", 400),
        ("POST", "/streams/", 1, "", 404),
        ("GET", "/streams/none", None, "", 404),
        ("GET", "/streams/none", None, "from=-1", 400),
        ("GET", "/streams/none", None, "limit=10001", 400),
        ("GET", "/streams/none", None, "limit=", 400),
        ("GET", "/streams/none", None, "missing=maybe", 400),
        ("GET", "/streams/none", None, "backwards=maybe", 400),
        ("GET", "/streams/none", None, "aggregate=true&sum=events", 400),
        ("GET", "/streams/none", None, "aggregate=true&by=", 400),
        ("GET", "/streams/none", None, "aggregate=true&from=true", 400),
        ("GET", "/streams/none", None, "aggregate=true&follow=maybe", 400),
        ("GET", "/streams/none", None, "follow=true&limit=x", 400),
        ("POST", "/streams/a\0b", 1, "", 400),
        ("POST", "/streams/a\r\nX: y", 1, "", 400),
        ("POST", "/streams/\x9b31m", 1, "", 400),
        ("POST", "//streams/a", 1, "", 404),
        ("POST", "/admin//clear", None, "", 404),
        ("POST", "/admin/clear/", None, "", 404),
        ("POST", "/ADMIN/clear", None, "", 404),
        ("DELETE", "/streams/a", None, "", 405),
        ("GET", "/stream", None, "", 404),
        ("GET", "/../etc/passwd", None, "", 404),
        ("POST", "/metrics", [], "", 400),
        ("POST", "/metrics", {"value": 1}, "", 400),
        ("POST", "/metrics", {"label": "a", "value": "1"}, "", 400),
        ("POST", "/metrics", {"label": "a", "value": True}, "", 400),
        ("POST", "/metrics", b'{"label": "a", "value": 1e999}', "", 400),
        ("POST", "/metrics", {"label": "a", "value": 1, "timestamp": "yesterday"}, "", 400),
        ("POST", "/metrics", {"label": "x" * 100, "value": 1}, "", 400),
        ("GET", "/metrics/sum", None, "from=yesterday", 400),
        ("GET", "/metrics/window", None, "from=2031-01-01&to=2030-01-01", 400),
        ("GET", "/metrics/sum", None, "from", 400),
        ("GET", "/metrics/sum", None, "to=1969-12-31", 400),
        ("GET", "/metrics/sum", None, "label=a&label=b", 400),
        ("GET", "/metrics/sum", None, "label=%ED%A0%80", 400),
        ("GET", "/metrics/sum", None, "&".join(f"a{n}=" for n in range(65)), 400),
        ("GET", "/metrics/top", None, "k=0", 400),
        ("GET", "/metrics/top", None, "k=NaN", 400),
        ("GET", "/metrics/top", None, "k=%D9%A1", 400),
        ("GET", "/metrics/sum-window", None, "minutes=0", 400),
        ("POST", "/admin/purge", None, "", 400),
        ("POST", "/admin/purge", None, "olderThanMinutes=x", 400),
        ("GET", "/admin/clear", None, "", 405),
    ],
)
def test_bad_requests_are_refused(ask: Ask, method: str, path: str, body: Any, query: str, status: int) -> None:
    assert ask(method, path, body, query).status == status


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("/streams/../admin/clear", 400),
        ("/streams/%2e%2E/admin/clear", 400),
        ("http://localhost/streams/./a", 400),
        ("/streams//a?x=/", 400),
        ("/streams/a/..", 400),
        ("/streams/..%2Fadmin%2Fclear", 202),
        ("/streams/%2Fa?x=/../", 202),
        ("/streams/a...b/.c", 202),
        ("/streams/a/", 202),
        ("/streams/%ZZ", 400),
        ("/streams/a%2", 400),
        ("/streams/a?type=%", 400),
        ("/streams/%25ZZ?type=%25", 202),
    ],
)
def test_what_others_would_read_otherwise_is_refused(service: Service, raw: str, status: int) -> None:
    found = urlsplit(raw)
    answer = asked(service, "POST", unquote(found.path), 1, found.query, raw_uri=raw)
    assert answer.status == status, answer
    assert status == 202 or re.search("as %2F|as %25", answer.json["error"])


def test_random_requests_fail_nowhere(ask: Ask, seed: int) -> None:
    chance = random.Random(seed)
    pieces = ["from", "to", "label", "k", "minutes", "many", "true", "=", "&", "%", "%00", "%FF", "-1", "1e9", "\u00e9"]
    routes = [route for route in ROUTES if route != "/dashboard/live"]  # which would not end
    for _ in range(1000):
        path = chance.choice([*routes, "/streams/a", "/streams/%2F", "/streams/\u00e9/b", "/", "/metrics/"])
        query = "".join(chance.choices(pieces, k=chance.randrange(6))).encode().decode("latin-1")
        body = chance.choice([None, b"", chance.randbytes(9), b"[]", b"{}", b'{"label":"a","value":1}', b"null"])
        answer = ask(chance.choice(["GET", "POST", "HEAD", "PUT"]), path, body, query)
        assert answer.status < 500, (path, query, body, answer)


# -- who may


def test_administration_is_for_this_machine_or_with_a_token(ask: Ask, name: str) -> None:
    for headers in (
        {"remote": "192.0.2.1"},
        {"x_forwarded_for": "127.0.0.1"},
        {"remote": "192.0.2.1", "x_forwarded_for": "127.0.0.1"},
        {"remote": ""},
        {"host": "192.0.2.7"},
        {"protocol": "HTTP/1.0"},
        *({name: "127.0.0.1"} for name in ("forwarded", "x_real_ip", "via", "x_forwarded_host", "x_forwarded_proto")),
    ):
        assert ask("POST", "/admin/clear", **headers).status == 403, headers
    assert ask("POST", "/admin/clear", remote="::ffff:127.0.0.1").status == 200
    closed = Service(Settings(name=name, admin_token="off"), None)
    assert asked(closed, "POST", "/admin/clear").status == 403


def test_tokens(service: Service, name: str) -> None:
    guarded = Service(
        Settings(name=name, capacity=1000, partitions=2, event_size=256, admin_token="adm\u00efn", read_token="read"),
        None,
    )
    try:
        assert asked(guarded, "GET", "/health").status == 200
        for given in ("", "read", "Basic read", "Bearer rea", "Bearer read2", "Bearer \u00e9"):
            answer = asked(guarded, "GET", "/streams", authorization=given)
            assert answer.status == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
        assert asked(guarded, "GET", "/streams", authorization="Bearer read").status == 200
        assert asked(guarded, "POST", "/admin/clear", authorization="Bearer read").status == 401
        token = "Bearer adm\u00efn".encode().decode("latin-1")
        assert asked(guarded, "POST", "/admin/clear", authorization=token, remote="192.0.2.1").status == 200
    finally:
        guarded.close()


def test_a_token_is_compared_in_constant_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    same = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or same(*both))
    guarded = Service(Settings(name=name, admin_token="admin"), None)
    assert asked(guarded, "POST", "/admin/clear", authorization="Bearer admit").status == 401
    assert compared == [(b"admit", b"admin")]


def test_pages_of_other_sites_are_refused(ask: Ask, name: str) -> None:
    assert ask("GET", "/streams", host="evil.example").status == 421
    assert ask("POST", "/streams/a", 1, origin="https://evil.example").status == 403
    assert ask("POST", "/streams/a", 1, sec_fetch_site="cross-site").status == 403
    assert ask("POST", "/streams/a", 1, origin="http://localhost:7070").status == 202
    for host in ("localhost", "[::1]:7070", "192.0.2.1:80", "LOCALHOST"):
        assert ask("GET", "/streams", host=host).status == 200
    known = Service(Settings(name=name, hosts=("gateway.example",)), None)
    assert asked(known, "GET", "/health", host="gateway.example:80").status == 200


def test_a_request_id_is_passed_through_if_it_is_one(ask: Ask) -> None:
    assert ask("GET", "/health", x_request_id="abc-1").headers["X-Request-Id"] == "abc-1"
    for given in ("a b", "x" * 129, "a\x7f", ""):
        assert ask("GET", "/health", x_request_id=given).headers["X-Request-Id"] != given
