"""One stream: appending to it, reading it, and what is kept of it."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import reduce
from operator import getitem
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, overload

from shmstore import _core
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import called, items_of, length_ns, refused, whole_number
from shmstore.errors import DamagedSegment, InvalidOption
from shmstore.public import public
from shmstore.streams.columns import DEFAULT as DEFAULT_COLUMNS
from shmstore.streams.columns import EventColumn, Fields, asked_columns, asked_fields, table_of
from shmstore.streams.event import ANY, ExpectedVersion, NewEvent
from shmstore.streams.following import StreamFollower, follow_stream
from shmstore.streams.position import Missed, Place
from shmstore.streams.reading import Missing, Reading
from shmstore.tables.table import Table

A = TypeVar("A")

_COUNTED: Final = 8192  # events that are counted in one go
_MOST = (1 << 63) - 1
_A_VERSION = "a version, an int of 0 or more"


class Store(Protocol):
    """What streams are taken from: a StreamStore."""

    @property
    def name(self) -> str: ...

    @property
    def store_id(self) -> bytes: ...

    @property
    def unlinked(self) -> bool: ...

    def __getitem__(self, name: str, /) -> "Stream": ...


@public
class Retention(NamedTuple):
    """At most so many events of a stream can be read, and none that are older; None: as many as there is room for."""

    events: int | None
    age: timedelta | None


@public
@checked_calls()
class Stream(_core.Stream):
    """One stream of a store, taken from it as `streams["gateway/orders"]`. It need not exist: an append makes it.

    Its events have the versions 0, 1, 2 and so on, without holes. Any number of threads and processes may append to it
    and read it at once. It can be pickled with its store, and two of one name are equal, if they are of one store.

    `append(data, *, type=None, expected_version=ANY, event_id=None, metadata=None)` appends one event and returns its
    version:

    data, metadata    bytes and text come back as they are; all else is kept as JSON: dicts, lists, finite numbers,
                      True and False. Tuples come back as lists, dataclasses as dicts, and dates, times, UUIDs,
                      Decimals and Positions as text (isoformat and str); keys of dicts become text. None is nothing
    type              what it is, in at most 64 bytes
    expected_version  the version that the stream must be at, or NO_STREAM (which -1 means too), EXISTS or ANY
    event_id          a str of at most 64 bytes, or a UUID. If the stream has an event of this id already, nothing is
                      appended, and that one's version is returned, whatever was expected. See `dedup_window`

    It raises WrongExpectedVersion, StreamDeleted, InvalidEvent (with EventTooLarge), InvalidOption, StreamTableFull,
    ProcessTableFull, ReadOnlyStore and StoreUnlinked. Nothing is left behind then, not even the stream's name.
    """

    __slots__ = ("store",)

    store: Store
    """The store that it is in."""

    def append_many(self, events: Iterable[Any], *, expected_version: ExpectedVersion | int = ANY) -> list[int]:
        """Append many events with consecutive versions, all or none, and return their versions.

        Each is a NewEvent, or its data alone. Readers see all of them at once. Those whose id the stream has already
        are left out, and get the version that is there. All else is as for `append`; a batch may not have an id twice,
        nor more events than a partition keeps (InvalidEvent). An empty one does nothing, whatever is expected.
        """
        if type(events) is not list:  # else it is one of events; to ask for more takes as long as to append ten
            is_one = isinstance(events, NewEvent | Mapping | bytearray | memoryview)
            several = None if is_one else items_of(events, self.slots + 1)  # of an endless one, so many are too many
            if several is None:
                raise refused("events", events, "several events, as [event]")
            events = several
        return self.append_events(events, expected_version)

    # -- reading

    def read(
        self,
        from_: int | None = None,
        limit: int | None = None,
        *,
        backwards: bool = False,
        missing: Missing = "raise",
    ) -> Reading:
        """The events from a version on, up to the one that is the newest when an iteration begins.

        from_      0 when left out; with `backwards`, the newest
        limit      at most so many events
        backwards  the newest first, down to version 0
        missing    "raise": StreamTruncated when versions are gone that would have been read; "report": they are left
                   out, and the reading's `missing` says which

        Raises InvalidOption, StreamTruncated and StreamDeleted, the last two also when it is iterated.
        """
        if from_ is not None:
            from_ = whole_number("from_", from_, _A_VERSION, most=_MOST)
        if limit is not None:
            limit = whole_number("limit", limit, "how many events, or None", most=_MOST)
        if missing not in ("raise", "report"):
            raise refused("missing", missing, "'raise' or 'report'")
        return Reading(self, from_, limit, backwards=bool(backwards), missing=missing)

    @overload
    def follow(
        self,
        from_: int | Place | None = None,
        *,
        missing: Literal["raise"] = "raise",
        timeout: float | timedelta | None = None,
    ) -> StreamFollower[_core.Event]: ...

    @overload
    def follow(
        self,
        from_: int | Place | None = None,
        *,
        missing: Literal["report"],
        timeout: float | timedelta | None = None,
    ) -> StreamFollower[_core.Event | Missed]: ...

    def follow(
        self, from_: int | Place | None = None, *, missing: Missing = "raise", timeout: float | timedelta | None = None
    ) -> StreamFollower[Any]:
        """The events from a version on, and each that comes, for `for` and `async for`, which wait for them.

        from_     a version, also one that comes later; "oldest", as when left out: what can be read when it first
                  looks, and what comes; "latest": only what comes
        missing   what a follower gets that is too slow, or begins with versions that are gone: "raise":
                  StreamTruncated, each time; "report": a Missed in their place
        timeout   an iteration ends when no event has come for so many seconds (or a timedelta); None: no limit

        It goes on when the stream is deleted, for its versions do (what it has not read by then is missing); deleted
        for ever, it raises StreamDeleted. Raises InvalidOption and StoreClosed.
        """
        if missing not in ("raise", "report"):
            raise refused("missing", missing, "'raise' or 'report'")
        by_name = from_ if isinstance(from_, str) else None
        if from_ is None or by_name == "oldest":
            return follow_stream(self, self.state().first, missing, timeout, fresh=True)
        if by_name == "latest":
            return follow_stream(self, self.state().versions, missing, timeout, fresh=False)
        version = whole_number("from_", from_, "a version, an int of 0 or more, 'oldest' or 'latest'", most=_MOST)
        return follow_stream(self, version, missing, timeout, fresh=False)

    def at(self, version: int) -> _core.Event | None:
        """The event of a version; None when there is none yet. Raises StreamTruncated, StreamDeleted."""
        version = whole_number("version", version, _A_VERSION, most=_MOST)
        return next(iter(self.read(version, 1)), None)

    def last(self) -> _core.Event | None:
        """The newest event; None when there is none that can be read. Raises StreamDeleted."""
        return next(iter(self.read(limit=1, backwards=True, missing="report")), None)

    # -- asking about all events

    def fold(
        self, initial: A, function: Callable[[A, _core.Event], A], *, from_: int = 0, limit: int | None = None
    ) -> A:
        """Fold the events: `function(function(initial, first), second)` and so on, in the order of their versions.

        `from_` and `limit` are as for `read`, and so is what it raises: StreamTruncated, StreamDeleted, InvalidOption.
        """
        called("function", function, "what can be called with a state so far and an event")
        return reduce(function, self.read(from_, limit), initial)

    def count(self, type: str | None = None) -> int:
        """How many events can be read, of this type when one is given. Raises InvalidOption, StreamDeleted."""
        if type is None:
            self.block(0, 0)  # raises StreamDeleted
            return len(self)
        if not isinstance(type, str):
            raise refused("type", type, "a str, or None for events of all types")
        return self.counts_by_type().get(type, 0)

    def counts_by_type(self) -> dict[str | None, int]:
        """How many events can be read, by type; those without a type are under None. Raises StreamDeleted.

        They are counted where they lie, up to the event that is the newest now; those that are overwritten before they
        are come upon do not count.
        """
        counts: dict[str | None, int] = {}
        end = self.version + 1
        at = self.tally(0, 0, counts)
        while at < end:
            at = self.tally(at, min(_COUNTED, end - at), counts)
        return counts

    def to_table(
        self,
        fields: Fields = None,
        *,
        columns: Iterable[EventColumn] = DEFAULT_COLUMNS,
        from_: int | None = None,
        limit: int | None = None,
        missing: Missing = "raise",
    ) -> Table:
        """The events as a Table, a row each, which Arrow, NumPy and all others take: pyarrow.table(table).

        fields   what becomes a column of data that are dicts: names, or kinds by name: "integer", "real", "text",
                 "bool", "timestamp" (also of ISO 8601) or "json" (text, the JSON of any value). All names that there
                 are, when left out. Where a dict has no such name, or the data are no dict, the value is missing
        columns  what of the events comes before: "version", "position", "timestamp", "type", "event_id"

        A kind that is not given is that of all values; "json" where they have none in common, or are dicts or lists.
        All else is as for `read`. Raises InvalidOption, StreamTruncated and StreamDeleted, and FieldTypeError for a
        value that is not of the kind that is given.
        """
        wanted, shared = asked_fields(fields), asked_columns(columns)
        return table_of(self.read(from_, limit, missing=missing), wanted, shared)

    # -- state

    @property
    def exists(self) -> bool:
        """Whether it was appended to since it was last deleted."""
        return self.state().exists

    @property
    def first_version(self) -> int:
        """The first version that can be read; that of the next event when there is none."""
        return self.state().first

    @property
    def discarded(self) -> int:
        """How many of its events were overwritten while they could still be read."""
        return self.state().discarded

    @property
    def dedup_window(self) -> int:
        """The ids of so many of its newest events are surely known: those of all that were not overwritten."""
        state = self.state()
        return state.versions - state.lost

    def __len__(self) -> int:
        """How many events can be read. Raises DamagedSegment."""
        state = self.state()
        length = state.versions - state.first
        if length > _MOST:  # len() would say so in words of its own
            raise DamagedSegment(
                f"stream {self.name!r} of {self.store.name!r} is damaged: it has {state.versions} versions; run "
                f"shmstore-inspect check {self.store.name}"
            )
        return length

    def __bool__(self) -> bool:
        """True, also of a stream without events: `exists` asks for those."""
        return True

    # -- what is kept

    def truncate(self, before: int) -> None:
        """Give up all versions below `before` that there are: nobody can read them any more. Those that come later
        stay, whatever `before` is; so a stream without events gives up none. Raises InvalidOption, StreamDeleted.
        """
        self.truncate_before(whole_number("before", before, _A_VERSION, most=_MOST))

    def delete(self, *, hard: bool = False, expected_version: ExpectedVersion | int = ANY) -> None:
        """Delete the stream: its events cannot be read any more, and its versions go on with the next append.

        With `hard` it is deleted for ever, also if it never was there: reading it and appending to it raise
        StreamDeleted. Without, deleting what is not there does nothing. Raises WrongExpectedVersion, and with `hard`
        StreamTableFull.
        """
        self.delete_events(bool(hard), expected_version)

    def retain(self, *, events: int | None = None, age: timedelta | None = None) -> None:
        """Let only so many of its newest events be read, and none that are older; None: without limit.

        It holds for all processes, at once and until it is said anew, also when the stream is deleted in between. It
        may be said before anything is appended. Raises InvalidOption, StreamDeleted, StreamTableFull.
        """
        most = 0
        if events is not None:
            most = whole_number("events", events, "how many events, 1 or more", least=1, most=_MOST)
        age_ns = 0 if age is None else length_ns("age", age)
        if age_ns is None or age_ns < 0 or (age is not None and not age_ns) or age_ns > _MOST:
            raise refused("age", age, "a timedelta of more than 0 and at most 292 years")
        self.set_retention(most, age_ns, -1)

    @property
    def retention(self) -> Retention:
        """What `retain` said last."""
        found = self.get_retention()
        age = timedelta(microseconds=-(-found.age_ns // 1000)) if found.age_ns else None
        return Retention(found.events or None, age)

    @property
    def reserve(self) -> int:
        """How many of its newest events are not overwritten by those of other streams in its partition, however many
        come; 0 at first, and less than a partition keeps. Raises InvalidOption, StreamDeleted, StreamTableFull.

        Appends of others pass over what is in reserve: one event each where that is half of a partition, nine where it
        is nine tenths. Where reserves together take all of it, each append looks through the whole partition, and the
        oldest give way after all, as they do to a batch for which they leave no room; so keep reserves together at half
        of a partition, or less.
        """
        return self.get_retention().reserve

    @reserve.setter
    def reserve(self, events: int) -> None:
        reserve = whole_number("reserve", events, "how many events are kept", most=_MOST)
        if reserve and reserve >= self.slots:
            raise InvalidOption(
                f"reserve is {reserve}; expected less than the {self.slots} events that the partition of the stream "
                "keeps, best half of them or fewer, for other streams need room: reserve less, or create the store "
                "with a larger capacity, or fewer partitions"
            )
        self.set_retention(-1, -1, reserve)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return NotImplemented
        return self.name == other.name and self.store.store_id == other.store.store_id

    def __hash__(self) -> int:
        return hash((self.store.store_id, self.name))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return getitem, (self.store, self.name)

    def __repr__(self) -> str:
        return f"<Stream {self.name!r} of {self.store.name!r}>"
