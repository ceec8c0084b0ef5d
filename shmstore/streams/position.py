"""Places in a store of streams, and what is missing before them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from shmstore import _core
from shmstore.arguments.checks import refused
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption, StreamTruncated
from shmstore.public import public

Place = Literal["oldest", "latest"]
"""What is there, from its first event on; and only what comes from now on."""

NO_LIMIT: Final = (1 << 64) - 1  # of how many events are read
_ID_DIGITS: Final = 16
_TEXT: Final = re.compile(r"([0-9a-f]{16})-(\d{1,20}(?:\.\d{1,20})*)", re.ASCII)
_EXPECTED: Final = "a Position or its text, 'oldest' or 'latest'"


@public
@dataclass(frozen=True, slots=True)
class Position:
    """A place between the events of all streams of a store: behind some of them and before all others.

    It belongs to one store alone. `str` makes a text of it, which `from_=` takes as well, and which is kept for it in
    the data of an event. Positions have no order: of two, each may be the further one in some partition.
    """

    store: str
    """The first half of the store's `store_id`, in 16 hexadecimal digits."""
    tickets: tuple[int, ...]
    """The next ticket of each partition."""

    def __post_init__(self) -> None:
        if not isinstance(self.store, str):
            raise refused("store", self.store, "the first 16 digits of the id of a store, a str")
        if not isinstance(self.tickets, tuple) or not all(isinstance(ticket, int) for ticket in self.tickets):
            raise refused("tickets", self.tickets, "a tuple of ints, one for each partition")

    def __str__(self) -> str:
        return f"{self.store}-{'.'.join(map(str, self.tickets))}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position of which this is the text. Raises InvalidOption."""
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise refused("a position", text, "the text of a Position, as str() makes it")
        return cls(found[1], tuple(map(int, found[2].split("."))))

    @classmethod
    def of(cls, store_id: bytes, tickets: Sequence[int]) -> "Position":
        """The place before these tickets, one of each partition."""
        return cls(store_id.hex()[:_ID_DIGITS], tuple(tickets))


@public
@dataclass(frozen=True, slots=True)
class Missed:
    """Events that were gone before a follower came to them."""

    stream: str | None
    """Whose they are; None: of any streams of one partition."""
    numbers: range
    """Their versions; without a stream, their positions: as they stand in `Event.position`, so in steps. Not every
    position need have had an event.
    """

    @property
    def count(self) -> int:
        """How many versions or positions it spans."""
        return _count(self.numbers)


def start_of(streams: _core.Streams, store_id: bytes, from_: Any) -> tuple[list[int], bool]:
    """The next ticket of each partition, and whether what is gone by then is not missed. Raises InvalidOption."""
    tickets = streams.tickets()
    if from_ is None or (isinstance(from_, str) and from_ == "oldest"):
        return [oldest for oldest, _ in tickets], True
    if isinstance(from_, str) and from_ == "latest":
        return [tail for _, tail in tickets], False
    if not isinstance(from_, str | Position) or (isinstance(from_, str) and not _TEXT.fullmatch(from_)):
        raise refused("from_", from_, _EXPECTED)
    position = Position.parse(from_) if isinstance(from_, str) else from_
    ours = Position.of(store_id, [tail for _, tail in tickets])
    if position.store == ours.store and len(position.tickets) != len(tickets):
        raise refused("from_", str(position), f"a ticket for each of the {len(tickets)} partitions, as in {ours}")
    if position.store != ours.store:
        raise InvalidOption(
            f"from_ is {shown(str(position))}, a position of another store; this one's begin with {ours.store}: its "
            "events were lost or never those that were read, so begin at 'oldest'"
        )
    if any(not 0 <= ticket <= tail for ticket, (_, tail) in zip(position.tickets, tickets, strict=True)):
        raise InvalidOption(
            f"from_ is {shown(str(position))}, which is behind the newest event of this store ({ours}); expected a "
            "position that a reading or follower of it has had"
        )
    return list(position.tickets), False


def positions_of(partition: int, first: int, end: int, partitions: int) -> range:
    """The positions that the tickets [first, end) of a partition stand for."""
    return range(first * partitions + partition, end * partitions + partition, partitions)


def _count(numbers: range) -> int:
    """How many: the len of a range has a limit, and damaged bytes have none."""
    return (numbers.stop - numbers.start) // numbers.step


def versions_missing(
    stream: _core.Stream, first: int, end: int, held: int, *, backwards: bool = False
) -> StreamTruncated:
    """The error for versions [first, end) of a stream, whose first version that is there is `held`."""
    what = f"version {first} is" if end == first + 1 else f"versions {first} to {end - 1} are"
    instead = f"from there (from_={held})"
    if backwards:
        instead = "with a smaller limit=" if end == held else f"from a version that is there (from_={held} or more)"
    if held > stream.state().lost:
        why = "what came before was truncated or deleted, or the stream retains no more"
    else:
        why = "to keep more, give the store more capacity or the stream a reserve"
    return StreamTruncated(
        stream.name,
        first,
        held,
        f"{what} not there any more in stream {stream.name!r}, which begins with version {held}; read {instead} or "
        f"with missing='report'; {why}",
    )


def positions_missing(store: str, numbers: range) -> StreamTruncated:
    """The error for positions of a partition."""
    held = numbers.stop
    return StreamTruncated(
        None,
        numbers.start,
        held,
        f"what had {_count(numbers)} positions from {numbers.start} on is not there any more in streams {store!r}: "
        f"newer events of the partition, which now begins with position {held}, took its place; go on from the same "
        "place with missing='report', or begin at 'oldest'; to keep more, give the store more capacity",
    )
