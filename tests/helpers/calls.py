"""Every public call that takes an argument, with that argument left open, and values that hardly any of them takes."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import shmstore
from shmstore import Column, Coordinator, EventStore, Expression, Key, Record, Schema, Series, Table, Timestamp, field
from shmstore.errors import StoreNotFound

HOUR = timedelta(hours=1)


class Event(Record):
    key: Key
    number: int
    value: float
    at: Timestamp


class Detached:
    """Its repr() raises, as that of an object whose session is gone."""

    def __repr__(self) -> str:
        raise RuntimeError("detached")

    __str__ = __repr__


class Loud(Detached):
    """Whatever is asked of it raises."""

    __hash__ = None  # type: ignore[assignment]

    def _raise(self, *_arguments: object) -> Any:
        raise RuntimeError("loud")

    __index__ = __float__ = __len__ = __iter__ = __eq__ = __lt__ = __bool__ = __getitem__ = _raise


def _series_of(name: str, capacity: Any) -> None:
    """One that exists; that it has another capacity is only told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        shmstore.series(name, capacity=capacity).close()


WRONG: dict[str, Any] = {
    "None": None,
    "text": "a",
    "no text": "",
    "bytes": b"a",
    "float": 1.5,
    "NaN": float("nan"),
    "inf": float("inf"),
    "True": True,
    "list": ["a"],
    "dict": {"a": 1},
    "set": {1},
    "tuple": (),
    "object": object(),
    "type": int,
    "detached": Detached(),
    "loud": Loud(),
    "digits": 10**5000,
    "negative": -1,
    "beyond": 1 << 64,
    "megabyte": "x" * 10**6,
    "complex": 1j,
    "past": timedelta(days=-1),
    "surrogate": "\udc80",
    "function": len,
    "error": ValueError,
    "field": field("number"),
}


@dataclass
class Examples:
    """What the calls are made on; names that they may give to stores of their own begin with `name`."""

    name: str
    store: EventStore[Event]
    series: Series

    def __post_init__(self) -> None:
        self.snapshot = self.store.snapshot()
        self.table = self.store.group_by("key").sum("value")

    def create(self, **options: Any) -> None:
        shmstore.create(f"{self.name}-new", Event, **{"capacity": 10, **options}).close()


@contextmanager
def examples(name: str) -> Iterator[Examples]:
    """A store and a series with two records each; whatever is made under names that begin with `name` is removed."""
    with (
        shmstore.create(name, Event, capacity=10, partitions=2) as store,
        shmstore.series(f"{name}-series", capacity=10, partitions=2) as series,
    ):
        for number, key in enumerate("ab"):
            store.append(key=key, number=number, value=number / 2)
            series.add(key, number / 2)
        try:
            yield Examples(name, store, series)
        finally:
            remove_new(name)


def remove_new(name: str) -> None:
    for path in Path("/dev/shm").glob(f"{name}-new*"):
        with suppress(StoreNotFound):
            shmstore.unlink(path.name)


def not_called(value: object) -> bool:
    """False for a function that is a right argument, and may raise what it likes when it is called."""
    return isinstance(value, Expression) or not callable(value)


def condition(make: Callable[[Any], Any]) -> Callable[[Examples, Any], object]:
    return lambda given, value: given.store.count(where=make(value))


CALLS: dict[str, Callable[[Examples, Any], object]] = {
    **{
        f"create {option}": lambda given, value, option=option: given.create(**{option: value})  # type: ignore[misc]
        for option in (
            *("capacity", "partitions", "layout", "partition_by", "keys", "processes", "mode", "group"),
            *("on_discarded", "on_capacity_reached", "on_statistics"),
        )
    },
    "create name": lambda given, value: shmstore.create(value, Event, capacity=0),
    "create record": lambda given, value: shmstore.create(f"{given.name}-new", value, capacity=10).close(),
    "open name": lambda given, value: shmstore.open(value, Event, capacity=0),
    "open record": lambda given, value: shmstore.open(given.name, value, capacity=10).close(),
    "attach name": lambda given, value: shmstore.attach(value),
    "attach record": lambda given, value: shmstore.attach(given.name, value).close(),
    "attach on_discarded": lambda given, value: shmstore.attach(given.name, on_discarded=value).close(),
    "unlink": lambda given, value: shmstore.unlink(value),
    "Schema.of": lambda given, value: Schema.of(value),
    "Key[]": lambda given, value: Key[value],  # type: ignore[misc]
    "Record": lambda given, value: Event(value),
    "append": lambda given, value: given.store.append(value),
    "append key": lambda given, value: given.store.append(key=value, number=1, value=1.0),
    "append number": lambda given, value: given.store.append(key="a", number=value, value=1.0),
    "append value": lambda given, value: given.store.append(key="a", number=1, value=value),
    "append at": lambda given, value: given.store.append(key="a", number=1, value=1.0, at=value),
    "append partition": lambda given, value: given.store.append(("a", 1, 1.0, None), partition=value),
    "appender names": lambda given, value: given.store.appender(value),
    "appender partition": lambda given, value: given.store.appender("key", "number", "value", partition=value),
    "appender value": lambda given, value: given.store.appender("key", "number", "value")("a", 1, value),
    "append_many": lambda given, value: given.store.append_many(value),
    "append_many record": lambda given, value: given.store.append_many([value]),
    "append_many keys": lambda given, value: given.store.append_many({"key": value, "number": [1], "value": [1.0]}),
    "append_many numbers": lambda given, value: given.store.append_many(
        {"key": ["a"], "number": value, "value": [1.0]}
    ),
    "append_many floats": lambda given, value: given.store.append_many({"key": ["a"], "number": [1], "value": value}),
    "append_many partition": lambda given, value: given.store.append_many([], partition=value),
    "key": lambda given, value: given.store.key(value),
    "purge": lambda given, value: given.store.purge(value),
    "since": lambda given, value: given.store.snapshot(since=value),
    "until": lambda given, value: given.store.count(until=value),
    "where": lambda given, value: not_called(value) and given.store.snapshot(where=value),
    "partition": lambda given, value: given.store.count(partition=value),
    "order": lambda given, value: given.store.snapshot(order=value),
    "query limit": lambda given, value: list(given.store.query(limit=value)),
    "query order": lambda given, value: list(given.store.query(order=value)),
    "==": condition(lambda value: field("number") == value),
    "== of a key": condition(lambda value: field("key") == value),
    ">= of a time": condition(lambda value: field("at") >= value),
    "+": condition(lambda value: field("number") + value > 1),
    "&": condition(lambda value: (field("number") > 0) & value),
    "isin": condition(lambda value: field("number").isin(value)),
    "isin of one": condition(lambda value: field("value").isin([value])),
    "isin of a key": condition(lambda value: field("key").isin([value])),
    "between": condition(lambda value: field("number").between(value, 5)),
    "startswith": condition(lambda value: field("key").startswith(value)),
    "field": condition(lambda value: field(value) > 1),
    "sum": lambda given, value: given.store.sum(value),
    "variance": lambda given, value: given.store.variance("value", value),
    "quantile": lambda given, value: given.store.quantile("value", value),
    "quantiles": lambda given, value: given.store.quantiles("value", value),
    "first": lambda given, value: given.store.first(value),
    "distinct": lambda given, value: given.store.distinct(value),
    "aggregate": lambda given, value: not_called(value) and given.store.aggregate(0, value),
    "group_by": lambda given, value: given.store.group_by(value).count(),
    "group_by sum": lambda given, value: given.store.group_by("key").sum(value),
    "group_by quantile": lambda given, value: given.store.group_by("key").quantile("value", value),
    "windows value": lambda given, value: given.store.windows(value, every=HOUR),
    "windows every": lambda given, value: given.store.windows("value", every=value, since=HOUR),
    "windows period": lambda given, value: given.store.windows("value", every=HOUR, period=value),
    "windows by": lambda given, value: given.store.windows("value", every=HOUR, by=value),
    "cursor": lambda given, value: given.store.cursor(value),
    "cursor partition": lambda given, value: given.store.cursor(partition=value),
    "cursor positions": lambda given, value: given.store.cursor([value]),
    "cursor read": lambda given, value: given.store.cursor().read(value),
    "cursor wait": lambda given, value: given.store.cursor().wait(value),
    "read_at": lambda given, value: given.store.read_at(value),
    "locate": lambda given, value: given.store.locate(value),
    "snapshot values": lambda given, value: given.snapshot.values(value),
    "snapshot where": lambda given, value: not_called(value) and given.snapshot.where(value),
    "snapshot to_csv": lambda given, value: (
        None if isinstance(value, int | str | bytes) else given.snapshot.to_csv(value)
    ),
    "table values": lambda given, value: given.table.values(value),
    "table top": lambda given, value: given.table.top(value),
    "table top by": lambda given, value: given.table.top(1, by=value),
    "Table": lambda given, value: Table(value),
    "Column kind": lambda given, value: Table([Column("a", value, [1])]),
    "Column values": lambda given, value: Table([Column("a", "integer", value)]),
    "schema index": lambda given, value: given.store.schema.index(value),
    "of": lambda given, value: EventStore.of(value).with_capacity(10).create(f"{given.name}-new").close(),
    "with_capacity": lambda given, value: EventStore.of(Event).with_capacity(value).create(f"{given.name}-new").close(),
    "builder": lambda given, value: repr(EventStore.of(value).with_capacity(value)),
    "Coordinator store": lambda given, value: Coordinator(value),
    "Coordinator tick": lambda given, value: Coordinator(given.store, tick=value),
    "Coordinator retention": lambda given, value: Coordinator(given.store, retention=value),
    "Coordinator on_statistics": lambda given, value: Coordinator(given.store, on_statistics=value),
    "series name": lambda given, value: shmstore.series(value, capacity=0),
    "series capacity": lambda given, value: _series_of(f"{given.name}-series", value),
    "series add key": lambda given, value: given.series.add(value, 1.0),
    "series add value": lambda given, value: given.series.add("a", value),
    "series add timestamp": lambda given, value: given.series.add("a", 1.0, value),
    "series add_many keys": lambda given, value: given.series.add_many(value, [1.0]),
    "series add_many values": lambda given, value: given.series.add_many("a", value),
    "series add_many timestamps": lambda given, value: given.series.add_many("a", [1.0], value),
    "series sum key": lambda given, value: given.series.sum(value),
    "series sum since": lambda given, value: given.series.sum(since=value),
    "series latest": lambda given, value: given.series.latest(value),
    "series values limit": lambda given, value: list(given.series.values(limit=value)),
    "series quantile": lambda given, value: given.series.quantile("a", value),
    "series top": lambda given, value: given.series.top(value),
    "series top by": lambda given, value: given.series.top(1, by=value),
    "series purge": lambda given, value: given.series.purge(value),
}
