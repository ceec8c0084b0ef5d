"""What a strict type checker knows of stores: records keep their class from `create` to the last loop over them.

Every `type: ignore` here is a mistake that must be found: mypy --strict reports an ignore that has nothing to ignore.
"""

from datetime import timedelta
from typing import Any, assert_type

import shmstore
from shmstore import Cursor, EventStore, Expression, Key, Query, Record, Snapshot, Timestamp, field
from shmstore.events.builder import Builder


class Order(Record):
    gateway: Key
    value: float
    timestamp: Timestamp


def make(dtype: Any) -> None:
    assert_type(shmstore.create("orders", Order, capacity=10, layout="columns"), EventStore[Order])
    assert_type(shmstore.open("orders", Order, capacity=10, mode=0o660), EventStore[Order])
    assert_type(shmstore.attach("orders", Order, read_only=True), EventStore[Order])
    assert_type(shmstore.attach("orders"), EventStore[Any])
    assert_type(shmstore.create("orders", dtype, capacity=10), EventStore[Any])
    assert_type(EventStore.of(Order).with_capacity(10), Builder[EventStore[Order]])
    assert_type(EventStore.of(Order).with_capacity(10).create("orders"), EventStore[Order])


def use(store: EventStore[Order]) -> None:
    assert_type(store.append(gateway="a", value=1.0), int)
    assert_type(store.append(Order("a", 1.0, 0), partition=1), int)
    assert_type(store.read_at(5), Order | None)
    assert_type(store.statistics.appends_per_second, float | None)
    assert_type(store.aggregate(0.0, lambda total, order: total + order.value), float)


def look(store: EventStore[Order]) -> None:
    snapshot = store.snapshot(since=timedelta(minutes=1), until="10s", where=lambda order: order.value > 1)
    assert_type(snapshot, Snapshot[Order])
    assert_type(snapshot[0], Order)
    assert_type(snapshot[1:], Snapshot[Order])
    assert_type(snapshot["value"], memoryview)
    assert_type([order.gateway for order in snapshot], list[str])
    assert_type(store.query(partition=0), Query[Order])
    assert_type([order.value for order in store.query(limit=5)], list[float])
    assert_type(store.mean("value", until=timedelta(0)), float | None)


def express(snapshot: Snapshot[Order]) -> None:
    assert_type(field("value") == 1, Expression)
    assert_type(2 * -field("value") // 3 > 1.5, Expression)
    assert_type((field("gateway") != "a") & field("gateway").startswith("b") | ~field("paid"), Expression)
    assert_type(field("value").between(1, field("other")) & field("gateway").isin({"a", "b"}), Expression)
    assert_type(snapshot.where(field("value") > 1), Snapshot[Order])
    assert_type(snapshot.where(lambda order: order.value > 1), Snapshot[Order])


async def follow(store: EventStore[Order]) -> None:
    cursor = store.cursor("latest")
    assert_type(cursor, Cursor[Order])
    assert_type(cursor.read(10), list[Order])
    assert_type([order.value for order in cursor], list[float])
    assert_type([order.value async for order in cursor], list[float])
    store.cursor(start=cursor.positions)
    store.cursor(start=timedelta(hours=1))
    store.cursor(start="1h")


def mistakes(store: EventStore[Order]) -> None:
    shmstore.create("orders", Order)  # type: ignore[call-overload]
    shmstore.create("orders", Order, capacity=10, layout="diagonal")  # type: ignore[call-overload]
    store.count(wher=len)  # type: ignore[call-arg]
    store.snapshot(order="value")  # type: ignore[arg-type]
    store.query(where=lambda order: order.colour)  # type: ignore[attr-defined]
    store.cursor(1.5)  # type: ignore[arg-type]
    store.name = "other"  # type: ignore[misc]
    field("value") + "a"  # type: ignore[operator]
    (field("value") > 1) & True  # type: ignore[operator]
    field("value").startswith(5)  # type: ignore[arg-type]
