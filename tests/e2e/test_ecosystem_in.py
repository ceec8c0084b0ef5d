"""Tables in: what append_many takes of pyarrow, polars, pandas and duckdb, and what it refuses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from time import time_ns
from typing import Any

import pytest

import shmstore
from shmstore import (
    Bool,
    Bytes,
    EventStore,
    Float32,
    Float64,
    Int8,
    Int16,
    Int64,
    Key,
    Record,
    Text,
    Timestamp,
    UInt8,
    UInt64,
)
from shmstore.errors import FieldError, FieldTypeError, InvalidOption, KeyTableFull, StoreClosed
from shmstore.questions.snapshot import Snapshot
from tests.helpers.everything import RECORDS, Everything, variant

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pd = pytest.importorskip("pandas")
duckdb = pytest.importorskip("duckdb")


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Everything]]:
    with shmstore.create(name, Everything, capacity=100, partitions=1) as store:
        store.append_many(RECORDS)
        yield store


@pytest.fixture
def target(name: str) -> Iterator[EventStore[Everything]]:
    """An empty store."""
    with shmstore.create(f"{name}-target", Everything, capacity=100, partitions=1) as store:
        yield store


def chunked(table: Any) -> Any:
    """The same rows in chunks of 7, with an offset each, and two chunks of none."""
    return pa.concat_tables([table[:0], *(table.slice(first, 7) for first in range(0, len(table), 7)), table[:0]])


GIVERS: dict[str, Callable[[Snapshot[Everything]], Any]] = {
    "snapshot": lambda snapshot: snapshot,
    "pyarrow table": pa.table,
    "pyarrow batch": lambda snapshot: pa.record_batch(snapshot),
    "pyarrow chunks": lambda snapshot: chunked(pa.table(snapshot)),
    "pyarrow reader": lambda snapshot: chunked(pa.table(snapshot)).to_reader(),
    "polars": pl.DataFrame,
    "polars chunks": lambda snapshot: pl.concat(
        [pl.DataFrame(snapshot[:9]), pl.DataFrame(snapshot[9:])], rechunk=False
    ),
    "pandas": pd.DataFrame.from_arrow,
    "duckdb": duckdb.from_arrow,
    "large strings": lambda snapshot: with_types(snapshot, text=pa.large_string(), raw=pa.large_binary()),
    "views": lambda snapshot: with_types(snapshot, text=pa.string_view(), raw=pa.binary_view(), key=pa.string_view()),
    "plain keys": lambda snapshot: with_types(snapshot, key=pa.string()),
    "dictionaries": lambda snapshot: with_types(
        snapshot, key=pa.dictionary(pa.int8(), pa.large_string()), text=pa.dictionary(pa.uint16(), pa.string())
    ),
}


def with_types(snapshot: Snapshot[Any], **types: Any) -> Any:
    table = pa.table(snapshot)
    for name, type_ in types.items():
        plain = table[name].cast(pa.string()) if name == "key" else table[name]
        cast = plain.dictionary_encode().cast(type_) if pa.types.is_dictionary(type_) else plain.cast(type_)
        table = table.set_column(table.column_names.index(name), name, cast)
    return table


@pytest.mark.parametrize("giver", GIVERS)
def test_append_many_takes_every_programs_tables(
    store: EventStore[Everything], target: EventStore[Everything], giver: str
) -> None:
    for which in ("whole", "slice", "empty"):
        target.clear()
        snapshot = variant(store, which)
        assert target.append_many(GIVERS[giver](snapshot)) == len(snapshot)
        assert list(target.snapshot()) == list(snapshot)


def test_offsets_of_a_struct_and_of_its_columns_add_up(
    target: EventStore[Everything], store: EventStore[Everything]
) -> None:
    struct = pa.table(store.snapshot()).to_struct_array().combine_chunks()
    assert target.append_many(struct[5:20][3:9]) == 6
    assert list(target.snapshot()) == RECORDS[8:14]


def test_columns_may_come_in_any_order_and_the_time_may_be_left_out(name: str) -> None:
    class Reading(Record):
        sensor: int
        value: float
        timestamp: Timestamp

    with shmstore.create(name, Reading, capacity=10, partitions=2) as store:
        before = time_ns()
        assert store.append_many(pl.DataFrame({"value": [1, 2], "sensor": [3, 4]}), partition=1) == 2
        assert [(record.sensor, record.value) for record in store.snapshot(partition=1)] == [(3, 1.0), (4, 2.0)]
        times = store.snapshot().values("timestamp")
        assert times[0] == times[1] and before <= times[0] <= time_ns()


class Number(Record):
    value: int


@contextmanager
def store_of(name: str, annotation: Any) -> Iterator[EventStore[Any]]:
    """A store of one field called value."""
    record = type("One", (Record,), {"__annotations__": {"value": annotation}, "__module__": __name__})
    with shmstore.create(f"{name}-{len(name)}", record, capacity=10, partitions=1) as store:
        yield store
        shmstore.unlink(store.name)


DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("annotation", "values", "expected"),
    [
        (Int8, pa.array([-128, 127], pa.int64()), [-128, 127]),
        (UInt64, pa.array([0, 5], pa.int8()), [0, 5]),
        (UInt8, pa.array([255], pa.uint64()), [255]),
        (Int64, pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
        (Int16, pa.array([9], pa.uint16()), [9]),
        (Float64, pa.array([0.5], pa.float32()), [0.5]),
        (Float32, pa.array([0.5, 1e-300], pa.float64()), [0.5, 0.0]),
        (Float32, pa.array([float("inf")], pa.float64()), [float("inf")]),
        (Float64, pa.array([2**40], pa.int64()), [2.0**40]),
        (Float64, pa.array([7], pa.uint8()), [7.0]),
        (Bool, pa.array([True, False, True])[1:], [False, True]),
        (Timestamp, pa.array([3], pa.timestamp("s")), [3 * 10**9]),
        (Timestamp, pa.array([-3], pa.timestamp("ms", "Europe/Berlin")), [-3 * 10**6]),
        (Timestamp, pa.array([3], pa.timestamp("us", "UTC")), [3000]),
        (Timestamp, pa.array([3], pa.timestamp("ns")), [3]),
        (Timestamp, pa.array([5], pa.int64()), [5]),
        (Timestamp, pa.array([date(1970, 1, 3)], pa.date32()), [2 * DAY_NS]),
        (Timestamp, pa.array([date(1969, 12, 31)], pa.date64()), [-DAY_NS]),
        (Bytes[4], pa.array([b"ab\0\0"], pa.binary(4)), [b"ab\0\0"]),
        (Text[20], pa.array(["more than twelve", "é"], pa.string_view()), ["more than twelve", "é"]),
        (Key, pa.array(["b", "a", "b"]), ["b", "a", "b"]),
    ],
)
def test_values_are_widened_and_narrowed(name: str, annotation: Any, values: Any, expected: list[Any]) -> None:
    with store_of(name, annotation) as store:
        assert store.append_many(pa.table({"value": values})) == len(expected)
        assert store.snapshot().values("value") == expected


@pytest.mark.parametrize(
    ("annotation", "values", "words"),
    [
        (Int8, pa.array([1, 128], pa.int16()), "record 1: expected an int from -128 to 127, found 128"),
        (Int8, pa.array([-129], pa.int64()), "record 0: .*found -129"),
        (UInt8, pa.array([0, 0, -1], pa.int8()), "record 2: expected an int from 0 to 255, found -1"),
        (Int64, pa.array([2**63], pa.uint64()), "record 0: .*found 9223372036854775808"),
        (UInt64, pa.array([-1], pa.int64()), "record 0: .*found -1"),
        (Float32, pa.array([1.0, 1e39], pa.float64()), r"record 1: .*32-bit float, found 1e\+39"),
        (
            Timestamp,
            pa.array([2**62], pa.timestamp("s")),
            "record 0: expected a time from 1677.*found 4611686018427387904",
        ),
        (Timestamp, pa.array([date(2262, 4, 12)], pa.date32()), "record 0: expected a time"),
        (Text[3], pa.array(["abc", "abcd"]), "record 1: expected at most 3 bytes of UTF-8, found 4"),
        (Text[3], pa.array(["abcd"]).dictionary_encode(), "record 0: expected at most 3"),
        (Bytes[3], pa.array([b"abcd"]), "record 0: expected at most 3 bytes, found 4"),
        (Key, pa.array(["k" * 65]), "record 0: expected a key of at most 64"),
        (Int64, pa.array([1, None]), "record 1: its value is missing"),
        (Float64, pa.array([None], pa.float64()), "record 0: its value is missing"),
        (Bool, pa.array([True, None]), "record 1: its value is missing"),
        (Text[3], pa.array([None, "a"]), "record 0: its value is missing"),
        (Key, pa.array(["a", None]).dictionary_encode(), "record 1: its value is missing"),
        (Timestamp, pa.array([None], pa.null()), "record 0: its value is missing"),
        (
            Text[9],
            pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xc3(")]),
            "record 0: its text is not UTF-8",
        ),
        (
            Key,
            pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xc3(")]),
            "record 0: its text is not UTF-8",
        ),
        (
            Key,
            pa.DictionaryArray.from_arrays(pa.array([0, 2], pa.int8()), ["a", "b"], safe=False),
            "record 1: it names value 2 of a dictionary of 2",
        ),
        (
            Key,
            pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), pa.array(["a", None])),
            "record 1: its value is missing",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_refused_naming_field_and_row(
    name: str, annotation: Any, values: Any, words: str
) -> None:
    with store_of(name, annotation) as store:
        with pytest.raises(FieldError, match=rf"'value' of {words}.*nothing of the batch was written") as caught:
            store.append_many(pa.table({"value": values}))
        assert caught.value.field == "value" and len(store) == 0


def test_rows_are_counted_across_chunks(name: str) -> None:
    with store_of(name, Int8) as store:
        chunks = pa.chunked_array([[1, 2], [], [3, 4], [5, 600]])
        with pytest.raises(FieldError, match=r"record 5: .*found 600"):
            store.append_many(pa.table({"value": chunks}))


@pytest.mark.parametrize(
    ("annotation", "values", "words"),
    [
        (Int64, pa.array([1.0]), "integers, found Arrow type 'g'"),
        (Int64, pa.array([True]), "integers, found Arrow type 'b'"),
        (Int64, pa.array([1], pa.timestamp("ns")), "integers, found Arrow type 'tsn:'"),
        (Float64, pa.array(["1"]), "floats .*, found Arrow type 'u'"),
        (Float64, pa.array([Decimal(1)]), "floats .*, found Arrow type 'd:1,0'"),
        (Bool, pa.array([1]), "bool, found Arrow type 'l'"),
        (Text[3], pa.array([b"a"]), "text, found Arrow type 'z'"),
        (Text[3], pa.array([1]).dictionary_encode(), "text, found a dictionary of Arrow type 'l'"),
        (Bytes[3], pa.array(["a"]), "binary values, found Arrow type 'u'"),
        (Key, pa.array([1], pa.uint32()), "text, .*found Arrow type 'I'"),
        (Timestamp, pa.array(["2026-11-23"]), "timestamps, .*found Arrow type 'u'"),
        (Timestamp, pa.array([1], pa.time64("ns")), "timestamps, .*found Arrow type 'ttn'"),
        (Int64, pa.array([[1]]), r"integers, found Arrow type '\+l'"),
    ],
)
def test_a_column_of_another_type_is_refused_even_without_rows(
    name: str, annotation: Any, values: Any, words: str
) -> None:
    with store_of(name, annotation) as store:
        for part in (values, values[:0]):
            with pytest.raises(FieldTypeError, match=f"'value': expected a column of {words}"):
                store.append_many(pa.table({"value": part}))


def test_what_is_no_table_of_the_fields_is_refused(name: str) -> None:
    one = pa.array([1])
    with store_of(name, Int64) as store:
        for table, words in (
            (pa.table({"other": one}), "'other' is not in the schema"),
            (pa.table({"value": one, "other": one}), "'other' is not in the schema"),
            (pa.table({}), "'value': its column is missing"),
            (pa.table([one, one], names=["value", "value"]), "'value': two columns have its name"),
            (one, "a table of Arrow's, found a single column of type 'l'"),
            (pl.Series([1]), "a table of Arrow's, found a single column"),
            (
                pa.StructArray.from_arrays([pa.array([1, 2])], ["value"], mask=pa.array([False, True])),
                "record 1 is missing",
            ),
        ):
            with pytest.raises(FieldTypeError, match=words):
                store.append_many(table)
        assert len(store) == 0
        with pytest.raises(InvalidOption, match="partition"):
            store.append_many(pa.table({"value": one}), partition=7)


def test_a_stream_that_fails_or_is_used_up_writes_nothing(name: str) -> None:
    batch = pa.record_batch({"value": pa.array([1, 2])})

    def batches() -> Iterator[Any]:
        yield batch
        raise RuntimeError("the well is dry")

    def too_many() -> Iterator[Any]:
        yield batch
        raise MemoryError

    with store_of(name, Int64) as store:
        with pytest.raises(MemoryError):
            store.append_many(pa.RecordBatchReader.from_batches(batch.schema, too_many()))
        with pytest.raises(FieldTypeError, match=r"the Arrow stream failed, so nothing was written: .*the well is dry"):
            store.append_many(pa.RecordBatchReader.from_batches(batch.schema, batches()))
        assert len(store) == 0
        capsule, pair = pa.table(batch).__arrow_c_stream__(), batch.__arrow_c_array__()
        assert store._core.append_arrow(capsule) == store._core.append_arrow(pair) == 2
        for used in (capsule, pair):
            with pytest.raises(ValueError, match="used up"):
                store._core.append_arrow(used)
        assert len(store) == 4
    with pytest.raises(StoreClosed):
        store.append_many(batch)


def test_keys_that_no_row_names_are_not_entered(name: str) -> None:
    class Keyed(Record):
        key: Key

    with shmstore.create(name, Keyed, capacity=10, keys=2) as store:
        texts = pa.DictionaryArray.from_arrays(pa.array([3, 1, 3]), ["a", "b", "c", "d"])
        store.append_many(pa.table({"key": texts}))
        assert store.keys() == ["d", "b"]
        with pytest.raises(KeyTableFull, match="'e'"):
            store.append_many(pa.table({"key": ["b", "e"]}))
        assert len(store) == 3


def test_discarded_records_are_told_of(name: str) -> None:
    discarded: list[Any] = []
    with shmstore.create(name, Number, capacity=4, partitions=1, on_discarded=discarded.append) as store:
        store.append_many(pa.table({"value": range(6)}))
        assert [record.value for record in discarded] == [0, 1]


def test_a_million_records_there_and_back(name: str) -> None:
    class Sample(Record):
        sensor: Key
        value: float
        timestamp: Timestamp

    rows = 1_000_000
    sensors = np.array(["s-0", "s-1", "s-2"])
    frame = pl.DataFrame(
        {
            "sensor": sensors[np.arange(rows) % 3],
            "value": np.arange(rows) / 7,
            "timestamp": np.arange(rows).astype("M8[ns]"),
        }
    )
    with shmstore.create(name, Sample, capacity=rows, partitions=1, layout="columns") as store:
        assert store.append_many(frame) == rows
        back = pl.DataFrame(store.snapshot())
    assert back["sensor"].cast(pl.String).equals(frame["sensor"])
    assert back["value"].equals(frame["value"])
    assert back["timestamp"].to_physical().equals(frame["timestamp"].to_physical())
