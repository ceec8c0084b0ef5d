"""Random expressions over random records of every kind of field: they say of each what the same words say in Python."""

import math
import operator
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import (
    Bool,
    Bytes,
    Expression,
    FieldError,
    Float32,
    Int8,
    Int16,
    Int32,
    Int64,
    Key,
    Record,
    Snapshot,
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    field,
)
from shmstore.expressions.compiler import compiled
from shmstore.expressions.parse import parse
from tests.helpers.effort import cases
from tests.helpers.expression_model import FAULT, say

ROWS = 1500  # more than a batch, and no multiple of one
EXPRESSIONS = cases(full=300, sample=100)


class Everything(Record):
    key: Key
    other_key: Key
    text: Text[9]
    other_text: Text[20]
    blob: Bytes[6]
    ok: Bool
    i8: Int8
    i16: Int16
    i32: Int32
    i64: Int64
    j64: Int64
    u8: UInt8
    u16: UInt16
    u32: UInt32
    u64: UInt64
    v64: UInt64
    f32: Float32
    f64: float
    g64: float
    timestamp: Timestamp


WIDTHS = {f"i{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
WIDTHS |= {f"u{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)}
WIDTHS |= {"j64": WIDTHS["i64"], "v64": WIDTHS["u64"], "timestamp": WIDTHS["i64"]}
FLOATS = [0.0, -0.0, 0.5, -1.5, 3.0, 1e300, -1e-300, 5e-324, math.inf, -math.inf, math.nan, 2.0**53, 2.0**63, 2.0**64]
INTS = [0, 1, -1, 2, 7, -7, 100, 2**31, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**63, 2**64 - 1]
LETTERS = "abzé\0€😀"


def as_float32(number: float) -> float:
    try:
        return struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError:
        return math.inf


class Chance:
    """Random values and expressions, all from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.texts = ["", *("".join(self.random.choices(LETTERS, k=self.random.randint(1, 2))) for _ in range(12))]

    def text(self) -> str:
        return self.random.choice(self.texts)

    def int_within(self, least: int, most: int) -> int:
        near = [self.random.randint(-9, 9), *INTS, least, most, least + 1, most - 1, self.random.randint(least, most)]
        return self.random.choice([number for number in near if least <= number <= most])

    def real(self) -> float:
        near = [
            *FLOATS,
            self.random.uniform(-9, 9),
            float(self.random.randint(-9, 9)),
            float(self.int_within(-(2**63), 2**64)),
        ]
        number = self.random.choice(near)
        return (
            math.nextafter(number, self.random.choice([-math.inf, math.inf])) if self.random.random() < 0.2 else number
        )

    def number(self) -> int | float:
        """A constant, also beyond what any field holds."""
        choice = self.random.random()
        if choice < 0.4:
            return self.random.randint(-9, 9)
        if choice < 0.7:
            return self.random.choice([*INTS, 2**70, -(2**70), True, False]) + self.random.choice([0, 0, 1, -1])
        return self.real()

    def record(self) -> Everything:
        values: dict[str, Any] = {name: self.int_within(*width) for name, width in WIDTHS.items()}
        values |= {name: self.text() for name in ("key", "other_key", "text", "other_text")}
        values |= {"blob": self.text().encode()[:6], "ok": self.random.random() < 0.5}
        values |= {"f32": as_float32(self.real()), "f64": self.real(), "g64": self.real()}
        return Everything(**values)

    # -- expressions

    def numeric(self, depth: int) -> Expression:
        if depth == 0 or self.random.random() < 0.4:
            return field(self.random.choice([*WIDTHS, "f32", "f64", "g64", "ok"]))
        if self.random.random() < 0.1:
            return -self.numeric(depth - 1)
        combine: Callable[[Any, Any], Expression] = self.random.choice(
            [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.truediv]
        )
        choice = self.random.random()
        small = self.random.choice([self.random.randint(-9, 9), self.random.uniform(-9, 9), 2**53, 2**64 - 1])
        if choice < 0.3:
            return combine(self.numeric(depth - 1), small)
        if choice < 0.5:
            return combine(small, self.numeric(depth - 1))
        return combine(self.numeric(depth - 1), self.numeric(depth - 1))

    def comparison(self, depth: int) -> Expression:
        compare: Callable[[Any, Any], Expression] = self.random.choice(
            [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
        )
        choice = self.random.random()
        if choice < 0.3:
            return self.textual(compare)
        subject = self.numeric(depth if self.random.random() < 0.6 else 0)
        if choice < 0.5:
            return compare(subject, self.number())
        if choice < 0.7:
            return compare(subject, self.numeric(depth))
        if choice < 0.8:
            return subject.between(self.number(), self.number())
        if choice < 0.85:
            return subject.between(self.numeric(0), self.number())
        if choice < 0.95:
            return subject.isin([self.number() for _ in range(self.random.choice([0, 1, 2, 5, 20]))])
        return field("ok")

    def textual(self, compare: Callable[[Any, Any], Expression]) -> Expression:
        name = self.random.choice(["key", "text", "other_text", "blob"])
        constants: list[Any] = [self.text() for _ in range(self.random.choice([1, 2, 9]))]
        if name == "blob":
            constants = [constant.encode() for constant in constants]
        subject, choice = field(name), self.random.random()
        if choice < 0.4:
            return compare(subject, constants[0])
        if choice < 0.6:
            return subject.startswith(constants[0])
        if choice < 0.7:
            return subject.between(constants[0], constants[-1])
        if choice < 0.8:
            return compare(field("text"), field("other_text"))
        if choice < 0.9:
            return self.random.choice([operator.eq, operator.ne])(field("key"), field("other_key"))
        return subject.isin(constants)

    def condition(self, depth: int) -> Expression:
        choice = self.random.random()
        if depth == 0 or choice < 0.4:
            return self.comparison(self.random.randint(0, 2))
        if choice < 0.5:
            return ~self.condition(depth - 1)
        join = self.random.choice([operator.and_, operator.or_])
        return join(self.condition(depth - 1), self.condition(depth - 1))


@pytest.fixture
def chance(seed: int) -> Chance:
    return Chance(seed)


@pytest.fixture
def snapshot(name: str, chance: Chance) -> Iterator[Snapshot[Everything]]:
    with shmstore.create(name, Everything, capacity=ROWS, partitions=1, keys=64) as store:
        store.append_many(chance.record() for _ in range(ROWS))
        yield store.snapshot()


def test_a_condition_matches_as_in_python(snapshot: Snapshot[Everything], chance: Chance) -> None:
    records, decided = list(snapshot), 0
    for _ in range(EXPRESSIONS):
        condition = chance.condition(3)
        said = [say(condition, record) for record in records]
        try:
            program = compiled(snapshot.schema, snapshot._columns.keys, where=condition)
            found = program.matches(snapshot._columns)
        except FieldError:
            assert FAULT in [say(condition, record, strict=True) for record in records], condition
            continue
        for record, one, other in zip(records, found, said, strict=True):
            assert bool(one) is other, f"{condition!r} of {record!r}"
        decided += 1
    assert decided > EXPRESSIONS / 3


def same(one: Any, other: Any) -> bool:
    """To the bit: 0.0 is not -0.0, and NaN is NaN."""
    if isinstance(other, float):
        return (one != one and other != other) or struct.pack("d", one) == struct.pack("d", other)
    return bool(one == other)


def test_a_value_is_as_in_python(snapshot: Snapshot[Everything], chance: Chance) -> None:
    records, decided = list(snapshot), 0
    for _ in range(EXPRESSIONS):
        number = chance.numeric(3)
        said = [say(number, record) for record in records]
        try:
            program = compiled(snapshot.schema, snapshot._columns.keys, values=[number, "u8"])
            found = program.values(snapshot._columns, 0)
        except FieldError:
            assert FAULT in [say(number, record, strict=True) for record in records], number
            continue
        wrong = [record for record, one, other in zip(records, found, said, strict=True) if not same(one, other)]
        assert not wrong, f"{number!r} of {wrong[0]!r}"
        assert program.values(snapshot._columns, 1).tolist() == snapshot.values("u8")
        decided += 1
    assert decided > EXPRESSIONS / 3


def test_an_overflow_in_a_record_that_is_decided_without_it_is_none(snapshot: Snapshot[Everything]) -> None:
    overflowing = field("i64") * field("j64") > 0
    with pytest.raises(FieldError):
        snapshot.where(overflowing)
    small = field("i64").between(-9, 9) & field("j64").between(-9, 9)
    chosen = snapshot.where(small & overflowing)
    by_python = snapshot.where(lambda r: -9 <= r.i64 <= 9 and -9 <= r.j64 <= 9 and r.i64 * r.j64 > 0)
    assert repr(list(chosen)) == repr(list(by_python))
    assert len(snapshot.where(~small | overflowing)) > len(chosen) > 0
    program = compiled(snapshot.schema, snapshot._columns.keys, where=small, values=[field("i64") * field("j64")])
    products = program.values(snapshot._columns, 0)
    matching = [product for product, one in zip(products, program.matches(snapshot._columns), strict=True) if one]
    assert matching == [record.i64 * record.j64 for record in snapshot.where(small)]


def test_what_is_shown_can_be_read_again(chance: Chance) -> None:
    for _ in range(EXPRESSIONS):
        condition = chance.condition(3)
        assert repr(eval(repr(condition), {"field": field, "float": float})) == repr(condition)


def test_an_expression_and_its_text_say_the_same(chance: Chance) -> None:
    for text in ("i8 > 3 and not ok or key in ['a', 'b']", "0 < -f64 * 2 <= i8 + 3 % u8", "startswith(text, 'a')"):
        words = parse(text)
        function = eval(f"lambda i8, ok, key, f64, u8, text, startswith: {text}")
        for _ in range(100):
            r = chance.record()
            if r.u8:
                expected = function(r.i8, r.ok, r.key, r.f64, r.u8, r.text, str.startswith)
                assert say(words, r) == bool(expected), r
