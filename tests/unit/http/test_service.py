"""The service as a WSGI application: every route, every refusal, and nothing that its description does not tell of."""

import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

import shmstore
from shmstore.http.openapi import document
from shmstore.http.service import ROUTES, Service
from shmstore.http.settings import Settings

NDJSON = "application/x-ndjson"
LIMIT = 10_000  # bytes of a body


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Answer]


def asked(service: Service, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
    """One request, through the checker of the standard library; `body` is JSON unless it is bytes."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:7070",
        "SCRIPT_NAME": "",
    }
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    setup_testing_defaults(environ)
    environ |= {"wsgi.input": io.BytesIO(sent), "CONTENT_LENGTH": str(len(sent)), "wsgi.errors": io.StringIO()}
    for name, value in headers.items():
        environ["REMOTE_ADDR" if name == "remote" else f"HTTP_{name.upper()}"] = value
    told: list[Any] = []

    def start_response(status: str, found: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        told[:] = [int(status[:3]), dict(found)]
        return io.BytesIO().write

    checked: Any = validator(service)
    pieces = checked(environ, start_response)
    try:
        answer = Answer(told[0], told[1], b"".join(pieces))
    finally:
        pieces.close()
    require_described(path, method, answer)
    return answer


def require_described(path: str, method: str, answer: Answer) -> None:
    """An answer has a status that the description tells of, and an error is one sentence in JSON."""
    route = "/streams/{name}" if path.startswith("/streams/") else path
    operation = document()["paths"].get(route, {}).get(method.lower().replace("head", "get"))
    if operation is not None:
        assert str(answer.status) in operation["responses"], (path, answer)
    if answer.status >= 400 and method != "HEAD":
        assert isinstance(answer.json["error"], str) and answer.json["error"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    made = Service(Settings(name=name, capacity=1000, partitions=2, event_size=256, body_limit=LIMIT), None)
    yield made
    made.close()
    for each in (name, f"{name}-records"):
        with suppress(shmstore.StoreNotFound):
            shmstore.unlink(each)


@pytest.fixture
def ask(service: Service) -> Ask:
    return lambda *request, **more: asked(service, *request, **more)


# -- streams


def test_an_event_is_appended_once_for_each_id_and_read_back(ask: Ask) -> None:
    first = ask("POST", "/streams/gw/orders", {"total": 1.5}, "eventId=a&type=Created")
    again = ask("POST", "/streams/gw/orders", {"total": 1.5}, "expectedVersion=no_stream", event_id="a")
    assert first.status == again.status == 202
    assert first.json == again.json == {"stream": "gw/orders", "version": 0, "eventId": "a"}
    assert first.headers["ETag"] == '"0"'
    (event,) = ask("GET", "/streams/gw/orders").json
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "stream": "gw/orders",
        "version": 0,
        "position": event["position"],
        "eventId": "a",
        "type": "Created",
        "data": {"total": 1.5},
        "metadata": None,
    }


def test_a_conflict_says_at_which_version_the_stream_is(ask: Ask) -> None:
    assert ask("POST", "/streams/a", 1, "expectedVersion=exists").json["actual"] == -1
    ask("POST", "/streams/a", 1)
    for given, expected in (("no_stream", "no_stream"), ("-1", -1), ("7", 7)):
        answer = ask("POST", "/streams/a", 2, expected_version=given)
        assert answer.status == 409 and answer.json["expected"] == expected and answer.json["actual"] == 0
    assert ask("POST", "/streams/a", 2, "expectedVersion=0").json["version"] == 1


def test_several_events_are_appended_all_or_none(ask: Ask) -> None:
    several = [{"data": n, "eventId": f"e{n}", "metadata": {"n": n}} for n in range(3)]
    assert ask("POST", "/streams/a", several, "many=true").json == {"stream": "a", "versions": [0, 1, 2]}
    too_large = ask("POST", "/streams/a", [{"data": 9}, {"data": "x" * 300}], "many=true")
    assert too_large.status == 413 and (too_large.json["size"], too_large.json["limit"]) == (300, 256)
    assert [(event["data"], event["metadata"]["n"]) for event in ask("GET", "/streams/a").json] == [
        (0, 0),
        (1, 1),
        (2, 2),
    ]


def test_pages_and_directions_of_a_stream(ask: Ask) -> None:
    ask("POST", "/streams/a", [{"data": n} for n in range(10)], "many=true")

    def versions(query: str) -> list[int]:
        return [event["version"] for event in ask("GET", "/streams/a", query=query).json]

    assert versions("from=3&limit=2") == [3, 4]
    assert versions("backwards=true&limit=3") == [9, 8, 7]
    assert versions("from=4&backwards=true&limit=2") == [4, 3]
    assert versions("from=10") == versions("limit=0") == []
    lines = ask("GET", "/streams/a", query="limit=2", accept=NDJSON)
    assert lines.headers["Content-Type"] == NDJSON
    assert [json.loads(line)["data"] for line in lines.body.splitlines()] == [0, 1]


def test_an_etag_saves_reading_what_is_known(ask: Ask) -> None:
    ask("POST", "/streams/a", 1)
    tag = ask("GET", "/streams/a").headers["ETag"]
    assert ask("GET", "/streams/a", if_none_match=tag)[::2] == (304, b"")
    ask("POST", "/streams/a", 2)
    assert len(ask("GET", "/streams/a", if_none_match=tag).json) == 2


def test_what_is_gone_says_what_is_there(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", [{"data": n} for n in range(10)], "many=true")
    service.stores().streams["a"].truncate(before=4)
    answer = ask("GET", "/streams/a", query="from=1")
    assert answer.status == 410 and answer.json["firstVersion"] == 4
    assert [event["data"] for event in ask("GET", "/streams/a", query="from=1&missing=report&limit=2").json] == [4, 5]
    service.stores().streams["a"].delete()
    assert ask("GET", "/streams/a").status == 404
    service.stores().streams["a"].delete(hard=True)
    assert {ask("GET", "/streams/a", query=query).status for query in ("", "follow=true")} == {410}
    assert ask("POST", "/streams/a", 1).status == 410


def test_bytes_come_and_go_as_base64(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", {"base64": "/wA="})
    ask("POST", "/streams/a", [{"data": {"base64": "no base64"}, "metadata": {"base64": ""}}], "many=true")
    assert [(event.data, event.metadata) for event in service.stores().streams["a"].read()] == [
        (b"\xff\x00", None),
        ({"base64": "no base64"}, b""),
    ]
    assert ask("GET", "/streams/a").json[0]["data"] == {"base64": "/wA="}


def test_a_follower_gets_what_is_there_and_what_comes(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", [{"data": n} for n in range(3)], "many=true")
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/streams/a", "QUERY_STRING": "follow=true"}
    setup_testing_defaults(environ)
    environ["HTTP_LAST_EVENT_ID"] = "0"
    told: dict[str, Any] = {}
    pieces = iter(service(environ, lambda status, headers, *_: told.update(headers, status=status) or print))
    assert told["status"] == "200 OK" and told["Content-Type"] == "text/event-stream"
    assert next(pieces).startswith(b":")
    assert b"id: 1\n" in (piece := next(pieces)) and b"id: 2\n" in piece and b"id: 0\n" not in piece
    ask("POST", "/streams/a", "new")
    assert b'"data":"new"' in next(pieces)
    service.stores().streams["a"].delete(hard=True)
    assert next(pieces).startswith(b'event: deleted\ndata: {"error":')
    assert next(pieces, None) is None


def test_counts_and_sums_by_gateway(ask: Ask) -> None:
    for gateway, value in (("g1", 10), ("g2", 2.5), ("g1", 1)):
        ask("POST", "/streams/a", {"gatewayId": gateway, "valor": value})
    answer = ask("GET", "/streams/a", query="aggregate=true").json
    assert answer.pop("durationMs") >= 0
    assert answer == {
        "stream": "a",
        "totalEvents": 3,
        "totalValor": 13.5,
        "gateways": {"g1": {"count": 2, "sum": 11}, "g2": {"count": 1, "sum": 2.5}},
    }
    assert ask("GET", "/streams", query="prefix=a").json == {"streams": ["a"]}


# -- records


def test_records_are_appended_and_asked_about(ask: Ask) -> None:
    for label, value in (("cpu", 90), ("cpu", 10.5), ("memory", 70)):
        answer = ask("POST", "/metrics", {"label": label, "value": value, "timestamp": "2030-01-31T10:00:00Z"})
        assert answer.status == 202 and answer.json["timestamp"] == "2030-01-31T10:00:00Z"
    ask("POST", "/metrics", {"label": "now", "value": 5, "ignored": None})
    assert ask("GET", "/metrics/sum", query="label=cpu").json == 100.5
    assert ask("GET", "/metrics/sum-window", query="label=now&minutes=1").json == 5
    window = ask("GET", "/metrics/window", query="label=cpu&from=2030-01-31T10:00:00Z&to=2030-01-31T11:00").json
    assert window == {
        "count": 2,
        "sum": 100.5,
        "min": 10.5,
        "max": 90.0,
        "avg": 50.25,
        "window": {"from": "2030-01-31T10:00:00Z", "to": "2030-01-31T11:00:00Z", "label": "cpu"},
    }
    assert ask("GET", "/metrics/top", query="k=1").json == [{"label": "cpu", "sum": 100.5}]
    assert ask("GET", "/metrics/process-events").json == {"processed": 4, "highCpuCount": 1}
    assert ask("GET", "/metrics/aggregate-zero-alloc", query="label=none").json["avg"] is None
    views = ask("GET", "/metrics/snapshot-views").json
    assert views["totalEvents"] == 4 and views["partitions"] == len(views["views"]) == 2
    assert ask("POST", "/admin/purge", query="olderThan=2031-01-01T00:00:00Z").json == {
        "purgedBefore": "2031-01-01T00:00:00Z"
    }
    assert ask("GET", "/metrics/sum").json == 0
    assert ask("POST", "/admin/clear").json == {"cleared": True}
    assert ask("POST", "/admin/reset").json == {"reset": True}


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
        ("POST", "/streams/a", "x" * 300, "", 413),
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
        ("GET", "/streams/none", None, "missing=maybe", 404),
        ("GET", "/streams/none", None, "backwards=maybe", 404),
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
        ("GET", "/metrics/top", None, "k=0", 400),
        ("GET", "/metrics/sum-window", None, "minutes=0", 400),
        ("POST", "/admin/purge", None, "", 400),
        ("POST", "/admin/purge", None, "olderThanMinutes=x", 400),
        ("GET", "/admin/clear", None, "", 405),
    ],
)
def test_bad_requests_are_refused(ask: Ask, method: str, path: str, body: Any, query: str, status: int) -> None:
    assert ask(method, path, body, query).status == status


def test_random_requests_fail_nowhere(ask: Ask, seed: int) -> None:
    chance = random.Random(seed)
    pieces = ["from", "to", "label", "k", "minutes", "many", "true", "=", "&", "%", "%00", "%FF", "-1", "1e9", "\u00e9"]
    for _ in range(1000):
        path = chance.choice([*ROUTES, "/streams/a", "/streams/%2F", "/streams/\u00e9/b", "/", "/metrics/"])
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


# -- trouble


def test_stores_that_were_removed_are_made_again(ask: Ask, service: Service, name: str) -> None:
    ask("POST", "/streams/a", 1)
    shmstore.unlink(name)
    assert ask("POST", "/streams/a", 1).json["version"] == 0


def test_what_fails_inside_is_told_to_the_log_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(service, "stores", fail)
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/streams", "wsgi.errors": io.StringIO()}
    setup_testing_defaults(environ)
    told: dict[str, str] = {}
    body = b"".join(service(environ, lambda status, headers, *_: told.update(headers, status=status) or print))
    assert told["status"].startswith("500") and b"secret" not in body
    assert told["X-Request-Id"] in json.loads(body)["error"]
    assert "secret" in environ["wsgi.errors"].getvalue() and told["X-Request-Id"] in environ["wsgi.errors"].getvalue()


def test_a_name_that_holds_something_else_is_told(name: str) -> None:
    with shmstore.create_streams(f"{name}-records", capacity=10, partitions=1):
        service = Service(Settings(name=name, capacity=10, partitions=1), None)
        try:
            answer = asked(service, "GET", "/streams")
            assert answer.status == 503 and "-records" in answer.json["error"]
        finally:
            service.close()
            shmstore.unlink(name)
            shmstore.unlink(f"{name}-records")


def test_all_routes_are_described() -> None:
    described = {
        (path, method) for path, item in document()["paths"].items() for method in item if method != "parameters"
    }
    routes = {(path, method.lower()) for path, methods in ROUTES.items() for method in methods}
    assert described == routes | {("/streams/{name}", "get"), ("/streams/{name}", "post")}
