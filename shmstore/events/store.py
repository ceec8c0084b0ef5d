"""The event store: make, open or attach to one by name, then append, look at it, ask it, follow it."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, cast, overload

from shmstore.arguments.calls import checked, checked_calls, warn
from shmstore.arguments.checks import function
from shmstore.arguments.closing import Closing
from shmstore.arguments.shown import shown
from shmstore.errors import FieldTypeError, InvalidCapacity, InvalidOption, ShmStoreError, StoreExists, StoreNotFound
from shmstore.events.append import Append
from shmstore.events.builder import Builder
from shmstore.events.options import (
    Attachment,
    Callbacks,
    Creation,
    Layout,
    Opening,
    Rule,
    agreed_schema,
    differences,
    segment_options,
)
from shmstore.events.statistics import Statistics
from shmstore.events.view import View
from shmstore.public import public
from shmstore.reading.selection import Moment, nanoseconds, require_time
from shmstore.records.schema import Schema
from shmstore.segments import segment
from shmstore.tables.arrow import ArrowArray, ArrowStream, capsules_of, is_pandas, pandas_floats, with_index

if TYPE_CHECKING:
    from shmstore.segments.mapping import Segment

R = TypeVar("R")
S = TypeVar("S")

# How often `open` tries both ways: each lost round means that others created and unlinked the name meanwhile.
_OPEN_ROUNDS = 100


@overload
def create(name: str, record: type[R], **options: Unpack[Creation[R]]) -> "EventStore[R]": ...
@overload
def create(name: str, record: Any, **options: Unpack[Creation[Any]]) -> "EventStore[Any]": ...
@public
@checked
def create(
    name: str,
    record: Any,
    *,
    capacity: int,
    partitions: int | None = None,
    layout: Layout | None = None,
    partition_by: Rule | None = None,
    keys: int = 4096,
    processes: int = 256,
    mode: int = 0o600,
    group: int | str | None = None,
    on_discarded: Callable[[Any], None] | None = None,
    on_capacity_reached: Callable[[], None] | None = None,
    on_statistics: Callable[[Statistics], None] | None = None,
) -> "EventStore[Any]":
    """Make a store that nobody has made before, and attach to it.

    record        a Record subclass, dataclass, NamedTuple or NumPy structured dtype
    capacity      the newest records that are kept; rounded up to a multiple of `partitions`, each of which keeps its
                  newest `capacity / partitions`
    partitions    independent rings: appends to different ones do not meet, order is kept within each; one a CPU when
                  left out
    layout        "rows": a record lies in one piece, which suits appends of wide records; "columns": each field in an
                  array of its own, which suits questions and snapshots. When left out, columns for records of at most 8
                  fields and 64 bytes
    partition_by  "key" (of the first Key field; the default where there is one: few keys, or keys that come unequally
                  often, fill some partitions and leave others empty), "turn" (the default elsewhere: one after the
                  other, whoever appends, so that exactly the newest `capacity` are kept), "process" (order is kept
                  within each process), or "explicit" (every append says `partition=`)
    keys          how many different keys there may be
    processes     how many processes may be attached for writing at once
    mode, group   permission bits of the segment, and the name or id of its group

    The callbacks belong to this handle: `on_discarded(record)` is called with each record that an append of this
    process overwrites, `on_capacity_reached()` when one fills a partition for the first time,
    `on_statistics(statistics)` each second by a Coordinator of this handle. The append is done by then; what a callback
    of an append raises goes to `sys.unraisablehook`; anything but an Exception, such as KeyboardInterrupt, is passed
    on.

    Raises InvalidName, InvalidSchema, InvalidOption (with InvalidCapacity), StoreExists, NoSpace, AccessDenied.
    """
    schema = Schema.of(record)
    options = segment_options(
        schema,
        capacity=capacity,
        partitions=partitions,
        layout=layout,
        partition_by=partition_by,
        keys=keys,
        processes=processes,
    )
    callbacks: Callbacks[Any] = {
        "on_discarded": function("on_discarded", on_discarded),
        "on_capacity_reached": function("on_capacity_reached", on_capacity_reached),
        "on_statistics": function("on_statistics", on_statistics),
    }
    made = segment.create(name, schema.fields, options, mode=mode, group=group)
    try:
        return EventStore(made, record, callbacks)
    except BaseException:  # nothing is left behind, and whoever has attached meanwhile is told
        with suppress(ShmStoreError):
            segment.unlink(name)
        raise


@overload
def open(name: str, record: type[R], **options: Unpack[Opening[R]]) -> "EventStore[R]": ...
@overload
def open(name: str, record: Any, **options: Unpack[Opening[Any]]) -> "EventStore[Any]": ...
@public
@checked
def open(name: str, record: Any, *, strict: bool = False, **options: Unpack[Creation[Any]]) -> "EventStore[Any]":
    """Attach to a store, or make it when there is none; any number of processes may do this at once.

    Takes what `create` takes, raises what `create` and `attach` raise. A store that exists keeps its own options: where
    one that is given here differs (also the permission bits and the group of its file), a UserWarning names both, or,
    with `strict`, InvalidOption is raised. Its fields must be those of `record`.
    """
    callbacks: Callbacks[Any] = {
        "on_discarded": options.get("on_discarded"),
        "on_capacity_reached": options.get("on_capacity_reached"),
        "on_statistics": options.get("on_statistics"),
    }
    sized = options.get("capacity") is not None
    for _ in range(_OPEN_ROUNDS):
        with suppress(StoreNotFound):
            return _told_of_differences(attach(name, record, **callbacks), options, strict)
        if not sized:
            raise InvalidCapacity(
                f"there is no store {name!r} to attach to, and to make it takes capacity=: how many records are kept"
            )
        with suppress(StoreExists):
            return create(name, record, **options)
    raise StoreExists(
        f"store {name!r} could neither be attached nor created in {_OPEN_ROUNDS} rounds: others create and unlink it "
        "all the time, or something that is not a store has its name; look with shmstore-inspect doctor"
    )


def _told_of_differences(store: "EventStore[Any]", options: Mapping[str, Any], strict: bool) -> "EventStore[Any]":
    """`store` itself, after a warning when it was made with other options than these."""
    try:
        core = store._core
        found = differences(core.plan(), core.header().options, store.schema, options)
        found += segment.access_differences(store.name, mode=options.get("mode"), group=options.get("group"))
        if found:
            message = (
                f"store {store.name!r} exists and keeps its own options: {'; '.join(found)}; ask for what it has, use "
                f"another name, or remove it (shmstore-inspect rm {store.name}) so that it is made anew"
            )
            if strict:
                raise InvalidOption(message)
            warn(message)
    except BaseException:
        store.close()
        raise
    return store


@overload
def attach(name: str, record: type[R], **options: Unpack[Attachment[R]]) -> "EventStore[R]": ...
@overload
def attach(name: str, record: Any = None, **options: Unpack[Attachment[Any]]) -> "EventStore[Any]": ...
@public
@checked
def attach(
    name: str,
    record: Any = None,
    *,
    read_only: bool = False,
    populate: bool = False,
    **callbacks: Unpack[Callbacks[Any]],
) -> "EventStore[Any]":
    """Attach to a store that exists.

    Without `record` its records are instances of a Record class made from the store's own schema. `read_only` maps
    the memory without the right to write and leaves no trace in the store. `populate` touches every page now, so that
    no first access is slow. The callbacks are those of `create`. Whoever attaches for writing repairs the dead.

    Raises InvalidName, StoreNotFound, AccessDenied, NotAStore, WrongKind (it holds metrics), AbiMismatch,
    DamagedSegment, SchemaMismatch, NoSpace, ProcessTableFull (not when `read_only`).
    """
    for what, callback in callbacks.items():
        function(what, callback)
    mapped = segment.attach(name, kind="events", writable=not read_only, populate=populate)
    store = EventStore[Any](mapped, record, callbacks)
    if not read_only:
        store._core.reap()
    return store


@public
@checked
def unlink(name: str) -> None:
    """Remove a store's name: nobody can attach any more, appends raise StoreUnlinked, what is there may still be read.

    The memory is freed when the last process lets go. Raises InvalidName, StoreNotFound, NotAStore, AccessDenied.
    """
    segment.unlink(name)


@public
@checked
def list_stores() -> list[str]:
    """The names of the stores that this user could attach to."""
    return [
        found.name for found in segment.list_segments() if found.header and found.header.options["kind"] == "events"
    ]


@public
@checked_calls()
class EventStore(View[R], Closing):
    """One store, seen from this process: made by `create`, `open` and `attach`.

    Any number of threads and processes may use it at once, also across a fork. Use it in a `with` block or `close` it.
    Left open, it serves exit handlers, finalizers and threads to the end of the process, and closes with it. It can be
    pickled: the other side attaches by name, without callbacks. After `close` it still says what it was made as;
    everything else raises StoreClosed.
    """

    __slots__ = {  # noqa: RUF023 - in the order in which they are read about
        "append": """append(record, /, *, partition=) or append(*, partition=, **fields) -> position

        Append one record, given by its fields or as a whole: a record, another dataclass or named tuple with these
        fields in any order, a mapping, or a tuple of all values in order. A field left out is its declared default; a
        Timestamp without one (or None) is now. A Key is a str, or the int that `key` returned. `partition` puts it
        there whatever the store's rule. The position names the record for ever.

        Raises FieldError (a value does not fit; `.field` names it), FieldTypeError, InvalidOption (no such partition),
        KeyTableFull, ProcessTableFull, PartitionStalled, ReadOnlyStore, StoreUnlinked. Nothing is written then.""",
        "on_statistics": "What a Coordinator of this handle calls each second with `statistics`, or None.",
        "_declaration": "the record as its user declared it; None when the store's own schema serves",
        "_segment": "the mapped memory",
        "__weakref__": "",
    }
    append: Append
    on_statistics: Callable[[Statistics], None] | None

    def __init__(self, mapped: "Segment", record: Any, callbacks: Callbacks[R]) -> None:
        """Take over a mapped segment; it is closed when this fails. Called by `create` and `attach`."""
        with ExitStack() as undo:
            undo.callback(mapped.close)
            core = mapped.open_core()
            undo.callback(core.close)
            schema = agreed_schema(mapped.name, core.header(), record)
            defaults = tuple(schema.defaults.get(name, ...) for name in schema.names) if schema.defaults else None
            core.set_record_type(schema.record_type, schema.make, schema.values_of, defaults)
            core.set_on_discarded(callbacks.get("on_discarded"))
            core.set_on_capacity_reached(callbacks.get("on_capacity_reached"))
            super().__init__(core, mapped.name, schema)
            undo.pop_all()
        self.append = core.append
        self.on_statistics = callbacks.get("on_statistics")
        self._declaration = record
        self._segment = mapped

    @overload
    @staticmethod
    def of(record: type[S]) -> Builder["EventStore[S]"]: ...
    @overload
    @staticmethod
    def of(record: Any) -> Builder["EventStore[Any]"]: ...
    @staticmethod
    def of(record: Any) -> Builder[Any]:
        """The fluent way to `create` and `open`: `EventStore.of(Order).with_capacity(100_000).create("orders")`."""
        return Builder(record, create, open)

    # -- appending

    def appender(self, *names: str, partition: int | None = None) -> Callable[..., int]:
        """The fastest way to append: a callable that takes the values of these fields, in this order, by position.

        A Timestamp may be left out (now), and a field with a declared default; every other must be named. One that is
        named last may be left out of a call as well. Raises FieldTypeError, InvalidOption; the callable returns and
        raises what `append` does.
        """
        for name in names:
            if isinstance(name, list | tuple):
                raise FieldTypeError(
                    "", f"{shown(name)} is not a field; name one after the other, as appender('a', 'b')"
                )
        return self._core.appender(names, partition)

    def append_many(
        self, records: Iterable[Any] | Mapping[str, Any] | ArrowStream | ArrowArray, *, partition: int | None = None
    ) -> int:
        """Append many records in one call and return how many.

        records: an iterable of what `append` takes as a whole; or columns, as a mapping from field name to a buffer in
        the field's format (a Key: uint32 ids) or a sequence of values, all of one length; or a table of pyarrow,
        polars, pandas, duckdb or any other program that speaks Arrow. Of a structured NumPy array, pass
        `array.tolist()`. All are checked before the first is written.

        A table has a column for each field; a Timestamp's may be left out (now), and that of a field with a declared
        default. Integers may be wider or narrower
        than the field, as long as each value fits; a float field takes integers too; a Timestamp takes timestamps of
        any unit (one without a zone is UTC), dates and int64 ns; Text and Key take text, also dictionary-encoded.

        Raises what `append` does, and nothing is written then, not even a key. A missing value (null, masked, NaT) is a
        FieldError that names field and row. The exception is NaN, which pandas hands over as null from NumPy's floats.
        An Arrow extension type is a FieldTypeError. The index of a pandas frame is passed over when it has no name.
        """
        if isinstance(records, Mapping):
            return self._core.append_columns(records, partition)
        floats = None
        if is_pandas(records):
            records = with_index(records, self._schema.names)
            floats = pandas_floats(records)
        if (capsules := capsules_of(records)) is not None:
            return self._core.append_arrow(capsules, partition, floats)
        return self._core.append_rows(cast(Iterable[Any], records), partition)

    def key(self, text: str) -> int:
        """The number of a key, for good: an append takes it in place of the text. A new key is entered in the table.

        Raises KeyTableFull, FieldError (too long), ReadOnlyStore (not known yet, and this handle cannot enter it).
        """
        return self._core.key(text)

    # -- cleaning

    def clear(self) -> None:
        """Make every record appended so far unreadable, in all processes. Counts and positions go on."""
        self._core.clear()

    def reset(self) -> None:
        """The same as `clear`."""
        self._core.clear()

    def purge(self, older_than: Moment) -> int:
        """Make the oldest records unreadable: in each partition, up to the first that is not older than this.

        It takes what `since` of `snapshot` takes. Returns how many. Raises InvalidOption when this is not a moment, or
        when the records have no Timestamp.
        """
        require_time(self._schema, "purge")
        return self._core.purge(nanoseconds(older_than, "older_than", time.time_ns(), self._oldest_ns))

    # -- lifecycle

    @property
    def read_only(self) -> bool:
        """Whether this handle was attached for reading only."""
        return not self._segment.writable

    @property
    def closed(self) -> bool:
        """Whether `close` was called on this handle."""
        return self._core.closed

    def close(self) -> None:
        """Let go of the store, which stays. Cursors of this handle wake; snapshots remain good. Idempotent."""
        try:
            self._core.close()
        finally:
            self._segment.close()

    def __reduce__(self) -> tuple[Callable[..., "EventStore[Any]"], tuple[Any, ...]]:
        return EventStore._unpickled, (self.name, self.store_id, self._declaration, self.read_only)

    @staticmethod
    @public
    def _unpickled(name: str, store_id: bytes, record: Any, read_only: bool) -> "EventStore[Any]":
        store = attach(name, record, read_only=read_only)
        if store.store_id != store_id:
            store.close()
            raise StoreNotFound(
                f"the store {name!r} that this handle was pickled from (id {store_id.hex()}) is gone; another one has "
                f"its name now (id {store.store_id.hex()}); attach by name if that one is meant"
            )
        return store

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self)} of {self.capacity} records in {self.partitions} partitions"
        return f"<EventStore {self.name!r}: {state}>"


public(Builder, inside=EventStore)
