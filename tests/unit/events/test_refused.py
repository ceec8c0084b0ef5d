"""Refused: what cannot be appended leaves nothing behind, no key, no ticket, not a byte."""

import struct
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, cast

import pytest

import shmstore
from shmstore import Bool, Bytes, EventStore, Float32, Int8, Key, Record, Text, Timestamp, UInt64
from shmstore.errors import FieldError, InvalidOption, KeyTableFull, ReadOnlyStore, ShmStoreError, StoreUnlinked

GOOD_ROWS = 3


class Name(str):
    """A text that no dict takes for another, though it is the same."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


class Full(Record):
    """A field of each kind that refuses something, keys at both ends."""

    first: Key
    flag: Bool
    small: Int8
    large: UInt64
    narrow: Float32
    value: float
    text: Annotated[str, Text[4]]
    raw: Annotated[bytes, Bytes[4]]
    at: Timestamp
    last: Annotated[str, Key[8]]


WRONG: dict[str, list[Any]] = {
    "first": [None, 7, "k" * 65, "\ud800"],
    "flag": [1, None],
    "small": [128, 0.5, None],
    "large": [-1, 1 << 64],
    "narrow": [1e300, "1"],
    "value": ["bad", None, 10**400],
    "text": ["12345", b"1", "\udcff"],
    "raw": [b"12345", "1"],
    "at": ["now", 1 << 63],
    "last": ["k" * 9, 1 << 30, True],
}
BAD = [(name, wrong) for name, values in WRONG.items() for wrong in values]


def good(row: int) -> dict[str, Any]:
    """Values that fit, with keys that are new in each record."""
    return {
        "first": f"first {row}",
        "flag": True,
        "small": row,
        "large": row,
        "narrow": 0.5,
        "value": 0.5,
        "text": "text",
        "raw": b"raw",
        "at": row,
        "last": f"last {row}",
    }


def rows_with(name: str, wrong: Any, at: int) -> list[dict[str, Any]]:
    rows = [good(row) for row in range(GOOD_ROWS)]
    rows[at][name] = wrong
    return rows


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


ONE: dict[str, Callable[[EventStore[Any], dict[str, Any]], object]] = {
    "append by fields": lambda store, row: store.append(**row),
    "append a record": lambda store, row: store.append(Full(**row)),
    "append a tuple": lambda store, row: store.append(tuple(row.values())),
    "append a mapping": lambda store, row: store.append(row),
    "appender": lambda store, row: store.appender(*row)(*row.values()),
}
MANY: dict[str, Callable[[EventStore[Any], list[dict[str, Any]]], object]] = {
    "append_many of records": lambda store, rows: store.append_many(Full(**row) for row in rows),
    "append_many of mappings": lambda store, rows: store.append_many(rows),
    "append_many of columns": lambda store, rows: store.append_many(columns_of(rows)),
}


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Full]]:
    with shmstore.create(name, Full, capacity=10, partitions=2, keys=16) as store:
        store.append(**{**good(0), "first": "known", "last": "known"})
        yield store


def traces(store: EventStore[Any]) -> tuple[list[str], list[Any], bytes]:
    """What an operation may leave behind: keys, tickets and bytes of the segment."""
    return store.keys(), store._core.totals(), Path("/dev/shm", store.name).read_bytes()


def test_a_refused_record_leaves_nothing(store: EventStore[Full], scorecard: Callable[..., None]) -> None:
    before, refused, left = traces(store), 0, 0
    for name, wrong in BAD:
        for append in ONE.values():
            with pytest.raises(FieldError) as caught:
                append(store, {**good(0), name: wrong})
            assert caught.value.field == name
            refused += 1
            left += traces(store) != before
    scorecard(25, refused=refused, traces=left)
    assert left == 0
    assert store.append(**good(1)) >= 0
    assert store.keys() == ["known", "first 1", "last 1"]


def test_a_refused_batch_leaves_nothing(store: EventStore[Full], scorecard: Callable[..., None]) -> None:
    before, refused, left = traces(store), 0, 0
    for name, wrong in BAD:
        for at in range(GOOD_ROWS):
            for append in MANY.values():
                with pytest.raises(FieldError, match=rf"of record {at}: .*nothing of the batch was written") as caught:
                    append(store, rows_with(name, wrong, at))
                assert caught.value.field == name
                refused += 1
                left += traces(store) != before
    scorecard(25, refused=refused, traces=left)
    assert left == 0
    assert store.append_many([good(row) for row in range(GOOD_ROWS)]) == GOOD_ROWS
    assert store.keys() == ["known", *(f"{field} {row}" for row in range(GOOD_ROWS) for field in ("first", "last"))]


def test_what_else_is_wrong_with_a_call_leaves_nothing(name: str, store: EventStore[Full]) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield good(0)
        raise OSError("no more")

    calls: list[Callable[[], object]] = [
        lambda: store.append(**good(0), partition=2),
        lambda: store.append(partition="1", **good(0)),  # type: ignore[arg-type]
        lambda: store.append(good(0), partition=-1),
        lambda: store.append({**good(0), "other": 1}),
        lambda: store.append_many([good(0)], partition=2),
        lambda: store.append_many([good(0), None]),
        lambda: store.append_many([good(0), {"first": "one"}]),
        lambda: store.append_many({**columns_of([good(0)]), "other": [1]}),
        lambda: store.append_many({**columns_of([good(0)]), "value": [0.5, 0.5]}),
        lambda: store.append_many({**columns_of([good(0)]), "first": "one"}),
    ]
    before = traces(store)
    for call in calls:
        with pytest.raises(ShmStoreError):
            call()
        assert traces(store) == before
    with pytest.raises(OSError, match="no more"):
        store.append_many(broken())
    assert traces(store) == before
    with shmstore.attach(name, Full, read_only=True) as reader:
        for append in ONE.values():
            with pytest.raises(ReadOnlyStore):
                append(reader, good(0))
        for append_rows in MANY.values():
            with pytest.raises(ReadOnlyStore):
                append_rows(reader, [good(0)])
    assert traces(store) == before


@pytest.mark.parametrize("times", [2, 65, 66, 1000])
@pytest.mark.parametrize("named", ["value", "partition"])
def test_a_field_that_is_named_more_than_once_leaves_nothing(store: EventStore[Full], named: str, times: int) -> None:
    before = traces(store)
    given: dict[Name, Any] = {Name(named): 0.5 if named == "value" else 0 for _ in range(times)}
    row = {name: value for name, value in good(1).items() if name != named}
    with pytest.raises(FieldError, match="named twice"):
        store.append(**row, **given)
    with pytest.raises(FieldError, match="named twice"):
        store.append(**given, **row)
    assert traces(store) == before


def test_columns_that_are_miscounted_leave_nothing(store: EventStore[Full]) -> None:
    class Miscounted(dict[str, Any]):
        def __len__(self) -> int:
            return 100

    class Uncounted(dict[str, Any]):
        def __len__(self) -> int:
            raise OSError("lost count")

    columns = columns_of([good(1)])
    before = traces(store)
    with pytest.raises(FieldError, match="named twice"):
        store.append_many({**columns, Name("value"): [0.5]})
    with pytest.raises(FieldError, match="named twice"):
        store.append_many(Miscounted(columns))
    with pytest.raises(OSError, match="lost count"):
        store.append_many(Uncounted(columns))
    assert traces(store) == before


def test_a_store_of_explicit_partitions_or_without_a_name_enters_no_key(name: str) -> None:
    with shmstore.create(name, Full, capacity=10, partitions=2, partition_by="explicit") as store:
        for append in ONE.values():
            with pytest.raises(InvalidOption, match="partition=0 to 1"):
                append(store, good(0))
        for append_rows in MANY.values():
            with pytest.raises(InvalidOption, match="partition=0 to 1"):
                append_rows(store, [good(0)])
        assert store.keys() == []
        shmstore.unlink(name)
        for append in ONE.values():
            with pytest.raises(StoreUnlinked):
                append(store, good(0))
        assert store.keys() == []


@pytest.mark.parametrize("way", MANY)
def test_more_new_keys_than_there_is_room_for_enter_none(store: EventStore[Full], way: str) -> None:
    before = traces(store)
    with pytest.raises(KeyTableFull, match=r"no room for 16 new keys, 'first 0' and others, as it was created for 16"):
        MANY[way](store, [good(row) for row in range(8)])
    assert traces(store) == before
    assert MANY[way](store, [good(row) for row in range(7)]) == 7
    with pytest.raises(KeyTableFull, match="no room for 2 new keys"):
        store.append(**good(8))
    assert store.append(**{**good(8), "last": "known"}) >= 0
    before = traces(store)
    with pytest.raises(KeyTableFull, match="'first 9' would be one more than the 16 keys"):
        store.append(**{**good(9), "last": "known"})
    assert traces(store) == before


def test_new_keys_of_a_batch_are_entered_once_and_in_order(name: str) -> None:
    class Two(Record):
        a: Key
        b: Key

    with shmstore.create(name, Two, capacity=10, partitions=1) as store:
        store.key("old")
        pairs = [("one", "old"), ("two", "one"), ("old", "two"), ("two", "two"), ("three", "one")]
        store.append_many(pairs)
        store.append_many({"a": ["four", "one"], "b": ["one", "four"]})
        store.append(a="five", b="five")
        assert list(store.snapshot()) == [*pairs, ("four", "one"), ("one", "four"), ("five", "five")]
        assert store.keys() == ["old", "one", "two", "three", "four", "five"]
        ids = struct.pack("=2I", 1, 2)
        store.append_many({"a": memoryview(ids).cast("I"), "b": ["six", "one"]})
        assert list(store.snapshot())[-2:] == [("one", "six"), ("two", "one")]


def test_a_key_whose_mark_is_missing_gets_it_from_whoever_appends_its_id(name: str) -> None:
    """Its publisher may have died before it left the mark, without which nobody comes from the id to the text."""

    class Keyed(Record):
        key: Key

    def append_table(store: EventStore[Any]) -> None:
        with shmstore.create(f"{name}-source", Keyed, capacity=10) as source:
            source.append(key="a")
            store.append_many(source.snapshot())
        shmstore.unlink(f"{name}-source")

    with shmstore.create(name, Keyed, capacity=10, partitions=1) as first:
        first.key("a")
        (cell,) = (offset for region, offset, _ in first._core.plan().regions if region == "key cells")
        for append in (
            lambda store: store.append(key="a"),
            lambda store: store.append_many([("a",)]),
            append_table,
        ):
            with Path("/dev/shm", name).open("r+b", buffering=0) as file:
                file.seek(cell)
                word = int.from_bytes(file.read(8), "little")
                assert word > 2
                file.seek(cell)
                file.write((2).to_bytes(8, "little"))  # its length and one, and no mark
                with shmstore.attach(name, Keyed) as store:
                    append(store)
                file.seek(cell)
                assert int.from_bytes(file.read(8), "little") == word


def test_a_refused_value_of_a_series_leaves_nothing(name: str) -> None:
    with shmstore.series(name, capacity=10, partitions=1) as series:
        before = traces(series.store)
        for add in (
            lambda: series.add("new", "bad"),  # type: ignore[arg-type]
            lambda: series.add("new", 1.0, "bad"),  # type: ignore[arg-type]
            lambda: series.add_many("new", [1.0, "bad"]),
            lambda: series.add_many(["new", "newer"], [1.0, 2.0], [1, "bad"]),
            lambda: series.add_many(["new", "k" * 65], [1.0, 2.0]),
        ):
            with pytest.raises(FieldError):
                add()
            assert traces(series.store) == before


class Pressed(tzinfo):
    """A value of any kind, in whose own code Ctrl-C is pressed once."""

    def __init__(self) -> None:
        self.presses = 1

    def press(self, answer: Any) -> Any:
        self.presses -= 1
        if self.presses == 0:
            raise KeyboardInterrupt
        return answer

    def __index__(self) -> int:
        return cast(int, self.press(1))

    def __float__(self) -> float:
        return cast(float, self.press(1.5))

    def utcoffset(self, _: datetime | None) -> timedelta:
        return cast(timedelta, self.press(timedelta(0)))

    @property
    def dtype(self) -> Any:
        return self.press(None)


@pytest.mark.parametrize("field", [name for name in WRONG if name not in ("text", "raw")])
def test_ctrl_c_in_the_code_of_a_value_is_passed_on_and_leaves_nothing(store: EventStore[Full], field: str) -> None:
    before = traces(store)

    def pressed_in(row: int) -> dict[str, Any]:
        pressed = Pressed()
        return good(row) | {field: datetime(2024, 1, 1, tzinfo=pressed) if field == "at" else pressed}

    for append in ONE.values():
        with pytest.raises(KeyboardInterrupt):
            append(store, pressed_in(1))
    for append_many in MANY.values():
        with pytest.raises(KeyboardInterrupt):
            append_many(store, [good(0), pressed_in(1)])
    assert traces(store) == before
