"""What goes over the wire between a client and the service: events, their parts, and what an error stands for."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid4

from shmstore.arguments.checks import items_of, number_but_no_bool, refused
from shmstore.arguments.moments import UNIX_EPOCH, Unclear, moment_ns
from shmstore.arguments.shown import shown
from shmstore.errors import (
    AccessDenied,
    EventTooLarge,
    InvalidEvent,
    InvalidName,
    InvalidOption,
    KeyTableFull,
    PartitionStalled,
    ShmStoreError,
    StreamDeleted,
    StreamTableFull,
    StreamTruncated,
    WrongExpectedVersion,
)
from shmstore.http.connections import Answer, is_passing, many, unreachable
from shmstore.public import PACKAGE
from shmstore.streams.data import encoded, id_text
from shmstore.streams.event import ANY, ExpectedVersion, NewEvent

MOST_VERSIONS: Final = (1 << 63) - 1
_MOST_NAME, _MOST_LABEL = 255, 64  # bytes
_MOST_EVENTS: Final = 100_000
_MOST_DEPTH: Final = 64
_MOST_SHOWN: Final = 200
_HIDDEN: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")  # steps of a path that proxies leave out


class RemoteEvent(NamedTuple):
    """One event of a stream, as the service gave it."""

    stream: str
    version: int
    position: int
    event_id: str | None
    type: str | None
    data: Any
    metadata: Any
    timestamp: datetime


# -- what is sent


def path_of(stream: object) -> str:
    """The path of a stream. Raises InvalidName."""
    size = _size(stream)
    if not isinstance(stream, str) or not 0 < size <= _MOST_NAME:
        raise InvalidName(
            f"{shown(stream)} is not the name of a stream; expected a str that takes 1 to {_MOST_NAME} bytes of UTF-8"
        )
    return f"/streams/{quote(stream, safe='' if _HIDDEN.search(stream) else '/')}"


def expected_text(expected: object) -> str | None:
    """What an append expects of its stream, as the service takes it; None for anything. Raises InvalidOption."""
    if isinstance(expected, ExpectedVersion):
        return None if expected is ANY else expected.value
    version = number_but_no_bool(expected)
    if isinstance(version, int) and -1 <= version <= MOST_VERSIONS:
        return str(version) if version >= 0 else ExpectedVersion.NO_STREAM.value
    raise refused("expected_version", expected, "a version of 0 or more, -1 (no stream), ANY, NO_STREAM or EXISTS")


def label(part: str, value: object) -> str | None:
    """A type or an id. Raises InvalidEvent."""
    if isinstance(value, UUID):
        value = id_text(value) if part == "event_id" else value
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidEvent(f"{part} is {shown(value)}; expected a str")
    if not 0 < _size(value) <= _MOST_LABEL:
        raise InvalidEvent(f"{part} is {shown(value)}; expected a str that takes 1 to {_MOST_LABEL} bytes of UTF-8")
    return value


def payload(value: Any, part: str) -> bytes:
    """Data or metadata as JSON: all that the library takes, and bytes as {"base64": ...}. Raises InvalidEvent."""
    if isinstance(value, bytes | bytearray | memoryview):
        value = {"base64": base64.b64encode(value).decode()}
    return encoded(value, part, _holds_event(value))


def several(events: object) -> list[NewEvent]:
    """Events of a batch, each with an id. Raises InvalidOption."""
    is_one = isinstance(events, NewEvent | Mapping | bytearray | memoryview)
    given = None if is_one else items_of(events, _MOST_EVENTS + 1)
    if given is None:
        raise refused("events", events, "several events, as [event]")
    if len(given) > _MOST_EVENTS:
        raise InvalidOption(f"events has more than {_MOST_EVENTS}; send fewer at once")
    found = [each if isinstance(each, NewEvent) else NewEvent(each) for each in given]
    return [event._replace(event_id=event_id_of(event.event_id)) for event in found]


def event_id_of(given: object) -> str:
    """The id that is given, or a new one: with an id, an append can be tried again. Raises InvalidEvent."""
    return label("event_id", given) or uuid4().hex


def batch(events: Iterable[NewEvent]) -> bytes:
    """The body of an append of several events. Raises InvalidEvent."""
    return b"[" + b",".join(map(_in_batch, events)) + b"]"


def _in_batch(event: NewEvent) -> bytes:
    parts = {"data": payload(event.data, "data"), "eventId": payload(event.event_id, "event_id")}
    if (kind := label("type", event.type)) is not None:
        parts["type"] = payload(kind, "type")
    if event.metadata is not None:
        parts["metadata"] = payload(event.metadata, "metadata")
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), part) for name, part in parts.items()) + b"}"


def moment_text(name: str, value: object) -> str | None:
    """A time as the service takes it. Raises InvalidOption."""
    if value is None:
        return None
    try:
        time_ns = moment_ns(value)
    except Unclear as error:
        raise InvalidOption(f"{name} is {shown(value)}, which {error}") from error
    if time_ns is None:
        raise refused(name, value, "a datetime with a time zone, or None")
    seconds, rest = divmod(time_ns, 10**9)
    text = (UNIX_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return f"{text}.{rest // 1000:06d}Z" if rest % 1000 == 0 else f"{text}.{rest:09d}Z"


def _size(text: object) -> int:
    """Bytes of UTF-8; -1 for what has none."""
    try:
        return len(text.encode()) if isinstance(text, str) else -1
    except UnicodeEncodeError:
        return -1


def _holds_event(value: object, depth: int = 0) -> bool:
    if isinstance(value, NewEvent):
        return True
    if not isinstance(value, dict | list | tuple) or depth == _MOST_DEPTH:
        return False
    return any(_holds_event(each, depth + 1) for each in (value.values() if isinstance(value, dict) else value))


# -- what comes back


def event_of(found: Any) -> RemoteEvent:
    """An event of an answer. Raises ShmStoreError for what is none."""
    try:
        return RemoteEvent(
            found["stream"],
            int(found["version"]),
            int(found["position"]),
            found.get("eventId"),
            found.get("type"),
            _decoded(found["data"]),
            _decoded(found.get("metadata")),
            datetime.fromisoformat(found["timestamp"]).astimezone(UTC),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ShmStoreError(f"{shown(found)} is no event; expected what the service sends ({error!r})") from error


def events_of(answer: Answer, url: str) -> list[RemoteEvent]:
    """The events of an answer. Raises ShmStoreError."""
    found = json_of(answer, url)
    if not isinstance(found, list):
        raise ShmStoreError(f"{url} answered {shown(found)}; expected a list of events: is it another service?")
    return [event_of(each) for each in found]


def part_of(answer: Answer, name: str, url: str) -> Any:
    """What an answer has by a name. Raises ShmStoreError."""
    found = json_of(answer, url)
    if not isinstance(found, dict) or name not in found:
        raise ShmStoreError(f"{url} answered {shown(found)}, which has no {name}: is it another service?")
    return found[name]


def newest_version(answer: Answer, url: str) -> int:
    """The version of a stream's newest event, as an answer's ETag says it. Raises ShmStoreError."""
    found = re.search(r'"(\d{1,19})(?:-[\w-]*)?"', answer.headers.get("ETag") or "", re.ASCII)
    if found is None:
        raise ShmStoreError(f"{url} answered without the ETag that says a stream's version; does a proxy remove it?")
    return int(found[1])


def json_of(answer: Answer, url: str) -> Any:
    """The body of an answer. Raises ShmStoreError."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ShmStoreError(
            f"{url} answered {shown(answer.body[:_MOST_SHOWN])}, which is no JSON; look whether the service runs there"
        ) from error


def said(answer: Answer) -> dict[str, Any]:
    """What the service says of an error; empty when it was somebody else that answered."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("error"), str) else {}


def is_no_stream(answer: Answer) -> bool:
    """Whether the service says that there is no such stream; nobody else's 404, nor that of another path."""
    return answer.status == 404 and "stream" in said(answer)


def error_of(
    answer: Answer, url: str, *, stream: str = "", expected: object = ANY, version: int = 0, is_append: bool = False
) -> Exception:
    """The error that an answer stands for: the library's own, where the library has one for it."""
    found, status = said(answer), answer.status
    text = found.get("error", "")
    if status == 503 and found:
        return PartitionStalled(f"{text} ({url} said so, after {many(answer.tries)})")
    if is_passing(status):
        return unreachable(url, answer.tries, f"the last answer was {status}")
    if status in (401, 403):
        return AccessDenied(f"{url} answered {status}: {text or 'it takes another token'}; give token= as it expects")
    if found and status == 409 and isinstance(found.get("actual"), int):
        return WrongExpectedVersion(stream, expected, found["actual"], text)
    if found and status == 410:
        return truncated(found, stream, version) or StreamDeleted(text)
    if status == 413:
        size, limit = found.get("size"), found.get("limit")
        if isinstance(size, int) and isinstance(limit, int):
            return EventTooLarge(size, limit, text)
        return InvalidEvent(text or f"{url} answered 413: what was sent is too large for it; send less at once")
    if found and status == 400:
        return InvalidEvent(text) if is_append else InvalidOption(text)
    if found and status == 507:
        return StreamTableFull(text) if stream else KeyTableFull(text)
    if status == 404:
        found_text = text or shown(answer.body[:_MOST_SHOWN])
        return ShmStoreError(
            f"{url} answered 404: {found_text}; look whether url= has the path of the service, or one too many"
        )
    moved = answer.headers.get("Location")
    advice = f"it is at {moved} now" if moved else "look whether the service runs there, and into its log"
    return ShmStoreError(f"{url} answered {status}: {text or shown(answer.body[:_MOST_SHOWN])}; {advice}")


def truncated(found: Mapping[str, Any], stream: str, version: int) -> StreamTruncated | None:
    """The error for versions that are gone, when this is what the service says."""
    first = found.get("firstVersion")
    return StreamTruncated(stream, version, first, str(found.get("error"))) if isinstance(first, int) else None


def _decoded(value: Any) -> Any:
    """Data or metadata; bytes where they were bytes."""
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except (binascii.Error, ValueError):
            return value
    return value


RemoteEvent.__module__ = f"{PACKAGE}.http.client"
