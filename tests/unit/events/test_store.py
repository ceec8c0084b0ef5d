"""The event store in one process: making, attaching, appending, cleaning, state, callbacks, and doing it wrong."""

import gc
import grp
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import sysconfig
import threading
import time
import weakref
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

import shmstore
from shmstore import EventStore, Key, Record, Text, Timestamp, _core
from shmstore.errors import (
    FieldError,
    FieldTypeError,
    InvalidCapacity,
    InvalidOption,
    KeyTableFull,
    ReadOnlyStore,
    SchemaMismatch,
    ShmStoreError,
    StoreClosed,
    StoreExists,
    StoreNotFound,
    StoreUnlinked,
)
from shmstore.events.options import Layout
from shmstore.events.series import Point
from shmstore.segments import segment

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


class Order(Record):
    gateway: Key
    id: Text[10]
    value: float
    timestamp: Timestamp


class Reading(Record):
    sensor: int
    value: float


@dataclass
class DataReading:
    sensor: int
    value: float


class TupleReading(NamedTuple):
    sensor: int
    value: float


@pytest.fixture
def orders(name: str) -> Iterator[EventStore[Order]]:
    with shmstore.create(name, Order, capacity=8, partitions=2) as store:
        yield store


@pytest.fixture
def readings(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=8, partitions=2, partition_by="turn") as store:
        yield store


def reading(number: int) -> Reading:
    return Reading(number, number / 2)


# -- making and attaching


def test_what_create_made_another_handle_sees(orders: EventStore[Order]) -> None:
    orders.append(gateway="gw-1", id="o-1", value=12.5, timestamp=7)
    with shmstore.attach(orders.name, Order) as other:
        assert list(other.snapshot()) == [Order("gw-1", "o-1", 12.5, 7)]
        assert other.store_id == orders.store_id
        assert (other.capacity, other.partitions, other.schema) == (8, 2, orders.schema)


def test_without_a_record_the_schema_comes_with_the_segment(orders: EventStore[Order]) -> None:
    orders.append(gateway="gw-1", id="o-1", value=12.5, timestamp=7)
    with shmstore.attach(orders.name) as other:
        (record,) = other.snapshot()
        assert isinstance(record, Record)
        assert (record.gateway, record.id, record.value, record.timestamp) == ("gw-1", "o-1", 12.5, 7)


def test_create_refuses_a_name_that_is_taken(orders: EventStore[Order]) -> None:
    with pytest.raises(StoreExists, match=orders.name):
        shmstore.create(orders.name, Order, capacity=8)


def test_attach_refuses_a_name_that_is_free(name: str) -> None:
    with pytest.raises(StoreNotFound, match=name):
        shmstore.attach(name)


def test_another_schema_is_refused_showing_both_sides(orders: EventStore[Order]) -> None:
    for get in (
        lambda: shmstore.attach(orders.name, Reading),
        lambda: shmstore.open(orders.name, Reading, capacity=8),
    ):
        with pytest.raises(SchemaMismatch) as refused:
            get()
        assert "gateway" in str(refused.value) and "sensor" in str(refused.value)


def test_a_refused_attach_leaves_the_segment_and_no_descriptor(orders: EventStore[Order]) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(SchemaMismatch):
            shmstore.attach(orders.name, Reading)
    assert len(os.listdir("/proc/self/fd")) == open_before
    assert orders.name in shmstore.list_stores()


def test_open_creates_then_attaches(name: str) -> None:
    with shmstore.open(name, Reading, capacity=8) as first, shmstore.open(name, Reading, capacity=8) as second:
        assert first.store_id == second.store_id


OTHER_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"capacity": 99}, "capacity is 8, not 99"),
    ({"capacity": 8, "partitions": 4}, "partitions is 2, not 4"),
    ({"capacity": 8, "layout": "rows"}, "layout is 'columns', not 'rows'"),
    ({"capacity": 8, "partition_by": "process"}, "partition_by is 'turn', not 'process'"),
    ({"capacity": 9, "keys": 7, "processes": 9}, "capacity is 8, not 9; keys is 1, not 7; processes is 4, not 9"),
]


@pytest.mark.parametrize(("options", "said"), OTHER_OPTIONS)
def test_open_says_where_a_store_that_exists_differs_from_what_is_asked(
    name: str, options: dict[str, Any], said: str
) -> None:
    made = {"capacity": 8, "partitions": 2, "layout": "columns", "partition_by": "turn", "keys": 1, "processes": 4}
    with shmstore.create(name, Reading, **made):  # type: ignore[arg-type]
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(InvalidOption, match=f"{said}.*; .*rm {name}"):
            shmstore.open(name, Reading, strict=True, **options)
        assert len(os.listdir("/proc/self/fd")) == before
        with pytest.warns(UserWarning, match=said), shmstore.open(name, Reading, **options) as second:
            assert second.capacity == 8, "a store that exists keeps its options"
        shmstore.open(name, Reading, capacity=7, strict=True).close()  # as much, rounded up; the rest is not said
        with pytest.raises(InvalidOption):
            shmstore.open(name, Reading, capacity="8")  # type: ignore[arg-type]


def test_a_warning_of_open_is_given_at_the_line_that_called_the_package(name: str) -> None:
    with shmstore.series(name, capacity=8, partitions=1):
        for call in (
            lambda: shmstore.open(name, Point, capacity=9),
            lambda: EventStore.of(Point).with_capacity(9).open(name),
            lambda: shmstore.series(name, capacity=9),
        ):
            with pytest.warns(UserWarning, match="capacity is 8, not 9") as given:
                call().close()
            assert [(warning.filename, warning.lineno) for warning in given] == [
                (__file__, call.__code__.co_firstlineno)
            ]


def test_open_says_whom_a_store_that_exists_lets_in(name: str) -> None:
    other = next(group for group in grp.getgrall() if group.gr_gid != os.getegid())
    with shmstore.create(name, Reading, capacity=8, mode=0o640) as store:
        shmstore.open(name, Reading, capacity=8, mode=0o640, group=os.getegid(), strict=True).close()
        shmstore.open(name, Reading, capacity=8, strict=True).close()  # nothing is said
        said = rf"mode is 0o640, not 0o666; group is '{grp.getgrgid(os.getegid()).gr_name}', not '{other.gr_name}'"
        with pytest.raises(InvalidOption, match=said):
            shmstore.open(name, Reading, capacity=8, mode=0o666, group=other.gr_name, strict=True)
        with pytest.warns(UserWarning, match="mode is 0o640, not 0o600; ask for what it has"):
            shmstore.open(name, Reading, capacity=8, mode=0o600).close()
        for wrong in ({"mode": 0o1000}, {"mode": "rw"}, {"group": "no such group"}):
            with pytest.raises(InvalidOption, match=f"{next(iter(wrong))} is "):
                shmstore.open(name, Reading, capacity=8, **wrong)  # type: ignore[arg-type]
        os.chmod(f"/dev/shm/{name}", 0o660)
        shmstore.open(name, Reading, capacity=8, mode=0o660, strict=True).close()
        os.rename(f"/dev/shm/{name}", f"/dev/shm/{name}-moved")
        assert segment.access_differences(store.name, mode=0o600) == []
        os.rename(f"/dev/shm/{name}-moved", f"/dev/shm/{name}")


def test_a_series_that_exists_is_compared_with_what_is_said_of_its_mode(name: str) -> None:
    with shmstore.series(name, capacity=8, partitions=1, mode=0o660):
        shmstore.series(name, capacity=8).close()
        with pytest.warns(UserWarning, match="mode is 0o660, not 0o666"):
            shmstore.series(name, capacity=8, mode=0o666).close()


def test_a_changed_record_is_told_line_by_line(name: str) -> None:
    shmstore.create(name, [("value", 10, 0), ("size", 1, 0)], capacity=8).close()
    with pytest.raises(SchemaMismatch, match=rf"\n  value .*\n- size .*\n\+ size .*\n.*{name}-2.*rm {name}"):
        shmstore.attach(name, [("value", 10, 0), ("size", 2, 0)])
    with pytest.raises(SchemaMismatch, match=r"\n  value .*\n- size .*\n\+ a_longer_name .*\n.*-2"):
        shmstore.attach(name, [("value", 10, 0), ("a_longer_name", 13, 40)])


def test_what_is_kept_is_told_in_numbers(name: str) -> None:
    """Two keys in eight partitions: of the newest, what their partitions have room for."""
    with shmstore.create(name, Order, capacity=80, partitions=8) as store:
        assert store.complete_since is None and store.statistics.newest_kept == 0
        for number in range(1, 11):
            store.append(gateway="a", id="", value=0.0, timestamp=number * 1000)
        assert store.complete_since is None and store.statistics.newest_kept == 10
        assert store.snapshot(since=0).complete
        for number in range(11, 101):
            store.append(gateway="a", id="", value=0.0, timestamp=number * 1000)
        statistics = store.statistics
        assert statistics.newest_kept == 10 and not store.is_full
        assert (statistics.fullest.length, statistics.emptiest.length) == (10, 0)
        assert store.complete_since == datetime.fromtimestamp(91e-6, UTC)
        assert not store.snapshot(since=90_999).complete and store.snapshot(since=91_000).complete
        assert not store.snapshot(since=90_999)[:1].complete, "nor is a part of it"
        empty = statistics.emptiest.partition
        assert store.snapshot(since=0, partition=empty).complete, "this one has discarded nothing"
        store.clear()
        assert store.complete_since is not None and store.complete_since > datetime.now(UTC) - timedelta(minutes=1)
    with shmstore.create(f"{name}-2", [("value", 10, 0)], capacity=4, partitions=1) as timeless:
        timeless.append_many([(1.0,)] * 9)
        assert timeless.complete_since is None and timeless.statistics.newest_kept == 4


def test_open_from_many_threads_gives_one_store(name: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        stores = list(threads.map(lambda _: shmstore.open(name, Reading, capacity=8), range(32)))
    assert len({store.store_id for store in stores}) == 1
    for store in stores:
        store.close()


def test_open_gives_up_on_a_name_that_is_neither_free_nor_a_store(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(*_: object, **__: object) -> None:
        raise StoreExists("taken")

    def gone(*_: object, **__: object) -> None:
        raise StoreNotFound("gone")

    monkeypatch.setattr("shmstore.segments.segment.create", taken)
    monkeypatch.setattr("shmstore.segments.segment.attach", gone)
    with pytest.raises(StoreExists, match="rounds"):
        shmstore.open(name, Reading, capacity=8)


def test_list_stores_names_what_can_be_attached(orders: EventStore[Order]) -> None:
    assert orders.name in shmstore.list_stores()
    shmstore.unlink(orders.name)
    assert orders.name not in shmstore.list_stores()


def test_defaults_of_creation(name: str) -> None:
    with shmstore.create(name, Order, capacity=1000) as store:
        assert store.partitions == os.cpu_count()
        assert store.capacity >= 1000
    shmstore.unlink(name)
    with shmstore.create(name, Order, capacity=1) as store:
        assert (store.partitions, store.capacity) == (1, 1), "no more partitions than records"


def test_capacity_is_rounded_up_to_whole_partitions(name: str) -> None:
    with shmstore.create(name, Reading, capacity=10, partitions=4) as store:
        assert store.capacity == 12


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("capacity", 0),
        ("capacity", -1),
        ("partitions", 0),
        ("partitions", -1),
        ("layout", "diagonal"),
        ("layout", 7),
        ("partition_by", "mood"),
        ("partition_by", "key"),
        ("processes", 0),
        ("mode", 0o1777),
    ],
)
def test_an_option_out_of_bounds_is_refused_and_nothing_is_made(name: str, option: str, value: object) -> None:
    with pytest.raises(InvalidOption, match=option.removeprefix("partition_by") or "partition_by"):
        shmstore.create(name, Reading, **{"capacity": 8, option: value})
    assert name not in shmstore.list_stores()


def test_a_size_out_of_bounds_has_its_own_error(name: str) -> None:
    with pytest.raises(InvalidCapacity):
        shmstore.create(name, Reading, capacity=0)


def test_populating_changes_nothing_but_the_first_touch(orders: EventStore[Order]) -> None:
    orders.append(gateway="a", id="1", value=1.0, timestamp=1)
    for read_only in (False, True):
        with shmstore.attach(orders.name, Order, read_only=read_only, populate=True) as other:
            assert list(other.snapshot()) == [Order("a", "1", 1.0, 1)]


def test_mode_and_group_are_those_of_the_segment(name: str) -> None:
    with shmstore.create(name, Reading, capacity=8, mode=0o640, group=os.getegid()):
        status = os.stat(f"/dev/shm/{name}")
        assert (status.st_mode & 0o777, status.st_gid) == (0o640, os.getegid())


# -- appending


def test_every_way_to_append_one_record(readings: EventStore[Reading]) -> None:
    readings.append(sensor=1, value=1.0)
    readings.append(Reading(2, 2.0))
    readings.append((3, 3.0))
    readings.append(TupleReading(4, 4.0))
    readings.append(DataReading(5, 5.0))
    readings.append({"value": 6.0, "sensor": 6})
    readings.appender("value", "sensor")(7.0, 7)
    assert sorted(readings.snapshot().values("sensor")) == [1, 2, 3, 4, 5, 6, 7]
    assert sorted(readings.snapshot().values("value")) == [1, 2, 3, 4, 5, 6, 7]


def test_records_come_back_as_what_was_declared(name: str) -> None:
    for declared in (DataReading, TupleReading, Reading):
        with shmstore.create(name, declared, capacity=8) as store:
            store.append(declared(1, 2.5))
            store.append(sensor=2, value=3.5)
            store.append_many([declared(3, 4.5)])
            assert sorted(store.snapshot(), key=lambda record: record.sensor) == [
                declared(1, 2.5),
                declared(2, 3.5),
                declared(3, 4.5),
            ]
            assert type(store.read_at(0) or store.read_at(1)) is declared
        shmstore.unlink(name)


def test_a_timestamp_left_out_is_now(orders: EventStore[Order]) -> None:
    before = time.time_ns()
    orders.append(gateway="a", id="1", value=1.0)
    orders.append(Order("a", "2", 1.0))
    orders.append(gateway="a", id="3", value=1.0, timestamp=None)
    orders.appender("gateway", "id", "value")("a", "4", 1.0)
    orders.append_many([{"gateway": "a", "id": "5", "value": 1.0}], partition=1)
    times = orders.snapshot().values("timestamp")
    assert len(times) == 5
    assert all(before <= stamp <= time.time_ns() for stamp in times)


def test_an_appender_takes_a_timestamp_at_its_end_or_the_time_of_the_call(orders: EventStore[Order]) -> None:
    append = orders.appender("gateway", "id", "value", "timestamp")
    before = time.time_ns()
    positions = [append("a", "1", 1.0), append("a", "2", 1.0, None), append("a", "3", 1.0, 7)]
    now, none, then = (orders.read_at(position).timestamp for position in positions)
    assert before <= now <= none <= time.time_ns()
    assert then == 7
    for values in (("a", "1"), ("a", "1", 1.0, 7, 8)):
        with pytest.raises(TypeError, match=f"takes 3 to 4 values, found {len(values)}"):
            append(*values)
    with pytest.raises(TypeError, match="takes 4 values, found 3"):
        orders.appender("timestamp", "gateway", "id", "value")(7, "a", "1")


def test_append_returns_the_position_of_the_record(readings: EventStore[Reading]) -> None:
    positions = [readings.append(reading(number)) for number in range(8)]
    assert len(set(positions)) == 8
    assert [readings.read_at(position) for position in positions] == [reading(number) for number in range(8)]


def test_appended_values_that_do_not_fit_name_their_field_and_write_nothing(orders: EventStore[Order]) -> None:
    for wrong in (
        {"gateway": "a", "id": "x" * 11, "value": 1.0},
        {"gateway": "a", "id": 5, "value": 1.0},
    ):
        with pytest.raises(FieldError) as refused:
            orders.append(**wrong)
        assert refused.value.field == "id"
        with pytest.raises(FieldError):
            orders.append_many([{"gateway": "a", "id": "good", "value": 1.0}, wrong])
    with pytest.raises(FieldTypeError, match="value"):
        orders.append(gateway="a", id="1")
    with pytest.raises(FieldTypeError, match="colour"):
        orders.append(gateway="a", id="1", value=1.0, colour="red")
    assert orders.is_empty


def test_append_many_takes_rows_and_columns(readings: EventStore[Reading]) -> None:
    assert readings.append_many([Reading(1, 0.5), (2, 1.0), {"sensor": 3, "value": 1.5}, DataReading(4, 2.0)]) == 4
    assert readings.append_many(reading(number) for number in (5, 6)) == 2
    assert readings.append_many({"sensor": array("q", [7, 8]), "value": [3.5, 4.0]}) == 2
    assert sorted(readings.snapshot(), key=lambda record: record.sensor) == [reading(number) for number in range(1, 9)]
    assert readings.append_many([]) == 0


def test_append_many_to_one_partition_keeps_its_order(readings: EventStore[Reading]) -> None:
    readings.append_many([reading(number) for number in range(3)], partition=1)
    assert readings.snapshot(partition=0).values("sensor") == []
    assert readings.snapshot(partition=1).values("sensor") == [0, 1, 2]


def test_columns_of_numpy(readings: EventStore[Reading]) -> None:
    numpy = pytest.importorskip("numpy")
    readings.append_many({"sensor": numpy.arange(4), "value": numpy.arange(4) / 2})
    assert sorted(readings.snapshot()) == [reading(number) for number in range(4)]


def test_structured_arrays_of_numpy(name: str) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(3, [("number", "i4"), ("taken", "M8[ns]"), ("unit", "S4")])
    array["number"], array["taken"], array["unit"] = [1, 2, 3], numpy.datetime64(5, "ns"), b"kg"
    with shmstore.create(name, array.dtype, capacity=8, partitions=1) as store:
        store.append_many(array.tolist())
        store.append_many(
            {"number": array["number"], "taken": array["taken"].view("i8"), "unit": array["unit"].tolist()}
        )
        assert store.snapshot().rows() == [(number, 5, b"kg") for number in (1, 2, 3)] * 2


def test_a_partition_that_does_not_exist_is_refused(readings: EventStore[Reading]) -> None:
    for use in (
        lambda: readings.append(reading(1), partition=2),
        lambda: readings.append_many([reading(1)], partition=2),
        lambda: readings.appender("sensor", "value", partition=2),
        lambda: readings.snapshot(partition=2),
        lambda: readings.cursor(partition=-1),
        lambda: readings.count(partition=2),
    ):
        with pytest.raises(InvalidOption, match="partition"):
            use()


# -- layouts


@pytest.mark.parametrize(
    ("kinds", "layout"),
    [
        ([float], "columns"),
        ([Key, float, Timestamp], "columns"),
        ([float] * 8, "columns"),
        ([float] * 9, "rows"),
        ([Key, Text[30], float, Timestamp], "columns"),
        ([Key, Text[62], float, Timestamp], "rows"),
    ],
)
def test_narrow_records_lie_in_columns_and_wide_ones_in_rows(name: str, kinds: list[Any], layout: Layout) -> None:
    fields = {f"field{number}": kind for number, kind in enumerate(kinds)}
    record = type("Shaped", (Record,), {"__annotations__": fields, "__module__": __name__})
    with shmstore.create(name, record, capacity=8) as store:
        assert store._header.options["layout"] == (_core.LAYOUT_COLUMNS if layout == "columns" else _core.LAYOUT_ROWS)
    shmstore.unlink(name)
    other: Layout = "rows" if layout == "columns" else "columns"
    with shmstore.create(name, record, capacity=8, layout=other) as store:
        assert store._header.options["layout"] == (_core.LAYOUT_COLUMNS if other == "columns" else _core.LAYOUT_ROWS)


# -- partitions and keys


def test_records_of_a_key_stay_in_one_partition(orders: EventStore[Order]) -> None:
    for gateway in ("a", "b", "a", "b", "a"):
        orders.append(gateway=gateway, id="", value=0.0)
    assert [orders.snapshot(partition=number).values("gateway") for number in (0, 1)] == [["a"] * 3, ["b"] * 2]


def test_records_of_a_process_stay_in_one_partition(name: str) -> None:
    with shmstore.create(name, Reading, capacity=8, partitions=2, partition_by="process") as store:
        store.append_many(map(reading, range(3)))
        assert sorted(len(store.snapshot(partition=number)) for number in (0, 1)) == [0, 3]


@pytest.mark.parametrize("partitions", [1, 2, 5, 16])
def test_without_a_key_exactly_the_newest_are_kept_whoever_appends_them(name: str, partitions: int, seed: int) -> None:
    dice, capacity = random.Random(seed), 10 * partitions
    with (
        shmstore.create(name, Reading, capacity=capacity, partitions=partitions) as store,
        shmstore.attach(name, Reading) as second,
        shmstore.attach(name, Reading) as third,
    ):
        number = 0
        while number < 4 * capacity:
            with shmstore.attach(name, Reading) as just_come:
                handle, count = dice.choice([store, second, third, just_come]), dice.randint(1, 7)
                handle.append_many([reading(number + i) for i in range(count)])
                just_come.append(reading(number + count))
            number += count + 1
            assert sorted(store.snapshot().values("sensor")) == list(range(max(0, number - capacity), number))


def fill(name: str, writer: int, count: int) -> None:
    with shmstore.attach(name, Reading) as store:
        append = store.appender("sensor", "value")
        for number in range(count):
            append(writer * count + number, 0.0)


def test_without_a_key_processes_that_append_at_once_keep_the_newest_but_for_one_a_partition_each(name: str) -> None:
    writers, partitions, count = 4, 8, 5000
    with shmstore.create(name, Reading, capacity=100 * partitions, partitions=partitions) as store:
        fork = multiprocessing.get_context("fork")
        processes = [fork.Process(target=fill, args=(name, writer, count)) for writer in range(writers)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        appended = [partition.appended for partition in store.statistics.partitions]
        assert sum(appended) == writers * count
        assert max(appended) - min(appended) <= writers + 1
        for number in range(writers * partitions):  # whoever goes on alone makes them even again
            store.append(reading(number))
        appended = [partition.appended for partition in store.statistics.partitions]
        assert max(appended) - min(appended) <= 1
        assert len(store) == store.capacity


def test_records_take_turns(readings: EventStore[Reading]) -> None:
    for number in range(4):
        readings.append(reading(number))
    assert [len(readings.snapshot(partition=number)) for number in (0, 1)] == [2, 2]


def test_an_explicit_partition_must_be_given(name: str) -> None:
    with shmstore.create(name, Reading, capacity=8, partitions=2, partition_by="explicit") as store:
        store.append(reading(1), partition=1)
        assert store.snapshot(partition=1)[0] == reading(1)
        with pytest.raises(ShmStoreError, match="partition"):
            store.append(reading(2))


def test_a_key_may_be_given_by_its_number(orders: EventStore[Order]) -> None:
    number = orders.key("gw-7")
    assert number == orders.key("gw-7")
    orders.append(gateway=number, id="1", value=1.0)
    orders.appender("gateway", "id", "value")(number, "2", 1.0)
    assert orders.snapshot().values("gateway") == ["gw-7", "gw-7"]
    assert orders.keys()[number] == "gw-7"


def test_a_full_key_table_refuses_new_keys_only(name: str) -> None:
    with shmstore.create(name, Order, capacity=8, keys=2) as store:
        for gateway in ("a", "b"):
            store.append(gateway=gateway, id="", value=0.0)
        with pytest.raises(KeyTableFull, match="keys"):
            store.append(gateway="c", id="", value=0.0)
        store.append(gateway="a", id="", value=0.0)
        assert len(store) == 3


# -- state and cleaning


def test_state_of_an_empty_a_half_full_and_a_full_store(readings: EventStore[Reading]) -> None:
    assert (len(readings), readings.is_empty, readings.is_full) == (0, True, False)
    readings.append_many(map(reading, range(5)))
    assert (len(readings), readings.is_empty, readings.is_full) == (5, False, False)
    readings.append_many(map(reading, range(20)))
    assert (len(readings), readings.is_empty, readings.is_full) == (8, False, True)


def test_a_handle_is_true_even_when_its_store_is_empty(readings: EventStore[Reading]) -> None:
    assert readings.is_empty and bool(readings)


def test_the_newest_are_kept(name: str) -> None:
    with shmstore.create(name, Reading, capacity=3, partitions=1) as store:
        positions = [store.append(reading(number)) for number in range(5)]
        assert list(store.snapshot()) == [reading(2), reading(3), reading(4)]
        assert [store.read_at(position) for position in positions[:2]] == [None, None]


@pytest.mark.parametrize("way", ["clear", "reset"])
def test_clear_makes_all_unreadable_and_positions_go_on(readings: EventStore[Reading], way: str) -> None:
    before = [readings.append(reading(number)) for number in range(4)]
    getattr(readings, way)()
    assert readings.is_empty and list(readings.snapshot()) == []
    assert readings.read_at(before[-1]) is None
    assert readings.append(reading(9)) not in before
    assert list(readings.snapshot()) == [reading(9)]


def test_purge_removes_the_oldest_up_to_the_first_that_is_young(name: str) -> None:
    with shmstore.create(name, Order, capacity=8, partitions=1) as store:
        for number in range(1, 6):
            store.append(gateway="a", id=str(number), value=0.0, timestamp=number)
        assert store.purge(older_than=3) == 2
        assert store.snapshot().values("timestamp") == [3, 4, 5]
        assert store.purge(older_than=timedelta(days=1)) == 3
        assert store.purge(older_than=datetime.now(UTC)) == 0


def test_purge_needs_timestamps(readings: EventStore[Reading]) -> None:
    with pytest.raises(InvalidOption, match="Timestamp"):
        readings.purge(older_than=timedelta(minutes=1))


def test_a_position_is_a_partition_and_a_ticket(readings: EventStore[Reading]) -> None:
    position = [readings.append(reading(number), partition=1) for number in range(3)][-1]
    assert readings.locate(position) == (1, 2)
    assert readings.read_at(position + readings.partitions) is None, "not yet"
    with pytest.raises(InvalidOption, match="position"):
        readings.read_at(-1)


def test_a_sound_store_has_nothing_to_complain_of(readings: EventStore[Reading]) -> None:
    readings.append_many(map(reading, range(20)))
    assert readings.check() == []


def test_a_process_that_appends_is_in_the_table(readings: EventStore[Reading]) -> None:
    readings.append(reading(1))
    (place,) = readings.processes()
    assert (place.pid, place.state, place.appended) == (os.getpid(), "alive", 1)


# -- callbacks


def test_each_discarded_record_is_handed_over_once(name: str) -> None:
    gone: list[Reading] = []
    with shmstore.create(name, Reading, capacity=3, partitions=1, on_discarded=gone.append) as store:
        for number in range(5):
            store.append(reading(number))
        store.append_many(map(reading, range(5, 9)))
        assert gone == [reading(number) for number in range(6)]
        assert list(store.snapshot()) == [reading(number) for number in range(6, 9)]


def test_reaching_the_capacity_is_told(name: str) -> None:
    told: list[int] = []
    with shmstore.create(name, Reading, capacity=3, partitions=1) as quiet:
        with shmstore.attach(name, Reading, on_capacity_reached=lambda: told.append(len(quiet))) as store:
            store.append_many(map(reading, range(2)))
            assert told == []
            for number in range(9):
                store.append(reading(number))
        assert told == [3], "once, when the last slot was filled"


def test_an_error_in_a_callback_does_not_undo_the_append(name: str) -> None:
    reported: list[object] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda problem: reported.append(problem.exc_type)
    try:
        with shmstore.create(name, Reading, capacity=1, on_discarded=lambda record: 1 / 0) as store:
            store.append(reading(1))
            store.append(reading(2))
            assert list(store.snapshot()) == [reading(2)]
    finally:
        sys.unraisablehook = hook
    assert reported == [ZeroDivisionError]


@pytest.mark.parametrize("callback", ["on_discarded", "on_capacity_reached"])
@pytest.mark.parametrize("batch", [False, True])
def test_ctrl_c_in_a_callback_is_passed_on_after_the_append(name: str, callback: str, batch: bool) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    options: dict[str, Any] = {callback: press}
    with shmstore.create(name, Reading, capacity=2, partitions=1, **options) as store:
        store.append(reading(0))
        with pytest.raises(KeyboardInterrupt):
            if batch:
                store.append_many([reading(number) for number in range(1, 9)])
            for number in range(1, 9):
                store.append(reading(number))
        assert store._core.totals()[0].tail == (3 if callback == "on_discarded" else 2)


def test_a_buffer_that_changes_after_it_was_checked_stores_what_was_checked(name: str) -> None:
    class Pick(Record):
        key: Key
        chosen: bool

    ids, chosen = array("I", [0] * 6), bytearray(6)

    def change(_record: object) -> None:
        ids[-1], chosen[-1] = 77, 9

    with shmstore.create(name, Pick, capacity=4, partitions=1, on_discarded=change) as store:
        store.append(key="only", chosen=True)
        assert store.append_many({"key": ids, "chosen": memoryview(chosen).cast("?")}) == 6
        assert ids[-1] == 77, "it changed in the middle"
        assert list(store.snapshot()) == [Pick("only", False)] * 4


def test_a_callback_may_use_the_store(name: str) -> None:
    archive: list[int] = []
    with shmstore.create(name, Reading, capacity=2, partitions=1) as store:
        with shmstore.attach(name, Reading, on_discarded=lambda _: archive.append(len(store.snapshot()))) as writer:
            writer.append_many(map(reading, range(5)))
    assert len(archive) == 3


def test_a_handle_keeps_the_statistics_callback_for_a_coordinator(name: str) -> None:
    with shmstore.create(name, Reading, capacity=3, on_statistics=print) as store:
        assert store.on_statistics is print


# -- the end of a handle, and of a store


def test_everything_that_touches_the_bytes_is_refused_after_close(orders: EventStore[Order]) -> None:
    append = orders.appender("gateway", "id", "value")
    cursor = orders.cursor()
    orders.close()
    orders.close()
    assert orders.closed
    for use in (
        lambda: orders.append(gateway="a", id="", value=0.0),
        lambda: append("a", "", 0.0),
        lambda: orders.appender("gateway", "id", "value"),
        lambda: orders.append_many([("a", "", 0.0, 0)]),
        lambda: orders.append_many({"gateway": ["a"], "id": [""], "value": [0.0]}),
        lambda: orders.key("a"),
        lambda: orders.keys(),
        lambda: orders.snapshot(),
        lambda: orders.cursor(),
        lambda: cursor.read(),
        lambda: cursor.wait(0),
        lambda: orders.read_at(0),
        lambda: orders.clear(),
        lambda: orders.reset(),
        lambda: orders.purge(older_than=0),
        lambda: orders.statistics,
        lambda: orders.processes(),
        lambda: orders.check(),
        lambda: orders.count(),
        lambda: orders.is_full,
        lambda: len(orders),
    ):
        with pytest.raises(StoreClosed):
            use()


def test_a_closed_handle_still_says_what_it_was(orders: EventStore[Order]) -> None:
    orders.close()
    assert (orders.capacity, orders.partitions, orders.schema.names) == (8, 2, Order._fields)
    assert orders.name in repr(orders) and "closed" in repr(orders)


def test_repr_tells_name_and_fill(orders: EventStore[Order]) -> None:
    assert repr(orders) == f"<EventStore {orders.name!r}: 0 of 8 records in 2 partitions>"


def test_a_handle_that_nobody_holds_is_closed(name: str) -> None:
    gc.collect()  # what earlier tests left
    open_before = len(os.listdir("/proc/self/fd"))
    store = shmstore.create(name, Reading, capacity=8)
    store.append(reading(1))
    held = weakref.ref(store)
    del store  # at once: whoever ends without the collector's help leaves the process table in order
    assert held() is None
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_a_handle_left_open_at_exit_is_closed_without_a_word(name: str) -> None:
    program = f"""
import shmstore
store = shmstore.create({name!r}, [("value", 10, 0)], capacity=8)
store.append(value=1.0)
cursor, snapshot = store.cursor(), store.snapshot()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    with shmstore.attach(name) as store:
        assert len(store) == 1, "the store stays"
        assert {place.pid for place in store.processes()} == {os.getpid()}, "its place is free"


def test_after_unlink_what_is_there_may_be_read_but_nothing_appended(readings: EventStore[Reading]) -> None:
    readings.append(reading(1))
    shmstore.unlink(readings.name)
    assert readings.unlinked
    assert list(readings.snapshot()) == [reading(1)]
    for use in (lambda: readings.append(reading(2)), lambda: readings.append_many([reading(2)])):
        with pytest.raises(StoreUnlinked):
            use()
    with pytest.raises(StoreNotFound):
        shmstore.unlink(readings.name)


def test_a_new_store_of_the_same_name_is_another(readings: EventStore[Reading]) -> None:
    readings.append(reading(1))
    shmstore.unlink(readings.name)
    with shmstore.create(readings.name, Reading, capacity=8) as second:
        assert second.is_empty
        assert second.store_id != readings.store_id
        assert list(readings.snapshot()) == [reading(1)]


def test_a_read_only_handle_reads_and_cannot_change_anything(orders: EventStore[Order]) -> None:
    orders.append(gateway="a", id="1", value=1.0, timestamp=1)
    with shmstore.attach(orders.name, Order, read_only=True) as reader:
        assert list(reader.snapshot()) == [Order("a", "1", 1.0, 1)]
        assert reader.cursor().read() == [Order("a", "1", 1.0, 1)]
        assert reader.key("a") == orders.key("a")
        for use in (
            lambda: reader.append(gateway="a", id="2", value=1.0),
            lambda: reader.append_many([("a", "2", 1.0, 1)]),
            lambda: reader.key("new"),
            lambda: reader.clear(),
            lambda: reader.purge(older_than=0),
        ):
            with pytest.raises(ReadOnlyStore):
                use()
    assert len(orders) == 1


# -- handles in other processes


def test_a_pickled_handle_attaches_by_name(orders: EventStore[Order]) -> None:
    orders.append(gateway="a", id="1", value=1.0, timestamp=1)
    with pickle.loads(pickle.dumps(orders)) as other:
        assert other is not orders
        assert list(other.snapshot()) == [Order("a", "1", 1.0, 1)]
        assert type(other.snapshot()[0]) is Order
        other.append(gateway="a", id="2", value=1.0)
    assert len(orders) == 2


def test_a_handle_says_whether_it_only_reads(orders: EventStore[Order]) -> None:
    with shmstore.attach(orders.name, read_only=True) as reader:
        assert (orders.read_only, reader.read_only) == (False, True)


def test_a_pickled_read_only_handle_stays_read_only(orders: EventStore[Order]) -> None:
    with shmstore.attach(orders.name, read_only=True) as reader, pickle.loads(pickle.dumps(reader)) as other:
        with pytest.raises(ReadOnlyStore):
            other.clear()


def test_a_pickled_handle_refuses_another_store_of_its_name(orders: EventStore[Order]) -> None:
    pickled = pickle.dumps(orders)
    shmstore.unlink(orders.name)
    with pytest.raises(StoreNotFound):
        pickle.loads(pickled)
    with shmstore.create(orders.name, Order, capacity=8) as second:
        with pytest.raises(StoreNotFound, match=second.store_id.hex()):
            pickle.loads(pickled)


def append_ten(store: EventStore[Order], gateway: str) -> None:
    store.append_many([Order(gateway, str(number), 0.0, number) for number in range(10)])


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_a_handle_is_an_argument_of_a_process(name: str, way: str) -> None:
    context = multiprocessing.get_context(way)
    with shmstore.create(name, Order, capacity=100, partitions=2) as store:
        workers = [context.Process(target=append_ten, args=(store, gateway)) for gateway in ("a", "b")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0]
        assert sorted(store.snapshot().values("gateway")) == ["a"] * 10 + ["b"] * 10


def test_a_forked_child_uses_the_handle_as_its_own(readings: EventStore[Reading]) -> None:
    readings.append(reading(1))
    child = os.fork()
    if child == 0:
        readings.append(reading(2))
        places = {place.pid for place in readings.processes()}
        os._exit(0 if os.getpid() in places and len(places) == 2 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sorted(readings.snapshot().values("sensor")) == [1, 2]


def test_threads_append_at_once(name: str) -> None:
    with shmstore.create(name, Reading, capacity=4000, partitions=2, partition_by="turn") as store:

        def append(thread: int) -> None:
            for number in range(500):
                store.append(sensor=thread * 1000 + number, value=0.0)

        threads = [threading.Thread(target=append, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = store.snapshot().values("sensor")
        assert sorted(found) == sorted(thread * 1000 + number for thread in range(4) for number in range(500))


@pytest.fixture
def unhurried_threads() -> Iterator[None]:
    """A thread that computes keeps the GIL."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("unhurried_threads")
def test_batches_are_counted_by_one_thread_at_a_time_so_that_no_count_is_lost(name: str) -> None:
    batch = 200_000
    columns = {"sensor": array("q", bytes(8 * batch)), "value": array("d", bytes(8 * batch))}
    with shmstore.create(name, Reading, capacity=1000, partitions=1) as store:
        for done in range(0, 50 * batch, batch):
            thread = threading.Thread(target=store.append_many, args=(columns,))
            thread.start()
            while store._core.ranges()[0][1] == done:
                time.sleep(0)
            caught = store._core.ranges()[0][1] < done + batch  # it ends without the GIL, which is ours by now
            while store._core.ranges()[0][1] < done + batch:
                pass
            end = time.monotonic() + 0.005
            while time.monotonic() < end:
                pass
            counted = store._core.places()[0].appended
            thread.join()
            assert store._core.places()[0].appended == done + batch
            if caught:
                assert counted == done or FREE_THREADED  # there, the adds are atomic
                return
        pytest.fail("no batch was still at work when it was looked at")


def test_a_handle_closed_while_other_threads_use_it_ends_in_errors_not_in_a_crash(name: str) -> None:
    with shmstore.create(name, Reading, capacity=1000) as store:
        ended: list[type[BaseException]] = []

        def hammer() -> None:
            try:
                while True:
                    store.append(sensor=1, value=1.0)
                    store.snapshot()
            except BaseException as error:
                ended.append(type(error))

        threads = [threading.Thread(target=hammer) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        store.close()
        for thread in threads:
            thread.join()
        assert ended == [StoreClosed] * 3


def test_open_without_a_capacity_attaches_and_says_what_it_lacks_to_make_one(name: str) -> None:
    for options in ({}, {"capacity": None}):
        with pytest.raises(InvalidCapacity, match="and to make it takes capacity="):
            shmstore.open(name, Order, **options)  # type: ignore[call-arg]
    with shmstore.create(name, Order, capacity=10):
        for options in ({}, {"capacity": None}):
            shmstore.open(name, Order, **options).close()  # type: ignore[call-arg]
