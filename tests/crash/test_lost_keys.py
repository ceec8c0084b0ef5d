"""Keys and records that somebody's death or standing still left half done cost themselves, and nothing beside."""

import signal
import struct
from array import array
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import shmstore
from shmstore import EventStore, FieldError, Key, Record, Timestamp
from tests.helpers.points import points
from tests.helpers.processes import Child

HOUR_NS = 3600 * 10**9
KEYS = 8

pytestmark = pytest.mark.usefixtures("built")


@pytest.fixture(scope="module")
def built() -> None:
    """Children that are forked find the core with points built."""
    points()


class Order(Record):
    """A record with a key."""

    key: Key
    number: int


class Reading(Record):
    """A record with a time."""

    number: int
    time: Timestamp


@pytest.fixture
def orders(name: str, built: None) -> Iterator[EventStore[Order]]:
    """Five records of the key "good", whose id is 1: id 0 is of a cell that a death has lost."""
    with shmstore.create(name, Order, capacity=64, partitions=1, layout="rows") as store:

        def die() -> None:
            handle = points().attach(name)
            points().arm("key reserved")
            handle.key("lost")

        assert Child(die).wait() == -signal.SIGKILL
        assert store.key("good") == 1
        for number in range(5):
            store.append(key="good", number=number)
        yield store
        shmstore.unlink(name)


def batches() -> list[Any]:
    """The id of the lost cell among others, in each way that takes ids."""
    return [
        {"key": array("I", [1, 0]), "number": array("q", [7, 8])},
        {"key": [1, 0], "number": [7, 8]},
        [(1, 7), (0, 8)],
    ]


def test_an_id_without_text_is_refused(orders: EventStore[Order]) -> None:
    before = len(orders)
    with pytest.raises(FieldError, match="0 is not a key id"):
        orders.append(key=0, number=99)
    with pytest.raises(FieldError, match="0 is not a key id"):
        orders.appender("key", "number")(0, 99)
    for batch in batches():
        with pytest.raises(FieldError, match="record 1: 0 is not a key id"):
            orders.append_many(batch)
    assert len(orders) == before
    assert orders.check() == []


def spoil(store: EventStore[Order], row: int, key_id: int) -> None:
    """Write another id into the record of a slot."""
    first = next(first for region, first, _ in store._core.plan().regions if region == "slots")
    struct.pack_into("I", store._segment.buffer, first + row * (8 + store._core.plan().record_bytes) + 8, key_id)


@pytest.mark.parametrize("key_id", [0, 5, 2**32 - 1])
def test_a_record_that_names_no_key_costs_itself(orders: EventStore[Order], key_id: int) -> None:
    spoil(orders, 2, key_id)
    keys = ["good", "good", None, "good", "good"]
    cursor = orders.cursor("oldest")
    assert [(record.key, record.number) for record in cursor.read()] == list(zip(keys, range(5), strict=True))
    assert cursor.lost == 0
    snapshot = orders.snapshot()
    assert [record.key for record in snapshot] == keys
    assert pa.table(snapshot)["key"].to_pylist() == keys
    assert pl.DataFrame(snapshot)["key"].to_list() == keys
    assert f"names key id {key_id}, which has no text" in " ".join(orders.check())
    assert len(orders.check()) == 1


def test_a_group_of_a_lost_key_is_none(orders: EventStore[Order]) -> None:
    spoil(orders, 2, 0)
    assert dict(orders.group_by("key").count()) == {"good": 4, None: 1}


def test_cells_that_orderly_processes_reserved_are_used_again(name: str) -> None:
    with shmstore.create(name, Order, capacity=64, partitions=1, keys=KEYS, processes=4) as store:
        for number in range(KEYS):

            def interns(key: str = f"key {number}") -> None:
                handle = points().attach(name)
                points().arm("key written", number=signal.SIGSTOP)
                handle.key(key)
                handle.close()

            losers = [Child(interns) for _ in range(3)]
            assert all(loser.has_stopped() for loser in losers)
            store.key(f"key {number}")
            for loser in losers:
                loser.send(signal.SIGCONT)
                assert loser.wait() == 0
        assert sorted(filter(None, store._core.keys())) == [f"key {number}" for number in range(KEYS)]
        assert store.check() == []
        shmstore.unlink(name)


def test_who_stands_still_holds_up_no_purge(name: str) -> None:
    with shmstore.create(name, Reading, capacity=64, partitions=1, partition_by="explicit") as store:
        old = store._core.header().created_ns - HOUR_NS

        def stand_still() -> None:
            handle = points().attach(name)
            points().arm("payload written", number=signal.SIGSTOP)
            handle.append((10, old), partition=0)

        for number in range(10):
            store.append((number, old), partition=0)
        with Child(stand_still) as still:
            assert still.has_stopped()
            for number in range(11, 20):
                store.append((number, old), partition=0)
            store.append((20, None), partition=0)
            assert store.purge(older_than=timedelta(minutes=10)) == 20
            assert [record.number for record in store.snapshot()] == [20]
            with Child(stand_still) as newest:  # nothing older lies behind it
                assert newest.has_stopped()
                assert store.purge(older_than=timedelta(0)) == 1
        assert len(store) == 0
        assert store.check() == []
        shmstore.unlink(name)
