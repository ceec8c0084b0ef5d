"""Tables out: what NumPy, pyarrow, polars, pandas and duckdb make of snapshots and tables."""

import gc
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, Key, Record, Table, UInt32, _core
from shmstore.tables import arrow
from shmstore.tables.column import Column
from tests.helpers.everything import KINDS_OF_SNAPSHOT, RECORDS, Everything, variant

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pd = pytest.importorskip("pandas")
duckdb = pytest.importorskip("duckdb")


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Everything]]:
    with shmstore.create(name, Everything, capacity=100, partitions=1, layout="columns") as store:
        store.append_many(RECORDS)
        yield store


def from_duckdb(table: Any) -> Any:
    return duckdb.from_arrow(table)


def rows_of_pyarrow(table: Any) -> list[tuple[Any, ...]]:
    """The rows as Python values, times as nanoseconds."""
    columns = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        columns.append(column.to_pylist())
        assert len(columns[-1]) == table.num_rows, name
    return list(zip(*columns, strict=True))


# What each program makes of a table, as pyarrow has it again, to be compared.
TAKERS: dict[str, Callable[[Any], Any]] = {
    "pyarrow table": pa.table,
    "pyarrow record batch": lambda table: pa.Table.from_batches([pa.record_batch(table)]),
    "polars": lambda table: pl.DataFrame(table).to_arrow(),
    "polars through pyarrow": lambda table: pl.from_arrow(pa.table(table)).to_arrow(),
    "pandas": lambda table: pa.table(pd.DataFrame.from_arrow(table)),
    "duckdb": lambda table: from_duckdb(table).to_arrow_table(),
}


@pytest.mark.parametrize("which", KINDS_OF_SNAPSHOT)
@pytest.mark.parametrize("taker", TAKERS)
def test_every_program_takes_a_snapshot_whole(store: EventStore[Everything], taker: str, which: str) -> None:
    snapshot = variant(store, which)
    taken = TAKERS[taker](snapshot)
    assert taken.column_names == list(snapshot.names)
    assert rows_of_pyarrow(taken) == snapshot.rows()


def test_records_are_named_tuples_to_polars_and_pandas(store: EventStore[Everything]) -> None:
    records = list(store.snapshot())
    assert pl.DataFrame(records).columns == list(pd.DataFrame(records).columns) == list(store.schema.names)
    assert pl.DataFrame(records).rows() == store.snapshot().rows()


def test_types_in_pyarrow(store: EventStore[Everything]) -> None:
    table = pa.table(store.snapshot())
    table.validate(full=True)
    types = dict(zip(table.column_names, map(str, table.schema.types), strict=True))
    assert types == {
        "key": "dictionary<values=string, indices=int32, ordered=0>",
        "text": "string",
        "raw": "binary",
        **{name: name.replace("i", "int").replace("u", "uint") for name in ("i8", "i16", "i32", "i64")},
        **{f"u{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
        "f32": "float",
        "f64": "double",
        "truth": "bool",
        "time": "timestamp[ns, tz=UTC]",
    }
    assert table.schema.field("text").metadata == {b"shmstore": b"Text[12]"}
    assert not table.schema.field("text").nullable


def test_types_in_polars_and_pandas(store: EventStore[Everything]) -> None:
    frame = pl.DataFrame(store.snapshot())
    assert frame.schema["key"] == pl.Categorical and frame.schema["time"] == pl.Datetime("ns", "UTC")
    assert frame.group_by("key").agg(pl.col("f64").sum()).height == 3
    panda = pd.DataFrame.from_arrow(store.snapshot())
    assert str(panda.dtypes["key"]) == "category" and str(panda.dtypes["time"]) == "datetime64[ns, UTC]"


def test_duckdb_asks_a_snapshot(store: EventStore[Everything]) -> None:
    snapshot = store.snapshot()  # noqa: F841 - duckdb finds it by this name
    sums = duckdb.sql("select key, sum(f64), count(*) from snapshot where i8 >= 0 group by key order by key").fetchall()
    chosen = [record for record in RECORDS if record.i8 >= 0]
    for key, total, count in sums:
        values = [record.f64 for record in chosen if record.key == key]
        assert (total, count) == (pytest.approx(sum(values)), len(values))
    assert [key for key, *_ in sums] == ["gw-0", "gw-1", "gw-2"]
    assert duckdb.sql("select count(*) from snapshot").fetchall() == [(60,)], "it may be asked again"


def test_numbers_and_times_are_not_copied(store: EventStore[Everything]) -> None:
    snapshot = store.snapshot()
    table = pa.table(snapshot)
    for name in ("i64", "f64", "time", "u8"):
        address = np.asarray(snapshot[name]).__array_interface__["data"][0]
        assert table[name].chunk(0).buffers()[1].address == address
        assert pl.DataFrame(snapshot)[name].to_physical().to_numpy().__array_interface__["data"][0] == address
    ids = table["key"].chunk(0).indices.buffers()[1].address
    assert ids == np.asarray(snapshot["key"]).__array_interface__["data"][0]


@pytest.mark.parametrize("taker", TAKERS)
def test_what_was_taken_outlives_snapshot_and_store(name: str, taker: str) -> None:
    with shmstore.create(name, Everything, capacity=100, partitions=1) as store:
        store.append_many(RECORDS)
        taken = TAKERS[taker](store.snapshot())
        shmstore.unlink(name)
    del store
    gc.collect()
    assert rows_of_pyarrow(taken) == [tuple(record) for record in RECORDS]


@pytest.mark.parametrize("take", [pa.table, pl.DataFrame, pa.record_batch], ids=["pyarrow", "polars", "batch"])
def test_it_may_be_let_go_on_another_thread(store: EventStore[Everything], take: Callable[[Any], Any]) -> None:
    for _ in range(20):
        taken = [take(store.snapshot())]
        thread = threading.Thread(target=taken.clear)
        thread.start()
        thread.join()
        assert not taken


class Alone:
    """A table of one Arrow column."""

    def __init__(self, column: arrow.ArrowColumn) -> None:
        self.column = column

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return _core.arrow_schema([self.column]), _core.arrow_array([self.column], self.column.length)


def test_a_lost_key_gets_a_text_of_its_own() -> None:
    """No row names a place that a death left in the key table, but pandas wants all texts different, none missing."""
    texts = ["a", "b", None, "(lost key 2)", None]
    batch = pa.record_batch(Alone(arrow.keys("key", 2, array("I", [1, 0]), texts)))
    assert batch["key"].dictionary.to_pylist() == ["a", "b", "(lost key 2)'", "(lost key 2)", "(lost key 4)"]
    assert list(batch.to_pandas()["key"]) == list(pl.DataFrame(batch)["key"]) == ["b", "a"]


def test_numpy_takes_packed_rows(store: EventStore[Everything]) -> None:
    snapshot = store.snapshot()
    records = np.asarray(snapshot)
    assert records.shape == (60,) and records.dtype.names == snapshot.names and not records.flags.writeable
    for name in ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "truth"):
        assert records[name].tolist() == snapshot.values(name)
        assert records.dtype[name] == np.asarray(snapshot[name]).dtype
    assert records["time"].dtype == np.dtype("M8[ns]")
    assert records["time"].astype("i8").tolist() == snapshot.values("time")
    assert [text.decode() for text in records["text"].tolist()] == snapshot.values("text")
    assert records["key"].tolist() == snapshot["key"].tolist()
    packed = np.asarray(snapshot.structured())
    assert packed.dtype.names == snapshot.names and packed["time"].tolist() == snapshot.values("time")
    assert packed.tobytes() == records.tobytes()
    assert np.asarray(snapshot[:0]).tolist() == [] and np.asarray(snapshot[:0]).dtype == records.dtype


GROUPS = [
    Column("key", "text", ["gw-1", None, "zwölf"]),
    Column("raw", "bytes", [b"\0", b"", None]),
    Column("start", "timestamp", [10**18 + 1, None, -1]),
    Column("count", "integer", [1, 2, 3]),
    Column("least", "integer", [-1, None, 2**63 - 1]),
    Column("large", "integer", [2**64 - 1, 0, None]),
    Column("huge", "integer", [2**64, None, -(2**90)]),
    Column("mean", "real", [0.5, None, -1.5]),
    Column("late", "bool", [True, None, False]),
]


@pytest.mark.parametrize("part", [slice(None), slice(1, None), slice(0, 0)], ids=["whole", "part", "empty"])
@pytest.mark.parametrize("taker", TAKERS)
def test_every_program_takes_a_table_whole(taker: str, part: slice) -> None:
    """But for integers of which one is missing: of these pandas, on its own account, makes floats."""
    table = Table([column for column in GROUPS if taker != "pandas" or column.name not in ("least", "large")])[part]
    taken = rows_of_pyarrow(TAKERS[taker](table))
    assert taken == list(table.iter_rows())


def test_a_table_in_numpy() -> None:
    table = Table(
        [GROUPS[3], GROUPS[7], Column("start", "timestamp", [1, 2, 3]), Column("key", "text", ["a", "", "é"])]
    )
    records = np.asarray(table)
    assert records["count"].tolist() == [1, 2, 3]
    assert records["mean"].tolist()[::2] == [0.5, -1.5] and np.isnan(records["mean"][1])
    assert records["start"].tolist() == np.array([1, 2, 3], "M8[ns]").tolist()
    assert records["key"].tolist() == [b"a", b"", "é".encode()]
    assert np.asarray(table["count"]).dtype == np.dtype("i8")


def test_damaged_text_is_replaced_before_programs_trust_it(store: EventStore[Everything]) -> None:
    """Programs believe that Arrow's text is UTF-8; a segment that was overwritten must not reach them."""
    offset = bytes(store._segment.buffer).index("zwölf é".encode())
    store._segment.buffer[offset + 3] = 0xFF
    table = pa.table(store.snapshot())
    table.validate(full=True)
    assert table["text"].to_pylist() == store.snapshot().values("text")
    assert "zw\ufffd\ufffdlf é" in table["text"].to_pylist()


def test_an_id_without_a_key_never_reaches_programs(name: str) -> None:
    class Keyed(Record):
        key: Key
        mark: UInt32

    with shmstore.create(name, Keyed, capacity=10, partitions=1, layout="rows") as store:
        store.append_many([("a", 0xFEEDBEEF), ("b", 0xFEEDBEEF)])
        at = bytes(store._segment.buffer).index(b"\xef\xbe\xed\xfe") - 4
        store._segment.buffer[at : at + 4] = (77).to_bytes(4, "little")
        assert pa.table(store.snapshot())["key"].to_pylist() == [None, "b"]
        assert pl.DataFrame(store.snapshot())["key"].to_list() == [None, "b"]
        assert any("key" in problem for problem in store._core.check())


AT_EXIT = """
import sys
import duckdb, pandas, polars, pyarrow
import shmstore

class Sample(shmstore.Record):
    key: shmstore.Key
    value: float

store = shmstore.create(sys.argv[1], Sample, capacity=100)
store.append_many([("a", 1.0), ("b", 2.0)])
shmstore.unlink(sys.argv[1])
snapshot = store.snapshot()
kept = [pyarrow.table(snapshot), polars.DataFrame(snapshot), pandas.DataFrame.from_arrow(snapshot)]
kept += [duckdb.from_arrow(snapshot), polars.DataFrame(snapshot).lazy(), snapshot.__arrow_c_stream__()]
sys.modules["kept"] = kept
"""


def test_what_is_kept_until_the_process_ends_does_not_disturb_its_end(name: str) -> None:
    ended = subprocess.run([sys.executable, "-c", AT_EXIT, name], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
