"""The fluent builder: it passes on what was said, to `create` and to `open`, and is never changed by a step."""

import pytest

import shmstore
from shmstore import EventStore, Key, Record
from shmstore.errors import InvalidCapacity, StoreExists
from shmstore.events.builder import Builder


class Order(Record):
    gateway: Key
    value: float


def test_every_step_reaches_create() -> None:
    def create(name: str, record: object, **options: object) -> tuple[object, ...]:
        return name, record, options

    steps = (
        Builder(Order, create, create)
        .with_capacity(100)
        .with_partitions(8)
        .with_layout("columns")
        .partition_by("turn")
        .with_keys(10)
        .on_discarded(print)
        .on_capacity_reached(repr)
        .on_statistics(str)
    )
    expected = {
        "capacity": 100,
        "partitions": 8,
        "layout": "columns",
        "partition_by": "turn",
        "keys": 10,
        "on_discarded": print,
        "on_capacity_reached": repr,
        "on_statistics": str,
    }
    assert steps.create("orders") == steps.open("orders") == ("orders", Order, expected)


def test_it_makes_a_store(name: str) -> None:
    gone: list[Order] = []
    half_done = EventStore.of(Order).with_capacity(4).with_partitions(2)
    with half_done.on_discarded(gone.append).create(name) as store:
        assert (store.capacity, store.partitions) == (4, 2)
        store.append_many([Order("a", float(number)) for number in range(3)])
        assert gone == [Order("a", 0.0)]
        with pytest.raises(StoreExists):
            half_done.create(name)
        with half_done.open(name) as other:
            assert other.store_id == store.store_id


def test_a_step_leaves_the_builder_before_it_as_it_was(name: str) -> None:
    small = EventStore.of(Order).with_capacity(2).with_partitions(1)
    small.with_capacity(200)
    with small.create(name) as store:
        assert store.capacity == 2


def test_without_a_capacity_it_says_what_is_missing(name: str) -> None:
    for make in (EventStore.of(Order).create, EventStore.of(Order).open):
        with pytest.raises(InvalidCapacity, match="with_capacity"):
            make(name)
    assert name not in shmstore.list_stores()


def test_repr_tells_the_options_so_far() -> None:
    builder = EventStore.of(Order)
    assert "no options yet" in repr(builder)
    assert "capacity=5" in repr(builder.with_capacity(5))
