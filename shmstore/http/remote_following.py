"""Following a stream of a service: each event as it comes, over as many connections as it takes."""

import json
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPResponse
from socket import SHUT_RDWR, socket
from time import monotonic
from typing import Final

from shmstore.arguments.closing import Closing
from shmstore.errors import ShmStoreError, StoreClosed, StreamDeleted, StreamTruncated
from shmstore.http.connections import (
    LONGEST_PAUSE_S,
    TROUBLE,
    Answer,
    Connections,
    back_off,
    is_passing,
    unreachable,
    whole_body,
)
from shmstore.http.remote import RemoteEvent, error_of, event_of, is_no_stream, path_of, truncated
from shmstore.public import PACKAGE

_SILENCE_S: Final = 45.0  # the service sends something every 5 s
_SHORTEST_S: Final = 0.001
_BLOCK: Final = 65_536
_FOR_EVER: Final = float("inf")


class RemoteFollower(Closing):
    """Follows a stream of a service: made by `EventStoreClient.follow`, iterated over by one thread at a time.

    `close` may come from any thread; an iteration that waits ends then. Whoever leaves it behind closes it as well.
    """

    __slots__ = ("__weakref__", "_events", "_link")

    def __init__(self, connections: Connections, stream: str, from_: int, seconds: float) -> None:
        self._link = _Link(connections)
        self._events = _Followed(self._link, stream, from_, _FOR_EVER if seconds < 0 else seconds).events()

    def __iter__(self) -> Iterator[RemoteEvent]:
        return self

    def __next__(self) -> RemoteEvent:
        return next(self._events)

    def close(self) -> None:
        """End it, in whatever thread it waits. Idempotent."""
        self._link.end()
        with suppress(ValueError):  # it is executing: then it is that thread that lets go
            self._events.close()


class _Link:
    """The connection that a follower has just now, if any."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.is_met = False  # the service has answered once
        self._has_ended = False
        self._going_on = threading.Lock()  # held until the end; no Event, whose lock a signal handler could wait for
        self._going_on.acquire()
        self._process = 0
        self._connection: HTTPConnection | None = None
        self._response: HTTPResponse | None = None
        self._socket: socket | None = None

    @property
    def has_ended(self) -> bool:
        return self._has_ended or self.connections.closed

    def open(self, path: str, version: int, has_begun: bool, seconds: float) -> HTTPResponse:
        """Ask for the events from a version on, behind one that came if it `has_begun`.

        Raises OSError, HTTPException, StoreClosed.
        """
        until, self._process = monotonic() + seconds, os.getpid()
        self._connection = self.connections.connect(seconds)
        self._socket = self._connection.sock
        if self.has_ended:  # meanwhile
            raise ConnectionAbortedError("the follower was closed")
        more = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(version - 1)} if has_begun else {})
        target = self.connections.target(path, {"follow": "true", "from": str(version)})
        self._connection.request("GET", target, headers=self.connections.headers(more))
        self.wait_at_most(max(_SHORTEST_S, until - monotonic()))
        self._response = self._connection.getresponse()
        self.is_met |= not is_passing(self._response.status)
        return self._response

    def require_own(self) -> None:
        """Raise ConnectionAbortedError in a forked process: what comes over the connection is its parent's."""
        if self._process != os.getpid():
            raise ConnectionAbortedError("the connection is that of the process that was forked")

    def wait_at_most(self, seconds: float) -> None:
        """For as long as the other side may be silent from now on."""
        if self._socket is not None:
            self._socket.settimeout(seconds)

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        if self._going_on.acquire(timeout=max(0.0, seconds)):
            self._going_on.release()

    def drop(self) -> None:
        """Close the connection; its own thread calls this."""
        for each in (self._response, self._connection):
            if each is not None:
                with suppress(OSError):
                    each.close()
        self._connection = self._response = self._socket = None

    def end(self) -> None:
        """Wake the thread that waits, which then drops the connection."""
        self._has_ended = True
        with suppress(RuntimeError):  # it was released before
            self._going_on.release()
        found = self._socket
        if found is not None and self._process == os.getpid():
            with suppress(OSError):
                socket.shutdown(found, SHUT_RDWR)  # of TLS as well: nothing is said any more


class _Followed:
    """Where a follower is in its stream."""

    def __init__(self, link: _Link, stream: str, version: int, seconds: float) -> None:
        self.link, self.stream, self.path = link, stream, path_of(stream)
        self.version = version  # the next
        self.has_begun = False  # an event came
        self.seconds = seconds
        self.until = _FOR_EVER

    @property
    def left(self) -> float:
        return self.until - monotonic()

    def events(self) -> Generator[RemoteEvent, None, None]:
        """Events, over one connection after the other, until none has come in time or the link has ended."""
        link, failed = self.link, 0
        self.until = monotonic() + self.seconds
        try:
            while not link.has_ended:
                begun, before, cause = monotonic(), self.version, None
                try:
                    for event in self._received():
                        self.version, self.has_begun = event.version + 1, True
                        yield event
                        self.until = monotonic() + self.seconds
                        link.require_own()
                except StoreClosed:  # the client, meanwhile
                    return
                except TROUBLE as error:
                    if isinstance(error, ShmStoreError):  # AccessDenied
                        raise
                    cause = error
                finally:
                    link.drop()
                if link.has_ended:
                    return
                is_well = self.version > before or monotonic() - begun > LONGEST_PAUSE_S
                failed = 1 if is_well else failed + 1
                is_late = self.left <= 0
                if cause is not None and not link.is_met and (is_late or failed > link.connections.retries):
                    raise unreachable(link.connections.url, failed, cause) from cause
                if is_late:
                    return
                link.pause(min(back_off(failed), self.left))
        finally:
            link.drop()

    def _received(self) -> Iterator[RemoteEvent]:
        """Events of one connection, until it ends or the time is over. Raises what `Connections.ask` retries after."""
        link, url = self.link, self.link.connections.url
        try:
            response = link.open(self.path, self.version, self.has_begun, max(_SHORTEST_S, self._patience()))
        except TimeoutError:
            if link.is_met and self.left <= 0:
                return
            raise
        if response.status != 200:
            answer = Answer(response.status, response.headers, whole_body(response), 1)
            if is_passing(answer.status):
                raise ConnectionError(f"it answered {answer.status}")
            if is_no_stream(answer):
                return  # nothing was appended yet
            raise error_of(answer, url, stream=self.stream, version=self.version)
        if "text/event-stream" not in response.headers.get("Content-Type", ""):
            found = response.headers.get("Content-Type")
            whole_body(response)
            raise ShmStoreError(f"{url} answered with {found}; expected text/event-stream: is it another service?")
        for kind, text in self._messages(response):
            if event := self._event(kind, text):
                yield event

    def _messages(self, response: HTTPResponse) -> Iterator[tuple[str, str]]:
        """Each message that is whole: what its `event:` and its `data:` lines say."""
        rest, kind, data = b"", "", list[str]()
        while (patience := self._patience()) > 0:
            self.link.wait_at_most(patience)
            try:
                block = response.read1(_BLOCK)
            except TimeoutError:
                if self.left <= 0:
                    return
                raise
            if not block:
                return
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                name, _, value = line.rstrip(b"\r").decode("utf-8", "replace").partition(":")
                value = value.removeprefix(" ")
                if name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                elif not name and not value and not line.startswith(b":"):
                    if data:
                        yield kind, "\n".join(data)
                    kind, data = "", []

    def _event(self, kind: str, text: str) -> RemoteEvent | None:
        """The event of a message; None for what is none, or was given already. Raises what ends it all."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ShmStoreError(f"{self.link.connections.url} sent an event that is no JSON ({error})") from error
        if kind == "truncated" and isinstance(found, dict) and (gone := truncated(found, self.stream, self.version)):
            raise gone
        if kind == "deleted":
            raise StreamDeleted(str(found.get("error")) if isinstance(found, dict) else text)
        if kind not in ("", "message"):
            return None
        event = event_of(found)
        if event.version > self.version:
            raise StreamTruncated(
                self.stream,
                self.version,
                event.version,
                f"versions {self.version} to {event.version - 1} of stream {self.stream!r} did not come; follow from "
                f"there (from_={event.version})",
            )
        return event if event.version == self.version else None

    def _patience(self) -> float:
        """Seconds of silence from now on after which there is something to do."""
        return min(_SILENCE_S, self.left)


RemoteFollower.__module__ = f"{PACKAGE}.http.client"
