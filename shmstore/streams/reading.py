"""Reading a stream: its events from a version on, forwards or backwards, in blocks."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from shmstore import _core
from shmstore.errors import StreamTruncated
from shmstore.public import public

BLOCK: Final = 512  # events that are copied in one go

Missing = Literal["raise", "report"]


@public
class Reading(Iterable[_core.Event]):
    """What `Stream.read` answers: iterate over it, as often as you like; each time it is read anew.

    A reading ends with the event that was the newest when it began.
    """

    __slots__ = ("_backwards", "_from", "_limit", "_missing", "_stream", "missing")

    missing: list[range]
    """The versions that the last iteration came upon and that are gone."""

    def __init__(
        self, stream: _core.Stream, from_: int | None, limit: int | None, *, backwards: bool, missing: Missing
    ) -> None:
        self._stream = stream
        self._from = from_
        self._limit = limit
        self._backwards = backwards
        self._missing = missing
        self.missing = []
        if not backwards and missing == "raise":
            held = stream.block(from_ or 0, 0)
            if isinstance(held, int):
                self._miss(from_ or 0, held, held)

    def __iter__(self) -> Iterator[_core.Event]:
        self.missing = []
        return self._newest_first() if self._backwards else self._oldest_first()

    def __repr__(self) -> str:
        return f"<Reading of stream {self._stream.name!r}>"

    def _oldest_first(self) -> Iterator[_core.Event]:
        end = self._stream.version + 1
        at = self._from or 0
        if self._limit is not None:
            end = min(end, at + self._limit)
        while at < end:
            found = self._stream.block(at, min(BLOCK, end - at))
            if isinstance(found, int):
                self._miss(at, min(found, end), found)
                at = found
            else:
                yield from found
                at += len(found)

    def _newest_first(self) -> Iterator[_core.Event]:
        newest = self._stream.version
        at = newest if self._from is None else min(self._from, newest)
        least = 0 if self._limit is None else max(0, at + 1 - self._limit)
        held = least
        while at >= held:
            first = max(held, at + 1 - BLOCK)
            found = self._stream.block(first, at + 1 - first)
            if isinstance(found, int):
                held = found
            elif len(found) == at + 1 - first:  # else its first ones were overwritten meanwhile
                yield from reversed(found)
                at = first - 1
        if at >= least:
            self._miss(least, at + 1, held)

    def _miss(self, first: int, end: int, held: int) -> None:
        """Versions from `first` up to `end` are gone; the first that is there is `held`."""
        if self._missing == "report":
            self.missing.append(range(first, end))
            return
        name = self._stream.name
        what = f"version {first} is" if end == first + 1 else f"versions {first} to {end - 1} are"
        raise StreamTruncated(
            name,
            first,
            held,
            f"{what} not there any more in stream {name!r}, which begins with version {held}; read from there "
            f"(from_={held}) or with missing='report'; to keep more, give the store more capacity or the stream a "
            "reserve",
        )
