"""Random schemas, values, ways to append and to read, against plain Python; a round follows from its seed."""

import copy
import csv
import dataclasses
import io
import json
import math
import pickle
import random
import struct
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import shmstore
from shmstore import (
    Bool,
    Bytes,
    EventStore,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Key,
    Record,
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)

BITS = {Int8: -8, Int16: -16, Int32: -32, Int64: -64, UInt8: 8, UInt16: 16, UInt32: 32, UInt64: 64, Timestamp: -64}
WORDS = [
    "",
    "a",
    "0",
    "null",
    "zwölf",
    "€" * 5,
    'say "a, b"',
    "line\nbreak",
    "line\rbreak",
    "tab\t",
    "nul\0in",
    " pad ",
    "𝄞",
]
FLOATS = [0.0, -0.0, 1.5, -1e308, 5e-324, math.inf, -math.inf, math.nan, 2.0**53 + 1, 0.1]
KINDS: list[Any] = [*BITS, Float32, Float64, Bool, Text[16], Bytes[5], Key, Key[16]]


def _value(kind: Any, dice: random.Random) -> Any:
    """A value that a field of this kind gives back as it is."""
    if kind in BITS:
        bits = abs(BITS[kind])
        low = -(1 << (bits - 1)) if BITS[kind] < 0 else 0
        high = low + (1 << bits) - 1
        return dice.choice([low, high, 0, 1, max(low, -1), dice.randint(low, high)])
    if kind is Float64:
        return dice.choice([*FLOATS, dice.gauss(0, 1e6)])
    if kind is Float32:
        return struct.unpack("f", struct.pack("f", dice.choice([0.0, -0.0, 1.5, math.inf, math.nan, 0.1, 1e-45])))[0]
    if kind is Bool:
        return dice.random() < 0.5
    if kind == Bytes[5]:
        return bytes(dice.choice([b"", b"\0", b"ab\0", b"\xff" * 5, bytes(dice.choices(range(256), k=3))]))
    return dice.choice([word for word in WORDS if len(word.encode()) <= 16])


def same(values: Any) -> Any:
    """Values so that equal ones are equal and others are not: NaN like NaN, -0.0 unlike 0.0, True unlike 1."""
    return [(type(value).__name__, repr(value)) for value in values]


class Round:
    """A store of random records, and the records that it must hold: a list for each partition."""

    def __init__(self, name: str, seed: str) -> None:
        self.dice = dice = random.Random(seed)
        kinds = [dice.choice(KINDS) for _ in range(dice.randrange(1, 8))]
        self.kinds = {f"f{place}": kind for place, kind in enumerate(kinds)}
        self.names = list(self.kinds)
        self.declared: Any = dice.choice([self._record, self._dataclass, self._named_tuple])()
        self.store: EventStore[Any] = shmstore.create(
            name,
            self.declared,
            capacity=dice.choice([1, 3, 64, 300]),
            partitions=dice.choice([1, 1, 2, 3]),
            layout=dice.choice([None, "rows", "columns"]),
            partition_by=dice.choice(["explicit", "turn"]),
            keys=64,
        )
        self.slots = self.store.capacity // self.store.partitions
        self.tails = [0] * self.store.partitions
        self.held: list[list[tuple[Any, ...]]] = [[] for _ in self.tails]

    def _record(self) -> Any:
        return type("Row", (Record,), {"__annotations__": dict(self.kinds)})

    def _dataclass(self) -> Any:
        return dataclasses.make_dataclass("Row", list(self.kinds.items()), namespace={"__module__": __name__})

    def _named_tuple(self) -> Any:
        return NamedTuple("Row", list(self.kinds.items()))  # type: ignore[misc]

    # -- appending, in every way

    def append(self) -> None:
        """Some records, all to one partition."""
        dice, partition = self.dice, self.dice.randrange(self.store.partitions)
        count = dice.choice([1, 1, 2, 70])
        rows = [tuple(_value(kind, dice) for kind in self.kinds.values()) for _ in range(count)]
        dice.choice([self._one_by_one, self._rows, self._columns])(rows, partition)
        self.tails[partition] += count
        self.held[partition] = (self.held[partition] + rows)[-self.slots :]

    def _one_by_one(self, rows: list[tuple[Any, ...]], partition: int) -> None:
        append = self.store.appender(*self.names, partition=partition)
        for row in rows:
            fields = list(zip(self.names, row, strict=True))
            self.dice.shuffle(fields)
            way = self.dice.randrange(5)
            if way == 0:
                position = self.store.append(**dict(fields), partition=partition)
            elif way == 1:
                position = self.store.append(self.declared(*row), partition=partition)
            elif way == 2:
                position = self.store.append(row, partition=partition)
            elif way == 3:
                position = self.store.append(dict(fields), partition=partition)
            else:
                position = append(*row)
            found = self.store.read_at(position)
            assert found is not None and same(self._values(found)) == same(row)

    def _rows(self, rows: list[tuple[Any, ...]], partition: int) -> None:
        made = [self.declared(*row) if self.dice.random() < 0.5 else row for row in rows]
        assert self.store.append_many(made, partition=partition) == len(rows)

    def _columns(self, rows: list[tuple[Any, ...]], partition: int) -> None:
        columns = dict(zip(self.names, map(list, zip(*rows, strict=True)), strict=True))
        assert self.store.append_many(columns, partition=partition) == len(rows)

    def _values(self, record: Any) -> tuple[Any, ...]:
        return tuple(getattr(record, name) for name in self.names)

    # -- reading, in every way

    def rows(self) -> list[tuple[Any, ...]]:
        """All records that must be there, in the order of a snapshot."""
        return [row for rows in self.held for row in rows]

    def check(self) -> None:
        """Each way to read gives the same records."""
        expected = list(map(same, self.rows()))
        snapshot = self.store.snapshot()
        assert list(map(same, snapshot.rows())) == expected
        assert [same(self._values(record)) for record in snapshot] == expected
        assert [same(self._values(record)) for record in self.store.query()] == expected
        assert [same(row.values()) for row in snapshot.to_dicts()] == expected
        assert self.store.count() == len(self.store) == len(expected)
        with self.store.cursor("oldest") as cursor:
            assert sorted(same(self._values(record)) for record in cursor.read(10_000)) == sorted(expected)
        assert list(map(same, copy.deepcopy(snapshot).rows())) == expected
        if isinstance(self.declared, type) and issubclass(self.declared, Record):
            generated = shmstore.attach(self.store.name)
            assert list(map(same, pickle.loads(pickle.dumps(generated.snapshot())).rows())) == expected
            generated.close()
        self._check_lines(snapshot)
        self._check_windows()

    def _check_lines(self, snapshot: Any) -> None:
        """CSV and JSON lines, as other readers read them."""
        written = io.StringIO()
        assert snapshot.to_csv(written) == len(snapshot)
        read = list(csv.reader(io.StringIO(written.getvalue(), newline="")))
        assert read[0] == self.names
        assert [same(map(self._of_csv, self.names, row)) for row in read[1:]] == list(map(same, self.rows()))
        written = io.StringIO()
        assert snapshot.to_jsonl(written) == len(snapshot)
        objects = [json.loads(line) for line in written.getvalue().split("\n")[:-1]]
        for found, row in zip(objects, self.rows(), strict=True):
            for (name, kind), value in zip(self.kinds.items(), row, strict=True):
                if kind in (Float32, Float64) and not math.isfinite(value):
                    assert found[name] is None
                elif kind is Timestamp or kind == Bytes[5]:
                    assert self._of_csv(name, found[name]) == value
                else:
                    assert same([found[name]]) == same([value])

    def _of_csv(self, name: str, cell: str) -> Any:
        kind = self.kinds[name]
        if kind is Timestamp:
            whole, fraction = cell.rstrip("Z").split(".")
            seconds = (
                datetime.fromisoformat(whole).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
            ).total_seconds()
            return int(seconds) * 10**9 + int(fraction)
        if kind in BITS:
            return int(cell)
        if kind in (Float32, Float64):
            return float(cell)
        if kind is Bool:
            return {"true": True, "false": False}[cell]
        return b64decode(cell) if kind == Bytes[5] else cell

    def _check_windows(self) -> None:
        """Windows of time count what plain arithmetic counts, to the ends of 64 bits."""
        name = next((name for name, kind in self.kinds.items() if kind is Timestamp), None)
        if name is None:
            return
        times = [row[self.names.index(name)] for row in self.rows()]
        every = self.dice.choice([timedelta(days=1), timedelta(days=10_000), timedelta(microseconds=7)])
        length = every // timedelta(microseconds=1) * 1000
        counts: dict[int, int] = {}
        for time in times:
            start = max(-(1 << 63), time // length * length)
            counts[start] = counts.get(start, 0) + 1
        found = self.store.windows(every=every)
        assert [tuple(row) for row in found] == sorted(counts.items())
        years = self.store.windows(every="year")
        assert sum(years["count"]) == len(times) and len(years) <= len(set(times))


def run_round(name: str, seed: str) -> None:
    """One round; what fails is of this seed."""
    played = Round(name, seed)
    try:
        for _ in range(4):
            for _ in range(played.dice.randrange(1, 4)):
                played.append()
            played.check()
    except BaseException:
        print(f"seed {seed}: {played.kinds} in {played.store!r}, declared as {played.declared!r}")
        raise
    finally:
        played.store.close()
        shmstore.unlink(name)
