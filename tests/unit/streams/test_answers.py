"""Asking about all events of a stream: folding and counting them, and as a table."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import numpy
import pyarrow
import pytest

from shmstore import FieldTypeError, InvalidOption, NewEvent, Stream, StreamDeleted, StreamTruncated
from tests.unit.streams.conftest import Make

# -- fold


def test_a_fold_goes_over_a_reading(stream: Stream) -> None:
    stream.append_many(range(10))
    assert stream.fold([], lambda seen, event: [*seen, event.data]) == list(range(10))
    assert stream.fold(0, lambda total, event: total + event.data, from_=3, limit=4) == 3 + 4 + 5 + 6
    assert stream.fold("none", lambda _, event: event.data, from_=10) == "none"


def test_a_fold_misses_no_event(stream: Stream) -> None:
    stream.append_many(range(10))
    stream.truncate(before=2)
    with pytest.raises(StreamTruncated, match="versions 0 to 1 are not there"):
        stream.fold(0, lambda total, _: total + 1)
    assert stream.fold(0, lambda total, _: total + 1, from_=2) == 8


def test_a_fold_needs_a_function(stream: Stream) -> None:
    with pytest.raises(InvalidOption, match="function is 3; expected what can be called with a state so far"):
        stream.fold(0, 3)  # type: ignore[arg-type]
    stream.append(1)
    with pytest.raises(ZeroDivisionError):
        stream.fold(0, lambda total, _: total // 0)


# -- counts


def test_events_are_counted_by_type(stream: Stream) -> None:
    assert stream.counts_by_type() == {} and stream.count() == stream.count("a") == 0
    for number in range(90):
        stream.append(number, type=("a", "ü" * 32, None)[number % 3])
    assert stream.counts_by_type() == {"a": 30, "ü" * 32: 30, None: 30}
    assert (stream.count(), stream.count("a"), stream.count(type="none")) == (90, 30, 0)


def test_many_types_are_counted(make: Make) -> None:
    stream = make(capacity=3000)["many"]
    expected: dict[str | None, int] = {}
    for number in range(2500):
        kind = f"t{number * number % 97}"
        expected[kind] = expected.get(kind, 0) + 1
        stream.append(number, type=kind)
    assert stream.counts_by_type() == expected


def test_only_what_can_be_read_is_counted(make: Make) -> None:
    streams = make(capacity=20_000, partitions=1)
    stream = streams["a"]
    stream.append_many([NewEvent(None, "old")] * 9000)
    stream.append_many([NewEvent(None, "new")] * 9000)
    assert stream.counts_by_type() == {"old": 9000, "new": 9000}  # in several goes
    stream.truncate(before=1000)
    assert stream.counts_by_type() == {"old": 8000, "new": 9000}
    streams["b"].append_many([None] * 4000)
    counts = stream.counts_by_type()
    assert sum(counts.values()) == len(stream) == stream.count() and counts["new"] == stream.count("new")
    stream.retain(events=10)
    assert stream.counts_by_type() == {"new": 10}
    stream.delete()
    assert stream.counts_by_type() == {}
    stream.append(1, type="again")
    assert stream.counts_by_type() == {"again": 1}


def test_the_counts_of_what_was_deleted_for_ever_are_refused(stream: Stream) -> None:
    stream.append(1)
    stream.delete(hard=True)
    with pytest.raises(StreamDeleted):
        stream.counts_by_type()
    with pytest.raises(StreamDeleted):
        stream.count("a")


def test_a_type_is_text(stream: Stream) -> None:
    with pytest.raises(InvalidOption, match="type is 5; expected a str, or None"):
        stream.count(5)  # type: ignore[arg-type]


def test_a_tally_tells_where_to_go_on(stream: Stream) -> None:
    stream.append_many([NewEvent(None, "a")] * 5)
    counts: dict[str | None, int] = {"a": 1, "b": 2}
    assert stream.tally(0, 3, counts) == 3 and counts == {"a": 4, "b": 2}
    assert stream.tally(3, 9, counts) == 5 and stream.tally(7, 9, counts) == 7 and stream.tally(0, 0, counts) == 0
    stream.truncate(before=4)
    assert stream.tally(0, 9, counts) == 4 and counts == {"a": 6, "b": 2}
    assert stream.tally(4, 1, {}) == 5
    with pytest.raises(TypeError):
        stream.tally(4, 1, {"a": "one"})  # type: ignore[dict-item]
    with pytest.raises(TypeError):
        stream.tally(4, 1, [])  # type: ignore[arg-type]


# -- tables


def filled(stream: Stream, *data: Any) -> Stream:
    number = count()
    stream.append_many([NewEvent(each, f"t{next(number) % 2}", f"e-{each!r}"[:60]) for each in data])
    return stream


def test_a_table_has_what_every_event_has_and_the_fields(stream: Stream) -> None:
    filled(stream, {"id": "o-1", "value": 1.5, "n": 1}, {"id": "o-2", "value": 2, "ok": True})
    table = stream.to_table()
    assert table.names == ("version", "timestamp", "type", "event_id", "id", "value", "n", "ok")
    assert table.kinds[4:] == ("text", "real", "integer", "bool")
    assert list(table.values("value")) == [1.5, 2.0] and table.values("n") == [1, None]
    assert list(table["version"]) == [0, 1] and table.values("type") == ["t0", "t1"]
    assert list(table["timestamp"]) == [event.timestamp for event in stream.read()]


def test_columns_and_fields_are_chosen(stream: Stream) -> None:
    filled(stream, {"a": 1}, {"b": 2}, {"a": 3})
    table = stream.to_table(["b", "a", "zz"], columns=("position", "version"), from_=1, limit=2)
    assert table.to_dicts() == [
        {"position": 1, "version": 1, "b": 2, "a": None, "zz": None},
        {"position": 2, "version": 2, "b": None, "a": 3, "zz": None},
    ]
    assert stream.to_table((), columns=()).names == ()
    assert stream.to_table(["version"]).names == ("version", "timestamp", "type", "event_id", "version_2")


def test_data_that_are_no_dict_have_no_fields(stream: Stream) -> None:
    filled(stream, b"bytes", "text", [1], None, 5, {"a": 1})
    assert stream.to_table(columns=()).values("a") == [None] * 5 + [1]
    assert stream.to_table(columns=())["a"] == [None] * 5 + [1]


@pytest.mark.parametrize(
    ("values", "kind", "stored"),
    [
        ([1, None, 2], "integer", [1, None, 2]),
        ([1, 2.5], "real", [1.0, 2.5]),
        ([True, False], "bool", [True, False]),
        (["a", None], "text", ["a", None]),
        ([None], "text", [None]),
        ([1, "a", None], "text", ["1", '"a"', None]),
        ([True, 1], "text", ["true", "1"]),
        ([{"ü": [1.5]}, [1, None]], "text", ['{"ü":[1.5]}', "[1,null]"]),
        ([2**70, 1], "integer", [2**70, 1]),
        ([2**70, 0.5], "real", [2.0**70, 0.5]),
        ([2**1024, 0.5], "text", [str(2**1024), "0.5"]),
    ],
)
def test_kinds_are_inferred(stream: Stream, values: list[Any], kind: str, stored: list[Any]) -> None:
    stream.append_many([{"a": value} for value in values])
    table = stream.to_table(["a"], columns=())
    assert (table.kinds, table.values("a")) == ((kind,), stored)


def test_kinds_are_given(stream: Stream) -> None:
    when = datetime(2025, 3, 5, 10, 20, tzinfo=UTC)
    stream.append({"t": when, "v": 1, "d": Decimal("1.5"), "j": "x", "n": None})
    stream.append({"t": 5})
    table = stream.to_table({"t": "timestamp", "v": "real", "d": "text", "j": "json", "n": None}, columns=[])
    assert table.kinds == ("timestamp", "real", "text", "text", "text")
    assert table.to_dicts() == [
        {"t": int(when.timestamp()) * 10**9, "v": 1.0, "d": "1.5", "j": '"x"', "n": None},
        {"t": 5, "v": None, "d": None, "j": None, "n": None},
    ]


def test_a_value_of_another_kind_is_refused(stream: Stream) -> None:
    stream.append_many([{"a": 1}, {"a": "x"}])
    with pytest.raises(FieldTypeError, match="column 'a' of kind integer holds 'x' \\(str\\) in row 1"):
        stream.to_table({"a": "integer"})
    with pytest.raises(FieldTypeError, match="field 'a' of kind timestamp is 'x' in row 1; expected ISO 8601"):
        stream.to_table({"a": "timestamp"})


@pytest.mark.parametrize(
    ("fields", "options", "said"),
    [
        ("value", {}, "fields is 'value'; expected names of fields, as"),
        (5, {}, "fields is 5; expected"),
        ([5], {}, r"fields is \[5\]; expected"),
        ({"a": "float"}, {}, "the kind of field 'a' is 'float'; expected one of integer, real"),
        ({"a": ["text"]}, {}, "the kind of field 'a' is"),
        (None, {"columns": "version"}, "columns is 'version'; expected some of version"),
        (None, {"columns": 5}, "columns is 5"),
        (None, {"columns": ["versoin"]}, "columns has 'versoin' .*'version'.*; expected some of version, position"),
        (None, {"columns": [[]]}, r"columns has \[\]"),
        (None, {"from_": -1}, "from_ is -1"),
        (None, {"missing": "x"}, "missing is 'x'"),
    ],
)
def test_what_is_no_choice_is_refused(stream: Stream, fields: Any, options: Any, said: str) -> None:
    with pytest.raises(InvalidOption, match=said):
        stream.to_table(fields, **options)


def test_a_table_misses_no_event(stream: Stream) -> None:
    stream.append_many([{"a": number} for number in range(5)])
    stream.truncate(before=2)
    with pytest.raises(StreamTruncated):
        stream.to_table()
    assert list(stream.to_table(missing="report")["a"]) == list(stream.to_table(from_=2)["a"]) == [2, 3, 4]


def test_others_take_the_table(stream: Stream) -> None:
    filled(stream, {"id": "o-1", "value": 1.5}, {"id": "o-2"}, b"x")
    table = stream.to_table({"id": "text", "value": "real"})
    taken = pyarrow.table(table)
    assert [str(kind) for kind in taken.schema.types] == [
        *("int64", "timestamp[ns, tz=UTC]", "string", "string"),
        *("string", "double"),
    ]
    assert taken.column("value").to_pylist() == [1.5, None, None] and taken.column("id").null_count == 1
    numbers = numpy.asarray(stream.to_table({"value": "real"}, columns=["version"], limit=1))
    assert numbers.dtype.names == ("version", "value") and numbers["value"][0] == 1.5
    assert pyarrow.table(stream.to_table(from_=3)).num_rows == 0
