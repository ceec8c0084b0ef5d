"""Streams over HTTP: append one event or several, read, follow, and count."""

import base64
import math
import re
import time
from contextlib import suppress
from typing import Any, Final

from shmstore.arguments.shown import shown
from shmstore.errors import WrongExpectedVersion
from shmstore.http.continued import DETACH, GOING_ON
from shmstore.http.event_text import texts
from shmstore.http.following import Following
from shmstore.http.message import JSON, Answer, HttpError, Request, finite, json_answer, parsed, to_json
from shmstore.streams.data import JsonText
from shmstore.streams.event import ANY, EXISTS, NO_STREAM, ExpectedVersion, NewEvent
from shmstore.streams.reading import Missing
from shmstore.streams.store import StreamStore
from shmstore.streams.stream import Stream

NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"
_LIMIT: Final = 1000  # events of an answer, when none is asked for
_MOST: Final = 10_000
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MINIMAL: Final = ("Preference-Applied", "return=minimal")  # RFC 7240
_LAST_ID: Final = re.compile("-1|[0-9]{1,18}")
_TAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})(?:-([0-9a-f]{8})(?:-[a-z]+)?)?"|\*')
_SPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')  # between the parts of JSON; texts are kept
_MISSING: Final[dict[str, Missing]] = {"raise": "raise", "report": "report"}
_OF_AN_AGGREGATE: Final = ("stream", "totalEvents", "durationMs")
_EXPECTED: Final = {"any": ANY, "no_stream": NO_STREAM, "exists": EXISTS}


def append(streams: StreamStore, request: Request, name: str) -> Answer:
    """`POST /streams/{name}`"""
    if not name.isprintable() and _CONTROL.search(name):
        raise HttpError(400, f"the name {shown(name)} holds a control character; name the stream without it")
    try:
        return _append(streams, streams[name], request, _expected(request, streams[name]))
    except WrongExpectedVersion as error:
        if request.header("If-Match") is None and request.header("If-None-Match") is None:
            raise
        raise HttpError(412, str(error), actual=error.actual) from error


def _append(streams: StreamStore, stream: Stream, request: Request, expected: ExpectedVersion | int) -> Answer:
    name = stream.name
    event_id = request.text("eventId", "Event-Id", "Idempotency-Key")
    kind = request.text("type", "Event-Type")
    if request.truth("many"):
        if kind is not None:
            raise HttpError(400, f"type is {shown(kind)}, that of one event; with many, give each in the body its own")
        versions = stream.append_many(_several(parsed(request.body()), event_id), expected_version=expected)
        return _accepted(request, _etag(stream, versions[-1]), to_json({"stream": name, "versions": versions}))
    data = _as_sent(request.body(), streams.data_bytes)
    version = stream.append(data, type=kind, expected_version=expected, event_id=event_id)
    its_id = "null" if event_id is None else to_json(event_id)
    return _accepted(
        request, _etag(stream, version), f'{{"stream":{to_json(name)},"version":{version},"eventId":{its_id}}}'
    )


def _accepted(request: Request, tag: tuple[str, str], told: str) -> Answer:
    if _MINIMAL[1] in (request.header("Prefer") or ""):
        return Answer(202, headers=(tag, _MINIMAL))
    return Answer(202, told.encode("utf-8", "replace"), headers=(tag,))


def read(streams: StreamStore, request: Request, name: str) -> Answer:
    """`GET /streams/{name}`"""
    stream = streams[name]
    limit = request.number("limit", _LIMIT, most=_MOST)
    first = request.number("from", None)
    backwards, missing = request.truth("backwards"), _missing(request)
    follows = request.truth("follow")  # what is wrong is told, also where it would not matter
    if request.truth("aggregate"):
        return _aggregate(stream, request)
    if follows or request.prefers(EVENT_STREAM, to=JSON):
        return _follow(stream, request)
    version = stream.version
    if not stream.exists:
        stream.read(limit=0)  # it may be deleted for ever
        message = f"there is no stream {name!r}: nothing was appended to it, or it was deleted"
        raise HttpError(404, message, stream=name)
    headers = (_etag(stream, version), ("Vary", "Accept"))
    if request.knows(headers[0][1]):
        return Answer(304, headers=headers)
    events = stream.read(first, limit, backwards=backwards, missing=missing)
    found = texts(name, events)
    if request.prefers(NDJSON, to=JSON):
        body = "".join(f"{text}\n" for text in found)
        return Answer(200, body.encode("utf-8", "replace"), NDJSON, headers)
    return Answer(200, f"[{','.join(found)}]".encode("utf-8", "replace"), headers=headers)


def names(streams: StreamStore, request: Request) -> Answer:
    """`GET /streams`"""
    return json_answer(200, {"streams": streams.names(request.query.get("prefix", ""))})


def _given(value: Any) -> Any:
    """What is appended: bytes come as they are answered."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("base64"), str):
        with suppress(ValueError):
            return base64.b64decode(value["base64"], validate=True)
    return value


def _as_sent(body: bytes, most: int) -> Any:
    """What is appended of a body in JSON: mostly its very text, which need not be encoded again, with all its digits.

    Not with escapes, of which UTF-8 cannot hold all. Ends of lines, which would be those of answers by lines, are left
    out with all other space between the parts, and so is space for which there is no room.
    """
    value, text = _given(parsed(body)), body.decode()
    if "\\u" in text or type(value) not in (dict, list):
        return value
    if len(body) > most or "\n" in text or "\r" in text:
        body = _SPACE.sub(rb"\1", body)
    return JsonText(body) if len(body) <= most else value


def _etag(stream: Stream, version: int) -> tuple[str, str]:
    """A version and a mark of the store: in one that is made anew the same version is another event."""
    return "ETag", f'"{version}-{_mark(stream)}"'


def _mark(stream: Stream) -> str:
    return stream.store.store_id[:4].hex()


def _missing(request: Request) -> Missing:
    text = request.query.get("missing", "raise")
    if text not in _MISSING:
        raise HttpError(400, f"missing is {shown(text)}; expected raise or report")
    return _MISSING[text]


def _expected(request: Request, stream: Stream) -> ExpectedVersion | int:
    text, condition = request.text("expectedVersion", "Expected-Version"), _condition(request, stream)
    if text is not None and condition is not None and text != condition:
        raise HttpError(400, f"expectedVersion is {shown(text)}, and {shown(condition)} in a condition; give it once")
    text = condition if text is None else text
    if text is None:
        return ANY
    if text.lower() in _EXPECTED:
        return _EXPECTED[text.lower()]
    if text == "-1" or (text.isascii() and text.isdigit() and len(text) < 19):
        return int(text)
    raise HttpError(400, f"expectedVersion is {shown(text)}; expected any, no_stream, exists, or a version")


def _condition(request: Request, stream: Stream) -> str | None:
    """What conditions of HTTP expect, as expectedVersion has it. Raises HttpError for a tag of another store."""
    tag, none = request.header("If-Match"), request.header("If-None-Match")
    if tag is None and none is None:
        return None
    found = None if tag is None else _TAG.fullmatch(tag.strip())
    if none is None and found is not None:
        if found[2] not in (None, _mark(stream)):
            message = (
                f"If-Match has {shown(tag)}, a version of a store that is gone; nothing was appended: read the stream"
            )
            raise HttpError(412, message, actual=stream.version)
        return found[1] or "exists"
    if tag is None and none is not None and none.strip() == "*":
        return "no_stream"
    raise HttpError(400, "an append takes If-Match with one ETag of its stream, or *, or else If-None-Match with *")


def _several(given: Any, batch_id: str | None) -> list[NewEvent]:
    """The events of a batch. With an id of the whole, each that has none of its own gets one of that and its place."""
    if not isinstance(given, list) or not given:
        raise HttpError(400, 'the body holds no events; expected a list, as [{"data": ...}]')
    events = []
    for at, item in enumerate(given):
        if not isinstance(item, dict) or "data" not in item:
            raise HttpError(400, f'event {at} of the body has no data; expected an object, as {{"data": ...}}')
        parts = {name: item.get(name) for name in ("type", "eventId")}
        for part, value in parts.items():
            if value is not None and not isinstance(value, str):
                raise HttpError(400, f"{part} of event {at} is {shown(value)}; expected a text")
        event_id = parts["eventId"]
        if event_id is None and batch_id is not None:
            event_id = f"{batch_id}/{at}"
        events.append(NewEvent(_given(item["data"]), parts["type"], event_id, _given(item.get("metadata"))))
    return events


def _follow(stream: Stream, request: Request) -> Answer:
    # A browser repeats the query of its first request, and knows better by then.
    resumed = request.header("Last-Event-ID") or request.query.get("lastEventId") or None
    first = request.number("from", 0)
    if resumed is not None:
        if not _LAST_ID.fullmatch(resumed):
            raise HttpError(400, f"Last-Event-ID is {shown(resumed)}; expected the version that came last")
        first = int(resumed) + 1
    stream.read(limit=0)  # while there is no answer yet, StreamDeleted is one
    headers = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
    if request.method == "HEAD":
        return Answer(200, b"", EVENT_STREAM, headers)
    following = Following(stream, first, is_resumed=resumed is not None)
    if is_handed_over := bool(request.environ.get(DETACH)):
        request.environ[GOING_ON] = following
    is_wanted = request.environ.get("shmstore.is_wanted", _always)  # of a server that tells when nobody listens
    return Answer(200, following.pieces(is_wanted, until_now=is_handed_over), EVENT_STREAM, headers)


def _always() -> bool:
    return True


def _aggregate(stream: Stream, request: Request) -> Answer:
    by, value = request.query.get("by", "gatewayId"), request.query.get("sum", "valor")
    total_name, groups_name = f"total{value[:1].upper()}{value[1:]}", f"{by.removesuffix('Id')}s"
    if not by or not value or len({*_OF_AN_AGGREGATE, total_name, groups_name}) < len(_OF_AN_AGGREGATE) + 2:
        found = f"by is {shown(by)} and sum is {shown(value)}"
        raise HttpError(400, f"{found}; expected names of fields that make names of their own in the answer")
    begun = time.perf_counter()
    groups: dict[str, dict[str, Any]] = {}
    count, total = 0, 0.0
    for event in stream.read(missing="report"):
        data = event.data if isinstance(event.data, dict) else {}
        added = _number(data.get(value))
        key = data.get(by)
        group = groups.setdefault(key if isinstance(key, str) else to_json(key), {"count": 0, "sum": 0})
        group["count"] += 1
        group["sum"] += added
        count += 1
        total += added
    for group in groups.values():
        group["sum"] = finite(group["sum"])
    spent_ms = (time.perf_counter() - begun) * 1000
    answer = {"stream": stream.name, "totalEvents": count, total_name: finite(total)}
    return json_answer(200, {**answer, groups_name: groups, "durationMs": round(spent_ms, 3)})


def _number(value: Any) -> float:
    """A number in the data of an event; 0 when it is none, infinite when it is an int that no float is."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0
    try:
        float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return value
