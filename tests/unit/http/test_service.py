"""The service as a WSGI application: every route, and nothing that its description does not tell of."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import shmstore
from shmstore.http.openapi import document
from shmstore.http.service import ROUTES, Service
from shmstore.http.settings import Settings
from tests.helpers.asked import Ask, asked

NDJSON = "application/x-ndjson"


# -- streams


def test_an_event_is_appended_once_for_each_id_and_read_back(ask: Ask) -> None:
    first = ask("POST", "/streams/gw/orders", {"total": 1.5}, "eventId=a&type=Created")
    again = ask("POST", "/streams/gw/orders", {"total": 1.5}, "expectedVersion=no_stream", event_id="a")
    assert first.status == again.status == 202
    assert first.json == again.json == {"stream": "gw/orders", "version": 0, "eventId": "a"}
    assert first.headers["ETag"].startswith('"0-')
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
    assert ask("POST", "/streams/a", 2, "expectedVersion=0", expected_version="0").json["version"] == 1
    twice = ask("POST", "/streams/a", 2, "expectedVersion=any", expected_version="7")
    assert twice.status == 400 and "'any', and '7' in Expected-Version; give it once" in twice.json["error"]


def test_a_client_may_want_no_body(ask: Ask) -> None:
    for number, query in enumerate(("", "many=true")):
        body = [{"data": 1}]
        answer = ask("POST", "/streams/a", body, query, prefer="respond-async, return=minimal")
        assert (answer.status, answer.body, answer.headers["ETag"][:3]) == (202, b"", f'"{number}-')
        assert answer.headers["Preference-Applied"] == "return=minimal"
    assert ask("POST", "/streams/a", 1, "expectedVersion=7", prefer="return=minimal").json["actual"] == 1
    assert ask("POST", "/streams/a", 1, prefer="return=representation").json["version"] == 2


def test_several_events_are_appended_all_or_none(ask: Ask) -> None:
    several = [{"data": n, "eventId": f"e{n}", "metadata": {"n": n}} for n in range(3)]
    assert ask("POST", "/streams/a", several, "many=true").json == {"stream": "a", "versions": [0, 1, 2]}
    again = [
        ask("POST", "/streams/b", [{"data": 1}, {"data": 2, "eventId": "own"}], "many=true&eventId=k") for _ in "12"
    ]
    assert [answer.json["versions"] for answer in again] == [[0, 1]] * 2
    assert [event["eventId"] for event in ask("GET", "/streams/b").json] == ["k/0", "own"]
    too_large = ask("POST", "/streams/a", [{"data": 9}, {"data": "x" * 598}], "many=true")
    assert "with a larger event size (SHMSTORE_EVENT_SIZE)" in too_large.json["error"]
    assert too_large.status == 413 and (too_large.json["size"], too_large.json["limit"]) == (598, 512)
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


@pytest.mark.parametrize("value", [b"1e308", b"9" * 200 + b"0" * 200])
def test_a_sum_beyond_all_numbers_is_null(ask: Ask, value: bytes) -> None:
    for _ in range(2):
        assert ask("POST", "/streams/a", b'{"valor": %b}' % value).status == 202
    ask("POST", "/streams/a", {"gatewayId": "g", "valor": -1})
    answer = ask("GET", "/streams/a", query="aggregate=true").json
    assert (answer["totalEvents"], answer["totalValor"]) == (3, None)
    assert answer["gateways"] == {"null": {"count": 2, "sum": None}, "g": {"count": 1, "sum": -1}}


# -- records


def test_records_are_appended_and_asked_about(ask: Ask) -> None:
    for label, value in (("cpu", 90), ("cpu", 10.5), ("memory", 70)):
        answer = ask("POST", "/metrics", {"label": label, "value": value, "timestamp": "2030-01-31T10:00:00Z"})
        assert answer.status == 202 and answer.json["timestamp"] == "2030-01-31T10:00:00Z"
    assert ask("POST", "/metrics", {"label": "cpu"}).json == {"error": "value is missing; expected a finite number"}
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


# -- trouble


def test_stores_that_were_removed_are_made_again(ask: Ask, service: Service, name: str) -> None:
    ask("POST", "/streams/a", 1)
    shmstore.unlink(name)
    assert ask("POST", "/streams/a", 1).json["version"] == 0


def test_what_fails_inside_is_told_to_the_log_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("secret\n[CRITICAL] forged \x1b[31m\u2028\x85[CRITICAL]")

    monkeypatch.setattr(service, "stores", fail)
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/streams", "wsgi.errors": io.StringIO()}
    setup_testing_defaults(environ)
    told: dict[str, str] = {}
    body = b"".join(service(environ, lambda status, headers, *_: told.update(headers, status=status) or print))
    assert told["status"].startswith("500") and b"secret" not in body
    assert told["X-Request-Id"] in json.loads(body)["error"]
    first, *others, end = environ["wsgi.errors"].getvalue().split("\n")
    assert told["X-Request-Id"] in first and "RuntimeError: secret" in "".join(others) and end == ""
    assert all(line.startswith("  ") and line.isprintable() for line in others)


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
