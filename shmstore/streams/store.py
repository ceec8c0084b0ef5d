"""A store of streams: make, open or attach to one by name, and take streams from it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack, overload

from shmstore import _core
from shmstore.arguments.calls import checked, checked_calls, warn
from shmstore.arguments.checks import refused, whole_number
from shmstore.arguments.closing import Closing
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidCapacity, InvalidName, InvalidOption, ShmStoreError, StoreExists, StoreNotFound
from shmstore.public import public
from shmstore.reading.waiting import seconds_of
from shmstore.segments import segment
from shmstore.streams.data import encoded, id_text
from shmstore.streams.event import ANY, EXISTS, NO_STREAM, NewEvent
from shmstore.streams.following import StoreFollower, instead_of_positions
from shmstore.streams.options import Creation, differences, segment_options
from shmstore.streams.position import NO_LIMIT, Missed, Place, Position, start_of
from shmstore.streams.reading import Missing, StoreReading
from shmstore.streams.stream import Stream

if TYPE_CHECKING:
    from shmstore.segments.mapping import Segment

# How often `open_streams` tries both ways: each lost round means that others created and unlinked the name meanwhile.
_ROUNDS: Final = 100


@public
@checked
def create_streams(
    name: str,
    *,
    capacity: int,
    partitions: int | None = None,
    data_bytes: int = 512,
    streams: int = 10_000,
    processes: int = 256,
    mode: int = 0o600,
    group: int | str | None = None,
) -> "StreamStore":
    """Make a store of streams that nobody has made before, and attach to it.

    capacity      the newest events that are kept, of all streams; rounded up to a multiple of `partitions`, each of
                  which keeps its newest `capacity / partitions`
    partitions    appends to different ones do not meet; a stream lies in one of them. One a CPU when left out
    data_bytes    room for the data and metadata of an event, in bytes; each event takes that much
    streams       how many names of streams there may be
    processes     how many processes may be attached for writing at once
    mode, group   permission bits of the segment, and the name or id of its group

    Raises InvalidName, InvalidOption (with InvalidCapacity), StoreExists, NoSpace, AccessDenied.
    """
    options = segment_options(
        capacity=capacity, partitions=partitions, data_bytes=data_bytes, streams=streams, processes=processes
    )
    made = segment.create(name, (), options, mode=mode, group=group)
    try:
        return StreamStore(mapped=made)
    except BaseException:  # nothing is left behind, and whoever has attached meanwhile is told
        with suppress(ShmStoreError):
            segment.unlink(name)
        raise


@public
@checked
def open_streams(name: str, *, strict: bool = False, **options: Unpack[Creation]) -> "StreamStore":
    """Attach to a store of streams, or make it when there is none; any number of processes may do this at once.

    Takes what `create_streams` takes, raises what it and `attach_streams` raise. A store that exists keeps its own
    options: where one that is given here differs, a UserWarning names both, or, with `strict`, InvalidOption is raised.
    """
    for _ in range(_ROUNDS):
        with suppress(StoreNotFound):
            return _told_of_differences(attach_streams(name), options, strict)
        if options.get("capacity") is None:
            raise InvalidCapacity(
                f"there are no streams {name!r} to attach to, and to make them takes capacity=: how many events are "
                "kept"
            )
        with suppress(StoreExists):
            return create_streams(name, **options)
    raise StoreExists(
        f"streams {name!r} could neither be attached nor created in {_ROUNDS} rounds: others create and unlink them "
        "all the time; look with shmstore-inspect doctor"
    )


def _told_of_differences(store: "StreamStore", options: Creation, strict: bool) -> "StreamStore":
    """`store` itself, after a warning when it was made with other options than these."""
    try:
        found = differences(store.core.header().options, options)
        found += segment.access_differences(store.name, mode=options.get("mode"), group=options.get("group"))
        if found:
            message = (
                f"streams {store.name!r} exist and keep their own options: {'; '.join(found)}; ask for what they have, "
                f"use another name, or remove them (shmstore-inspect rm {store.name}) so that they are made anew"
            )
            if strict:
                raise InvalidOption(message)
            warn(message)
    except BaseException:
        store.close()
        raise
    return store


@public
@checked
def attach_streams(name: str, *, read_only: bool = False, populate: bool = False) -> "StreamStore":
    """Attach to a store of streams that exists.

    `read_only` maps the memory without the right to write and leaves no trace in the store. `populate` touches every
    page now, so that no first access is slow. Whoever attaches for writing repairs the dead.

    Raises InvalidName, StoreNotFound, AccessDenied, NotAStore, WrongKind (it holds something else), AbiMismatch,
    DamagedSegment, NoSpace, ProcessTableFull (not when `read_only`).
    """
    store = StreamStore(mapped=segment.attach(name, kind="streams", writable=not read_only, populate=populate))
    if not read_only:
        store.core.reap()
    return store


@public
@checked_calls("__getitem__")
class StreamStore(Closing):
    """One store of streams, seen from this process: made by `create_streams`, `open_streams` and `attach_streams`.

    `streams["gateway/orders"]` is a stream, whether it exists or not; `"gateway/orders" in streams` tells. A name takes
    1 to 255 bytes of UTF-8. Any number of threads and processes may use it at once, also across a fork. Use it in a
    `with` block or `close` it. It can be pickled: the other side attaches by name.
    """

    __slots__ = ("__weakref__", "_core", "_header", "_segment", "_streams")

    def __init__(self, *, mapped: "Segment") -> None:
        """Take over a mapped segment; it is closed when this fails. Called by `create_streams` and `attach_streams`."""
        with ExitStack() as undo:
            undo.callback(mapped.close)
            self._core = mapped.open_core()
            undo.callback(self._core.close)
            self._header = self._core.header()
            self._streams = _core.Streams(
                self._core, encode=encoded, id_text=id_text, new_event=NewEvent, expected=(ANY, NO_STREAM, EXISTS)
            )
            undo.pop_all()
        self._segment = mapped

    # -- streams

    def __getitem__(self, name: str) -> Stream:
        """The stream of this name. Raises InvalidName."""
        stream = self._streams.stream(Stream, name)
        stream.store = self
        return stream

    def __contains__(self, name: object) -> bool:
        """Whether there is a stream of this name: one that was appended to since it was last deleted."""
        try:
            return self._streams.stream(Stream, name).exists  # type: ignore[arg-type]
        except InvalidName:
            return False

    def __iter__(self) -> Iterator[str]:
        """The names of all streams."""
        return iter(self.names())

    def __len__(self) -> int:
        """How many streams there are (best-effort)."""
        return self._streams.count()

    def __bool__(self) -> bool:
        """True, also without streams: `if streams` asks whether there is a store."""
        return True

    def names(self, prefix: str = "") -> list[str]:
        """The names of all streams that begin with `prefix`, in the order in which their first appends began: so a new
        one need not be the last.
        """
        if not isinstance(prefix, str):
            raise InvalidOption(f"prefix is {shown(prefix)}; expected a str")
        try:
            return self._streams.names(prefix)
        except UnicodeEncodeError:  # no name begins with what UTF-8 cannot hold
            return []

    # -- all streams

    def read_all(
        self, from_: Position | Place | str | None = None, limit: int | None = None, *, missing: Missing = "raise"
    ) -> StoreReading:
        """The events of all streams that can be read, up to those that are the newest when an iteration begins.

        In each partition they come in the order in which they were appended; those of several partitions, and so of
        different streams, are merged by time, best-effort.

        from_    a Position, or its text; "oldest", as when left out; "latest"
        limit    at most so many
        missing  "raise": StreamTruncated when positions are gone that would have been read, as it is iterated;
                 "report": they are left out, and the reading's `missing` says which

        Events that a reserve has kept while others were overwritten are read in their streams only. Raises
        InvalidOption.
        """
        if limit is not None:
            limit = whole_number("limit", limit, "how many events, or None", most=NO_LIMIT)
        if missing not in ("raise", "report"):
            raise refused("missing", missing, "'raise' or 'report'")
        start = start_of(self._streams, self.store_id, from_)
        return StoreReading(self._streams, self.name, self.store_id, start, limit, missing=missing)

    @overload
    def follow_all(
        self,
        from_: Position | Place | str | None = None,
        *,
        missing: Literal["raise"] = "raise",
        timeout: float | timedelta | None = None,
    ) -> StoreFollower[_core.Event]: ...

    @overload
    def follow_all(
        self,
        from_: Position | Place | str | None = None,
        *,
        missing: Literal["report"],
        timeout: float | timedelta | None = None,
    ) -> StoreFollower[_core.Event | Missed]: ...

    def follow_all(
        self,
        from_: Position | Place | str | None = None,
        *,
        missing: Missing = "raise",
        timeout: float | timedelta | None = None,
    ) -> StoreFollower[Any]:
        """The events of all streams, as `read_all` gives them, and each that comes, for `for` and `async for`.

        `missing` and `timeout` are those of `Stream.follow`; a Missed has the positions that are gone. Streams that are
        deleted while it follows give nothing more, and new ones come by themselves.
        """
        if missing not in ("raise", "report"):
            raise refused("missing", missing, "'raise' or 'report'")
        places, fresh = start_of(self._streams, self.store_id, from_)
        seconds = seconds_of(timeout)
        core = self._streams.follower(
            None,
            places,
            missed=instead_of_positions(self.name, len(places), missing),
            stops=missing == "raise",
            bounded=False,
            fresh=fresh,
            limit=NO_LIMIT,
            timeout_s=seconds,
        )
        return StoreFollower(core, seconds, self.store_id)

    # -- state

    @property
    def core(self) -> _core.Store:
        """The handle of the core that this one stands on; it may change with any version."""
        return self._core

    @property
    def name(self) -> str:
        """The name of the store."""
        return self._segment.name

    @property
    def store_id(self) -> bytes:
        """Sixteen random bytes that no other store has, whatever its name."""
        return self._header.store_id

    @property
    def capacity(self) -> int:
        """How many events are kept: what was asked for, rounded up to a multiple of `partitions`."""
        return self._core.plan().capacity

    @property
    def partitions(self) -> int:
        """How many partitions there are."""
        return self._header.options["partitions"]

    @property
    def data_bytes(self) -> int:
        """How many bytes the data and metadata of an event may take."""
        return self._header.options["data_bytes"]

    def processes(self) -> list[_core.Place]:
        """The process table: every process attached for writing, and the dead that are not repaired yet."""
        return self._core.places()

    def check(self) -> list[str]:
        """What is wrong with the shared bytes, in words: empty when all invariants hold. Only reads."""
        return self._core.check()

    # -- lifecycle

    @property
    def read_only(self) -> bool:
        """Whether this handle was attached for reading only."""
        return not self._segment.writable

    @property
    def closed(self) -> bool:
        """Whether `close` was called on this handle."""
        return self._core.closed

    @property
    def unlinked(self) -> bool:
        """Whether the name was removed by `unlink`."""
        return self._core.unlinked

    def close(self) -> None:
        """Let go of the store, which stays. Events that were read remain good. Idempotent."""
        try:
            self._core.close()
        finally:
            self._segment.close()

    def __reduce__(self) -> tuple[Callable[..., "StreamStore"], tuple[Any, ...]]:
        return StreamStore._unpickled, (self.name, self.store_id, self.read_only)

    @staticmethod
    @public
    def _unpickled(name: str, store_id: bytes, read_only: bool) -> "StreamStore":
        store = attach_streams(name, read_only=read_only)
        if store.store_id != store_id:
            store.close()
            raise StoreNotFound(
                f"the streams {name!r} that this handle was pickled from (id {store_id.hex()}) are gone; others have "
                f"their name now (id {store.store_id.hex()}); attach by name if those are meant"
            )
        return store

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self)} streams, {self.capacity} events at most"
        return f"<StreamStore {self.name!r}: {state}>"
