"""Following a store in the odd cases: names removed behind its back, interrupted reads taken one by one, clearing."""

import asyncio
import os
import select
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import Any, ClassVar

import numpy as np
import pytest

import shmstore
from shmstore import EventStore, Gap, GapReason, Record, StoreUnlinked, Timestamp
from shmstore.reading.cursor import start_tickets
from shmstore.records.schema import Schema
from tests.helpers.slots import region

LIMIT_S = 20.0  # an order of magnitude more than anything here takes
NEWS_WAITERS, NEWS_WAKE = 1, 4  # as in core/layout.h
BOARD = 4352  # where the news word is: behind the header, which ends at a multiple of 128


class Tick(Record):
    number: int
    timestamp: Timestamp


@dataclass
class Touchy:
    """Its class does at a number what it is told to."""

    acts: ClassVar[Callable[[int], None]] = staticmethod(lambda number: None)
    number: int

    def __post_init__(self) -> None:
        Touchy.acts(self.number)


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Tick]]:
    with shmstore.create(name, Tick, capacity=1000, partitions=1) as store:
        yield store


@pytest.fixture
def touchy(name: str) -> Iterator[EventStore[Touchy]]:
    """Ten numbers in one partition."""

    def strike(_signal: int, _frame: FrameType | None) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGUSR1, strike)
    with shmstore.create(name, Touchy, capacity=10_000, partitions=1) as store:
        store.append_many([(number,) for number in range(10)])
        yield store
    Touchy.acts = staticmethod(lambda number: None)
    signal.signal(signal.SIGUSR1, before)


def acts_once(at: int, act: Callable[[], object]) -> None:
    def acts(number: int) -> None:
        if number == at:
            Touchy.acts = staticmethod(lambda number: None)
            act()

    Touchy.acts = staticmethod(acts)


def remove(store: EventStore[Any]) -> None:
    """As `rm` does: nobody is told."""
    os.unlink(f"/dev/shm/{store.name}")


def news_of(store: EventStore[Any]) -> int:
    word: int = struct.unpack_from("I", store._segment.buffer, BOARD)[0]
    return word


# -- a name that somebody removes


def test_whoever_sleeps_on_a_store_whose_file_is_removed_is_woken_in_every_way(store: EventStore[Tick]) -> None:
    """`for`, `async for` and the descriptor, all at once; nobody appends or looks meanwhile."""
    store.append(number=7)
    ended: dict[str, object] = {}

    def iterate() -> None:
        ended["for"] = [record.number for record in store.cursor()]

    def iterate_async() -> None:
        async def follow() -> list[int]:
            return [record.number async for record in store.cursor()]

        ended["async for"] = asyncio.run(follow())

    def poll() -> None:
        cursor = store.cursor(start="latest")
        ended["descriptor"] = select.select([cursor], [], [], LIMIT_S)[0] == [cursor]
        with pytest.raises(StoreUnlinked):
            cursor.wait(0)

    threads = [threading.Thread(target=target) for target in (iterate, iterate_async, poll)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    remove(store)
    for thread in threads:
        thread.join(LIMIT_S)
    assert ended == {"for": [7], "async for": [7], "descriptor": True}


@pytest.mark.parametrize("read_only", [False, True])
def test_the_descriptor_alone_hears_of_a_removed_file(store: EventStore[Tick], read_only: bool) -> None:
    with shmstore.attach(store.name, Tick, read_only=read_only) as reader, reader.cursor() as cursor:
        assert not select.select([cursor], [], [], 0)[0]
        remove(store)
        assert select.select([cursor], [], [], 2.0 if read_only else LIMIT_S)[0], (
            "it is meant to look every 2 ms or 1 s"
        )


@pytest.mark.parametrize(
    "append",
    [
        lambda store: store.append(number=1),
        lambda store: store.append_many([(1, 1)]),
        lambda store: store.append_many({"number": [1]}),
        lambda store: store.appender("number")(1),
    ],
    ids=["append", "records", "columns", "appender"],
)
def test_the_first_append_after_the_file_was_removed_is_told(store: EventStore[Tick], append: Any) -> None:
    remove(store)
    with pytest.raises(StoreUnlinked):
        append(store)
    assert store.cursor().lag == 0, "a record that nobody will find"


# -- a read that failed, taken on in another way


def test_the_place_stands_behind_each_record_that_a_failed_read_had_made(touchy: EventStore[Touchy]) -> None:
    cursor = touchy.cursor()
    acts_once(6, lambda: signal.raise_signal(signal.SIGUSR1))
    with pytest.raises(InterruptedError):
        cursor.read()
    for number in range(10):
        assert cursor.positions == (number,)
        assert next(cursor).number == number
    acts_once(6, lambda: signal.raise_signal(signal.SIGUSR1))
    cursor = touchy.cursor()
    with pytest.raises(InterruptedError):
        cursor.read()
    for number in range(0, 9, 3):
        assert cursor.positions == (number,)
        assert [record.number for record in cursor.read(3)] == [number, number + 1, number + 2]
    assert cursor.lost == 0


def test_the_records_before_a_refused_one_come_first(touchy: EventStore[Touchy]) -> None:
    def refuse(number: int) -> None:
        if number == 4:
            raise ValueError

    Touchy.acts = staticmethod(refuse)
    cursor = touchy.cursor()
    assert [record.number for record in cursor.read()] == [0, 1, 2, 3] and not cursor.lost
    with pytest.raises(ValueError):
        cursor.read()
    assert cursor.gaps == (Gap(0, 4, 5, GapReason.REFUSED),)
    assert [record.number for record in cursor.read()] == [5, 6, 7, 8, 9]


def test_what_is_cleared_is_not_handed_over_though_it_was_copied(touchy: EventStore[Touchy]) -> None:
    cursor = touchy.cursor()
    assert next(cursor).number == 0
    touchy.clear()
    touchy.append(number=77)
    assert next(cursor).number == 77
    assert cursor.gaps == (Gap(0, 1, 10, GapReason.CLEARED),)


def test_a_read_ends_where_the_tail_was_when_it_began(touchy: EventStore[Touchy]) -> None:
    Touchy.acts = staticmethod(lambda number: touchy.append_many([(0,), (0,)]) and None)
    assert len(touchy.cursor().read(40)) == 10


# -- a moving tail


class Moving:
    """A core that appends old records whenever somebody reads or takes a cursor, more than he reads."""

    def __init__(self, store: EventStore[Tick]) -> None:
        self._store = store
        self.moved = 0
        self.totals, self.keys = store._core.totals, store._core.keys

    def read(self, *tickets: Any) -> Any:
        self._move()
        return self._store._core.read(*tickets)

    def cursor(self, tickets: Any) -> Any:
        self._move()
        return self._store._core.cursor(tickets)

    def _move(self) -> None:
        self.moved += 1
        assert self.moved < 30, "it runs after the writer"
        self._store.append_many([(-1, 0)] * 3000)


def test_a_task_whose_records_another_took_sleeps(store: EventStore[Tick]) -> None:
    """It found some, gave the other a turn, and then there were none."""
    for number in range(1000):
        store.append(number=number)

    async def main() -> float:
        cursor = store.cursor("oldest")
        seen: list[int] = []

        async def collect() -> None:
            async for record in cursor:
                seen.append(record.number)

        tasks = [asyncio.create_task(collect()) for _ in range(3)]
        while len(seen) < 1000:
            await asyncio.sleep(0.01)
        begun = time.process_time()
        await asyncio.sleep(0.3)
        spent = time.process_time() - begun
        cursor.close()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(*tasks)
        return spent

    assert asyncio.run(main()) < 0.1


@pytest.mark.parametrize("way", ["read", "for", "async for"])
def test_a_start_by_time_over_a_moving_tail_ends_at_what_was_there(name: str, way: str) -> None:
    with shmstore.create(name, Tick, capacity=100_000, partitions=1) as store:
        store.append_many([(number, 5) for number in range(2000)])
        moving, since = Moving(store), datetime.fromtimestamp(1, UTC)
        [(partition, ticket)] = start_tickets(moving, Schema.of(Tick), since, None)  # type: ignore[arg-type]
        assert moving.moved and (partition, ticket) == (0, 2000), "none is so new: it begins at what was the tail"
        store.append(number=-2, timestamp=2 * 10**9)
        cursor = store.cursor(start=[ticket])
        behind = store._core.totals()[0].tail - 2000

        async def follow() -> list[Tick]:
            return [record async for record, _ in counted(cursor, behind)]

        if way == "read":
            got = cursor.read(100_000)
        elif way == "for":
            got = [record for _, record in zip(range(behind), cursor, strict=False)]
        else:
            got = asyncio.run(follow())
        assert len(got) == behind and got[-1].number == -2 and cursor.lag == 0


async def counted(cursor: Any, most: int) -> Any:
    count = 0
    async for record in cursor:
        count += 1
        yield record, count
        if count == most:
            break


# -- many records at once


def test_a_long_batch_wakes_whoever_waits_before_its_end(name: str) -> None:
    """The flag of a waiter is set again and again; it falls with each wake-up, of which two are not enough."""
    many = {"number": np.zeros(300_000, np.int64), "timestamp": np.zeros(300_000, np.int64)}
    with shmstore.create(name, Tick, capacity=1000, partitions=1) as store:
        assert region(store, "header and board") == (0, 4608)
        store.append(number=1)
        before = news_of(store)
        struct.pack_into("I", store._segment.buffer, BOARD, before | NEWS_WAITERS)
        store.append(number=1)
        assert news_of(store) == before + NEWS_WAKE, "this is the news word"
        for _ in range(10):
            batch = threading.Thread(target=store.append_many, args=(many,))
            batch.start()
            first = news_of(store)
            while batch.is_alive():
                struct.pack_into("I", store._segment.buffer, BOARD, news_of(store) | NEWS_WAITERS)
                time.sleep(0)
            batch.join()
            if (news_of(store) - first) // NEWS_WAKE > 3:
                break
        else:
            pytest.fail("nobody was woken in the middle of a batch")
