"""Stores of random records, with a plain Python model beside each: what is readable, in the order of a snapshot."""

import random
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import shmstore
from shmstore import (
    Bool,
    Bytes,
    EventStore,
    Expression,
    Float32,
    Int8,
    Int16,
    Int32,
    Key,
    Record,
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    field,
)
from tests.helpers.slots import State, set_state

SIGNED = {Int8: 8, Int16: 16, Int32: 32, int: 64}
UNSIGNED = {UInt8: 8, UInt16: 16, UInt32: 32, UInt64: 64}
INTEGERS = {kind: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for kind, bits in SIGNED.items()} | {
    kind: (0, 2**bits - 1) for kind, bits in UNSIGNED.items()
}
NARROW = (Int8, Int16, UInt8, UInt16, Bool)  # sums and products of a few stay far within 64 bits
WORDS = ["", "a", "gw-1", "gw-12", "gw-2", "zwölf", "z" * 12, "a\0b"]
EXTREMES = [0.0, -0.0, 1e308, -1e308, 5e-324, float("inf"), -float("inf"), float("nan"), 1e16, 1.0]
KINDS = [*INTEGERS, float, Float32, Bool, Key, Text[12], Bytes[5]]

Maker = Callable[[int], Any]
"""The value of a field in the record with this number."""


class Asked(NamedTuple):
    """The same thing twice: as an expression, and as a function of a record."""

    expression: Expression | str
    of: Callable[[Any], Any]
    is_float: bool = False


def _single(value: float) -> float:
    """As 32 bits hold it."""
    try:
        return float(struct.unpack("f", struct.pack("f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


def _maker(kind: Any, dice: random.Random) -> Maker:
    """Values that ascend, stay for a while, are drawn from a few, or from all there are."""
    way, run = dice.randrange(4), dice.choice([1, 100, 256, 700])
    if kind in INTEGERS:
        low, high = INTEGERS[kind]
        few = [low, high, 0, 1, high - 1, *(dice.randint(low, high) for _ in range(3))]
        return (
            lambda number: max(low, min(high, number // run)),
            lambda number: few[number // run % len(few)],
            lambda _: dice.choice(few),
            lambda _: dice.randint(max(low, -1000), min(high, 1000)),
        )[way]
    if kind in (float, Float32):
        cut = _single if kind is Float32 else float
        base = dice.choice([0.0, 1e6, 1e15])
        return (
            lambda number: cut(base + number // run),
            lambda number: cut(EXTREMES[number // run % len(EXTREMES)]),
            lambda _: cut(dice.choice(EXTREMES) if dice.random() < 0.02 else base + dice.gauss(0, 1)),
            lambda _: cut(dice.gauss(0, 1) * 10.0 ** dice.randrange(-10, 10)),
        )[way]
    if kind is Bool:
        return lambda number: bool(number // run % 2) if way < 2 else dice.random() < 0.5
    few_words = dice.sample(WORDS, 4)
    word = (lambda number: few_words[number // run % 4]) if way < 2 else lambda _: dice.choice(few_words)
    return (lambda number: word(number).encode()[:5]) if kind == Bytes[5] else word


class RandomStore:
    """A store of random records, three handles of it, and what is readable in each partition: (ticket, record)."""

    def __init__(self, name: str, dice: random.Random) -> None:
        self.dice = dice
        self.kinds = {f"f{place}": dice.choice(KINDS) for place in range(dice.randrange(1, 7))}
        self.makers = {name: _maker(kind, dice) for name, kind in self.kinds.items()}
        self.time = dice.choice([None, "time", "time"])
        if self.time:
            self.kinds[self.time] = Timestamp
            step, jitter = dice.choice([0, 10, 1000]), dice.choice([0, 0, 5000])
            self.makers[self.time] = lambda number: 10**6 + number * step + dice.randint(-jitter, jitter)
        row: Any = type("Row", (Record,), {"__annotations__": dict(self.kinds)})
        self.row = row
        self.store: EventStore[Any] = shmstore.create(
            name,
            row,
            capacity=dice.choice([1, 7, 256, 300, 512, 1000, 2500]),
            partitions=dice.choice([1, 1, 2, 5]),
            layout=dice.choice(["rows", "columns"]),
            partition_by="explicit",
            keys=dice.choice([16, 5000]),
        )
        self.handles = [self.store, shmstore.attach(name, row), shmstore.attach(name, row, read_only=True)]
        self.slots = self.store.capacity // self.store.partitions
        self.tails = [0] * self.store.partitions
        self.held: list[deque[tuple[int, Any]]] = [deque() for _ in self.tails]
        self.numbers = 0

    def close(self) -> None:
        for handle in self.handles:
            handle.close()

    # -- changes

    def append(self) -> None:
        """A burst in one partition, some of whose writers died, or stood still for a lap."""
        partition = self.dice.randrange(self.store.partitions)
        records = []
        for _ in range(self.dice.choice([1, 10, 256, 600])):
            records.append(self.row(*(make(self.numbers) for make in self.makers.values())))
            self.numbers += 1
        self.store.append_many(records, partition=partition)
        held, first = self.held[partition], self.tails[partition]
        held.extend(enumerate(records, first))
        self.tails[partition] += len(records)
        while held and held[0][0] < self.tails[partition] - self.slots:
            held.popleft()
        if self.dice.random() < 0.3:
            for ticket in self.dice.sample(range(first, self.tails[partition]), 1):
                if ticket >= self.tails[partition] - self.slots:
                    set_state(self.store, ticket, self.dice.choice([State.VOID, State.SKIPPED]), partition)
                    self.held[partition] = deque(pair for pair in held if pair[0] != ticket)
                    held = self.held[partition]

    def clear(self) -> None:
        self.store.clear()
        self.held = [deque() for _ in self.held]

    def purge(self) -> None:
        if self.time:
            before = self.some_time()
            self.store.purge(older_than=before)
            for held in self.held:
                while held and getattr(held[0][1], self.time) < before:
                    held.popleft()

    # -- what is asked about

    def records(self, partition: int | None = None) -> list[list[Any]]:
        """What is readable in each partition."""
        chosen = self.held if partition is None else [self.held[partition]]
        return [[record for _, record in held] for held in chosen]

    def some_record(self) -> Any:
        held = [record for records in self.records() for record in records]
        return self.dice.choice(held) if held else self.row(*(make(self.numbers) for make in self.makers.values()))

    def some_time(self) -> int:
        assert self.time
        return int(getattr(self.some_record(), self.time)) + self.dice.choice([-(10**12), -1, 0, 0, 1, 10**12])

    def names(self, *kinds: Any) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def value(self) -> Asked | None:
        """A number: a field, or something worked out of fields; None when there are no such fields."""
        dice = self.dice
        numbers = self.names(*INTEGERS, float, Float32, Bool, Timestamp)
        if not numbers:
            return None
        name = dice.choice(numbers)
        is_float = self.kinds[name] in (float, Float32)
        if dice.random() < 0.6:
            return Asked(name, lambda record: getattr(record, name), is_float)
        if is_float:
            return Asked(field(name) * 0.5 + 1, lambda record: getattr(record, name) * 0.5 + 1, True)
        narrow = self.names(*NARROW)
        if narrow and dice.random() < 0.5:
            one, other = dice.choice(narrow), dice.choice(narrow)
            return Asked(
                field(one) * field(other) - field(one), lambda r: getattr(r, one) * getattr(r, other) - getattr(r, one)
            )
        return Asked(field(name) // 3, lambda record: getattr(record, name) // 3)

    def condition(self, depth: int = 2) -> Asked:
        dice = self.dice
        if depth and dice.random() < 0.4:
            one, other = self.condition(depth - 1), self.condition(depth - 1)
            first, second = one.expression, other.expression
            assert isinstance(first, Expression) and isinstance(second, Expression)
            return dice.choice(
                [
                    Asked(first & second, lambda record: one.of(record) and other.of(record)),
                    Asked(first | second, lambda record: one.of(record) or other.of(record)),
                    Asked(~first, lambda record: not one.of(record)),
                ]
            )
        name = dice.choice(list(self.kinds))
        here, low = field(name), getattr(self.some_record(), name)
        high = getattr(self.some_record(), name)
        few = [value for value in (low, high, getattr(self.some_record(), name)) if value == value]
        choices = [
            Asked(here == low, lambda record: getattr(record, name) == low),
            Asked(here != low, lambda record: getattr(record, name) != low),
            Asked(here >= low, lambda record: getattr(record, name) >= low),
            Asked(here < low, lambda record: getattr(record, name) < low),
            Asked(here.between(low, high), lambda record: low <= getattr(record, name) <= high),
            Asked(here.isin(few), lambda record: getattr(record, name) in few),
        ]
        if isinstance(low, str | bytes):
            choices.append(Asked(here.startswith(low[:2]), lambda record: getattr(record, name).startswith(low[:2])))
        return dice.choice(choices)
