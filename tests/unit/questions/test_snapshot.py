"""Snapshots: what they hold, how they are looked into, and that nothing changes them."""

import pickle
import struct
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

import shmstore
from shmstore import Bytes, EventStore, Gap, GapReason, Int16, Key, Record, Text, Timestamp, UInt8
from shmstore.errors import FieldError, InvalidOption
from shmstore.questions.snapshot import Snapshot
from tests.helpers.slots import State, set_state


class Order(Record):
    gateway: Key
    id: Text[6]
    tag: Bytes[3]
    count: Int16
    value: float
    timestamp: Timestamp


class Untimed(Record):
    number: int


def order(number: int, time_ns: int | None = None) -> Order:
    gateway = f"gw-{number % 2}"
    return Order(gateway, f"o-{number}", b"x\0", -number, number / 2, number if time_ns is None else time_ns)


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    with shmstore.create(name, Order, capacity=20, partitions=2, layout="columns") as store:
        yield store


@pytest.fixture
def snapshot(store: EventStore[Order]) -> Snapshot[Order]:
    """Orders 0 to 9: the even ones in partition 0, then the odd ones in partition 1."""
    store.append_many(map(order, range(10)))
    return store.snapshot()


EXPECTED = [order(number) for number in (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)]


def test_it_is_a_sequence_of_records(snapshot: Snapshot[Order]) -> None:
    assert len(snapshot) == 10
    assert list(snapshot) == EXPECTED
    assert (snapshot[0], snapshot[9], snapshot[-1], snapshot[-10]) == (
        EXPECTED[0],
        EXPECTED[9],
        EXPECTED[-1],
        EXPECTED[0],
    )
    assert EXPECTED[3] in snapshot and order(77) not in snapshot
    assert list(reversed(snapshot)) == EXPECTED[::-1]
    for beyond in (10, -11):
        with pytest.raises(IndexError, match=f"{beyond}.*10"):
            snapshot[beyond]


@pytest.mark.parametrize(
    "part", [slice(2, 5), slice(None), slice(None, None, -1), slice(-3, None), slice(8, 2), slice(1, 99, 4)]
)
def test_a_slice_is_a_snapshot(snapshot: Snapshot[Order], part: slice) -> None:
    assert isinstance(snapshot[part], Snapshot)
    assert list(snapshot[part]) == EXPECTED[part]


def test_iteration_makes_records_a_chunk_at_a_time(name: str) -> None:
    with shmstore.create(name, Untimed, capacity=5000, partitions=1) as store:
        store.append_many({"number": range(5000)})
        assert [record.number for record in store.snapshot()] == list(range(5000))


def test_a_column_is_a_read_only_memoryview_in_its_natural_format(snapshot: Snapshot[Order]) -> None:
    for field, format in (("count", "h"), ("value", "d"), ("timestamp", "q")):
        column = snapshot[field]
        assert (column.format, column.readonly, column.shape) == (format, True, (10,))
        assert column.tolist() == [getattr(record, field) for record in EXPECTED]
    assert array("d", snapshot["value"])[3] == EXPECTED[3].value
    with pytest.raises(TypeError):
        snapshot["value"][0] = 1.0


def test_text_and_keys_as_columns_and_as_values(snapshot: Snapshot[Order], store: EventStore[Order]) -> None:
    texts = snapshot["id"]
    assert texts.format == "6s"
    assert bytes(texts[0:1]) == b"o-0\0\0\0"
    assert [store.keys()[number] for number in snapshot["gateway"]] == [record.gateway for record in EXPECTED]
    assert snapshot.values("id") == [record.id for record in EXPECTED]
    assert snapshot.values("tag") == [b"x\0"] * 10
    assert snapshot.values("gateway") == [record.gateway for record in EXPECTED]


def test_columns_in_numpy(snapshot: Snapshot[Order]) -> None:
    numpy = pytest.importorskip("numpy")
    assert numpy.asarray(snapshot["value"]).sum() == sum(record.value for record in EXPECTED)
    assert numpy.asarray(snapshot["id"]).tolist() == [record.id.encode() for record in EXPECTED]


def test_rows_and_dictionaries(snapshot: Snapshot[Order]) -> None:
    assert snapshot.rows() == [tuple(record) for record in EXPECTED]
    assert all(type(row) is tuple for row in snapshot.rows())
    assert snapshot.to_dicts() == [record._asdict() for record in EXPECTED]


def test_an_unknown_field_is_refused_naming_those_there_are(snapshot: Snapshot[Order]) -> None:
    for look in (snapshot.__getitem__, snapshot.values):
        with pytest.raises(FieldError, match=r"colour.*gateway"):
            look("colour")


def test_where_chooses_records(snapshot: Snapshot[Order], store: EventStore[Order]) -> None:
    chosen = [record for record in EXPECTED if record.value > 2]
    assert list(snapshot.where(lambda record: record.value > 2)) == chosen
    assert list(store.snapshot(where=lambda record: record.value > 2)) == chosen
    assert list(snapshot.where(lambda record: False)) == []


def test_an_error_in_where_comes_through(store: EventStore[Order], snapshot: Snapshot[Order]) -> None:
    with pytest.raises(ZeroDivisionError):
        store.snapshot(where=lambda record: 1 / 0)


def test_a_window_is_half_open(store: EventStore[Order], snapshot: Snapshot[Order]) -> None:
    assert sorted(store.snapshot(since=3, until=6).values("timestamp")) == [3, 4, 5]
    assert sorted(store.snapshot(since=8).values("timestamp")) == [8, 9]
    assert sorted(store.snapshot(until=2).values("timestamp")) == [0, 1]
    assert list(store.snapshot(since=5, until=5)) == []


def test_windows_by_length_of_time_and_by_datetime(store: EventStore[Order]) -> None:
    now_ns = time.time_ns()
    for minutes in (50, 30, 10):
        store.append(order(minutes, now_ns - minutes * 60 * 10**9))
    assert store.snapshot(since=timedelta(minutes=20)).values("id") == ["o-10"]
    assert store.snapshot(until=timedelta(minutes=40)).values("id") == ["o-50"]
    assert store.snapshot(since=timedelta(minutes=40), until=timedelta(minutes=20)).values("id") == ["o-30"]
    half_an_hour_ago = datetime.now(UTC) - timedelta(minutes=31)
    assert store.snapshot(since=half_an_hour_ago).values("id") == ["o-30", "o-10"]


def test_windows_by_text_are_counted_back_from_the_moment_of_the_call(store: EventStore[Order]) -> None:
    now_ns = time.time_ns()
    for minutes in (50, 30, 10):
        store.append(order(minutes, now_ns - minutes * 60 * 10**9))
    assert store.snapshot(since="20m").values("id") == ["o-10"]
    assert store.snapshot(since="40m", until="20m").values("id") == ["o-30"]
    assert store.snapshot(until=(datetime.now(UTC) - timedelta(minutes=40)).isoformat()).values("id") == ["o-50"]
    assert [order.id for order in store.query(since="1200")] == ["o-10"]
    assert store.group_by("gateway", since="40m").count()["count"].tolist() == [2]
    assert len(store.windows(every="1m", since="40m")) == 2
    with pytest.raises(InvalidOption, match=r"since \('20m'\) lies after until \('40m'\)"):
        store.snapshot(since="20m", until="40m")
    assert store.purge("20m") == 2 and len(store) == 1
    with pytest.raises(InvalidOption, match="older_than is 'long ago', which is not a time"):
        store.purge("long ago")


@pytest.mark.parametrize("moment", [60, -60, 1_700_000_000, 1_700_000_000_000, 600 * 10**9])
def test_an_int_that_would_choose_all_or_nothing_is_refused_where_times_are_of_a_clock(
    store: EventStore[Order], moment: int
) -> None:
    assert store.count(since=moment) == 0, "nobody knows yet what times there are"
    store.append(order(1, time.time_ns()))
    for ask in (store.snapshot, store.query, store.count):
        for bound in ("since", "until"):
            with pytest.raises(InvalidOption, match=f"{bound} is {moment}, which counts nanoseconds since"):
                ask(**{bound: moment})  # type: ignore[operator]
    with pytest.raises(InvalidOption, match=f"older_than is {moment}, which counts"):
        store.purge(moment)
    assert [store.count(since=first) for first in (0, 1, -1, -(1 << 63), None)] == [1] * 5
    store.append(order(2, 100))
    assert store.count(since=101) == 1, "here is a record that is older"


def test_one_partition(store: EventStore[Order], snapshot: Snapshot[Order]) -> None:
    assert list(store.snapshot(partition=1)) == EXPECTED[5:]
    assert list(store.snapshot(partition=1, since=5, where=lambda record: record.count != -7)) == [order(5), order(9)]


def test_order_by_time_is_stable(store: EventStore[Order]) -> None:
    for number, time_ns in ((0, 30), (1, 20), (2, 10), (3, 20), (4, 20)):
        store.append(order(number, time_ns))
    assert store.snapshot(order="time").values("id") == ["o-2", "o-4", "o-1", "o-3", "o-0"]
    assert store.snapshot().values("id") == ["o-0", "o-2", "o-4", "o-1", "o-3"]


def test_an_order_that_is_none_is_refused(store: EventStore[Order], name: str) -> None:
    with pytest.raises(InvalidOption, match=r"'value'.*'time'"):
        store.snapshot(order="value")
    with shmstore.create(f"{name}-untimed", Untimed, capacity=4) as untimed:
        with pytest.raises(InvalidOption, match="Timestamp"):
            untimed.snapshot(order="time")


def test_nothing_that_happens_to_the_store_changes_it(store: EventStore[Order], snapshot: Snapshot[Order]) -> None:
    value = snapshot["value"]
    store.append_many(map(order, range(100, 140)))
    store.clear()
    shmstore.unlink(store.name)
    store.close()
    assert list(snapshot) == EXPECTED
    assert snapshot.values("gateway")[0] == "gw-0"
    assert value.tolist() == [record.value for record in EXPECTED]
    del snapshot
    assert value.tolist() == [record.value for record in EXPECTED], "a column keeps its memory"


def test_an_empty_store_gives_an_empty_snapshot(store: EventStore[Order]) -> None:
    empty = store.snapshot(order="time")
    assert (len(empty), list(empty), empty.rows(), empty.to_dicts(), empty["value"].tolist()) == (0, [], [], [], [])
    assert empty.complete and empty.gaps == ()


def test_what_was_cleared_is_no_gap_of_a_snapshot(store: EventStore[Order], snapshot: Snapshot[Order]) -> None:
    store.clear()
    store.append(order(50))
    assert store.snapshot().gaps == ()


def test_tickets_without_a_readable_record_are_left_out_and_reported(name: str) -> None:
    with shmstore.create(name, Untimed, capacity=8, partitions=1, layout="columns") as store:
        store.append_many({"number": range(8)})
        set_state(store, 2, State.WRITING)
        set_state(store, 4, State.VOID)
        set_state(store, 5, State.VOID)
        set_state(store, 7, State.SKIPPED)
        snapshot = store.snapshot()
        assert snapshot.values("number") == [0, 1, 3, 6]
        assert snapshot.gaps == (
            Gap(0, 2, 3, GapReason.IN_FLIGHT),
            Gap(0, 4, 6, GapReason.VOIDED),
            Gap(0, 7, 8, GapReason.SKIPPED),
        )
        assert not snapshot.complete
        set_state(store, 2, State.PUBLISHED)
        assert store.snapshot().complete, "a death and a stall lose no record that an append promised"


def test_gaps_are_kept_by_parts(store: EventStore[Order], snapshot: Snapshot[Order]) -> None:
    gaps = (Gap(0, 3, 5, GapReason.IN_FLIGHT),)
    whole = Snapshot[Order](snapshot._columns, snapshot.schema, gaps)
    assert whole[1:3].gaps == whole.where(lambda record: True).gaps == gaps
    assert not whole.complete and not whole[:2].complete
    assert "incomplete" in repr(whole) and "incomplete" not in repr(snapshot)


@pytest.mark.parametrize(
    ("reason", "complete"),
    [
        (GapReason.IN_FLIGHT, False),
        (GapReason.LAPPED, False),
        (GapReason.VOIDED, True),
        (GapReason.SKIPPED, True),
        (GapReason.CLEARED, True),
    ],
)
def test_only_missed_records_make_it_incomplete(snapshot: Snapshot[Order], reason: GapReason, complete: bool) -> None:
    gap = Gap(1, 10, 14, reason)
    assert gap.count == 4
    assert Snapshot[Order](snapshot._columns, snapshot.schema, (gap,)).complete is complete


def test_a_float_column_is_what_was_packed(snapshot: Snapshot[Order]) -> None:
    assert bytes(snapshot["value"]) == struct.pack("10d", *(record.value for record in EXPECTED))


class Mixed(Record):
    key: Key
    other: Key[5]
    number: UInt8
    real: float
    flag: bool
    text: Text[8]
    raw: Bytes[4]
    time: Timestamp


@pytest.mark.parametrize("declared", [True, False])
def test_a_snapshot_is_pickled_with_all_it_says(name: str, declared: bool) -> None:
    """Also one of records whose class only the store describes."""
    with shmstore.create(name, Mixed, capacity=16, partitions=2) as store:
        for number in range(20):
            words = {"key": f"k-{number % 3}", "other": "zwölf"[: number % 5], "text": "ü" * (number % 4)}
            store.append(
                **words,
                number=number,
                real=number / 3,
                flag=number % 2 == 0,
                raw=b"\0a"[: number % 3],
                time=number - 10,
            )
        store.append(key="k-0", other="", number=0, real=float("inf"), flag=True, text="", raw=b"", time=(1 << 63) - 1)
        with shmstore.attach(name, Mixed if declared else None) as handle:
            snapshot = handle.snapshot()
            sent = pickle.dumps(snapshot)
    received = pickle.loads(sent)
    assert received.rows() == snapshot.rows() and len(received) > 5
    assert all(bytes(received[field]) == bytes(snapshot[field]) for field in Mixed._fields)
    assert (received.gaps, received.complete) == (snapshot.gaps, snapshot.complete)
    assert isinstance(received[0], Mixed) == declared and received[0].key == snapshot[0].key
    assert pickle.loads(pickle.dumps(snapshot[:0])).rows() == []


def test_a_snapshot_of_dataclasses_is_pickled(name: str) -> None:
    with shmstore.create(name, Declared, capacity=10, partitions=1) as store:
        store.append(Declared(1.5))
        assert list(pickle.loads(pickle.dumps(store.snapshot()))) == [Declared(1.5)]


@dataclass
class Declared:
    value: float
