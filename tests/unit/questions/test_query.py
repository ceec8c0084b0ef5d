"""Queries: records found while they are taken, in either order, as often as one likes, and as tables."""

from collections.abc import Iterator
from datetime import timedelta

import pyarrow as pa
import pytest

import shmstore
from shmstore import EventStore, Key, Record, Text, Timestamp, field
from shmstore.errors import FieldError, FieldTypeError, InvalidOption


class Reading(Record):
    sensor: Key
    note: Text[8]
    value: float
    timestamp: Timestamp


def reading(number: int) -> Reading:
    return Reading(f"s-{number % 2}", "note", number / 2, number)


RECORDS = [reading(number) for number in range(10)]


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    """Ten readings, the even ones of sensor s-0 in partition 0."""
    with shmstore.create(name, Reading, capacity=100, partitions=2) as store:
        store.append_many(RECORDS)
        yield store


def test_it_goes_by_partition_the_oldest_first(store: EventStore[Reading]) -> None:
    assert list(store.query()) == [*RECORDS[::2], *RECORDS[1::2]]
    assert [type(record) for record in store.query()] == [Reading] * 10


def test_the_newest_come_first_by_time(store: EventStore[Reading]) -> None:
    assert list(store.query(order="newest")) == RECORDS[::-1]
    assert list(store.query(order="newest", limit=3, where=field("sensor") == "s-0")) == [
        reading(8),
        reading(6),
        reading(4),
    ]


def test_without_a_timestamp_the_newest_of_each_partition_come_first(name: str) -> None:
    class Plain(Record):
        value: int

    with shmstore.create(name, Plain, capacity=10, partitions=2, partition_by="turn") as store:
        store.append_many([Plain(number) for number in range(6)])
        assert [record.value for record in store.query(order="newest")] == [4, 2, 0, 5, 3, 1]


def test_a_callable_chooses_the_same_records_in_the_same_order(name: str) -> None:
    """Also where the timestamps of a partition do not ascend."""
    times = [5, 9, 1, 7, 3, 8, 2, 6]
    with shmstore.create(name, Reading, capacity=100, partitions=2) as store:
        store.append_many([reading(number)._replace(timestamp=time) for number, time in enumerate(times)])
        by_expression = list(store.query(where=field("timestamp") < 9, order="newest"))
        assert by_expression == list(store.query(where=lambda record: record.timestamp < 9, order="newest"))


@pytest.mark.parametrize("limit", [0, 1, 7, 10, 1000])
def test_a_limit(store: EventStore[Reading], limit: int) -> None:
    in_order = list(store.query())
    assert list(store.query(limit=limit)) == in_order[:limit]
    assert list(store.query(limit=limit).snapshot()) == in_order[:limit]
    assert list(store.query(limit=limit, order="newest")) == RECORDS[::-1][:limit]
    assert list(store.query(limit=limit, order="newest").snapshot()) == RECORDS[::-1][:limit]


def test_it_says_what_it_is_without_asking(store: EventStore[Reading]) -> None:
    assert repr(store.query()) == "<Query of records in the order 'partition': loop over it, or take its snapshot()>"
    few = store.query(order="newest", limit=2)
    store.close()
    assert repr(few) == "<Query of records in the order 'newest', at most 2: loop over it, or take its snapshot()>"


def test_it_is_lazy_and_keeps_to_what_was_there(store: EventStore[Reading]) -> None:
    looked_at: list[Reading] = []

    def where(record: Reading) -> bool:
        looked_at.append(record)
        return record.value > 2.5

    query = store.query(where=where)
    found = iter(query)
    assert looked_at == []
    assert next(found) == reading(6)
    assert len(looked_at) == 4
    store.append(reading(99))
    assert [record.timestamp for record in found] == [8, 7, 9]
    assert len(list(query)) == 5  # each iteration asks anew
    found = iter(query)
    assert next(found) == reading(6)
    store.clear()  # what was not looked at yet is gone
    assert [record.timestamp for record in found] == [8]


def test_a_few_of_many_cost_little(name: str) -> None:
    with shmstore.create(name, Reading, capacity=50_000, partitions=1) as store:
        store.append_many([reading(number) for number in range(50_000)])
        looked_at: list[Reading] = []
        newest = store.query(where=lambda record: not looked_at.append(record), order="newest", limit=2)
        assert list(newest) == [reading(49_999), reading(49_998)]
        assert len(looked_at) == 2


def test_two_iterations_do_not_meet(store: EventStore[Reading]) -> None:
    query = store.query(partition=0)
    assert [(a, b) for a in query for b in query] == [(a, b) for a in RECORDS[::2] for b in RECORDS[::2]]


def test_a_window_moves_on_with_the_clock(store: EventStore[Reading]) -> None:
    query = store.query(since=timedelta(minutes=1))
    assert list(query) == []
    store.append(sensor="s-0", note="now", value=1.0)
    assert [record.note for record in query] == ["now"]


def test_it_is_a_table(store: EventStore[Reading]) -> None:
    query = store.query(where=field("value") >= 4, order="newest")
    assert query["value"].tolist() == [4.5, 4.0]
    assert query.to_dicts() == [reading(9)._asdict(), reading(8)._asdict()]
    assert pa.table(query).column("timestamp").cast(pa.int64()).to_pylist() == [9, 8]


def test_a_mistake_is_told_at_once_not_at_the_first_record(store: EventStore[Reading]) -> None:
    with pytest.raises(InvalidOption, match=r"since \(5\)"):
        store.query(since=5, until=3)
    with pytest.raises(InvalidOption, match="partition is 5"):
        store.query(partition=5)
    with pytest.raises(FieldError, match="colour"):
        store.query(where=field("colour") == "red")
    with pytest.raises(FieldTypeError, match="'value'"):
        store.query(where=field("value") == "red")
    with pytest.raises(InvalidOption, match=r"where is 'value > 3' \(str\)"):
        store.query(where="value > 3")


@pytest.mark.parametrize("limit", [-1, 1.0, True, "3"])
def test_a_limit_that_is_none(store: EventStore[Reading], limit: object) -> None:
    with pytest.raises(InvalidOption, match=f"limit is {limit!r}"):
        store.query(limit=limit)


def test_an_order_that_is_none(store: EventStore[Reading]) -> None:
    with pytest.raises(InvalidOption, match="order is 'time'"):
        store.query(order="time")
    with pytest.raises(InvalidOption, match="order is 'newest'"):
        store.snapshot(order="newest")
