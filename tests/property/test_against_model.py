"""Random operations on a store and on a plain Python model of it: after each, both must say the same."""

import random
import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

import pytest

import shmstore
from shmstore import Bytes, Cursor, EventStore, Int16, Key, Record, Text, Timestamp

OPERATIONS = 1500
GATEWAYS = [f"gateway-{number}" for number in range(12)]


class Order(Record):
    gateway: Key
    note: Text[12]
    blob: Bytes[5]
    small: Int16
    value: float
    timestamp: Timestamp


def in_any_order(records: list[Order]) -> list[str]:
    """Their values, whatever class they are of."""
    return sorted(repr(tuple(record)) for record in records)


class Held(NamedTuple):
    """One readable record of the model, with its ticket."""

    ticket: int
    record: Order


@dataclass
class Follower:
    """A cursor of the store, and the next ticket of each partition that the model says it stands at."""

    cursor: Cursor[Order]
    next: list[int]
    read: int = 0
    lost: int = 0


@dataclass
class Model:
    """What a store must be: per partition, the next ticket and the newest records; and who follows it."""

    slots: int
    partitions: int
    tails: list[int] = field(init=False)
    held: list[deque[Held]] = field(init=False)
    gateways: dict[str, int] = field(default_factory=dict)
    followers: list[Follower] = field(default_factory=list)
    discarded: list[Order] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tails = [0] * self.partitions
        self.held = [deque() for _ in range(self.partitions)]

    def append(self, partition: int, record: Order) -> int:
        """Returns the position."""
        ticket = self.tails[partition]
        self.tails[partition] += 1
        held = self.held[partition]
        if held and held[0].ticket == ticket - self.slots:
            self.discarded.append(held.popleft().record)
        held.append(Held(ticket, record))
        return ticket * self.partitions + partition

    def partition_of_key(self, gateway: str) -> int:
        return self.gateways.setdefault(gateway, len(self.gateways)) % self.partitions

    def records(self, partition: int | None = None) -> list[Order]:
        chosen = range(self.partitions) if partition is None else [partition]
        return [held.record for number in chosen for held in self.held[number]]

    def purge(self, before_ns: int) -> None:
        for held in self.held:
            while held and held[0].record.timestamp < before_ns:
                held.popleft()


class StoreAndModel:
    """One store, its model, and the operations that are done to both."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.rng = rng
        self.rule = rng.choice(["key", "turn", "explicit"])
        self.numbers = count()
        self.discarded: list[Order] = []
        self.store: EventStore[Order] = shmstore.create(
            name,
            Order,
            capacity=rng.choice([1, 2, 7, 16, 100, 1500]),
            partitions=rng.choice([1, 2, 3, 5]),
            layout=rng.choice(["rows", "columns"]),
            partition_by=self.rule,
            on_discarded=self.discarded.append,
        )
        self.other = shmstore.attach(name, Order, on_discarded=self.discarded.append)
        self.reader = shmstore.attach(name, read_only=True)
        self.model = Model(self.store.capacity // self.store.partitions, self.store.partitions)
        self.appenders = [
            self.store.appender("gateway", "note", "blob", "small", "value", "timestamp", partition=partition)
            for partition in (range(self.store.partitions) if self.rule == "explicit" else [None])
        ]
        self.aside = None if self.rule == "turn" else 0  # what is put elsewhere leaves the order of turns to a search
        self.shuffled = self.other.appender(
            "timestamp", "value", "small", "blob", "note", "gateway", partition=self.aside
        )
        self.turn = 0  # of all handles together

    def close(self) -> None:
        for handle in (self.store, self.other, self.reader):
            handle.close()

    # -- what is appended, and where it must go

    def order(self) -> Order:
        rng, number = self.rng, next(self.numbers)
        note = "".join(rng.choice("aé\0z") for _ in range(rng.randrange(7)))
        return Order(
            rng.choice(GATEWAYS),
            note,
            rng.randbytes(rng.randrange(6)),
            rng.randrange(-(2**15), 2**15),
            rng.choice([0.0, -0.0, 1e300, float("inf"), rng.gauss(0, 1e6), float(number)]),
            1000 * number + rng.randrange(-5000, 5000),
        )

    def placed(self, record: Order, forced: int | None) -> int:
        """The position that the model gives the record; `partition=` forces one."""
        number = self.model.partition_of_key(record.gateway)
        if forced is not None:
            number = forced
        elif self.rule == "turn":
            number = self.turn % self.model.partitions
            self.turn += 1
        return self.model.append(number, record)

    def forced(self) -> int | None:
        if self.rule == "explicit" or (self.rule == "key" and self.rng.random() < 0.2):
            return self.rng.randrange(self.store.partitions)
        return None

    # -- operations

    def append(self) -> None:
        record, partition = self.order(), self.forced()
        way = self.rng.randrange(5)
        if way == 0:
            position = self.store.append(**record._asdict(), partition=partition)
        elif way == 1:
            position = self.store.append(record, partition=partition)
        elif way == 2:
            position = self.store.append(record._asdict(), partition=partition)
        elif way == 3:
            given = record._replace(gateway=self.store.key(record.gateway))
            position = self.store.append(tuple(given), partition=partition)
        else:
            append = self.rng.choice(self.appenders)
            partition = self.appenders.index(append) if self.rule == "explicit" else None
            position = append(*record)
        assert position == self.placed(record, partition)

    def append_shuffled(self) -> None:
        record = self.order()
        assert self.shuffled(*reversed(record)) == self.placed(record, self.aside)

    def append_rows(self) -> None:
        records, partition = [self.order() for _ in range(self.rng.randrange(40))], self.forced()
        forms: list[Any] = [record if self.rng.random() < 0.5 else record._asdict() for record in records]
        assert self.store.append_many(forms, partition=partition) == len(records)
        for record in records:
            self.placed(record, partition)

    def append_columns(self) -> None:
        records, partition = [self.order() for _ in range(self.rng.randrange(40))], self.forced()
        columns: dict[str, Any] = {name: [getattr(record, name) for record in records] for name in Order._fields}
        for name, code in (("small", "h"), ("value", "d"), ("timestamp", "q")):
            if self.rng.random() < 0.5:
                columns[name] = array(code, columns[name])
        if self.rng.random() < 0.5:
            columns["gateway"] = array("I", map(self.store.key, columns["gateway"]))
        assert self.store.append_many(columns, partition=partition) == len(records)
        for record in records:
            self.placed(record, partition)

    def clear(self) -> None:
        self.other.clear()
        for held in self.model.held:
            held.clear()

    def purge(self) -> None:
        before_ns = self.some_time()
        self.other.purge(older_than=before_ns)
        self.model.purge(before_ns)

    def follow(self) -> None:
        start = self.rng.choice(["oldest", "latest"])
        cursor = self.rng.choice([self.store, self.other, self.reader]).cursor(start)
        oldest = [
            held[0].ticket if held else tail for held, tail in zip(self.model.held, self.model.tails, strict=True)
        ]
        self.model.followers.append(Follower(cursor, list(self.model.tails) if start == "latest" else oldest))

    def resume(self) -> None:
        if self.model.followers:
            follower = self.rng.choice(self.model.followers)
            resumed = self.other.cursor(follower.cursor.positions)
            self.model.followers.append(Follower(resumed, list(follower.next)))

    def read(self) -> None:
        if not self.model.followers:
            return
        follower = self.rng.choice(self.model.followers)
        n = self.rng.choice([0, 1, 5, 1000])
        before = list(follower.next)
        got = follower.cursor.read(n)
        follower.next = [position // self.model.partitions for position in follower.cursor.positions]
        expected = []
        for number, (first, end) in enumerate(zip(before, follower.next, strict=True)):
            expected += [held.record for held in self.model.held[number] if first <= held.ticket < end]
        assert in_any_order(got) == in_any_order(expected)
        for number in range(self.model.partitions):
            of_partition = [record for record in self.model.records(number) if record in got]
            positions = [got.index(record) for record in of_partition]
            assert positions == sorted(positions), "order is kept within a partition"
        follower.read += len(got)
        follower.lost += sum(follower.next) - sum(before) - len(got)
        assert follower.cursor.lost == follower.lost == sum(gap.count for gap in follower.cursor.gaps)
        assert follower.cursor.lag == sum(self.model.tails) - sum(follower.next)
        if n == 1000:
            assert follower.next == self.model.tails or len(got) == n

    # -- looks

    def some_time(self) -> int:
        return self.rng.randrange(-10_000, 1000 * (next(self.numbers) + 10))

    def look_at_all(self) -> None:
        handle = self.rng.choice([self.store, self.other, self.reader])
        expected = self.model.records()
        snapshot = handle.snapshot()
        assert snapshot.rows() == [tuple(record) for record in expected]
        assert len(handle) == len(snapshot) == handle.count() == len(expected)
        assert handle.is_empty == (not expected)
        assert snapshot.complete
        assert snapshot["value"].tolist() == [record.value for record in expected]
        assert snapshot["small"].tolist() == [record.small for record in expected]
        assert snapshot.values("note") == [record.note for record in expected]
        statistics = handle.statistics
        assert statistics.total_appended == sum(self.model.tails)
        assert statistics.total_discarded == sum(self.model.tails) - len(expected)
        assert [part.length for part in statistics.partitions] == [len(held) for held in self.model.held]

    def look_at_a_part(self) -> None:
        since_ns, until_ns = sorted((self.some_time(), self.some_time()))
        partition = self.rng.choice([None, self.rng.randrange(self.store.partitions)])
        choices: dict[str, Any] = {"since": since_ns, "until": until_ns, "partition": partition}
        expected = [r for r in self.model.records(partition) if since_ns <= r.timestamp < until_ns]
        if self.rng.random() < 0.5:
            choices["where"] = lambda record: record.small > 0
            expected = [record for record in expected if record.small > 0]
        assert list(self.store.snapshot(**choices)) == list(self.store.query(**choices)) == expected
        by_time = sorted(expected, key=lambda record: record.timestamp)
        assert list(self.store.snapshot(**choices, order="time")) == by_time
        assert self.store.sum("small", **choices) == sum(record.small for record in expected)
        assert self.store.min("value", **choices) == min((record.value for record in expected), default=None)
        assert self.store.max("timestamp", **choices) == max((r.timestamp for r in expected), default=None)
        assert self.store.aggregate(0, lambda total, record: total + len(record.blob), **choices) == sum(
            len(record.blob) for record in expected
        )

    def look_at_one(self) -> None:
        number = self.rng.randrange(self.model.partitions)
        ticket = self.rng.randrange(self.model.tails[number] + 3)
        held = {held.ticket: held.record for held in self.model.held[number]}
        position = ticket * self.model.partitions + number
        assert self.reader.locate(position) == (number, ticket)
        found = self.store.read_at(position)
        assert found == held.get(ticket)
        assert found is None or type(found) is Order

    def start_by_time(self) -> None:
        since_ns = self.some_time() // 1000 * 1000
        start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=since_ns // 1000)
        expected = []
        for held in self.model.held:
            records = [kept.record for kept in held]
            first = next((at for at, record in enumerate(records) if record.timestamp >= since_ns), len(records))
            expected += records[first:]
        assert in_any_order(self.store.cursor(start).read(10_000)) == in_any_order(expected)

    def look_at_keys_and_discards(self) -> None:
        assert self.reader.keys() == list(self.model.gateways)
        assert self.discarded == self.model.discarded
        assert self.store.check() == []


CHANGES = [StoreAndModel.append] * 12 + [
    StoreAndModel.append_shuffled,
    StoreAndModel.append_rows,
    StoreAndModel.append_columns,
    StoreAndModel.clear,
    StoreAndModel.purge,
]
LOOKS = [
    StoreAndModel.follow,
    StoreAndModel.resume,
    StoreAndModel.read,
    StoreAndModel.read,
    StoreAndModel.look_at_all,
    StoreAndModel.look_at_a_part,
    StoreAndModel.look_at_one,
    StoreAndModel.start_by_time,
    StoreAndModel.look_at_keys_and_discards,
]


@pytest.mark.parametrize("part", range(12))
def test_a_store_does_what_its_model_does(name: str, seed: int, part: int) -> None:
    rng = random.Random(f"{seed}/{part}")
    pair = StoreAndModel(name, rng)
    done: list[str] = []
    try:
        for _ in range(OPERATIONS):
            operation = rng.choice(CHANGES if rng.random() < 0.6 else LOOKS)
            done.append(operation.__name__)
            operation(pair)
        pair.look_at_all()
    except BaseException:
        print(f"part {part}, {pair.store!r}, rule {pair.rule}; the last operations: {', '.join(done[-8:])}")
        raise
    finally:
        pair.close()


def test_two_handles_that_append_in_turn_agree_on_every_position(name: str, seed: int) -> None:
    rng = random.Random(seed)
    with (
        shmstore.create(name, Order, capacity=1000, partitions=4, partition_by="key") as one,
        shmstore.attach(name) as two,
    ):
        tails: dict[int, int] = {}
        for number in range(150):
            before_ns = time.time_ns()
            position = rng.choice([one, two]).append(
                gateway=rng.choice(GATEWAYS), note="", blob=b"", small=0, value=0.0
            )
            partition, ticket = one.locate(position)
            assert ticket == tails.get(partition, 0)
            tails[partition] = ticket + 1
            found = two.read_at(position)
            assert found is not None and before_ns <= found.timestamp <= time.time_ns()
            assert len(one) == len(two) == number + 1
