"""Values of other libraries: taken exactly, or refused by name; never something near."""

import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest

import shmstore
from shmstore import Bool, Bytes, EventStore, Key, Record, Text, Timestamp, field
from shmstore.errors import FieldError, FieldTypeError, InvalidOption, ShmStoreError
from tests.helpers.calls import CALLS, examples, remove_new

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")
duckdb = pytest.importorskip("duckdb")

T0 = 1_704_067_200_000_000_000  # 2024-01-01 in UTC
NS = pd.Timestamp("2024-01-01 00:00:00.123456789", tz="UTC")


class Event(Record):
    number: int
    value: float
    flag: Bool
    at: Timestamp
    key: Key
    text: Annotated[str, Text[16]]
    raw: Annotated[bytes, Bytes[16]]


GOOD: dict[str, Any] = {
    "number": 1,
    "value": 0.5,
    "flag": True,
    "at": 5,
    "key": "k",
    "text": "t",
    "raw": b"r",
}


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Event]]:
    with shmstore.create(name, Event, capacity=100, partitions=1) as store:
        yield store


def last(store: EventStore[Any]) -> Any:
    return list(store.snapshot())[-1]


EXACT: list[tuple[str, Any, Any]] = [
    ("number", np.int8(-3), -3),
    ("number", np.uint64(2**63 - 1), 2**63 - 1),
    ("number", np.array(7), 7),
    ("value", np.float32(0.5), 0.5),
    ("value", np.int16(3), 3.0),
    ("value", Decimal("0.25"), 0.25),
    ("value", np.longdouble("inf"), float("inf")),
    ("value", pa.scalar(0.5), 0.5),
    ("flag", np.True_, True),
    ("flag", np.False_, False),
    ("at", np.int64(T0), T0),
    ("at", NS, NS.value),
    ("at", NS.tz_convert("Asia/Kathmandu"), NS.value),
    ("at", pd.Timestamp("1969-12-31 23:59:59.999999999", tz="UTC"), -1),
    ("at", pd.Timestamp("2024-01-01", tz="UTC").as_unit("s"), T0),
    ("at", np.datetime64("2024-01-01T00:00:00.123456789"), NS.value),
    ("at", np.datetime64("2024"), T0),
    ("at", np.datetime64("2024-01"), T0),
    ("at", np.datetime64("2024-01-01", "D"), T0),
    ("at", np.datetime64(T0 // 10**9 // 25, "25s"), T0),
    ("at", np.datetime64(5_000, "ps"), 5),
    ("at", np.array(np.datetime64("2024-01-01")), T0),
    ("key", np.str_("one"), "one"),
    ("text", np.str_("one"), "one"),
    ("raw", np.bytes_(b"one"), b"one"),
    ("raw", np.frombuffer(b"one", "u1"), b"one"),
]

REFUSED: list[tuple[str, Any, str]] = [
    ("number", pd.NA, "found <NA>"),
    ("number", pd.NaT, "found NaT"),
    ("number", np.timedelta64(5, "ns"), "timedelta64"),
    ("number", np.datetime64(5, "ns"), "datetime64"),
    ("number", np.ma.masked, "expected an int"),
    ("number", np.ma.array([3], mask=[True])[0:1].reshape(()), "masked"),
    ("number", np.float64(3), "expected an int"),
    ("number", np.True_, "expected an int"),
    ("value", pd.NA, "found <NA>"),
    ("value", pd.NaT, "found NaT"),
    ("value", np.ma.masked, "masked"),
    ("value", np.complex64(1 + 2j), "expected a float"),
    ("value", np.complex128(1 + 2j), "expected a float"),
    ("value", np.datetime64(5, "ns"), "expected a float"),
    ("value", np.timedelta64(5, "ns"), "expected a float"),
    ("value", Decimal("1e400"), "that fits a float"),
    ("value", np.longdouble("1e400"), "that fits a float"),
    ("value", np.array([1.0, 2.0]), "expected a float"),
    ("flag", np.uint8(1), "True or False"),
    ("flag", np.ma.masked, "True or False"),
    ("flag", pd.NA, "True or False"),
    ("at", pd.NaT, "missing"),
    ("at", np.datetime64("NaT"), "missing"),
    ("at", pd.Timestamp("2024-01-01"), "has no time zone"),
    ("at", np.datetime64(5, "ps"), "parts of a nanosecond"),
    ("at", np.datetime64("3000"), "2262"),
    ("at", np.datetime64("9999-01-01", "ms"), "2262"),
    ("at", pd.Timestamp("3000-01-01", tz="UTC").as_unit("s"), "2262"),
    ("at", pd.Period("2024-01", freq="M"), "Period"),
    ("at", pd.Timedelta(5), "Timedelta"),
    ("at", np.timedelta64(5, "ns"), "timedelta64"),
    ("at", np.float64(5), "float64"),
    ("key", pd.NA, "expected a str"),
    ("key", np.ma.masked, "expected a str"),
    ("text", pd.NA, "expected a str"),
    ("raw", np.str_("ab"), "expected bytes"),
    ("raw", np.datetime64(5, "ns"), "expected bytes"),
    ("raw", np.float64(5), "expected bytes"),
    ("raw", np.ma.array([1, 2], mask=[0, 1], dtype="u1"), "masked"),
]


def ways(store: EventStore[Any]) -> dict[str, Callable[[str, Any], object]]:
    """Every way by which a Python value comes in."""

    def column(name: str, value: Any) -> object:
        return store.append_many({key: [each] for key, each in {**GOOD, name: value}.items()})

    return {
        "append": lambda name, value: store.append(**{**GOOD, name: value}),
        "record": lambda name, value: store.append(Event(**{**GOOD, name: value})),
        "appender": lambda name, value: store.appender(*GOOD)(*{**GOOD, name: value}.values()),
        "append_many": lambda name, value: store.append_many([{**GOOD, name: value}]),
        "columns": column,
    }


@pytest.mark.parametrize(("name_of", "value", "expected"), EXACT, ids=[f"{row[0]}-{row[1]!r}" for row in EXACT])
def test_what_is_taken_is_exact(store: EventStore[Event], name_of: str, value: Any, expected: Any) -> None:
    for way in ways(store).values():
        way(name_of, value)
        assert getattr(last(store), name_of) == expected


@pytest.mark.parametrize(("name_of", "value", "words"), REFUSED, ids=[f"{row[0]}-{row[1]!r}" for row in REFUSED])
def test_what_is_not_exact_is_refused(store: EventStore[Event], name_of: str, value: Any, words: str) -> None:
    for way in ways(store).values():
        with pytest.raises(FieldError, match=words) as caught, warnings.catch_warnings():
            warnings.simplefilter("error")
            way(name_of, value)
        assert caught.value.field == name_of
    assert len(store) == 0
    assert store.keys() == []


def test_a_key_is_also_an_id_of_numpys(store: EventStore[Event]) -> None:
    number = store.key("first")
    store.append(**{**GOOD, "key": np.uint32(number)})
    assert last(store).key == "first"
    with pytest.raises(FieldError, match="not a key id"):
        store.append(**{**GOOD, "key": np.int64(-1)})


# -- columns


class Pair(Record):
    value: float
    at: Timestamp


@pytest.fixture
def pairs(name: str) -> Iterator[EventStore[Pair]]:
    with shmstore.create(f"{name}-pairs", Pair, capacity=100, partitions=1) as store:
        yield store


def test_masked_arrays_are_taken_where_nothing_is_masked(pairs: EventStore[Pair]) -> None:
    whole = duckdb.sql("select i * 1.5::double as value, i as at from range(3) t(i)").fetchnumpy()
    holes = duckdb.sql("select case when i <> 1 then i * 1.5::double end as value, i as at from range(3) t(i)")
    assert pairs.append_many(whole) == 3
    assert pairs.append_many({"value": np.ma.array([1.0, 2.0]), "at": np.ma.array([1, 2], mask=[False, False])}) == 2
    for columns in (holes.fetchnumpy(), {"value": [1.0, 2.0], "at": np.ma.array([1, 2], mask=[True, False])}):
        with pytest.raises(FieldError, match=r"masked|missing"):
            pairs.append_many(columns)
    assert pairs.snapshot().values("value") == [0.0, 1.5, 3.0, 1.0, 2.0]


def test_a_subclass_of_an_array_is_asked_for_each_value(pairs: EventStore[Pair]) -> None:
    class Scaled(np.ndarray):  # type: ignore[misc]
        """Its values are other ones than its bytes."""

        def __getitem__(self, at: Any) -> Any:
            return super().__getitem__(at) * 1000

        def __iter__(self) -> Iterator[Any]:
            return (self[at] for at in range(len(self)))

    values = np.array([1.0, 2.0]).view(Scaled)
    assert pairs.append_many({"value": values, "at": [1, 2]}) == 2
    assert pairs.snapshot().values("value") == [1000.0, 2000.0]


@pytest.mark.parametrize("unit", ["ns", "us", "s", "D"])
def test_columns_of_datetime64(pairs: EventStore[Pair], unit: str) -> None:
    times = np.array(["2024-01-01", "1969-12-31"], f"M8[{unit}]")
    assert pairs.append_many({"value": [1.0, 2.0], "at": times}) == 2
    assert pairs.append_many({"value": [1.0], "at": times[::2]}) == 1
    assert pairs.snapshot().values("at") == [T0, -86_400 * 10**9, T0]
    with pytest.raises(FieldError, match=r"record 1.*missing"):
        pairs.append_many({"value": [1.0, 2.0], "at": np.array(["2024-01-01", "NaT"], f"M8[{unit}]")})


def test_a_column_of_bool_is_made_of_true_and_false(name: str) -> None:
    class Flag(Record):
        flag: Bool

    with shmstore.create(name, Flag, capacity=10, partitions=1) as store:
        store.append_many({"flag": memoryview(b"\x02\x00\x01").cast("?")})
        assert bytes(store.snapshot()["flag"]) == b"\x01\x00\x01"
        assert store.sum("flag") == 2


@pytest.mark.parametrize("column", ["ab", {"a": 1, "b": 2}, {1.0, 2.0}, 5, None, np.array(1.0), np.zeros((2, 2))])
def test_what_is_no_column_is_refused_by_name(pairs: EventStore[Pair], column: Any) -> None:
    for wrong in ({"value": column, "at": [1, 2]}, {"value": [1.0, 2.0], "at": column}):
        with pytest.raises(FieldTypeError) as caught:
            pairs.append_many(wrong)
        assert caught.value.field in wrong


# -- tables


def test_a_nan_comes_back_from_pandas(pairs: EventStore[Pair]) -> None:
    pairs.append_many([(float("nan"), 1), (2.0, 2)])
    frame = pd.DataFrame.from_arrow(pairs.snapshot())
    assert pairs.append_many(frame) == 2
    assert pairs.append_many(pd.concat([frame, frame])) == 4
    assert str(pairs.snapshot().values("value")) == str([float("nan"), 2.0] * 4)
    for missing in (
        frame.assign(value=pd.array([None, 2.0], dtype="Float64")),
        frame.assign(at=pd.array([None, 2], dtype="Int64")),
        frame.assign(at=pd.to_datetime(["2024-01-01", None], utc=True)),
        pa.Table.from_pandas(frame),
    ):
        with pytest.raises(FieldError, match=r"missing \(null\)"):
            pairs.append_many(missing)


def test_the_index_of_a_frame_is_no_column(pairs: EventStore[Pair]) -> None:
    frame = pd.DataFrame({"value": [1.0, 2.0, 3.0], "at": [1, 2, 3]})
    assert pairs.append_many(frame[frame.value > 1]) == 2
    assert pairs.append_many(frame.iloc[[2, 0, 1]]) == 3
    assert pairs.snapshot().values("at") == [2, 3, 3, 1, 2]
    assert "__index_level_0__" in pa.table(frame.iloc[[2, 0, 1]]).column_names
    named = frame.set_index(pd.Index(["a", "b", "c"], name="letters"))
    with pytest.raises(FieldTypeError, match="'letters' is not in the schema"):
        pairs.append_many(named)


def test_an_index_with_the_name_of_a_field_is_its_column(pairs: EventStore[Pair]) -> None:
    frame = pd.DataFrame({"value": [1.0, 2.0, 3.0], "at": [1, 2, 3]})
    for indexed in (frame.set_index("at"), frame.set_index("at").iloc[[2, 0, 1]], frame.set_index(["at", "value"])):
        pairs.clear()
        assert pairs.append_many(indexed) == 3
        assert {(record.value, record.at) for record in pairs.snapshot()} == {(1.0, 1), (2.0, 2), (3.0, 3)}
    with pytest.raises(FieldTypeError, match="both the index of the frame and a column are named 'at'"):
        pairs.append_many(frame.set_index("at", drop=False))


@pytest.mark.parametrize(
    "column",
    [
        pd.array(pd.period_range("2024-01", periods=1, freq="M")),
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int64(), [1]), pa.array([[1]], pa.list_(pa.int64(), 1))
        ),
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())),
    ],
)
def test_extension_types_are_refused_by_name(pairs: EventStore[Pair], column: Any) -> None:
    table = {"value": [1.0], "at": column}
    with pytest.raises(FieldTypeError, match=r"extension type '(pandas|arrow)[.]"):
        pairs.append_many(pa.table(table) if isinstance(column, pa.Array) else pd.DataFrame(table))
    assert len(pairs) == 0


def test_a_uuid_is_its_bytes(name: str) -> None:
    class Named(Record):
        id: Annotated[bytes, Bytes[16]]

    with shmstore.create(name, Named, capacity=10, partitions=1) as store:
        ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef"], pa.binary(16)))
        store.append_many(pa.table({"id": ids}))
        assert store.snapshot().values("id") == [b"0123456789abcdef"]


def test_a_table_that_cannot_be_exported_is_our_error(pairs: EventStore[Pair]) -> None:
    with pytest.raises(FieldTypeError, match="does not give an Arrow table"):
        pairs.append_many(pd.DataFrame({"value": [1.0, object()], "at": [1, 2]}))


# -- moments and numbers in every argument


MOMENTS = [NS, np.datetime64(NS.value, "ns"), NS.value, np.int64(NS.value)]


@pytest.mark.parametrize("moment", MOMENTS, ids=["Timestamp", "datetime64", "int", "int64"])
def test_a_moment_is_exact_in_every_argument(pairs: EventStore[Pair], name: str, moment: Any) -> None:
    """One record a nanosecond earlier, one just then: what is told apart is exact."""
    for value, at in ((0.0, NS.value - 1), (1.0, NS.value)):
        pairs.append(value=value, at=at)
    assert pairs.snapshot(since=moment).values("value") == [1.0]
    assert pairs.snapshot(until=moment).values("value") == [0.0]
    assert pairs.sum("value", since=moment, until=NS.value + 1) == 1.0
    assert pairs.count(where=field("at") >= moment) == 1
    assert pairs.count(where=field("at") == moment) == 1
    assert pairs.count(where=field("at").between(moment, moment)) == 1
    assert pairs.count(where=field("at").isin([moment])) == 1
    if not isinstance(moment, int | np.integer):
        with pairs.cursor(moment) as cursor:
            assert [record.value for record in cursor.read()] == [1.0]
    assert pairs.purge(moment) == 1
    assert pairs.snapshot().values("value") == [1.0]
    with shmstore.series(f"{name}-series", capacity=10, partitions=1) as series:
        series.add("key", 1.0, moment)
        series.add_many("key", [2.0], [moment])
        assert series.snapshot().values("timestamp") == [NS.value] * 2
        assert series.count("key", since=moment) == 2
        assert series.count("key", until=moment) == 0
        assert series.purge(moment) == 0


@pytest.mark.parametrize("length", [pd.Timedelta(1500, "ns"), np.timedelta64(1500, "ns")])
def test_a_length_of_time_is_exact(pairs: EventStore[Pair], length: Any) -> None:
    pairs.append_many([(float(at), at) for at in (0, 1499, 1500, 2999, 3000)])
    assert pairs.windows("value", every=length).values("count") == [2, 2, 1]
    assert pairs.windows("value", every=length, period=length).values("start") == [0, 1500, 3000]
    assert pairs.count(since=np.timedelta64(1, "h")) == pairs.count(since=pd.Timedelta("1h")) == 0
    with pairs.cursor("latest") as cursor:
        assert cursor.wait(length) is False


def test_numbers_of_numpy_are_numbers(name: str) -> None:
    sizes = {"capacity": np.int64(100), "partitions": np.uint8(2), "keys": np.int16(16), "processes": np.int32(4)}
    with shmstore.create(name, Event, **sizes) as store:
        assert (store.capacity, store.partitions) == (100, 2)
        position = store.append(**GOOD, partition=np.int8(1))
        store.append(**GOOD, partition=np.int8(1))
        record = store.read_at(np.int64(position))
        assert record is not None
        assert record.number == 1
        assert len(list(store.query(limit=np.int64(1)))) == 1
        assert store.count(partition=np.uint16(1)) == 2
        assert store.quantile("value", np.float32(0.5)) == 0.5
        assert store.quantiles("value", np.array([0.0, 1.0])) == [0.5, 0.5]
        assert store.count(where=field("number").isin(np.array([1, 2]))) == 2
        assert store.count(where=field("value") == np.float32(0.5)) == 2
        assert store.count(where=field("value") + Decimal("0.5") == 1) == 2
        assert len(store.group_by("key").sum("value").top(np.int64(1))) == 1
        with store.cursor(np.int64(position), partition=np.int64(1)) as cursor:
            assert len(cursor.read(np.int64(10))) == 2
            assert cursor.wait(np.float32(0.001)) is False


FOREIGN = {
    "NaT": pd.NaT,
    "NA": pd.NA,
    "no datetime64": np.datetime64("NaT"),
    "no timedelta64": np.timedelta64("NaT"),
    "masked": np.ma.masked,
    "array": np.zeros(3),
    "no array": np.zeros(0),
    "0-d": np.array(1.5),
    "void": np.void(b"ab"),
    "half": np.float16(0.1),
    "complex": np.complex64(1j),
    "period": pd.Period("2024-01", freq="M"),
    "interval": pd.Interval(0, 1),
    "frame": pd.DataFrame({"a": [1]}),
    "series": pd.Series([1]),
    "scalar": pa.scalar(1),
    "months": np.timedelta64(1, "M"),
    "naive": pd.Timestamp("2024-01-01"),
    "offset": pd.DateOffset(months=1),
    "NaN": np.float32("nan"),
    "longdouble": np.longdouble("1e400"),
    "decimal": Decimal("0.1"),
    "str": np.str_("a"),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_call_takes_a_foreign_value_or_raises_an_error_of_ours(name: str, call: str) -> None:
    with examples(name) as given, warnings.catch_warnings():
        warnings.simplefilter("error")
        for which, value in FOREIGN.items():
            if call == "cursor wait" and which == "longdouble":
                continue  # it would wait
            try:
                CALLS[call](given, value)
            except ShmStoreError as error:
                assert len(str(error)) < 1000, which
            remove_new(name)


def test_a_time_that_is_missing_is_refused_everywhere(pairs: EventStore[Pair]) -> None:
    for missing in (pd.NaT, np.datetime64("NaT")):
        for call in (
            lambda missing=missing: pairs.count(since=missing),
            lambda missing=missing: pairs.count(until=missing),
            lambda missing=missing: pairs.purge(missing),
            lambda missing=missing: pairs.cursor(missing),
        ):
            with pytest.raises(InvalidOption, match="something is missing"):
                call()
        with pytest.raises(FieldTypeError, match="something is missing"):
            pairs.count(where=field("at") >= missing)


def test_datetimes_of_a_zone_that_raises_or_a_class_that_hides_nothing(pairs: EventStore[Pair]) -> None:
    class Zone(tzinfo):
        def utcoffset(self, _when: datetime | None) -> timedelta:
            raise OverflowError("no such place")

    class Plain(datetime):
        pass

    pairs.append(value=1.0, at=Plain(2024, 1, 1, tzinfo=UTC))
    assert pairs.snapshot().values("at") == [T0]
    assert pairs.count(since=Plain(2024, 1, 1, tzinfo=UTC)) == 1
    nowhere = datetime(2024, 1, 1, tzinfo=Zone())
    with pytest.raises(FieldError, match=r"cannot be read as a time .OverflowError: 'no such place'"):
        pairs.append(value=1.0, at=nowhere)
    with pytest.raises(InvalidOption, match="cannot be read as a time"):
        pairs.count(since=nowhere)


def test_a_refused_table_leaves_nothing(store: EventStore[Event], scorecard: Callable[..., None]) -> None:
    def traces() -> tuple[Any, ...]:
        return store.keys(), store._core.totals(), Path("/dev/shm", store.name).read_bytes()

    whole = {name: [value] * 4 for name, value in GOOD.items()} | {"key": ["a", "b", "c", "d"]}
    before, refused, left = traces(), 0, 0
    for name in GOOD:
        for row in range(4):
            values = list(whole[name])
            values[row] = None
            table = pa.table(whole | {name: values})
            for given in (table, table.combine_chunks(), pa.concat_tables([table[:2], table[2:]])):
                with pytest.raises(FieldError, match=rf"record {row}: its value is missing") as caught:
                    store.append_many(given)
                assert caught.value.field == name
                refused += 1
                left += traces() != before
    scorecard(25, refused=refused, traces=left)
    assert left == 0
    assert store.append_many(pa.table(whole)) == 4
    assert store.keys() == ["a", "b", "c", "d"]
