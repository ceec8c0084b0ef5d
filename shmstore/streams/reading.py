"""Reading a stream: its events from a version on, forwards or backwards, in blocks."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from shmstore import _core
from shmstore.public import public
from shmstore.streams.position import NO_LIMIT, Position, positions_missing, positions_of, versions_missing

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
            if isinstance(held, int) and limit != 0:
                self._miss(from_ or 0, held, held)

    def __iter__(self) -> Iterator[_core.Event]:
        self.missing = []
        return self._newest_first() if self._backwards else self._oldest_first()

    def __repr__(self) -> str:
        return f"<Reading of stream {self._stream.name!r}>"

    def _oldest_first(self) -> Iterator[_core.Event]:
        end = self._stream.version + 1
        at = self._from or 0
        left = NO_LIMIT if self._limit is None else self._limit
        begun = False
        while at < end and left:
            found = self._stream.block(at, min(BLOCK, end - at, left))
            if isinstance(found, int):
                if found >= end and not begun:  # newer ones took the place of all that it began with: it begins anew
                    end = self._stream.version + 1
                self._miss(at, min(found, end), found)
                at = found
            else:
                begun = True
                yield from found
                at += len(found)
                left -= len(found)

    def _newest_first(self) -> Iterator[_core.Event]:
        while True:
            newest = self._stream.version
            at = newest if self._from is None else min(self._from, newest)
            least = held = 0 if self._limit is None else max(0, at + 1 - self._limit)
            while at >= held:
                first = max(held, at + 1 - BLOCK)
                found = self._stream.block(first, at + 1 - first)
                if isinstance(found, int):
                    held = found
                elif len(found) == at + 1 - first:  # else its first ones were overwritten meanwhile
                    yield from reversed(found)
                    at = first - 1
            if self._from is not None or at < newest or newest == self._stream.version:
                break  # else newer ones took the place of all that it began with: it begins anew
        if at >= least:
            self._miss(least, at + 1, held)

    def _miss(self, first: int, end: int, held: int) -> None:
        """Versions from `first` up to `end` are gone; the first that is there is `held`."""
        if self._missing == "raise":
            raise versions_missing(self._stream, first, end, held, backwards=self._backwards)
        self.missing.append(range(first, end))


@public
class StoreReading(Iterable[_core.Event]):
    """What `StreamStore.read_all` answers: iterate over it, as often as you like; each time it is read anew.

    A reading ends with the events that were the newest when it began.
    """

    __slots__ = ("_core", "_limit", "_missing", "_name", "_start", "_store_id", "_streams", "missing")

    missing: list[range]
    """The positions that the last iteration came upon and that are gone."""

    def __init__(
        self,
        streams: _core.Streams,
        name: str,
        store_id: bytes,
        start: tuple[list[int], bool],
        limit: int | None,
        *,
        missing: Missing,
    ) -> None:
        self._streams = streams
        self._name = name
        self._store_id = store_id
        self._start = start
        self._limit = limit
        self._missing = missing
        self._core = self._begin()

    def __iter__(self) -> Iterator[_core.Event]:
        self._core = self._begin()
        return self._core

    @property
    def position(self) -> Position:
        """The place behind the event that the last iteration gave last: `streams.read_all(from_=position)`, and
        `follow_all` as well, go on from there, and give no event twice and leave none out.
        """
        return Position.of(self._store_id, self._core.places())

    def __repr__(self) -> str:
        return f"<StoreReading of {self._name!r} at {self.position}>"

    def _begin(self) -> _core.Follower:
        gone: list[range] = []
        self.missing = gone
        name, raises = self._name, self._missing == "raise"
        places, fresh = self._start

        def miss(partition: int, first: int, end: int) -> None:
            numbers = positions_of(partition, first, end, len(places))
            if raises:
                raise positions_missing(name, numbers)
            gone.append(numbers)

        return self._streams.follower(
            None,
            places,
            missed=miss,
            stops=raises,
            bounded=True,
            fresh=fresh,
            limit=NO_LIMIT if self._limit is None else self._limit,
            timeout_s=0.0,
        )
