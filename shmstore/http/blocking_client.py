"""A client of the service: what a store of streams offers, over HTTP, and the sums of what is measured."""

import json
import threading
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from weakref import WeakSet

from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import real_number, refused, whole_number
from shmstore.arguments.closing import Closing
from shmstore.http.connections import TROUBLE, Answer, Connections
from shmstore.http.remote import (
    MOST_VERSIONS,
    RemoteEvent,
    batch,
    error_of,
    event_id_of,
    events_of,
    expected_text,
    is_no_stream,
    json_of,
    label,
    moment_text,
    newest_version,
    part_of,
    path_of,
    payload,
    several,
)
from shmstore.http.remote_following import RemoteFollower
from shmstore.public import PACKAGE
from shmstore.reading.waiting import seconds_of
from shmstore.streams.event import ANY, ExpectedVersion, NewEvent

Missing = Literal["raise", "report"]

_PAGE: Final = 1000
_A_VERSION: Final = "a version, an int of 0 or more"


@checked_calls()
class EventStoreClient(Closing):
    """A client of the service at `url`, which may have a path: 'https://host/events'; or at a socket of this machine:
    'http+unix://%2Frun%2Fevents'. It heeds no HTTP_PROXY.

    token    what the service expects, as 'Authorization: Bearer TOKEN'
    timeout  seconds, or a timedelta, that a connection or an answer may take
    retries  how often a request is sent again when there is no answer, or the service cannot serve it just now; each
             after a while of up to 2 s. What reads is sent again, and so is what appends events, for each has an id, by
             which the service knows it. `add` is not
    pool     how many connections are kept open between requests

    Any number of threads may use it at once, and after a fork both processes. Use it in a `with` block or `close` it.
    It raises the errors of the library: WrongExpectedVersion, StreamTruncated, StreamDeleted, StreamTableFull,
    InvalidEvent, InvalidName, InvalidOption, PartitionStalled (after the last try), AccessDenied (the token) and
    StoreClosed; ConnectionError after the last try; and ShmStoreError for an answer that is none of these.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float | timedelta = 10.0,
        retries: int = 4,
        pool: int = 8,
    ) -> None:
        self._connections = Connections(url, token, timeout, retries, pool)
        self._followers: WeakSet[RemoteFollower] = WeakSet()
        self._lock = threading.RLock()  # a signal handler may close it

    # -- appending

    def append(
        self,
        stream: str,
        data: Any,
        *,
        type: str | None = None,
        expected_version: ExpectedVersion | int = ANY,
        event_id: Any = None,
        metadata: Any = None,
    ) -> int:
        """Append one event and return its version. All is as for `Stream.append`; an id is made when none is given."""
        event = NewEvent(data, type, event_id_of(event_id), metadata)
        if metadata is not None:  # only a batch has a place for it
            return self._append_batch(stream, [event], expected_version)[0]
        query = {"eventId": event.event_id} | _given(type=label("type", type))
        answer = self._append(stream, query, payload(data, "data"), expected_version)
        return int(part_of(answer, "version", self._connections.url))

    def append_many(
        self, stream: str, events: Iterable[Any], *, expected_version: ExpectedVersion | int = ANY
    ) -> list[int]:
        """Append many events, all or none, and return their versions. Each is a NewEvent, or its data alone."""
        found = several(events)
        return self._append_batch(stream, found, expected_version) if found else []

    # -- reading

    def read(
        self,
        stream: str,
        from_: int | None = None,
        limit: int | None = None,
        *,
        backwards: bool = False,
        missing: Missing = "raise",
    ) -> Iterator[RemoteEvent]:
        """The events from a version on, `limit` at most; they are fetched while it is iterated, 1000 at a time.

        from_      0 when left out; with `backwards`, the newest
        backwards  the newest first, down to version 0
        missing    "raise": StreamTruncated when versions are gone that would have been read; "report": they are left
                   out

        A stream that does not exist has no events.
        """
        return (event for page in self._pages(stream, from_, limit, backwards, missing) for event in page)

    def _pages(
        self, stream: str, from_: int | None, limit: int | None, backwards: bool, missing: Missing
    ) -> Iterator[list[RemoteEvent]]:
        """The same events as `read`, in lists as they are fetched."""
        path = path_of(stream)
        if from_ is not None:
            from_ = whole_number("from_", from_, _A_VERSION, most=MOST_VERSIONS)
        if limit is not None:
            limit = whole_number("limit", limit, "how many events, or None")
        if missing not in ("raise", "report"):
            raise refused("missing", missing, "'raise' or 'report'")
        self.require_open()
        return self._fetched(stream, path, from_, limit, bool(backwards), missing)

    def last(self, stream: str) -> RemoteEvent | None:
        """The newest event; None when there is none that can be read."""
        return next(self.read(stream, None, 1, backwards=True, missing="report"), None)

    def version(self, stream: str) -> int:
        """The version of its newest event; -1 when there is none."""
        query = {"limit": "1", "backwards": "true", "missing": "report"}
        answer = self._connections.ask("GET", path_of(stream), query)
        if is_no_stream(answer):
            return -1
        return newest_version(self._accepted(answer, stream=stream), self._connections.url)

    def follow(self, stream: str, from_: int = 0, *, timeout: float | timedelta | None = None) -> RemoteFollower:
        """The events from a version on, and each that comes, for `for`, which waits for them. It need not exist yet.

        It ends when no event has come for so many seconds (or a timedelta), and when it or the client is closed. Once
        it was connected it connects anew after any trouble, for as long as that takes, and no event is left out or
        given twice. Raises StreamTruncated when versions are gone before it came to them, and StreamDeleted.
        """
        path_of(stream)
        version = whole_number("from_", from_, _A_VERSION, most=MOST_VERSIONS)
        seconds = seconds_of(timeout)
        if seconds == 0:
            raise refused("timeout", timeout, "more than 0 seconds, a timedelta, or None")
        self.require_open()
        follower = RemoteFollower(self._connections, stream, version, seconds)
        with self._lock:
            self._followers.add(follower)
        return follower

    # -- asking

    def aggregate(self, stream: str, by: str = "gatewayId", sum: str = "valor") -> dict[str, Any]:
        """Count the events of a stream, and add up the numbers in one field of their data, by another field."""
        query = {"aggregate": "true", "by": _text("by", by), "sum": _text("sum", sum)}
        found: dict[str, Any] = self._asked(path_of(stream), query, stream)
        return found

    def streams(self, prefix: str = "") -> list[str]:
        """The names of all streams that begin with `prefix`."""
        answer = self._connections.ask("GET", "/streams", {"prefix": _text("prefix", prefix)})
        return list(part_of(self._accepted(answer), "streams", self._connections.url))

    # -- metrics

    def add(self, label: str, value: float, timestamp: datetime | None = None) -> None:
        """Add a number, at a time, or now. It is not sent twice: whether it was added is open after ConnectionError."""
        body = {"label": _text("label", label), "value": real_number("value", value, "a number")}
        body |= _given(timestamp=moment_text("timestamp", timestamp))
        try:
            sent = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except ValueError:
            raise refused("value", value, "a finite number") from None
        self._accepted(self._connections.ask("POST", "/metrics", None, sent, is_safe=False))

    def sum(self, label: str | None = None, from_: datetime | None = None, to: datetime | None = None) -> float | None:
        """The sum of what was added, of one label when one is given, from a time on and before another; None: too
        large for a number.
        """
        found: float | None = self._asked("/metrics/sum", _scope(label, from_, to))
        return found

    def window(
        self, label: str | None = None, from_: datetime | None = None, to: datetime | None = None
    ) -> dict[str, Any]:
        """The count, sum, min, max and avg of the same."""
        found: dict[str, Any] = self._asked("/metrics/window", _scope(label, from_, to))
        return found

    def top(self, k: int = 5, from_: datetime | None = None, to: datetime | None = None) -> list[dict[str, Any]]:
        """The labels with the largest sums, as {"label": ..., "sum": ...}."""
        count = whole_number("k", k, "how many labels, an int of 1 or more", least=1)
        return list(self._asked("/metrics/top", {"k": str(count)} | _scope(None, from_, to)))

    def health(self) -> bool:
        """Whether the service answers. It is asked once."""
        try:
            return self._connections.ask("GET", "/health", retries=0).status == 200
        except TROUBLE:
            return False

    def close(self) -> None:
        """Close all connections, and end whatever follows. Idempotent."""
        self._connections.close()
        with self._lock:
            followers = list(self._followers)
        for follower in followers:
            follower.close()

    def require_open(self) -> None:
        """Raise StoreClosed after `close`."""
        self._connections.require_open()

    def __repr__(self) -> str:
        state = " (closed)" if self._connections.closed else ""
        return f"<EventStoreClient{state} of {self._connections.url}>"

    # -- requests

    def _append_batch(self, stream: str, events: list[NewEvent], expected: ExpectedVersion | int) -> list[int]:
        answer = self._append(stream, {"many": "true"}, batch(events), expected)
        return [int(version) for version in part_of(answer, "versions", self._connections.url)]

    def _append(self, stream: str, query: dict[str, str], body: bytes, expected: ExpectedVersion | int) -> Answer:
        query = query | _given(expectedVersion=expected_text(expected))
        answer = self._connections.ask("POST", path_of(stream), query, body)
        return self._accepted(answer, stream=stream, expected=expected, is_append=True)

    def _fetched(
        self, stream: str, path: str, at: int | None, limit: int | None, backwards: bool, missing: Missing
    ) -> Iterator[list[RemoteEvent]]:
        left = MOST_VERSIONS if limit is None else limit
        while left:
            wanted = min(left, _PAGE)
            query = {"limit": str(wanted)} | _given(
                backwards="true" if backwards else None,
                missing="report" if missing == "report" else None,
                **{"from": None if at is None else str(at)},
            )
            answer = self._connections.ask("GET", path, query)
            if is_no_stream(answer):
                return
            accepted = self._accepted(answer, stream=stream, version=at or 0)
            events = events_of(accepted, self._connections.url)[:wanted]
            yield events
            left -= len(events)
            if len(events) < wanted or (backwards and events[-1].version == 0):
                return
            at = events[-1].version + (-1 if backwards else 1)

    def _asked(self, path: str, query: dict[str, str], stream: str = "") -> Any:
        return json_of(self._accepted(self._connections.ask("GET", path, query), stream=stream), self._connections.url)

    def _accepted(self, answer: Answer, **about: Any) -> Answer:
        if answer.status in (200, 202):
            return answer
        raise error_of(answer, self._connections.url, **about)


def _given(**parameters: str | None) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}


def _text(name: str, value: object) -> str:
    try:
        if isinstance(value, str) and value.encode() is not None:
            return value
    except UnicodeEncodeError:
        pass
    raise refused(name, value, "a str that UTF-8 can hold")


def _scope(label: str | None, from_: datetime | None, to: datetime | None) -> dict[str, str]:
    bounds = {"from": moment_text("from_", from_), "to": moment_text("to", to)}
    return _given(label=None if label is None else _text("label", label), **bounds)


EventStoreClient.__module__ = f"{PACKAGE}.http.client"
