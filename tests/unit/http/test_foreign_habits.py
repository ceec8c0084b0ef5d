"""What other clients, proxies and browsers are used to: their tags, times, bodies, and names of parameters."""

import gzip
import io
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

import shmstore
from shmstore.http.service import Service
from tests.helpers.asked import Ask

EVENTS = "text/event-stream"
NDJSON = "application/x-ndjson"


@pytest.mark.parametrize("given", ["{}", "W/{}", '"1", {}', '"x" ,W/{}', "*", "{}-gzip", "W/{}-br"])
@pytest.mark.parametrize("path", ["/streams/a", "/dashboard.js"])
def test_a_tag_is_known_in_all_its_forms(ask: Ask, path: str, given: str) -> None:
    ask("POST", "/streams/a", 1)
    tag = ask("GET", path).headers["ETag"]
    changed = given.replace("{}-", f"{tag[:-1]}-") + '"' if "{}-" in given else given.replace("{}", tag)
    assert ask("GET", path, if_none_match=changed).status == 304


@pytest.mark.parametrize("given", ['"1"', '"00"', '"0', "0", '"gzip-0"', '"0-gzip-0"', ""])
def test_another_tag_is_not_known(ask: Ask, given: str) -> None:
    ask("POST", "/streams/a", 1)
    assert ask("GET", "/streams/a", if_none_match=given).status == 200


def test_caches_are_told_that_the_answer_depends_on_accept(ask: Ask) -> None:
    ask("POST", "/streams/a", 1)
    for accept in ("application/json", NDJSON):
        assert ask("GET", "/streams/a", accept=accept).headers["Vary"] == "Accept"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream;q=0.5, application/json", "application/json"),
        ("application/x-ndjson;q=0, */*", "application/json"),
        ("application/x-ndjson;q=, */*", "application/json"),
        ("application/x-ndjson, application/json", NDJSON),
        ("Application/X-NDJSON", NDJSON),
        ("application/json;q=0.9, application/x-ndjson", NDJSON),
        ("text/event-stream", EVENTS),
        ("Text/Event-Stream, */*;q=0.1", EVENTS),
    ],
)
def test_the_type_that_is_preferred_is_answered(ask: Ask, accept: str, kind: str) -> None:
    ask("POST", "/streams/a", 1)
    assert ask("HEAD", "/streams/a", accept=accept).headers["Content-Type"] == kind


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("2030-01-01T00:00:00+01:00", "2029-12-31T23:00:00Z"),
        ("2030-01-01+00:00:00.5+0530", "2029-12-31T18:30:00.500000Z"),
        ("2030-01-01T00:00:00%2B01:00", "2029-12-31T23:00:00Z"),
        ("2030-01-01T00:00+01", "2029-12-31T23:00:00Z"),
        ("2030-01-01+01:00", "2030-01-01T01:00:00Z"),
        ("2030-01-01T00:00:00-01:00", "2030-01-01T01:00:00Z"),
    ],
)
def test_the_plus_of_a_zone_may_be_left_as_it_is(ask: Ask, given: str, meant: str) -> None:
    assert ask("GET", "/metrics/window", query=f"from={given}").json["window"]["from"] == meant
    assert ask("POST", "/admin/purge", query=f"olderThan={given}").json["purgedBefore"] == meant


@pytest.mark.parametrize("given", ["2030-01-01T00:00:00++01:00", "2030-01-01T00:00:00Z+01:00", "2030-01-01T+01:00"])
def test_what_is_still_no_time_is_refused(ask: Ask, given: str) -> None:
    assert ask("GET", "/metrics/window", query=f"from={given}").status == 400


def test_a_byte_order_mark_is_left_out(ask: Ask) -> None:
    mark = b"\xef\xbb\xbf"
    assert ask("POST", "/streams/a", mark + b'{"a":  1}').status == 202
    assert b'"data":{"a":  1}' in ask("GET", "/streams/a").body
    assert ask("POST", "/metrics", mark + b'{"label": "cpu", "value": 1}').status == 202
    assert ask("POST", "/streams/a", mark).status == 400


def test_a_compressed_body_is_refused_as_such(ask: Ask) -> None:
    for path in ("/streams/a", "/metrics"):
        answer = ask("POST", path, gzip.compress(b"{}"), content_encoding="gzip")
        assert answer.status == 415 and answer.headers["Accept-Encoding"] == "identity"
        assert "Content-Encoding: 'gzip'" in answer.json["error"]
    assert ask("POST", "/streams/a", b"{}", content_encoding="Identity").status == 202


def test_a_number_of_too_many_digits_is_told_without_advice_for_python(ask: Ask) -> None:
    error = ask("POST", "/streams/a", b"[" + b"9" * 5000 + b"]").json["error"]
    assert error == "the body is no JSON: a number of it has more than 4300 digits; send it as a text"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("expectedversion=9", "expectedVersion"),
        ("expected_version=9", "expectedVersion"),
        ("event-id=9", "eventId"),
        ("FROM=9", "from"),
    ],
)
def test_a_parameter_with_another_spelling_is_refused(ask: Ask, given: str, known: str) -> None:
    for method, body in (("GET", None), ("POST", 1)):
        answer = ask(method, "/streams/a", body, given)
        assert answer.status == 400 and f"it is called {known}" in answer.json["error"]
    assert ask("GET", "/streams").json == {"streams": []}
    assert ask("POST", "/streams/a", 1, "utm_source=x&_=1").status == 202


@pytest.mark.parametrize("given", [{"query": "many&type=a"}, {"query": "many=true", "event_type": "a"}])
def test_a_type_for_several_events_is_refused(ask: Ask, given: dict[str, str]) -> None:
    answer = ask("POST", "/streams/a", [{"data": 1}], **given)
    assert answer.status == 400 and "type is 'a', that of one event" in answer.json["error"]


def test_the_conditions_of_http_are_kept(ask: Ask) -> None:
    assert ask("POST", "/streams/a", 1, if_match="*").status == 412
    assert ask("POST", "/streams/a", 1, if_none_match="*").status == 202
    again = ask("POST", "/streams/a", 2, if_none_match="*")
    assert (again.status, again.json["actual"]) == (412, 0) and "nothing was appended" in again.json["error"]
    tag = ask("GET", "/streams/a").headers["ETag"]
    for changed in (tag, f"W/{tag.replace('0-', '1-', 1)}", f'{tag[:-1].replace("0-", "2-", 1)}-gzip"', '"3"', "*"):
        assert ask("POST", "/streams/a", 2, if_match=changed).status == 202
    assert ask("POST", "/streams/a", [{"data": 3}], "many", if_match='"0"').status == 412
    assert ask("POST", "/streams/a", 3, "expectedVersion=5", if_match='"5"').status == 202
    assert ask("GET", "/streams/a").headers["ETag"].startswith('"6-')


def test_a_tag_is_none_of_a_store_that_is_made_anew(ask: Ask, name: str) -> None:
    old = ask("POST", "/streams/a", "old").headers["ETag"]
    shmstore.unlink(name)
    refused = ask("POST", "/streams/a", "new", if_match=old)
    assert (refused.status, refused.json["actual"]) == (412, -1) and "a store that is gone" in refused.json["error"]
    assert ask("POST", "/streams/a", "new").status == 202
    assert ask("GET", "/streams/a", if_none_match=old).json[0]["data"] == "new"
    assert ask("POST", "/streams/a", "newer", if_match=old).status == 412


def test_no_answer_is_kept_by_a_cache_without_asking(ask: Ask) -> None:
    ask("POST", "/streams/a", 1)
    for path in ("/streams/a", "/streams", "/metrics/sum", "/metrics", "/health", "/ready", "/none", "/dashboard.js"):
        assert ask("GET", path).headers["Cache-Control"] in ("no-cache", "no-store"), path


@pytest.mark.parametrize(
    "given",
    [
        *({"if_match": '"1", "2"'}, {"if_match": "1"}, {"if_match": '"x"'}, {"if_none_match": '"1"'}),
        *({"if_match": "*", "if_none_match": "*"}, {"if_match": '"1"', "expected_version": "2"}),
    ],
)
def test_a_condition_that_cannot_be_kept_is_refused(ask: Ask, given: dict[str, str]) -> None:
    assert ask("POST", "/streams/a", 1, **given).status == 400
    assert ask("GET", "/streams").json == {"streams": []}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", "GET, HEAD, OPTIONS"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("/metrics", "GET, HEAD, OPTIONS, POST"),
        ("/streams/a", "GET, HEAD, OPTIONS, POST"),
        ("/admin/clear", "OPTIONS, POST"),
    ],
)
def test_a_balancer_may_ask_for_options(ask: Ask, path: str, allowed: str) -> None:
    answer = ask("OPTIONS", path, protocol="HTTP/1.0", host="")
    assert (answer.status, answer.headers["Allow"], answer.body) == (200, allowed, b"")
    assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert ask("PUT", path, 1).headers["Allow"] == allowed


# -- browsers that follow


def followed(service: Service, last: str, query: str = "follow=true") -> str:
    """What is sent first to a browser that has had an event, up to the next wait."""
    environ: dict[str, Any] = {"PATH_INFO": "/streams/a", "QUERY_STRING": query, "wsgi.errors": io.StringIO()}
    setup_testing_defaults(environ)
    environ["HTTP_LAST_EVENT_ID"] = last
    pieces: Any = service(environ, lambda *_: lambda _: None)
    found = b""
    for piece in pieces:
        found += piece
        if found.count(b"\n\n") > 1:
            break
    pieces.close()
    return found.decode()


@pytest.mark.parametrize("appended", [0, 3])
def test_who_followed_a_store_that_is_gone_is_told_and_goes_on_in_the_new_one(
    ask: Ask, service: Service, appended: int
) -> None:
    for n in range(appended):
        ask("POST", "/streams/a", n)
    told = followed(service, "500")
    assert 'event: truncated\ndata: {"error":' in told and '"firstVersion":0}\n\n' in told
    (again,) = [line[4:] for line in told.splitlines() if line.startswith("id: ")]
    ask("POST", "/streams/a", appended)
    assert "\nid: 0\ndata: " in followed(service, again, "follow=true&from=700")


def test_who_has_all_of_a_stream_waits_for_more(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", [{"data": n} for n in range(3)], "many=true")
    environ: dict[str, Any] = {"PATH_INFO": "/streams/a", "QUERY_STRING": "follow=true"}
    setup_testing_defaults(environ)
    for last, wanted in (("2", 3), ("", 0)):
        environ["HTTP_LAST_EVENT_ID"] = last
        pieces: Any = service(environ, lambda *_: lambda _: None)
        assert next(pieces).startswith(b": following\n")
        if last:
            ask("POST", "/streams/a", 3)
        assert next(pieces).startswith(f"id: {wanted}\n".encode())
        pieces.close()


def test_a_browser_without_headers_goes_on_by_its_query(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", [{"data": n} for n in range(9)], "many=true")
    assert "\n\nid: 4\n" in followed(service, "", "follow=true&lastEventId=3")
    assert "\n\nid: 7\n" in followed(service, "6", "follow=true&lastEventId=3")  # its second request
    assert ask("GET", "/streams/a", query="follow=true&last_event_id=3").status == 400
    assert ask("GET", "/streams/a", query="follow=true&lastEventId=x").status == 400


def test_browsers_are_told_to_come_back_at_different_times(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", 1)
    told = [
        int(line[7:]) for _ in range(20) for line in followed(service, "").splitlines() if line.startswith("retry: ")
    ]
    assert len(told) == 20 and len(set(told)) > 5 and min(told) >= 1000 and max(told) <= 4000


def test_a_browser_that_is_told_of_a_gap_goes_on_behind_it(ask: Ask, service: Service) -> None:
    ask("POST", "/streams/a", [{"data": n} for n in range(9)], "many=true")
    service.stores().streams["a"].truncate(before=5)
    told = followed(service, "1")
    assert "\nid: 4\nevent: truncated\n" in told
    assert "\nid: 5\ndata: " in followed(service, "4")
