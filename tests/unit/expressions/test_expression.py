"""Expressions: how they are written and shown, what they match, and which mistakes are told at once."""

import copy
import operator
import pickle
import resource
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy
import pytest

import shmstore
from shmstore import (
    Bool,
    Bytes,
    EventStore,
    Expression,
    Float32,
    Int8,
    Key,
    Record,
    Schema,
    Snapshot,
    Text,
    Timestamp,
    UInt64,
    _core,
    field,
)
from shmstore.errors import FieldError, FieldTypeError, InvalidOption
from shmstore.expressions.compiler import compiled
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork

SECOND_NS = 10**9


class Order(Record):
    gateway: Key
    backup: Key
    note: Text[8]
    tag: Bytes[4]
    paid: Bool
    small: Int8
    large: UInt64
    quantity: int
    single: Float32
    price: float
    timestamp: Timestamp


def order(number: int) -> Order:
    return Order(
        gateway=f"gw-{number % 4}",
        backup=f"gw-{number % 2}",
        note=f"n{number}",
        tag=bytes([number]),
        paid=number % 3 == 0,
        small=number - 5,
        large=2**63 + number,
        quantity=number,
        single=number / 4,
        price=number / 10,
        timestamp=number * SECOND_NS,
    )


ORDERS = [order(number) for number in range(10)]
SCHEMA = Schema.of(Order)


def no_keys() -> list[str]:
    raise AssertionError("the keys were asked for")


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    with shmstore.create(name, Order, capacity=100, partitions=1) as store:
        store.append_many(ORDERS)
        yield store


@pytest.fixture
def snapshot(store: EventStore[Order]) -> Snapshot[Order]:
    return store.snapshot()


# How they are written.


def test_what_is_very_long_is_shown_cut() -> None:
    many, text, digits = field("a").isin(range(10**6)), field("b") == "x" * 10**6, field("a") > 10**5000
    assert repr(many).endswith("98, 99, ... (1,000,000 in all)])")
    assert repr(text) == f"field('b') == '{'x' * 120}'... (1,000,000 in all)"
    assert repr(digits) == "field('a') > an int of 16,610 bits"


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (field("a") > 1, "field('a') > 1"),
        (1 < field("a"), "field('a') > 1"),  # noqa: SIM300
        (field("a") == "x", "field('a') == 'x'"),
        (field("a") != field("b"), "field('a') != field('b')"),
        ((field("a") > 1) & (field("b") < 2) & field("c"), "(field('a') > 1) & (field('b') < 2) & field('c')"),
        (field("a") & (field("b") & field("c")), "field('a') & (field('b') & field('c'))"),
        (field("a") & field("b") | field("c"), "field('a') & field('b') | field('c')"),
        ((field("a") | field("b")) & field("c"), "(field('a') | field('b')) & field('c')"),
        (~(field("a") == 1), "~(field('a') == 1)"),
        (~field("a"), "~field('a')"),
        (2 * field("a") + 1 >= 0, "2 * field('a') + 1 >= 0"),
        (2 * (field("a") + 1) >= 0, "2 * (field('a') + 1) >= 0"),
        (field("a") - (field("b") - 1), "field('a') - (field('b') - 1)"),
        (-field("a") // 3 % 2, "-field('a') // 3 % 2"),
        (-(field("a") + 1), "-(field('a') + 1)"),
        (1 / field("a") - 1.5, "1 / field('a') - 1.5"),
        ((field("a") + 1).between(1, 2), "(field('a') + 1).between(1, 2)"),
        (field("a").isin(["x", "y"]), "field('a').isin(['x', 'y'])"),
        (field("a").startswith("x"), "field('a').startswith('x')"),
        (field("a") < float("inf"), "field('a') < float('inf')"),
    ],
)
def test_it_is_shown_as_it_was_written(expression: Expression, shown: str) -> None:
    assert repr(expression) == shown


def test_it_is_immutable_and_hashable_and_goes_to_other_processes() -> None:
    expression = (field("a") * 2 > 1) & field("b").isin(["x"])
    with pytest.raises(AttributeError):
        expression.operator = "|"  # type: ignore[misc]
    assert {expression: 1}[expression] == 1
    for other in (pickle.loads(pickle.dumps(expression)), copy.deepcopy(expression)):
        assert repr(other) == repr(expression)
        assert other is not expression and hash(other) != hash(expression)


def test_it_names_its_fields() -> None:
    assert ((field("b") * 2 > field("a")) & field("b").isin([1])).fields() == ["b", "a"]


@pytest.mark.parametrize("make", [lambda x: x and True, lambda x: not x, lambda x: 1 < x < 3, lambda x: x in [x * 1]])
def test_it_has_no_truth_by_itself(make: Callable[[Expression], object]) -> None:
    with pytest.raises(FieldTypeError, match=r"use & \| ~ instead of and, or, not.*between"):
        make(field("value"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: x == None, "None.*expected an int"),  # noqa: E711
        (lambda x: x > [1], r"\[1\] \(list\)"),
        (lambda x: x + "a", "takes fields and numbers, found 'a'"),
        (lambda x: "a" * x, "takes fields and numbers, found 'a'"),
        (lambda x: (x > 1) + 1, "is a condition"),
        (lambda x: (x > 1) > 2, "is a condition"),
        (lambda x: -(x == 1), "is a condition"),
        (lambda x: (x > 1).between(0, 1), "is a condition"),
        (lambda x: x.between(x == 1, 2), "is a condition"),
        (lambda x: ~(x + 1), "joins conditions"),
        (lambda x: x & (x + 1), "joins conditions"),
        (lambda x: x | 3, "joins conditions"),
        (lambda x: True & x, "joins conditions"),
        (lambda x: x.isin("abc"), r"isin\(\['abc'\]\)"),
        (lambda x: x.isin(5), "takes a list"),
        (lambda x: x.isin([1, field("y")]), "takes constants"),
        (lambda x: x.startswith(5), "expected text"),
        (lambda x: x < datetime(2024, 1, 1), "no time zone"),
    ],
)
def test_a_mistake_that_needs_no_schema_is_told_when_it_is_written(
    make: Callable[[Expression], object], words: str
) -> None:
    with pytest.raises(FieldTypeError, match=words) as caught:
        make(field("value"))
    assert caught.value.field == "value"


def test_a_field_is_named_by_text() -> None:
    with pytest.raises(FieldTypeError, match="expected the name of a field, found int"):
        field(3)  # type: ignore[arg-type]


# What they match: the same as the callable beside them.

CASES: list[tuple[Expression, Callable[[Order], object]]] = [
    (field("quantity") > 4, lambda r: r.quantity > 4),
    (4 >= field("quantity"), lambda r: r.quantity <= 4),  # noqa: SIM300
    (field("quantity") != 4.0, lambda r: r.quantity != 4),
    (field("quantity") == 4.5, lambda r: False),
    (field("small") == 1000, lambda r: False),
    (field("small") < 1000, lambda r: True),
    (field("small") != float("nan"), lambda r: True),
    (field("large") > 2**63 + 4, lambda r: r.large > 2**63 + 4),
    (field("large") - 2**63 == field("quantity"), lambda r: True),
    (field("large") > field("price"), lambda r: True),
    (field("price") == 0.3, lambda r: r.price == 0.3),
    (field("single") >= 1.1, lambda r: r.single >= 1.1),
    (field("price") * field("quantity") > 1, lambda r: r.price * r.quantity > 1),
    (field("quantity") / 4 == field("single"), lambda r: True),
    (-field("quantity") // 4 == -2, lambda r: -r.quantity // 4 == -2),
    (10 - field("quantity") % 3 < 9, lambda r: 10 - r.quantity % 3 < 9),
    (field("quantity").between(2, 4), lambda r: 2 <= r.quantity <= 4),
    (field("quantity").between(field("small") + 5, 4.5), lambda r: r.quantity <= 4),
    (field("quantity").between(4, 2), lambda r: False),
    (field("quantity").isin([1, 2.0, 2.5, 99, True]), lambda r: r.quantity in (1, 2)),
    (field("price").isin([0.1, 1]), lambda r: r.price in (0.1,)),
    (field("price").isin([]), lambda r: False),
    (field("paid"), lambda r: r.paid),
    (~field("paid") & (field("paid") == False), lambda r: not r.paid),  # noqa: E712
    (field("paid") + field("paid") == 2, lambda r: r.paid),
    (field("timestamp") >= 4 * SECOND_NS, lambda r: r.timestamp >= 4 * SECOND_NS),
    (field("timestamp") >= datetime(1970, 1, 1, 0, 0, 4, tzinfo=UTC), lambda r: r.quantity >= 4),
    (
        field("timestamp") == datetime(1970, 1, 1, 1, 0, 4, tzinfo=timezone(timedelta(hours=1))),
        lambda r: r.quantity == 4,
    ),
    (field("timestamp").isin([datetime.fromtimestamp(3, UTC), 5 * SECOND_NS]), lambda r: r.quantity in (3, 5)),
    (field("gateway") == "gw-1", lambda r: r.gateway == "gw-1"),
    (field("gateway") != "gw-1", lambda r: r.gateway != "gw-1"),
    (field("gateway") == "unheard", lambda r: False),
    (field("gateway") != "unheard", lambda r: True),
    (field("gateway") > "gw-1", lambda r: r.gateway > "gw-1"),
    (field("gateway") <= "gw-1", lambda r: r.gateway <= "gw-1"),
    (field("gateway").isin(["gw-0", "gw-3", "unheard"]), lambda r: r.gateway in ("gw-0", "gw-3")),
    (field("gateway").between("gw-1", "gw-2"), lambda r: "gw-1" <= r.gateway <= "gw-2"),
    (field("gateway").startswith("gw"), lambda r: True),
    (field("gateway") == field("backup"), lambda r: r.gateway == r.backup),
    (field("gateway") != field("backup"), lambda r: r.gateway != r.backup),
    (field("note") == "n3", lambda r: r.note == "n3"),
    (field("note") != "a text longer than the field", lambda r: True),
    (field("note") >= "n3", lambda r: r.note >= "n3"),
    (field("note").startswith("n"), lambda r: True),
    (field("note").startswith("a text longer than the field"), lambda r: False),
    (field("note").isin(["n1", "n9", "n10"]), lambda r: r.note in ("n1", "n9")),
    (field("note").between("n2", "n4"), lambda r: "n2" <= r.note <= "n4"),
    (field("tag") == b"\3", lambda r: r.tag == b"\3"),
    (field("tag") < bytearray(b"\3"), lambda r: r.tag < b"\3"),
    ((field("quantity") > 2) & (field("price") < 0.8) & field("paid"), lambda r: r.quantity in (3, 6)),
    ((field("quantity") < 2) | (field("price") > 0.8) | field("paid"), lambda r: r.quantity in (0, 1, 3, 6, 9)),
    (numpy.float64(0.3) < field("price"), lambda r: r.price > 0.3),
    (field("quantity") == numpy.int64(3), lambda r: r.quantity == 3),
    (field("single") == numpy.float32(0.25), lambda r: r.single == 0.25),
]


@pytest.mark.parametrize(("expression", "accept"), CASES, ids=map(repr, (expression for expression, _ in CASES)))
def test_it_matches_what_the_callable_matches(
    snapshot: Snapshot[Order], expression: Expression, accept: Callable[[Order], object]
) -> None:
    chosen = snapshot.where(expression)
    assert list(chosen) == [record for record in ORDERS if accept(record)] == list(snapshot.where(accept))
    assert chosen.gaps == snapshot.gaps


def test_a_snapshot_takes_an_expression_wherever_it_takes_a_callable(store: EventStore[Order]) -> None:
    expected = [record for record in ORDERS if record.quantity > 6]
    assert list(store.snapshot().where(field("quantity") > 6)) == expected
    assert list(store.snapshot()[5:].where(field("quantity") > 6)) == expected
    assert list(store.snapshot().where(field("paid")).where(field("quantity") > 6)) == [ORDERS[9]]


def test_a_snapshot_outlives_its_store(name: str) -> None:
    with shmstore.create(name, Order, capacity=100, partitions=1) as store:
        store.append_many(ORDERS)
        snapshot = store.snapshot()
    assert list(snapshot.where(field("gateway") == "gw-2")) == [ORDERS[2], ORDERS[6]]


def test_a_key_that_came_after_the_snapshot_is_not_in_it(store: EventStore[Order]) -> None:
    snapshot = store.snapshot()
    store.append(ORDERS[0]._replace(gateway="late"))
    assert len(snapshot.where(field("gateway") == "late")) == 0
    assert len(store.snapshot().where(field("gateway") == "late")) == 1


# What is told when it meets a schema.


@pytest.mark.parametrize(
    ("expression", "error", "name", "words"),
    [
        (field("colour") == 1, FieldError, "colour", "no field 'colour'; the fields are gateway, backup"),
        (field("note") > 5, FieldTypeError, "note", r"\(Text\[8\]\) is compared with 5 \(int\); expected str"),
        (field("tag") == "x", FieldTypeError, "tag", "expected bytes"),
        (field("gateway") == 5, FieldTypeError, "gateway", r"\(Key\[64\]\).*expected str"),
        (field("gateway").isin(["a", 1]), FieldTypeError, "gateway", "is compared with 1"),
        (
            field("price") == "x",
            FieldTypeError,
            "price",
            r"\(Float64\) is compared with 'x' \(str\); expected a number",
        ),
        (field("price") * 2 == "x", FieldTypeError, "price", "expected a number"),
        (field("price").startswith("x"), FieldTypeError, "price", "does not begin with anything"),
        (field("price") > datetime.now(UTC), FieldTypeError, "price", "expected a number"),
        (field("timestamp") > "now", FieldTypeError, "timestamp", "expected an aware datetime"),
        (field("note") + 1 > 2, FieldTypeError, "note", "holds no numbers"),
        (field("price") > field("note"), FieldTypeError, "note", "holds no numbers"),
        (field("gateway") == field("note"), FieldTypeError, "gateway", "holds no numbers"),
        (field("gateway") < field("backup"), FieldTypeError, "gateway", "two Keys are equal or not"),
        (field("price"), FieldTypeError, "price", "is not a condition"),
        (field("price") + 1, FieldTypeError, "price", "is a number, not a condition"),
        (field("note") == "\ud800", FieldTypeError, "note", "cannot be encoded"),
        (field("quantity") + 2**64 > 1, FieldTypeError, "quantity", "beyond 64 bits"),
        (field("price") + 10**400 > 1, FieldTypeError, "price", "beyond 64 bits"),
    ],
)
def test_a_mistake_names_the_field_what_was_found_and_what_was_expected(
    expression: Expression, error: type[FieldError], name: str, words: str
) -> None:
    with pytest.raises(FieldError, match=words) as caught:
        compiled(SCHEMA, list, where=expression)
    assert type(caught.value) is error and caught.value.field == name


def test_an_overflow_names_the_expression(snapshot: Snapshot[Order]) -> None:
    with pytest.raises(FieldError, match=r"field\('large'\) \* field\('quantity'\) > 5: an integer left 64 bits"):
        snapshot.where(field("large") * field("quantity") > 5)
    with pytest.raises(FieldError, match="divided by zero"):
        snapshot.where(1 // field("quantity") == 0)
    assert len(snapshot.where((field("quantity") > 0) & (1 // field("quantity") == 0))) == 8
    assert len(snapshot.where(1 / field("quantity") == float("inf"))) == 1


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep = field("paid")
    for _ in range(40):
        deep = field("paid") & deep
    with pytest.raises(InvalidOption, match="too many parentheses"):
        compiled(SCHEMA, no_keys, where=deep)
    number = field("price")
    for _ in range(5000):
        number = number + 1
    with pytest.raises(InvalidOption, match="nested too deeply"):
        compiled(SCHEMA, no_keys, where=number > 1)


def test_a_long_row_of_conditions_is_no_nesting(snapshot: Snapshot[Order]) -> None:
    row = field("quantity") == -1
    for number in range(3000):
        row = row | (field("quantity") == number)
    assert len(snapshot.where(row)) == 10


# compiled() as scans use it.


def test_a_window_is_half_open_and_joins_the_condition(snapshot: Snapshot[Order]) -> None:
    def numbers(**arguments: Any) -> list[int]:
        mask = compiled(SCHEMA, no_keys, **arguments).matches(snapshot._columns)
        return [number for number, byte in enumerate(mask) if byte]

    assert numbers(since_ns=3 * SECOND_NS, until_ns=6 * SECOND_NS) == [3, 4, 5]
    assert numbers(since_ns=3 * SECOND_NS) == [3, 4, 5, 6, 7, 8, 9]
    assert numbers(until_ns=3 * SECOND_NS) == [0, 1, 2]
    assert numbers(since_ns=3 * SECOND_NS, until_ns=3 * SECOND_NS) == []
    assert numbers(since_ns=3 * SECOND_NS, where=field("paid")) == [3, 6, 9]
    assert numbers(until_ns=-(2**63)) == []
    assert numbers() == list(range(10))


def test_values_are_numbers_in_lanes(snapshot: Snapshot[Order]) -> None:
    values = ["price", "small", field("large") + 1, field("price") * field("quantity"), "paid", "timestamp"]
    program = compiled(SCHEMA, no_keys, where=field("paid"), values=values)
    found = [program.values(snapshot._columns, index) for index in range(len(values))]
    assert [view.format for view in found] == ["d", "q", "Q", "d", "q", "q"]
    assert [view[3] for view in found] == [0.3, -2, 2**63 + 4, 0.3 * 3, 1, 3 * SECOND_NS]
    with pytest.raises(IndexError):
        program.values(snapshot._columns, len(values))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("note", "holds no numbers"),
        ("gateway", "holds no numbers"),
        ("colour", "no field 'colour'"),
        (field("price") > 1, "is a condition"),
        (3, "expected a field's name"),
    ],
)
def test_a_value_that_is_no_number_is_refused(value: Any, words: str) -> None:
    with pytest.raises(FieldError, match=words):
        compiled(SCHEMA, no_keys, values=[value])


def test_more_than_eight_values_are_refused() -> None:
    with pytest.raises(InvalidOption, match=r"9 values.*at most 8"):
        compiled(SCHEMA, no_keys, values=["price"] * 9)


def test_a_program_runs_over_its_own_fields_only(name: str, snapshot: Snapshot[Order]) -> None:
    class Other(Record):
        price: float

    program = compiled(Schema.of(Other), no_keys, where=field("price") > 1)
    with pytest.raises(ValueError, match=r"field\('price'\) > 1.*other fields"):
        program.matches(snapshot._columns)
    with pytest.raises(TypeError):
        program.matches(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "step",
    [
        ("fly", 0, 0, 0, None),
        ("range", 0, 0, 0, None),
        ("range", 0, 99, 0, (1, 2)),
        ("range", 0, 5, 0, (1, 2**70)),
        ("range", 0, 5, 0, ("a", "b")),
        ("member", 0, 7, 0, [3, 1]),
        ("member", 0, 7, 0, 5),
        ("text ==", 0, 2, 0, ["x"]),
        ("ids", 0, 0, 0, "x"),
        ("and", 0, 1, 2, None),
        ("+", 0, 7, 9, False),
        ("load", 300, 0, 0, None),
        "load",
    ],
)
def test_what_is_no_program_is_refused(step: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        _core.Program(SCHEMA.fields, [step], [], "")


@may_fork
def test_a_program_for_which_memory_is_short_is_told_so() -> None:
    texts = [b"x" * (64 << 20)]

    def life() -> int:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + len(texts[0]) * 3 // 2  # one copy is made before the core makes its own
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        with pytest.raises(MemoryError):
            _core.Program([("note", _core.TEXT, 8)], [("text member", 0, 0, 0, texts)], [], "")
        return 0

    assert Child(life).wait() == 0


def test_keeping_by_a_mask_needs_a_byte_for_every_row(snapshot: Snapshot[Order]) -> None:
    columns = snapshot._columns
    assert columns.keep(bytes([0, 2, 0, 0, 0, 0, 0, 0, 0, 255])).rows() == [ORDERS[1], ORDERS[9]]
    with pytest.raises(ValueError, match="3 bytes for 10 rows"):
        columns.keep(bytes(3))
    with pytest.raises(TypeError):
        columns.keep(bytearray(10))  # type: ignore[arg-type]


def test_every_operator_has_its_reflection(snapshot: Snapshot[Order]) -> None:
    for combine in (operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod):
        program = compiled(SCHEMA, no_keys, values=[combine(7, field("quantity") + 1), combine(field("quantity"), 7)])
        expected = [combine(7, number + 1) for number in range(10)], [combine(number, 7) for number in range(10)]
        assert tuple(program.values(snapshot._columns, index).tolist() for index in (0, 1)) == expected
