"""Series: the most common store, numbers by key and time, with each question in one short call."""

from collections.abc import Callable, Sequence, Sized
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal, Protocol, get_args

from shmstore.arguments.calls import checked, checked_calls
from shmstore.arguments.checks import refused
from shmstore.arguments.closing import Closing
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption, ReadOnlyStore
from shmstore.events import store as stores
from shmstore.events.options import Callbacks, Layout, Rule
from shmstore.events.statistics import Statistics
from shmstore.events.store import EventStore
from shmstore.expressions.expression import field
from shmstore.public import public
from shmstore.questions.aggregates import Number, Summary
from shmstore.questions.groups import GroupBy
from shmstore.questions.query import Order, Query
from shmstore.questions.snapshot import Snapshot
from shmstore.reading.selection import Moment, Selection
from shmstore.records.fields import Key, Timestamp
from shmstore.records.record import Record
from shmstore.tables.table import Table

When = Moment | None
Measure = Literal["sum", "mean", "count", "min", "max", "variance", "stddev", "first", "last"]


class Point(Record):
    """What a series holds."""

    key: Key
    value: float
    timestamp: Timestamp


_USUAL = {"keys": 4096, "processes": 256, "mode": 0o600}


@public
@checked
def series(
    name: str,
    capacity: int | None = None,
    *,
    partitions: int | None = None,
    layout: Layout | None = None,
    partition_by: Rule = "key",
    keys: int = 4096,
    processes: int = 256,
    mode: int = 0o600,
    group: int | str | None = None,
    read_only: bool = False,
    on_discarded: Callable[[Point], None] | None = None,
    on_capacity_reached: Callable[[], None] | None = None,
    on_statistics: Callable[[Statistics], None] | None = None,
) -> "Series":
    """Attach to a series, or make it when there is none; any number of processes may do this at once.

    The options are those of `shmstore.create`. A series that exists keeps its own. Without a capacity it must exist,
    and may be attached `read_only`.

    Raises InvalidOption (read_only with a capacity), SchemaMismatch (the store of this name is not a series),
    StoreNotFound (there is none, and no capacity to make it with), and what `open` and `attach` raise.
    """
    callbacks: Callbacks[Point] = {
        "on_discarded": on_discarded,
        "on_capacity_reached": on_capacity_reached,
        "on_statistics": on_statistics,
    }
    if capacity is None:
        return Series(stores.attach(name, Point, read_only=read_only, **callbacks))
    if read_only:
        raise InvalidOption(
            f"capacity is {shown(capacity)} and read_only is {shown(read_only)}: whoever only reads does not make "
            "a series; leave one out"
        )
    # Only what is said is compared with what a series is that exists.
    given = {"keys": keys, "processes": processes, "mode": mode}
    said: Any = {name: value for name, value in given.items() if value != _USUAL[name]}
    store = stores.open(
        name,
        Point,
        capacity=capacity,
        partitions=partitions,
        layout=layout,
        partition_by=partition_by,
        group=group,
        **said,
        **callbacks,
    )
    return Series(store)


class Add(Protocol):
    """The type of `Series.add`."""

    def __call__(self, key: str, value: float, timestamp: datetime | int | None = None, /) -> int:
        """Add one value of a key and return its position."""


@public
@checked_calls()
class Series(Closing):
    """Numbers by key and time, shared by many processes; made by `series`.

    Each question is about one key, or about all when it is left out or None. A key that was never added answers as if
    there were no records, and asking does not make it known. `since` and `until` bound the time: since <= timestamp <
    until, each a timedelta (that long ago), a text such as "10m" (that long ago) or "2025-03-05T10:20:00Z", an aware
    datetime, or an int (ns since the Unix epoch).

    What an answer means, and what is raised, is said at the method of the same name of EventStore. `store` is the one
    behind, and answers all else about the records, which are (key, value, timestamp). Use a series in a `with` block
    or `close` it. It can be pickled: the other side attaches by name.
    """

    __slots__ = {
        "add": """add(key, value, timestamp=None, /) -> position

        Add one value of a key, now or at an aware datetime or ns since the Unix epoch. The newest values are kept, as
        many as the capacity. Raises what `EventStore.append` does.""",
        "store": "The EventStore of the records.",
    }
    add: Add
    store: EventStore[Point]

    def __init__(self, store: EventStore[Point]) -> None:
        """Take over a store of such records."""
        if not isinstance(store, EventStore):
            raise refused("store", store, "an EventStore; shmstore.series(name) makes a series by its name")
        self.store = store
        self.add = _adder(store)

    def add_many(self, keys: Sized, values: Sized, timestamps: Sized | None = None) -> int:
        """Add many values in one call and return how many; all are checked before the first is added.

        keys        one text for all, or a sequence with one for each
        values      a sequence, or a buffer of doubles
        timestamps  a sequence, or a buffer of int64 ns since the Unix epoch; all are now when left out
        """
        try:
            rows = len(values)
        except Exception as error:  # of another library's
            raise refused("values", values, "a sequence, or a buffer of doubles") from error
        columns = {"key": [keys] * rows if isinstance(keys, str) else keys, "value": values}
        if timestamps is not None:
            columns["timestamp"] = timestamps
        return self.store.append_many(columns)

    # -- what there is

    def keys(self) -> list[str]:
        """Every key that was ever added. Where a process died while it added one, it is ''."""
        return self.store.keys()

    def values(
        self,
        key: str | None = None,
        *,
        since: When = None,
        until: When = None,
        limit: int | None = None,
        order: Order = "partition",
    ) -> Query[Point]:
        """The records, found as they are taken: oldest first for each key, or order="newest"; at most `limit`."""
        return self.store.query(**_about(key, since, until), limit=limit, order=order)

    def snapshot(
        self,
        key: str | None = None,
        *,
        since: When = None,
        until: When = None,
        order: Literal["partition", "time"] = "partition",
    ) -> Snapshot[Point]:
        """A private copy of the records."""
        return self.store.snapshot(**_about(key, since, until), order=order)

    def latest(self, key: str, *, since: When = None, until: When = None) -> Point | None:
        """The record of a key that was added last, as (key, value, timestamp); None when it has no record.

        It is looked for from the newest end, and so found at once where the key is in use. Where a key has records in
        several partitions, it is the one with the latest timestamp among the last of each.
        """
        return next(iter(self.values(key, since=since, until=until, limit=1, order="newest")), None)

    def __len__(self) -> int:
        """How many records are readable now (best-effort)."""
        return len(self.store)

    def __bool__(self) -> bool:
        """True, even when it is empty: `if series` asks whether there is a series."""
        return True

    # -- what it comes to

    def count(self, key: str | None = None, *, since: When = None, until: When = None) -> int:
        """How many records there are."""
        return self.store.count(**_about(key, since, until))

    def sum(self, key: str | None = None, *, since: When = None, until: When = None) -> Number:
        """The sum of the values; 0 when there are none."""
        return self.store.sum("value", **_about(key, since, until))

    def mean(self, key: str | None = None, *, since: When = None, until: When = None) -> float | None:
        """The average value; None when there are no values."""
        return self.store.mean("value", **_about(key, since, until))

    def min(self, key: str | None = None, *, since: When = None, until: When = None) -> Number | None:
        """The least value, NaN aside; None when there are no values."""
        return self.store.min("value", **_about(key, since, until))

    def max(self, key: str | None = None, *, since: When = None, until: When = None) -> Number | None:
        """The greatest value, NaN aside; None when there are no values."""
        return self.store.max("value", **_about(key, since, until))

    def variance(
        self, key: str | None = None, ddof: int = 1, *, since: When = None, until: When = None
    ) -> float | None:
        """The variance of the values: of a sample, or of a whole population (`ddof=0`). None of too few."""
        return self.store.variance("value", ddof, **_about(key, since, until))

    def stddev(self, key: str | None = None, ddof: int = 1, *, since: When = None, until: When = None) -> float | None:
        """The standard deviation of the values: the root of their `variance`."""
        return self.store.stddev("value", ddof, **_about(key, since, until))

    def quantile(self, key: str | None, q: float, *, since: When = None, until: When = None) -> Number | None:
        """The value below which a part `q` (0 to 1) of all values lies; 0.5 is the median. None without values."""
        return self.store.quantile("value", q, **_about(key, since, until))

    def quantiles(
        self, key: str | None, wanted: Sequence[float], *, since: When = None, until: When = None
    ) -> list[Number | None]:
        """Several quantiles together, at hardly more than the cost of one."""
        return self.store.quantiles("value", wanted, **_about(key, since, until))

    def summary(self, key: str | None = None, *, since: When = None, until: When = None) -> Summary:
        """The count, sum, mean, min and max of the values, in one pass."""
        return self.store.summary("value", **_about(key, since, until))

    def first(self, key: str | None = None, *, since: When = None, until: When = None) -> float | None:
        """The value with the earliest timestamp; None when there are no values."""
        value: float | None = self.store.first("value", **_about(key, since, until))
        return value

    def last(self, key: str | None = None, *, since: When = None, until: When = None) -> float | None:
        """The value with the latest timestamp; None when there are no values."""
        value: float | None = self.store.last("value", **_about(key, since, until))
        return value

    # -- by key, and over time

    def group(self, *, since: When = None, until: When = None) -> GroupBy:
        """Ask about each key: `series.group().summary("value")` is a table with a row for each."""
        return self.store.group_by("key", since=since, until=until)

    def top(self, k: int, by: Measure = "sum", *, since: When = None, until: When = None) -> Table:
        """The k keys with the greatest sums, or what `by` says, the greatest first: columns `key` and `by`."""
        return self._measured(by, since, until).top(k)

    def bottom(self, k: int, by: Measure = "sum", *, since: When = None, until: When = None) -> Table:
        """The k keys with the least sums, or what `by` says, the least first."""
        return self._measured(by, since, until).bottom(k)

    def windows(
        self,
        key: str | None = None,
        *,
        every: timedelta | int | str,
        period: timedelta | int | str | None = None,
        zone: tzinfo | str | None = None,
        since: When = None,
        until: When = None,
    ) -> Table:
        """The count, sum, mean, min and max of the values in each window of time, as of `EventStore.windows`."""
        return self.store.windows("value", every=every, period=period, zone=zone, **_about(key, since, until))

    def _measured(self, by: Measure, since: When, until: When) -> Table:
        if not isinstance(by, str) or by not in get_args(Measure):
            raise refused("by", by, f"one of {', '.join(map(repr, get_args(Measure)))}")
        group = self.group(since=since, until=until)
        table: Table = group.count() if by == "count" else getattr(group, by)("value")
        return table

    # -- the rest of its life

    @property
    def name(self) -> str:
        """The name of the store."""
        return self.store.name

    @property
    def capacity(self) -> int:
        """How many records are kept."""
        return self.store.capacity

    @property
    def statistics(self) -> Statistics:
        """What was added, discarded and lost so far, and how fast it comes."""
        return self.store.statistics

    def clear(self) -> None:
        """Make every record added so far unreadable, in all processes. The keys stay known."""
        self.store.clear()

    def purge(self, older_than: Moment) -> int:
        """Make the oldest records unreadable, up to the first of each partition that is not older. Returns how many."""
        return self.store.purge(older_than)

    @property
    def closed(self) -> bool:
        """Whether `close` was called on this handle."""
        return self.store.closed

    def close(self) -> None:
        """Let go of the store, which stays. Idempotent."""
        self.store.close()

    def __reduce__(self) -> tuple[type["Series"], tuple[EventStore[Point]]]:
        return Series, (self.store,)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self)} of {self.capacity} values of {len(self.keys())} keys"
        return f"<Series {self.name!r}: {state}>"


public(Point, inside=Series)


def _about(key: str | None, since: When, until: When) -> Selection[Point]:
    """Which records a question is about."""
    return {"where": None if key is None else field("key") == key, "since": since, "until": until}


def _adder(store: EventStore[Point]) -> Add:
    """The quickest way to append to a store of this handle; one attached for reading only says so when it is used."""
    try:
        return store.appender("key", "value", "timestamp")
    except ReadOnlyStore:
        return lambda key, value, timestamp=None, /: store.append(key=key, value=value, timestamp=timestamp)
