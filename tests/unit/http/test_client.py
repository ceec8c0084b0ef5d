"""The client of the service: what it sends, what it makes of answers, and what it refuses to send."""

import base64
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from shmstore import ANY, EXISTS, NO_STREAM, NewEvent, errors
from shmstore.http.client import EventStoreClient, RemoteEvent
from tests.helpers.scripted import (
    Fake,
    Say,
    accepted,
    event,
    page,
    refusal,
)

pytestmark = pytest.mark.usefixtures("pauses")

# Appending.


def test_an_append_is_one_request_with_an_id(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [accepted(7)]
    assert client.append("gateway/orders ü?", {"a": 1}, type="order.created") == 7
    (asked,) = fake.asked
    assert (asked.method, asked.path) == ("POST", "/streams/gateway/orders%20%C3%BC%3F")
    assert asked.query.keys() == {"eventId", "type"} and asked.query["type"] == "order.created"
    assert UUID(asked.query["eventId"]).hex == asked.query["eventId"] and asked.json == {"a": 1}
    assert asked.headers["Content-Type"] == "application/json" and "Authorization" not in asked.headers


@pytest.mark.parametrize(
    ("expected", "text"), [(ANY, None), (NO_STREAM, "no_stream"), (-1, "no_stream"), (EXISTS, "exists"), (3, "3")]
)
def test_what_is_expected_of_the_stream(fake: Fake, client: EventStoreClient, expected: Any, text: str | None) -> None:
    fake.script = [accepted(0), Say(202, {"stream": "s", "versions": [1]})]
    client.append("s", 1, expected_version=expected)
    client.append_many("s", [1], expected_version=expected)
    assert [asked.query.get("expectedVersion") for asked in fake.asked] == [text, text]


@dataclass
class Order:
    id: UUID
    price: Decimal
    at: datetime


ORDER = Order(UUID(int=1), Decimal("1.50"), datetime(2026, 11, 28, tzinfo=UTC))
PLAIN_ORDER = {"id": str(UUID(int=1)), "price": "1.50", "at": "2026-11-28T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ({"ü": [1, None, True, "\u2028"]}, {"ü": [1, None, True, "\u2028"]}),
        ("text", "text"),
        (1.5, 1.5),
        (ORDER, PLAIN_ORDER),
        ([ORDER], [PLAIN_ORDER]),
        (b"\x00\xff", {"base64": "AP8="}),
        (bytearray(b"a"), {"base64": "YQ=="}),
        (memoryview(b"a"), {"base64": "YQ=="}),
    ],
)
def test_data_is_what_the_library_takes(fake: Fake, client: EventStoreClient, data: Any, body: Any) -> None:
    fake.script = [accepted(0), Say(202, {"stream": "s", "versions": [1]}), accepted(2)]
    client.append("s", data)
    client.append("s", data, metadata=data, event_id=UUID(int=5), type="t")
    assert fake.asked[0].json == body
    expected = {"data": body, "eventId": str(UUID(int=5)), "type": "t", "metadata": body}
    assert fake.asked[1].query == {"many": "true"} and fake.asked[1].json == [expected]
    client.append("s", None)
    assert fake.asked[2].body == b"null"


def test_many_events_are_one_request(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Say(202, {"stream": "s", "versions": [4, 5, 6]})]
    events = [NewEvent({"a": 1}, "t", "id", b"m"), "text", NewEvent(None)]
    assert client.append_many("s", iter(events), expected_version=3) == [4, 5, 6]
    assert client.append_many("s", []) == []
    (asked,) = fake.asked
    assert asked.query == {"many": "true", "expectedVersion": "3"}
    first, *others = asked.json
    assert first == {"data": {"a": 1}, "eventId": "id", "type": "t", "metadata": {"base64": "bQ=="}}
    assert [other.pop("eventId") != "id" for other in others] == [True, True]
    assert others == [{"data": "text"}, {"data": None}]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda c: c.append("", 1), errors.InvalidName, "not the name of a stream"),
        (lambda c: c.append("ü" * 128, 1), errors.InvalidName, "1 to 255 bytes"),
        (lambda c: c.read(5), errors.InvalidName, "5 is not the name"),
        (lambda c: c.follow("\ud800"), errors.InvalidName, "not the name"),
        (lambda c: c.append("s", {1, 2}), errors.InvalidEvent, r"data is \{1, 2\} \(set\)"),
        (lambda c: c.append("s", [{"a": float("nan")}]), errors.InvalidEvent, r"data\[0\]\['a'\] is nan"),
        (lambda c: c.append("s", "\ud800"), errors.InvalidEvent, "UTF-8 cannot hold"),
        (lambda c: c.append("s", {"a": b"x"}), errors.InvalidEvent, r"data\['a'\] is b'x'"),
        (lambda c: c.append("s", NewEvent(1)), errors.InvalidEvent, "data is a NewEvent"),
        (lambda c: c.append("s", [NewEvent(1)]), errors.InvalidEvent, r"data\[0\] is a NewEvent"),
        (lambda c: c.append("s", 1, metadata={1j: 1}), errors.InvalidEvent, "metadata has the key 1j"),
        (lambda c: c.append("s", 1, type=5), errors.InvalidEvent, "type is 5"),
        (lambda c: c.append("s", 1, type="t" * 65), errors.InvalidEvent, "1 to 64 bytes"),
        (lambda c: c.append("s", 1, event_id=""), errors.InvalidEvent, "event_id is ''"),
        (lambda c: c.append("s", 1, event_id=5), errors.InvalidEvent, "event_id is 5"),
        (lambda c: c.append("s", 1, expected_version=-2), errors.InvalidOption, "expected_version is -2"),
        (lambda c: c.append("s", 1, expected_version=True), errors.InvalidOption, "expected_version is True"),
        (lambda c: c.append("s", 1, expected_version="any"), errors.InvalidOption, "expected_version is 'any'"),
        (lambda c: c.append("s", 1, version=5), errors.InvalidCall, "takes no version=5"),
        (lambda c: c.append_many("s", {"a": 1}), errors.InvalidOption, "expected several events"),
        (lambda c: c.append_many("s", "abc"), errors.InvalidOption, "expected several events"),
        (lambda c: c.append_many("s", iter(int, 1)), errors.InvalidOption, "more than 100000"),
        (lambda c: c.read("s", -1), errors.InvalidOption, "from_ is -1"),
        (lambda c: c.read("s", limit=-1), errors.InvalidOption, "limit is -1"),
        (lambda c: c.read("s", missing="skip"), errors.InvalidOption, "missing is 'skip'"),
        (lambda c: c.follow("s", "latest"), errors.InvalidOption, "from_ is 'latest'"),
        (lambda c: c.follow("s", timeout=0), errors.InvalidOption, "timeout is 0"),
        (lambda c: c.aggregate("s", by=5), errors.InvalidOption, "by is 5"),
        (lambda c: c.streams(None), errors.InvalidOption, "prefix is None"),
        (lambda c: c.add("cpu", "5"), errors.InvalidOption, "value is '5'"),
        (lambda c: c.add("cpu", float("inf")), errors.InvalidOption, "value is inf"),
        (lambda c: c.add("cpu", 1, datetime(2026, 1, 1)), errors.InvalidOption, "timestamp is .* no time zone"),
        (lambda c: c.sum("cpu", "10m"), errors.InvalidOption, "from_ is '10m'"),
        (lambda c: c.top(0), errors.InvalidOption, "k is 0"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    fake: Fake, client: EventStoreClient, call: Callable[[EventStoreClient], Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        call(client)
    assert fake.asked == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(
            ("url", url)
            for url in ("", "host:80", "ftp://a", "http://", "http://a:99999", "http://u:p@a", "http://a?b")
        ),
        *(("url", url) for url in (5, "http://a/#b", "http://ü", "http://a/\x00")),
        *(("timeout", timeout) for timeout in (0, -1, None, "5", float("nan"), float("inf"))),
        *(("retries", -1), ("retries", 1.5), ("pool", -1), ("token", ""), ("token", "a b"), ("token", "ü")),
    ],
)
def test_a_wrong_option_is_refused(option: str, value: Any) -> None:
    with pytest.raises(errors.InvalidOption, match=f"^{option} is"):
        EventStoreClient(**{"url": "http://127.0.0.1:1", option: value})


def test_a_prefix_and_a_token_are_sent_and_the_token_is_not_shown(fake: Fake) -> None:
    fake.script = [Say(200, {"streams": ["a", "ü"]})]
    with EventStoreClient(f"{fake.url}/events/", token="secret") as client:
        assert client.streams("ü/") == ["a", "ü"]
        assert "secret" not in repr(client) and f"{fake.url}/events" in repr(client)
    (asked,) = fake.asked
    assert (asked.path, asked.query) == ("/events/streams", {"prefix": "ü/"})
    assert asked.headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("name", ["/a", "a//b", "a/../b", "./a", "a/"])
def test_a_name_that_proxies_would_change_is_one_step_of_the_path(
    fake: Fake, client: EventStoreClient, name: str
) -> None:
    fake.script = [accepted(0)]
    client.append(name, 1)
    assert fake.asked[0].path == f"/streams/{name.replace('/', '%2F')}"


# Reading.


def test_what_is_read_is_an_event(fake: Fake, client: EventStoreClient) -> None:
    data, metadata = {"base64": "AP8="}, {"a": {"base64": "AP8="}}
    fake.script = [Say(200, [event(3, data, metadata=metadata, type="t"), event(4, {"base64": "?"})])]
    found, other = client.read("s", 3)
    at = datetime(2026, 11, 28, 10, 0, 0, 123456, tzinfo=UTC)
    assert found == RemoteEvent("s", 3, 12, "id-3", "t", b"\x00\xff", metadata, at)
    assert other.data == {"base64": "?"}
    assert pickle.loads(pickle.dumps(found)) == found and type(found).__module__ == "shmstore.http.client"


def test_pages_are_fetched_as_they_are_read(
    fake: Fake, client: EventStoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shmstore.http.blocking_client._PAGE", 2)
    fake.script = [page(5, 6), page(7, 8), page(9)]
    events = client.read("s", 5)
    assert fake.asked == []
    assert next(events).version == 5 and len(fake.asked) == 1
    assert [found.version for found in events] == [6, 7, 8, 9]
    assert [asked.query["from"] for asked in fake.asked] == ["5", "7", "9"]
    fake.script, fake.asked = [page(0, 1), page(2)], []
    assert [found.version for found in client.read("s", limit=3)] == [0, 1, 2]
    assert [asked.query for asked in fake.asked] == [{"limit": "2"}, {"limit": "1", "from": "2"}]
    assert list(client.read("s", limit=0)) == []
    fake.script, fake.asked = [page(3, 2), page(1, 0)], []
    assert [found.version for found in client.read("s", backwards=True, missing="report")] == [3, 2, 1, 0]
    assert [asked.query.get("from") for asked in fake.asked] == [None, "1"]
    assert {(asked.query["backwards"], asked.query["missing"]) for asked in fake.asked} == {("true", "report")}


def test_a_stream_that_does_not_exist_has_no_events(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [refusal(404, stream="s") for _ in range(3)]
    assert (list(client.read("s")), client.last("s"), client.version("s")) == ([], None, -1)


def test_the_newest(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [page(9), page(9), Say(200, [], (("ETag", 'W/"12"'),)), Say(200, [])]
    last = client.last("s")
    assert last is not None and last.version == 9
    assert fake.asked[0].query == {"limit": "1", "backwards": "true", "missing": "report"}
    assert (client.version("s"), client.version("s")) == (9, 12)
    with pytest.raises(errors.ShmStoreError, match="without the ETag"):
        client.version("s")


def test_questions(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Say(200, {"totalEvents": 2}), Say(200, 1.5), Say(200, {"count": 1}), Say(200, [{"label": "a"}])]
    fake.script += [Say(202, {}), Say(200, "OK")]
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert client.aggregate("s", by="shop") == {"totalEvents": 2}
    assert client.sum("cpu ü", at, at + timedelta(seconds=1.5)) == 1.5
    assert client.window() == {"count": 1}
    assert client.top(3, to=at) == [{"label": "a"}]
    client.add("cpu", 2, at)
    assert client.health()
    assert [asked.path for asked in fake.asked] == [
        *("/streams/s", "/metrics/sum", "/metrics/window", "/metrics/top", "/metrics", "/health")
    ]
    assert [asked.query for asked in fake.asked] == [
        {"aggregate": "true", "by": "shop", "sum": "valor"},
        {"label": "cpu ü", "from": "2026-11-28T12:00:00.000000Z", "to": "2026-11-28T12:00:01.500000Z"},
        {},
        {"k": "3", "to": "2026-11-28T12:00:00.000000Z"},
        {},
        {},
    ]
    assert fake.asked[4].json == {"label": "cpu", "value": 2.0, "timestamp": "2026-11-28T12:00:00.000000Z"}


# Errors.


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (refusal(410), errors.StreamDeleted, "^found, expected$"),
        (refusal(400), errors.InvalidEvent, "^found, expected$"),
        (refusal(413), errors.InvalidEvent, "^found, expected$"),
        (Say(413, raw=b"<html>"), errors.InvalidEvent, "too large"),
        (refusal(507), errors.StreamTableFull, "^found, expected$"),
        (refusal(401), errors.AccessDenied, "401: found, expected; give token="),
        (Say(403, raw=b""), errors.AccessDenied, "403: it takes another token"),
        (refusal(500), errors.ShmStoreError, "answered 500: found, expected"),
        (Say(404, raw=b"<html>"), errors.ShmStoreError, "answered 404: b'<html>'; look whether url= has the path"),
        (Say(301, raw=b"", headers=(("Location", "http://b"),)), errors.ShmStoreError, "it is at http://b now"),
        (Say(202, raw=b"<html>"), errors.ShmStoreError, "b'<html>', which is no JSON"),
    ],
)
def test_an_answer_becomes_the_error_of_the_library(
    fake: Fake, client: EventStoreClient, answer: Say, error: type[Exception], said: str
) -> None:
    fake.script = [answer]
    with pytest.raises(error, match=said) as raised:
        client.append("s", 1)
    assert type(raised.value) is error


def test_errors_say_what_the_service_said(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [refusal(409, expected="exists", actual=-1), refusal(413, size=600, limit=512)]
    fake.script += [refusal(410, firstVersion=8), refusal(400)]
    with pytest.raises(errors.WrongExpectedVersion, match=r"^found, expected$") as conflict:
        client.append("s", 1, expected_version=EXISTS)
    assert (conflict.value.stream, conflict.value.expected, conflict.value.actual) == ("s", EXISTS, -1)
    with pytest.raises(errors.EventTooLarge) as large:
        client.append("s", 1)
    assert (large.value.size, large.value.limit) == (600, 512)
    with pytest.raises(errors.StreamTruncated, match=r"^found, expected$") as gone:
        list(client.read("s", 3))
    assert (gone.value.stream, gone.value.version, gone.value.first) == ("s", 3, 8)
    with pytest.raises(errors.InvalidOption, match=r"^found, expected$"):
        client.aggregate("s")


@pytest.mark.parametrize(
    ("call", "answer", "said"),
    [
        (lambda c: list(c.read("s")), [{"version": 1}], "is no event"),
        (lambda c: list(c.read("s")), {"streams": []}, "expected a list of events"),
        (lambda c: list(c.read("s")), 5, "expected a list of events"),
        (lambda c: c.streams(), [], "has no streams"),
        (lambda c: c.append("s", 1), {"stream": "s"}, "has no version"),
    ],
)
def test_what_another_service_answers_is_told(
    fake: Fake, client: EventStoreClient, call: Callable[[EventStoreClient], Any], answer: Any, said: str
) -> None:
    fake.script = [Say(200, answer)]
    with pytest.raises(errors.ShmStoreError, match=said):
        call(client)


def test_no_more_comes_than_was_asked_for(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [page(0, 1, 2)]
    assert [found.version for found in client.read("s", limit=2)] == [0, 1]


def test_bytes_come_back_as_bytes(fake: Fake, client: EventStoreClient) -> None:
    every = bytes(range(256))
    fake.script = [accepted(0)]
    client.append("s", every)
    body = fake.asked[0].json
    assert base64.b64decode(body["base64"]) == every
    fake.script = [Say(200, [event(0, body)])]
    assert [found.data for found in client.read("s")] == [every]
