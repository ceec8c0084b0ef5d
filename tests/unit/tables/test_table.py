"""Tables: columns of every kind, rows, order, equality, and what they look like."""

import copy
import math
import pickle
from array import array
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from shmstore import Table
from shmstore.errors import FieldError, FieldTypeError, InvalidOption
from shmstore.tables.column import Column

NAN = float("nan")


@pytest.fixture
def table() -> Table:
    """Gateways with sums; one has no name, one no sum."""
    return Table(
        [
            Column("gateway", "text", ["gw-1", "gw-2", None, "gw-4"]),
            Column("sum", "real", [2.5, NAN, 7.0, None]),
            Column("count", "integer", array("q", [3, 1, 3, 2])),
        ]
    )


def names_of(table: Table) -> list[object]:
    return table.values("gateway")


def test_it_is_a_sequence_of_named_tuples(table: Table) -> None:
    assert len(table) == 4 and len(list(table)) == 4
    first = table[0]
    assert first == ("gw-1", 2.5, 3) and (first.gateway, first.sum, first.count) == first
    assert table[-1] == ("gw-4", None, 2)
    assert [row.count for row in table] == [3, 1, 3, 2]
    assert next(iter(table.iter_rows())) == ("gw-1", 2.5, 3)
    for beyond in (4, -5):
        with pytest.raises(IndexError, match=f"{beyond}.*4"):
            table[beyond]


@pytest.mark.parametrize("part", [slice(1, 3), slice(None, None, -1), slice(9, None), slice(None)])
def test_a_slice_is_a_table(table: Table, part: slice) -> None:
    assert isinstance(table[part], Table)
    assert names_of(table[part]) == names_of(table)[part]
    assert table[part].names == table.names and table[part].kinds == table.kinds


@pytest.mark.parametrize(
    ("kind", "values", "format"),
    [
        ("integer", [1, -(2**63), 2**63 - 1], "q"),
        ("integer", [0, 2**64 - 1], "Q"),
        ("integer", [], "q"),
        ("integer", array("Q", [5]), "Q"),
        ("real", [1.5, 2], "d"),
        ("real", array("d", [0.5]), "d"),
        ("timestamp", [10**18, -1], "q"),
        ("bool", [True, False], "?"),
    ],
)
def test_numbers_are_a_read_only_buffer(kind, values, format) -> None:
    column = Table([Column("x", kind, values)])["x"]
    assert (column.format, column.readonly, column.tolist()) == (format, True, list(values))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("integer", [1, None]),
        ("integer", [2**64, 1]),
        ("integer", [2**63, -1]),
        ("real", [None, 1.5]),
        ("timestamp", [None]),
        ("bool", [True, None]),
        ("text", ["a", "b"]),
        ("bytes", [b"a", None]),
    ],
)
def test_what_no_buffer_holds_is_a_list(kind, values) -> None:
    assert Table([Column("x", kind, values)])["x"] == values


def test_a_column_as_values_is_a_list_of_its_own(table: Table) -> None:
    table.values("count").append(1)
    table["gateway"].append("gw-5")
    assert table.values("count") == [3, 1, 3, 2] and table["gateway"] == ["gw-1", "gw-2", None, "gw-4"]


def test_an_array_is_not_copied() -> None:
    counts = array("q", [1, 2])
    column = Table([Column("count", "integer", counts)])["count"]
    counts[0] = 9
    assert column[0] == 9


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("integer", 1.0, "expected ints"),
        ("integer", True, "expected ints"),
        ("integer", "1", "expected ints"),
        ("real", "1.5", "expected floats"),
        ("real", 10**400, "expected floats"),
        ("text", b"a", "expected str"),
        ("bytes", "a", "expected bytes"),
        ("bool", 1, "expected True"),
        ("timestamp", 2**63, "expected ints of 64 bits"),
        ("timestamp", 1.5, "expected ints of 64 bits"),
    ],
)
def test_a_value_of_another_kind_is_refused_naming_column_and_row(kind, value, words) -> None:
    with pytest.raises(FieldTypeError, match=rf"'x' of kind {kind} holds .* in row 1; {words}") as caught:
        Table([Column("x", kind, [None, value])])
    assert caught.value.field == "x"


def test_an_error_while_values_come_is_no_matter_of_kinds() -> None:
    with pytest.raises(ZeroDivisionError):
        Table([Column("x", "real", (1 / number for number in (1, 0)))])


def test_other_real_numbers_become_floats() -> None:
    assert Table([Column("x", "real", [Decimal("0.5"), 3])]).values("x") == [0.5, 3.0]


def test_a_kind_that_is_none_and_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(FieldError, match=r"'x' is of kind 'float'; expected one of integer, real"):
        Table([Column("x", "float", [])])
    with pytest.raises(FieldError, match=r"'y' has 1 values, but 'x' has 2"):
        Table([Column("x", "real", [1.0, 2.0]), Column("y", "real", [1.0])])


def test_an_unknown_column_is_refused_naming_those_there_are(table: Table) -> None:
    for look in (table.__getitem__, table.values, lambda name: table.top(1, by=name)):
        with pytest.raises(FieldError, match=r"'colour'.*gateway, sum, count"):
            look("colour")


def test_names_are_distinct_and_fit_for_attributes() -> None:
    given = ["sum", "class", "sum", "a b", "sum_2"]
    table = Table([Column(name, "integer", [number]) for number, name in enumerate(given)])
    assert table.names == ("sum", "class", "sum_2", "a b", "sum_2_2")
    row = table[0]
    assert (row.sum, row.class_, row.sum_2, row._3, row.sum_2_2) == (0, 1, 2, 3, 4)
    assert table.values("a b") == [3]
    assert table.to_dicts() == [{"sum": 0, "class": 1, "sum_2": 2, "a b": 3, "sum_2_2": 4}]


def test_top_and_bottom_go_by_the_last_column_and_keep_ties_in_order(table: Table) -> None:
    assert names_of(table.top(3)) == ["gw-1", None, "gw-4"]
    assert names_of(table.bottom(3)) == ["gw-2", "gw-4", "gw-1"]
    assert table.top(0) == table[:0] and names_of(table.top(99)) == ["gw-1", None, "gw-4", "gw-2"]


def test_nan_then_missing_values_come_last_either_way(table: Table) -> None:
    assert names_of(table.top(4, by="sum")) == [None, "gw-1", "gw-2", "gw-4"]
    assert names_of(table.bottom(4, by="sum")) == ["gw-1", None, "gw-2", "gw-4"]
    assert names_of(table.top(2, by="gateway")) == ["gw-4", "gw-2"]
    assert names_of(table.bottom(9, by="gateway")) == ["gw-1", "gw-2", "gw-4", None]


@pytest.mark.parametrize("k", [-1, 1.0, "3", None, True])
def test_a_k_that_is_no_count_is_refused(table: Table, k) -> None:
    for rank in (table.top, table.bottom):
        with pytest.raises(InvalidOption, match=f"k is {k!r}"):
            rank(k)


def test_equality(table: Table) -> None:
    same = Table([Column(name, kind, table.values(name)) for name, kind in zip(table.names, table.kinds, strict=True)])
    assert table == same
    assert not table != same  # noqa: SIM202 - each has its own operator
    assert table != table[:3] and table != table[::-1] and table != list(table)
    assert Table([Column("x", "integer", [1])]) != Table([Column("y", "integer", [1])])
    assert Table([Column("x", "integer", [1])]) != Table([Column("x", "real", [1])])
    with pytest.raises(TypeError):
        hash(table)


def test_its_looks() -> None:
    table = Table(
        [
            Column("key", "text", ["gw-1", None, "a\nb"]),
            Column("start", "timestamp", [0, 10**18 + 1, None]),
            Column("sum", "real", [0.5, NAN, 12.25]),
            Column("raw", "bytes", [b"\0\0", b"", None]),
        ]
    )
    assert repr(table).splitlines() == [
        "key     start                             sum  raw",
        "gw-1    1970-01-01T00:00:00.000000000Z    0.5  AAA=",
        "-       2001-09-09T01:46:40.000000001Z    nan",
        "'a\\nb'  -                               12.25  -",
    ]


def test_a_long_table_shows_ten_rows() -> None:
    lines = repr(Table([Column("n", "integer", range(1_234))])).splitlines()
    assert lines[:2] == ["n", "0"] and lines[10:] == ["9", "and 1,224 more rows"]


def test_no_columns_and_no_rows() -> None:
    assert (len(Table([])), list(Table([])), Table([]).to_dicts(), repr(Table([]))) == (0, [], [], "")
    empty = Table([Column("n", "integer", [])])
    assert (len(empty), list(empty), repr(empty), empty.top(3)) == (0, [], "n", empty)


def test_packed_rows_hold_nan_for_a_missing_real() -> None:
    packed = Table([Column("x", "real", [None, 1.0])]).structured()
    assert packed.format == "T{=d:x:}" and math.isnan(memoryview(bytes(packed)).cast("d")[0])


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Column("x", "integer", [1, None]), "missing values"),
        (Column("x", "timestamp", [None]), "missing values"),
        (Column("x", "bool", [None]), "missing values"),
        (Column("x", "text", [None]), "missing values"),
        (Column("x", "integer", [2**64]), "beyond 64 bits"),
    ],
)
def test_what_a_packed_row_has_no_place_for_is_refused(column: Column, words: str) -> None:
    with pytest.raises(FieldError, match=f"'x' holds .*{words}"):
        Table([column]).structured()


def test_what_arrow_has_no_place_for_is_refused() -> None:
    table = Table([Column("x", "integer", [1, 10**38])])
    for export in (table.__arrow_c_schema__, table.__arrow_c_array__, table.__arrow_c_stream__):
        with pytest.raises(FieldError, match="'x' holds an integer of more than 38 digits"):
            export()


@pytest.mark.parametrize("way", [lambda thing: pickle.loads(pickle.dumps(thing)), copy.copy, copy.deepcopy])
def test_tables_and_rows_are_pickled_and_copied(way: Callable[[Any], Any]) -> None:
    table = Table(
        [
            Column("class", "text", ["a", "b"]),
            Column("sum", "real", array("d", [1.5, math.nan])),
            Column("sum", "integer", [None, 2**70]),
        ]
    )
    assert way(table) == table and way(table).names == table.names and way(table[:1]) == table[:1]
    row = way(table[0])
    assert row == table[0] and (row.class_, row.sum, row.sum_2) == ("a", 1.5, None)
    assert way(Table([])) == Table([])
