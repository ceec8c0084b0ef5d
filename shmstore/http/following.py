"""Following a stream over HTTP: server-sent events, as the thread of a request sends them."""

from collections.abc import Callable, Iterator
from random import randint
from typing import Any, Final

from shmstore.errors import ShmStoreError, StoreClosed, StoreUnlinked, StreamDeleted, StreamTruncated
from shmstore.http.event_text import texts
from shmstore.http.message import to_json
from shmstore.streams.stream import Stream

HEARTBEAT_S: Final = 5.0  # a client that has gone is noticed then
HEARTBEAT: Final = b": heartbeat\n\n"
AT_ONCE: Final = 1000  # events that are read in one go

_BEGUN: Final = b": following\nretry: %d\n\n"
_RETRY_MS: Final = 1000, 4000  # by chance: when a service ends, its browsers do not all come back at once
_LOOK_S: Final = 1.0  # whether anybody listens


class Following:
    """What one client follows. Events come in `read`, and what comes instead when no more can come is in `ending`."""

    __slots__ = ("ending", "follower", "has_ended", "stream")

    def __init__(self, stream: Stream, first: int, *, is_resumed: bool = False) -> None:
        self.stream = stream
        self.follower = stream.follow(first)
        self.has_ended = False
        self.ending = b""
        newest = stream.version
        # What came last may have come from a store that is gone: waiting for its next would lose events.
        if is_resumed and first > newest + 1:
            self.has_ended = True
            self.ending = _truncated(
                f"stream {stream.name!r} ends with version {newest}, before version {first - 1}, which came last: the "
                "store was made anew; read all that is there",
                stream.first_version,
            )

    @property
    def next_version(self) -> int:
        """Of the event that is read next."""
        return self.follower.next_version

    def read(self) -> list[tuple[int, bytes]]:
        """Events that are there, with their versions. After the last ones of all `has_ended` is true."""
        if self.has_ended:
            return []
        try:
            events = self.follower.read(AT_ONCE)
            if not events and self.stream.store.unlinked:
                raise StoreUnlinked
        except (StoreClosed, StoreUnlinked, StreamTruncated, StreamDeleted) as gone:
            self.has_ended = True
            self.ending = _ending(gone)
            return []
        found = zip(events, texts(self.stream.name, events), strict=True)
        return [
            (event.version, f"id: {event.version}\ndata: {text}\n\n".encode("utf-8", "replace"))
            for event, text in found
        ]

    def pieces(self, is_wanted: Callable[[], object], *, until_now: bool) -> Iterator[bytes]:
        """What is sent, for as long as it is wanted; `until_now`: what is there, and no more."""
        try:
            yield _BEGUN % randint(*_RETRY_MS)
            silent_s = 0.0
            while is_wanted():
                found = self.read()
                if found:
                    silent_s = 0.0
                    yield joined(found)
                elif self.has_ended:
                    if self.ending:
                        yield self.ending
                    break
                elif until_now:
                    break
                elif not self._came():
                    silent_s += _LOOK_S
                    if silent_s >= HEARTBEAT_S:
                        silent_s = 0.0
                        yield HEARTBEAT
        finally:
            if self.has_ended or not until_now:
                self.close()

    def _came(self) -> bool:
        try:
            return self.follower.wait(_LOOK_S)
        except ShmStoreError:  # the next read tells
            return True

    def close(self) -> None:
        """Follow no more."""
        self.follower.close()


def joined(found: list[tuple[int, bytes]]) -> bytes:
    """Events that were read, in one piece."""
    return b"".join([text for _, text in found])


def _ending(gone: ShmStoreError) -> bytes:
    if isinstance(gone, StreamTruncated):
        return _truncated(str(gone), gone.first)
    if isinstance(gone, StreamDeleted):
        return _last("deleted", {"error": str(gone)})
    return b""  # the service ends; the client asks another


def _truncated(sentence: str, first: int) -> bytes:
    """With an id: a browser, which asks again by itself, goes on with what is there, and is not told for ever."""
    return f"id: {first - 1}\n".encode() + _last("truncated", {"error": sentence, "firstVersion": first})


def _last(kind: str, value: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {to_json(value)}\n\n".encode("utf-8", "replace")
