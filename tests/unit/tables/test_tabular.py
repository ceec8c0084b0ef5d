"""What every table offers: lines of text, packed rows, and Arrow's structs with what their release lets go."""

import csv
import ctypes
import gc
import io
import json
import re
import struct
import threading
import weakref
from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

import shmstore
from shmstore import Bool, Bytes, EventStore, Float32, Int8, Key, Record, Table, Text, Timestamp, UInt64
from shmstore.questions.snapshot import Snapshot
from shmstore.tables.column import Column
from shmstore.tables.tabular import Tabular
from tests.helpers.arrow_structs import ArrowArray, ArrowArrayStream, ArrowSchema, inside, moved, release

INFINITY = float("inf")


class Everything(Record):
    key: Key
    text: Text[6]
    raw: Bytes[3]
    small: Int8
    large: UInt64
    narrow: Float32
    real: float
    truth: Bool
    time: Timestamp


RECORDS = [
    Everything("k-1", "é,\n", b"\0a\0", -128, 2**64 - 1, 0.5, 1e-300, True, 10**18 + 1),
    Everything("", "", b"", 127, 0, -INFINITY, float("nan"), False, -1),
    Everything("k-1", '"quo"', b"\xff", 0, 2**63, 1.5, INFINITY, True, 0),
]


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Everything]]:
    with shmstore.create(name, Everything, capacity=20, partitions=1) as store:
        store.append_many(RECORDS)
        yield store


@pytest.fixture
def snapshot(store: EventStore[Everything]) -> Snapshot[Everything]:
    return store.snapshot()


def test_snapshots_and_tables_are_tabular(snapshot: Snapshot[Everything]) -> None:
    assert isinstance(snapshot, Tabular) and isinstance(Table([]), Tabular)
    assert snapshot.names == ("key", "text", "raw", "small", "large", "narrow", "real", "truth", "time")


def test_csv(snapshot: Snapshot[Everything]) -> None:
    text = io.StringIO()
    assert snapshot.to_csv(text) == 3
    assert text.getvalue() == (
        "key,text,raw,small,large,narrow,real,truth,time\n"
        'k-1,"é,\n",AGEA,-128,18446744073709551615,0.5,1e-300,true,2001-09-09T01:46:40.000000001Z\n'
        ",,,127,0,-inf,nan,false,1969-12-31T23:59:59.999999999Z\n"
        'k-1,"""quo""",/w==,0,9223372036854775808,1.5,inf,true,1970-01-01T00:00:00.000000000Z\n'
    )


def test_json_lines(snapshot: Snapshot[Everything]) -> None:
    text = io.StringIO()
    assert snapshot.to_jsonl(text) == 3
    lines = text.getvalue().splitlines()
    assert lines[1] == (
        '{"key":"","text":"","raw":"","small":127,"large":0,"narrow":null,"real":null,"truth":false,'
        '"time":"1969-12-31T23:59:59.999999999Z"}'
    )
    assert json.loads(lines[0]) == {
        **RECORDS[0]._asdict(),
        "raw": "AGEA",
        "time": "2001-09-09T01:46:40.000000001Z",
    }


def test_lines_to_a_path_are_utf8(snapshot: Snapshot[Everything], tmp_path: Path) -> None:
    for write, path in ((snapshot.to_csv, tmp_path / "a.csv"), (snapshot.to_jsonl, str(tmp_path / "a.jsonl"))):
        stream = io.StringIO()
        assert write(path) == write(stream) == 3
        assert Path(path).read_bytes() == stream.getvalue().encode()
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        assert [row["text"] for row in csv.DictReader(file)] == [record.text for record in RECORDS]


def test_a_missing_value_is_an_empty_cell_and_null() -> None:
    table = Table(
        [Column("a", "text", ["x", None]), Column("t", "timestamp", [None, 1]), Column("b", "bool", [True, None])]
    )
    in_csv, in_json = io.StringIO(), io.StringIO()
    assert table.to_csv(in_csv) == table.to_jsonl(in_json) == 2
    assert in_csv.getvalue() == "a,t,b\nx,,true\n,1970-01-01T00:00:00.000000001Z,\n"
    assert (
        in_json.getvalue() == '{"a":"x","t":null,"b":true}\n{"a":null,"t":"1970-01-01T00:00:00.000000001Z","b":null}\n'
    )


def test_no_rows_as_lines() -> None:
    empty, text = Table([Column("a", "text", [])]), io.StringIO()
    assert (empty.to_csv(text), empty.to_jsonl(text), text.getvalue()) == (0, 0, "a\n")


def test_a_stream_that_fails_says_so_itself(snapshot: Snapshot[Everything]) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    for write in (snapshot.to_csv, snapshot.to_jsonl):
        with pytest.raises(OSError, match="No space"):
            write(Full())


def test_packed_rows(snapshot: Snapshot[Everything], store: EventStore[Everything]) -> None:
    packed = snapshot.structured()
    assert packed.format == "T{=I:key:=6s:text:=3s:raw:=b:small:=Q:large:=f:narrow:=d:real:=?:truth:=q:time:}"
    row = struct.Struct("=I6s3sbQfd?q")
    assert (packed.itemsize, packed.shape, packed.readonly) == (row.size, (3,), True)
    unpacked = list(row.iter_unpack(packed))
    assert unpacked[0] == (
        store.key("k-1"),
        "é,\n".encode() + b"\0\0",
        b"\0a\0",
        -128,
        2**64 - 1,
        0.5,
        1e-300,
        True,
        10**18 + 1,
    )
    assert [values[-1] for values in unpacked] == [record.time for record in RECORDS]


def test_many_packed_rows(name: str) -> None:
    """More than are packed in one go."""
    values = range(1_300)
    table = Table([Column("n", "integer", values), Column("t", "text", [f"{value:04}" for value in values])])
    packed = table.structured()
    assert list(struct.Struct("=q4s").iter_unpack(packed)) == [(value, f"{value:04}".encode()) for value in values]


def test_packed_rows_outlive_everything(snapshot: Snapshot[Everything], store: EventStore[Everything]) -> None:
    packed = snapshot.structured()
    shmstore.unlink(store.name)
    store.close()
    del snapshot
    assert packed.nbytes == 3 * packed.itemsize and bytes(packed)[4:7] == "é,".encode()


# Arrow's structs, as a consumer in C sees them.


def test_capsules_have_the_names_of_the_protocol(snapshot: Snapshot[Everything]) -> None:
    capsules = snapshot.__arrow_c_schema__(), *snapshot.__arrow_c_array__(), snapshot.__arrow_c_stream__()
    names = [re.search(r'capsule object "(\w+)"', repr(capsule))[1] for capsule in capsules]
    assert names == ["arrow_schema", "arrow_schema", "arrow_array", "arrow_array_stream"]
    with_request = snapshot.__arrow_c_array__(capsules[0]), snapshot.__arrow_c_stream__(requested_schema=capsules[0])
    assert all(with_request)


def test_formats_of_every_kind(snapshot: Snapshot[Everything]) -> None:
    capsule = snapshot.__arrow_c_schema__()
    schema = inside(capsule, ArrowSchema)
    children = [schema.children[i][0] for i in range(schema.n_children)]
    assert schema.format == b"+s"
    assert [child.name.decode() for child in children] == list(snapshot.names)
    assert [child.format.decode() for child in children] == ["i", "u", "z", "c", "L", "f", "g", "b", "tsn:UTC"]
    assert children[0].dictionary[0].format == b"u"
    assert {child.flags for child in children} == {0}, "no value of a snapshot is ever missing"


def test_formats_of_tables() -> None:
    table = Table(
        [
            Column("a", "integer", [1, None]),
            Column("b", "integer", [2**63, 0]),
            Column("c", "integer", [2**63, -1]),
            Column("d", "real", [1, 2]),
            Column("e", "bool", [True, None]),
            Column("f", "bytes", [b"", None]),
        ]
    )
    schema_capsule, array_capsule = table.__arrow_c_array__()
    schema, whole = inside(schema_capsule, ArrowSchema), inside(array_capsule, ArrowArray)
    assert [schema.children[i][0].format for i in range(6)] == [b"l", b"L", b"d:38,0", b"g", b"b", b"z"]
    assert {schema.children[i][0].flags for i in range(6)} == {2}
    assert (whole.length, whole.null_count) == (2, 0)
    assert [whole.children[i][0].null_count for i in range(6)] == [1, 0, 0, 0, 1, 1]
    assert [bool(whole.children[i][0].buffers[0]) for i in range(6)] == [True, False, False, False, True, True]


def test_numbers_are_handed_out_where_they_lie() -> None:
    numbers = array("d", [1.0, 2.0])
    _, capsule = Table([Column("x", "real", numbers)]).__arrow_c_array__()
    assert inside(capsule, ArrowArray).children[0][0].buffers[1] == numbers.buffer_info()[0]


class Held(array):
    """An array that can be watched."""


def watched() -> tuple[Table, "weakref.ref[Held]"]:
    numbers = Held("d", [1.0, 2.0])
    return Table([Column("x", "real", numbers), Column("t", "text", ["a", "b"])]), weakref.ref(numbers)


def is_gone(watch: "weakref.ref[Held]") -> bool:
    gc.collect()
    return watch() is None


@pytest.mark.parametrize("export", ["__arrow_c_array__", "__arrow_c_stream__", "__arrow_c_schema__"])
def test_a_capsule_that_nobody_takes_lets_its_buffers_go(export: str) -> None:
    table, watch = watched()
    capsules = getattr(table, export)()
    del table
    assert is_gone(watch) == (export == "__arrow_c_schema__"), "a schema holds no values"
    del capsules
    assert is_gone(watch)


def test_a_moved_array_is_let_go_when_it_is_released_on_another_thread() -> None:
    table, watch = watched()
    schema_capsule, array_capsule = table.__arrow_c_array__()
    schema, whole = moved(inside(schema_capsule, ArrowSchema)), moved(inside(array_capsule, ArrowArray))
    del table, schema_capsule, array_capsule
    assert not is_gone(watch)
    for one in (schema, whole):
        thread = threading.Thread(target=release, args=(one,))
        thread.start()
        thread.join()
        assert one.release is None
    assert is_gone(watch)


def test_a_child_moved_out_of_its_parent_outlives_it() -> None:
    table, watch = watched()
    _, capsule = table.__arrow_c_array__()
    child = moved(inside(capsule, ArrowArray).children[0][0])
    del table, capsule
    assert not is_gone(watch)
    assert struct.unpack("2d", ctypes.string_at(child.buffers[1], 16)) == (1.0, 2.0)
    release(child)
    assert is_gone(watch)


def test_a_stream_gives_its_schema_any_time_and_its_rows_once() -> None:
    table, watch = watched()
    capsule = table.__arrow_c_stream__()
    stream = inside(capsule, ArrowArrayStream)
    at = ctypes.addressof(stream)
    for _ in range(2):
        schema = ArrowSchema()
        assert stream.get_schema(at, schema) == 0 and schema.n_children == 2
        release(schema)
    whole, end = ArrowArray(), ArrowArray()
    assert stream.get_next(at, whole) == stream.get_next(at, end) == 0
    assert whole.length == 2 and end.release is None
    del table, capsule, stream
    assert not is_gone(watch)
    release(whole)
    assert is_gone(watch)
