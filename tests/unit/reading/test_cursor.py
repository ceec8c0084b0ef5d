"""Cursors: where they start, what they deliver and report, how they wait, and how they are stopped."""

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

import shmstore
from shmstore import Cursor, EventStore, Gap, GapReason, Record, Timestamp
from shmstore.errors import InvalidCall, InvalidOption, StoreClosed, StoreUnlinked
from shmstore.reading.cursor import GAPS_KEPT
from tests.helpers.processes import Child, eventually
from tests.helpers.slots import State, set_state

LIMIT_S = 20.0  # an order of magnitude more than anything here takes


class Tick(Record):
    number: int
    timestamp: Timestamp


class Untimed(Record):
    number: int


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Tick]]:
    """Two partitions of five slots; the even numbers of `fill` go to partition 0."""
    with shmstore.create(name, Tick, capacity=10, partitions=2, partition_by="explicit") as store:
        yield store


@pytest.fixture
def single(name: str) -> Iterator[EventStore[Tick]]:
    """One partition of five slots."""
    with shmstore.create(name, Tick, capacity=5, partitions=1, layout="columns") as store:
        yield store


def fill(store: EventStore[Tick], numbers: range) -> list[int]:
    """Append these numbers, each stamped with itself; returns the positions."""
    return [store.append(number=number, timestamp=number, partition=number % store.partitions) for number in numbers]


def numbers_of(records: list[Tick]) -> list[int]:
    return [record.number for record in records]


def in_thread(action: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start a thread; what it returns or raises comes to be in the list."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(action())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


# -- reading


def test_it_delivers_each_record_once_in_the_order_of_its_partition(store: EventStore[Tick]) -> None:
    cursor = store.cursor()
    fill(store, range(6))
    first = cursor.read()
    fill(store, range(6, 10))
    second = cursor.read()
    for records, numbers in ((first, range(6)), (second, range(6, 10))):
        assert sorted(numbers_of(records)) == list(numbers)
        for parity in (0, 1):
            of_partition = [number for number in numbers_of(records) if number % 2 == parity]
            assert of_partition == sorted(of_partition)
    assert cursor.read() == []
    assert (cursor.lag, cursor.lost, cursor.gaps) == (0, 0, ())


def test_read_takes_at_most_what_is_asked(store: EventStore[Tick]) -> None:
    fill(store, range(10))
    cursor = store.cursor()
    sizes = [len(cursor.read(n)) for n in (3, 1, 0, 5, 100, 100)]
    assert sizes == [3, 1, 0, 5, 1, 0]


def test_reading_one_at_a_time_is_fair_to_all_partitions(store: EventStore[Tick]) -> None:
    fill(store, range(10))
    cursor = store.cursor()
    assert {number % 2 for number in numbers_of([cursor.read(1)[0] for _ in range(4)])} == {0, 1}


def test_two_cursors_do_not_disturb_each_other(store: EventStore[Tick]) -> None:
    fill(store, range(4))
    one, other = store.cursor(), store.cursor()
    assert len(one.read()) == len(other.read()) == 4


def test_lag_tells_what_is_left(store: EventStore[Tick]) -> None:
    fill(store, range(10))
    cursor = store.cursor()
    cursor.read(4)
    assert cursor.lag == 6


# -- starting


def test_start_at_the_oldest_or_the_latest(store: EventStore[Tick]) -> None:
    fill(store, range(14))
    oldest, latest = store.cursor("oldest"), store.cursor("latest")
    fill(store, range(14, 15))
    assert sorted(numbers_of(oldest.read())) == list(range(5, 15))
    assert numbers_of(latest.read()) == [14]


def test_start_in_one_partition(store: EventStore[Tick]) -> None:
    fill(store, range(6))
    assert numbers_of(store.cursor(partition=1).read()) == [1, 3, 5]
    latest = store.cursor("latest", partition=1)
    fill(store, range(6, 9))
    assert numbers_of(latest.read()) == [7]


def test_start_at_a_position_takes_the_others_from_their_oldest(store: EventStore[Tick]) -> None:
    positions = fill(store, range(8))
    assert sorted(numbers_of(store.cursor(positions[4]).read())) == [1, 3, 4, 5, 6, 7]
    assert numbers_of(store.cursor(positions[4], partition=0).read()) == [4, 6]


def test_start_where_another_cursor_stands(store: EventStore[Tick]) -> None:
    fill(store, range(8))
    cursor = store.cursor()
    read = cursor.read(3)
    again = store.cursor(start=cursor.positions)
    assert sorted(numbers_of(read + again.read())) == list(range(8))
    only = store.cursor(partition=1)
    only.read(1)
    assert numbers_of(store.cursor(start=only.positions).read()) == [3, 5, 7], "follows what that one followed"


def test_positions_of_an_iteration_stand_just_behind_the_record_in_hand(store: EventStore[Tick]) -> None:
    fill(store, range(8))
    cursor = store.cursor()
    seen = [next(cursor).number for _ in range(5)]
    rest = numbers_of(store.cursor(start=cursor.positions).read())
    assert sorted(seen + rest) == list(range(8))


def test_start_by_time(store: EventStore[Tick]) -> None:
    now_ns = time.time_ns()
    for number, minutes in enumerate((50, 40, 30, 20, 10)):
        store.append(number=number, timestamp=now_ns - minutes * 60 * 10**9, partition=number % 2)
    assert sorted(numbers_of(store.cursor(timedelta(minutes=35)).read())) == [2, 3, 4]
    assert sorted(numbers_of(store.cursor(datetime.now(UTC) - timedelta(minutes=15)).read())) == [4]
    assert sorted(numbers_of(store.cursor(timedelta(days=1)).read())) == [0, 1, 2, 3, 4]
    assert sorted(numbers_of(store.cursor("35m").read())) == [2, 3, 4]
    assert sorted(numbers_of(store.cursor((datetime.now(UTC) - timedelta(minutes=15)).isoformat()).read())) == [4]
    after_all = store.cursor(timedelta(0))
    assert after_all.read() == []
    store.append(number=9, partition=0)
    assert numbers_of(after_all.read()) == [9]


def test_start_by_time_misses_nothing_when_times_do_not_rise(name: str) -> None:
    times_us = [100 + (number * 37) % 50 for number in range(4000)]
    times_us[2777] = 500
    with shmstore.create(name, Tick, capacity=4000, partitions=1) as store:
        store.append_many({"number": range(4000), "timestamp": [time_us * 1000 for time_us in times_us]})
        for start_us, first in ((0, 0), (149, times_us.index(149)), (300, 2777)):
            cursor = store.cursor(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=start_us))
            assert cursor.read(1)[0].number == first
        assert store.cursor(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)).read() == []


@pytest.mark.parametrize("count", [4000, 200_000])
def test_start_by_time_does_not_pass_a_record_that_is_being_written(name: str, count: int) -> None:
    """It may turn out to be as young as what is looked for."""
    with shmstore.create(name, Tick, capacity=count, partitions=1) as store:
        store.append_many({"number": range(count), "timestamp": range(count)})
        first = count * 3 // 4
        since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=first // 1000)
        assert store.cursor(since).positions == (first,)
        for state, expected in ((State.WRITING, count // 2 + 7), (State.VOID, first), (State.PUBLISHED, first)):
            set_state(store, count // 2 + 7, state)
            assert store.cursor(since).positions == (expected,)


def test_start_by_time_makes_no_row_of_what_lies_before(name: str) -> None:
    with shmstore.create(name, Tick, capacity=200_000, partitions=1) as store:
        store.append_many({"number": range(200_000), "timestamp": range(200_000)})

        def taken(what: Callable[[], object]) -> float:
            start = time.perf_counter()
            what()
            return time.perf_counter() - start

        search = min(taken(lambda: store.cursor(timedelta(minutes=1))) for _ in range(5))
        rows = min(taken(store.snapshot().rows) for _ in range(3))
        assert search < rows / 2


def test_start_by_time_needs_timestamps(name: str) -> None:
    with shmstore.create(name, Untimed, capacity=4) as store:
        with pytest.raises(InvalidOption, match="Timestamp"):
            store.cursor(timedelta(minutes=1))


@pytest.mark.parametrize(
    ("start", "advice"),
    [
        ("newest", "'latest'"),
        (1.5, "'latest'"),
        (None, "'latest'"),
        (datetime(2024, 1, 1), "zone"),
        (1000, "another store"),
        (-1, "another store"),
        ([0, 2], "twice"),
        ((), "expected 'oldest'"),
        ({}, "expected 'oldest'"),
    ],
)
def test_a_start_that_is_none_is_refused(store: EventStore[Tick], start: object, advice: str) -> None:
    fill(store, range(4))
    with pytest.raises(InvalidOption, match=advice):
        store.cursor(start)


def test_a_position_outside_the_one_partition_is_refused(store: EventStore[Tick]) -> None:
    positions = fill(store, range(4))
    with pytest.raises(InvalidOption, match="not the one asked for"):
        store.cursor(positions[1], partition=0)


# -- gaps


def test_a_lapped_reader_is_told_what_it_lost(single: EventStore[Tick]) -> None:
    cursor = single.cursor()
    fill(single, range(3))
    assert numbers_of(cursor.read(1)) == [0]
    fill(single, range(3, 12))
    assert numbers_of(cursor.read()) == [7, 8, 9, 10, 11]
    assert cursor.gaps == (Gap(0, 1, 7, GapReason.LAPPED),)
    assert (cursor.gaps[0].count, cursor.lost) == (6, 6)


def test_what_was_cleared_is_a_gap(single: EventStore[Tick]) -> None:
    cursor = single.cursor()
    fill(single, range(3))
    single.clear()
    fill(single, range(3, 5))
    assert numbers_of(cursor.read()) == [3, 4]
    assert cursor.gaps == (Gap(0, 0, 3, GapReason.CLEARED),)


def test_tickets_without_a_record_are_gaps(single: EventStore[Tick]) -> None:
    fill(single, range(5))
    set_state(single, 1, State.VOID)
    set_state(single, 3, State.SKIPPED)
    cursor = single.cursor()
    assert numbers_of(cursor.read()) == [0, 2, 4]
    assert cursor.gaps == (Gap(0, 1, 2, GapReason.VOIDED), Gap(0, 3, 4, GapReason.SKIPPED))
    assert cursor.lost == 2


def test_a_record_in_flight_holds_back_those_behind_it(single: EventStore[Tick]) -> None:
    fill(single, range(4))
    set_state(single, 2, State.WRITING)
    cursor = single.cursor()
    assert numbers_of(cursor.read()) == [0, 1]
    assert cursor.read() == [] and not cursor.wait(0)
    assert (cursor.lag, cursor.gaps) == (2, ())
    set_state(single, 2, State.PUBLISHED)
    assert cursor.wait(LIMIT_S)
    assert numbers_of(cursor.read()) == [2, 3]


def test_only_the_newest_gaps_are_kept_but_all_are_counted(single: EventStore[Tick]) -> None:
    cursor = single.cursor()
    for _ in range(GAPS_KEPT + 10):
        fill(single, range(6))
        cursor.read()
    assert len(cursor.gaps) == GAPS_KEPT
    assert cursor.lost == GAPS_KEPT + 10
    assert cursor.gaps[-1].end > cursor.gaps[0].end


def test_read_and_lost_together_are_all_that_was_appended(single: EventStore[Tick]) -> None:
    cursor = single.cursor()
    read = 0
    for count in (3, 9, 5, 17, 1):
        fill(single, range(count))
        read += len(cursor.read(4))
    read += len(cursor.read())
    assert read + cursor.lost == 35 == sum(gap.count for gap in cursor.gaps) + read


# -- waiting


def test_wait_tells_whether_there_is_something(store: EventStore[Tick]) -> None:
    cursor = store.cursor()
    began = time.monotonic()
    assert not cursor.wait(0.02)
    assert time.monotonic() - began >= 0.02
    assert not cursor.wait(0) and not cursor.wait(-5) and not cursor.wait(timedelta(milliseconds=1))
    fill(store, range(1))
    assert cursor.wait() and cursor.wait(0)
    cursor.read()
    assert not cursor.wait(0)


@pytest.mark.parametrize("read_only", [False, True])
def test_wait_ends_with_an_append(store: EventStore[Tick], read_only: bool) -> None:
    with shmstore.attach(store.name, Tick, read_only=read_only) as reader:
        cursor = reader.cursor()
        thread, outcome = in_thread(lambda: cursor.wait(LIMIT_S))
        time.sleep(0.05)
        fill(store, range(1))
        thread.join()
        assert outcome == [True]


def test_many_waiters_wake_at_one_append(store: EventStore[Tick]) -> None:
    waits = [in_thread(lambda: store.cursor().wait(LIMIT_S)) for _ in range(8)]
    time.sleep(0.05)
    fill(store, range(1))
    for thread, outcome in waits:
        thread.join()
        assert outcome == [True]


def test_a_gap_alone_ends_a_wait(single: EventStore[Tick]) -> None:
    cursor = single.cursor()
    fill(single, range(1))
    single.clear()
    assert cursor.wait(0)
    assert cursor.read() == [] and cursor.lost == 1


@pytest.mark.parametrize("who", ["cursor", "store"])
def test_close_ends_a_wait_of_another_thread(store: EventStore[Tick], who: str) -> None:
    cursor = store.cursor()
    thread, outcome = in_thread(lambda: cursor.wait(LIMIT_S))
    time.sleep(0.05)
    (cursor if who == "cursor" else store).close()
    thread.join()
    assert outcome == [False] if who == "cursor" else isinstance(outcome[0], StoreClosed)


def test_unlink_ends_a_wait_when_all_is_read(store: EventStore[Tick]) -> None:
    fill(store, range(1))
    cursor = store.cursor()
    shmstore.unlink(store.name)
    assert cursor.wait(LIMIT_S) and len(cursor.read()) == 1
    with pytest.raises(StoreUnlinked):
        cursor.wait(LIMIT_S)


def test_a_closed_cursor_refuses_to_read_and_wait(store: EventStore[Tick]) -> None:
    with store.cursor() as cursor:
        pass
    for use in (cursor.read, cursor.wait):
        with pytest.raises(StoreClosed, match="cursor"):
            use()
    cursor.close()
    assert "closed" in repr(cursor)


# -- iteration


def test_iteration_waits_and_ends_when_the_name_is_gone_and_all_is_read(store: EventStore[Tick]) -> None:
    cursor = store.cursor()
    thread, outcome = in_thread(lambda: numbers_of(list(cursor)))
    for number in range(5):
        time.sleep(0.005)
        fill(store, range(number, number + 1))
    shmstore.unlink(store.name)
    thread.join()
    assert outcome == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("who", ["cursor", "store"])
def test_close_ends_an_iteration(store: EventStore[Tick], who: str) -> None:
    cursor = store.cursor()
    fill(store, range(2))
    thread, outcome = in_thread(lambda: numbers_of(list(cursor)))
    time.sleep(0.05)
    (cursor if who == "cursor" else store).close()
    thread.join()
    assert outcome == [[0, 1]]
    assert list(cursor) == [], "an iteration that has ended stays ended"


def test_iteration_reports_gaps_too(single: EventStore[Tick]) -> None:
    fill(single, range(3))
    cursor = single.cursor()
    fill(single, range(3, 8))
    assert [next(cursor).number for _ in range(5)] == [3, 4, 5, 6, 7]
    assert cursor.gaps == (Gap(0, 0, 3, GapReason.LAPPED),)


# -- async


def watching_threads() -> int:
    """Threads of this process that sleep for descriptors."""
    count = 0
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            count += (task / "comm").read_text() == "shmstore watch\n"
    return count


async def collect(cursor: Cursor[Tick], into: list[int]) -> None:
    async for record in cursor:
        into.append(record.number)


def test_it_is_closed_at_the_end_of_an_async_block(store: EventStore[Tick]) -> None:
    fill(store, range(1))

    async def main() -> Cursor[Tick]:
        async with store.cursor() as cursor:
            async for record in cursor:
                assert record.number == 0
                return cursor
        raise AssertionError

    with pytest.raises(StoreClosed):
        asyncio.run(main()).read()


def test_async_for_delivers_while_the_loop_goes_on(store: EventStore[Tick]) -> None:
    async def main() -> tuple[list[int], int]:
        seen: list[int] = []
        turns = 0
        following = asyncio.create_task(collect(store.cursor(), seen))
        for number in range(20):
            await asyncio.sleep(0.002)
            turns += 1
            fill(store, range(number, number + 1))
        async with asyncio.timeout(LIMIT_S):
            while len(seen) < 20:
                await asyncio.sleep(0.001)
        shmstore.unlink(store.name)
        async with asyncio.timeout(LIMIT_S):
            await following
        return seen, turns

    assert asyncio.run(main()) == (list(range(20)), 20)


def test_an_async_for_is_cancelled_at_once(store: EventStore[Tick]) -> None:
    async def main() -> None:
        cursor = store.cursor()
        for _ in range(20):
            following = asyncio.create_task(collect(cursor, []))
            await asyncio.sleep(0.002)
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            assert following.cancelled()

    asyncio.run(main())


def test_a_cancelled_cursor_goes_on_where_it_stood(store: EventStore[Tick]) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        cursor = store.cursor()
        for number in range(10):
            following = asyncio.create_task(collect(cursor, seen))
            await asyncio.sleep(0.001)
            fill(store, range(number, number + 1))
            if number % 2:
                await asyncio.sleep(0.001)
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        with suppress(TimeoutError):
            await asyncio.wait_for(collect(cursor, seen), 0.05)
        return seen

    assert asyncio.run(main()) == list(range(10))


@pytest.mark.parametrize("who", ["cursor", "store"])
def test_close_ends_an_async_for(store: EventStore[Tick], who: str) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        cursor = store.cursor()
        following = asyncio.create_task(collect(cursor, seen))
        fill(store, range(3))
        await asyncio.sleep(0.05)
        (cursor if who == "cursor" else store).close()
        async with asyncio.timeout(LIMIT_S):
            await following
        return seen

    assert sorted(asyncio.run(main())) == [0, 1, 2]


def test_many_async_followers_at_once(store: EventStore[Tick]) -> None:
    async def main() -> list[list[int]]:
        seen: list[list[int]] = [[] for _ in range(10)]
        following = [asyncio.create_task(collect(store.cursor(), into)) for into in seen]
        await asyncio.sleep(0.02)
        fill(store, range(4))
        async with asyncio.timeout(LIMIT_S):
            while any(len(into) < 4 for into in seen):
                await asyncio.sleep(0.001)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        return [sorted(into) for into in seen]

    assert asyncio.run(main()) == [[0, 1, 2, 3]] * 10
    assert eventually(lambda: watching_threads() == 0)


def test_a_loop_that_dies_takes_the_thread_along(store: EventStore[Tick]) -> None:
    loop = asyncio.new_event_loop()
    task = loop.create_task(collect(store.cursor(), []))
    loop.run_until_complete(asyncio.sleep(0.01))
    assert eventually(lambda: watching_threads() == 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    del task
    gc.collect()
    assert eventually(lambda: watching_threads() == 0)


def test_tasks_that_share_a_cursor_share_its_records_and_are_cancelled_one_by_one(store: EventStore[Tick]) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        cursor = store.cursor()
        tasks = [asyncio.create_task(collect(cursor, seen)) for _ in range(3)]
        for number, task in enumerate(tasks):
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.sleep(0.01)
            fill(store, range(number, number + 1))
        assert [task.cancelled() for task in tasks] == [True, True, True]
        await asyncio.wait_for(asyncio.create_task(collect_until(cursor, seen, 3)), LIMIT_S)
        return seen

    assert asyncio.run(main()) == [0, 1, 2]


async def collect_until(cursor: Cursor[Tick], into: list[int], count: int) -> None:
    if len(into) < count:
        async for record in cursor:
            into.append(record.number)
            if len(into) == count:
                break


def test_async_for_over_a_busy_store_leaves_others_their_turn(single: EventStore[Tick]) -> None:
    seen = 0

    async def follow() -> None:
        nonlocal seen
        async for _ in single.cursor():
            seen += 1
            single.append(number=0)  # so that there always is another

    async def main() -> None:
        single.append(number=0)
        with suppress(TimeoutError):
            await asyncio.wait_for(follow(), 0.1)

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < LIMIT_S and seen > 100


def test_another_loop_than_asyncios_is_told_how_to_wait(store: EventStore[Tick]) -> None:
    store.append(number=1, partition=0)
    step = store.cursor("oldest").__anext__()
    with pytest.raises(StopIteration) as taken:
        step.send(None)
    assert taken.value.value.number == 1
    with pytest.raises(InvalidCall, match=r"no asyncio loop runs here.* cursor\.fileno\(\) is readable"):
        store.cursor("latest").__anext__().send(None)


def test_anext_takes_one(store: EventStore[Tick]) -> None:
    async def main() -> list[int]:
        cursor = store.cursor()
        later = asyncio.create_task(anext(cursor))
        await asyncio.sleep(0.01)
        fill(store, range(0, 6, 2))
        first = (await later).number
        records = aiter(cursor)
        return [first, (await anext(records)).number, (await anext(cursor)).number]

    assert asyncio.run(main()) == [0, 2, 4]


# -- the descriptor


def is_readable(cursor: Cursor[Tick], timeout_s: float = 0.0) -> bool:
    return bool(select.select([cursor], [], [], timeout_s)[0])


@pytest.mark.parametrize("read_only", [False, True])
def test_the_descriptor_is_readable_while_read_would_return_something(store: EventStore[Tick], read_only: bool) -> None:
    with shmstore.attach(store.name, Tick, read_only=read_only) as reader, reader.cursor() as cursor:
        assert not is_readable(cursor)
        for _ in range(50):
            fill(store, range(3))
            assert is_readable(cursor, LIMIT_S)
            assert len(cursor.read(2)) == 2 and is_readable(cursor)
            assert len(cursor.read()) == 1 and not is_readable(cursor)
        fill(store, range(3))
        for left in (True, True, False):  # records one by one are copied ahead
            next(cursor)
            assert is_readable(cursor) == left
        store.clear()
        shmstore.unlink(store.name)
        assert is_readable(cursor, LIMIT_S), "a wait would raise"
        with suppress(shmstore.StoreNotFound):
            shmstore.open(store.name, Tick, capacity=10).close()  # for the fixture


@pytest.mark.parametrize("who", ["cursor", "store"])
def test_close_makes_the_descriptor_readable(store: EventStore[Tick], who: str) -> None:
    with shmstore.attach(store.name, Tick) as reader:
        cursor = reader.cursor()
        fd = cursor.fileno()
        (cursor if who == "cursor" else reader).close()
        assert select.select([fd], [], [], 0)[0]
        with pytest.raises(StoreClosed):
            cursor.fileno()
        assert eventually(lambda: watching_threads() == 0)
        del cursor
        with pytest.raises(OSError):
            os.fstat(fd)


def test_one_thread_sleeps_for_many_cursors_and_leaves_with_the_last(store: EventStore[Tick]) -> None:
    cursors = [store.cursor(partition=number % 2) for number in range(20)]
    assert not any(map(is_readable, cursors))
    assert eventually(lambda: watching_threads() == 1)
    fill(store, range(0, 2, 2))
    ready: set[int] = set()
    begun = time.monotonic()
    while len(ready) < 10 and time.monotonic() - begun < LIMIT_S:
        ready |= {number for number, cursor in enumerate(cursors) if is_readable(cursor)}
    assert ready == set(range(0, 20, 2)), "the others follow another partition"
    while cursors:
        assert eventually(lambda: watching_threads() == 1)
        cursors.pop()
    assert eventually(lambda: watching_threads() == 0)


def test_a_descriptor_that_the_program_closed_and_reused_is_left_alone(store: EventStore[Tick], tmp_path: Path) -> None:
    cursor = store.cursor()
    fd = cursor.fileno()
    foreign = tmp_path / "foreign"
    foreign.write_text("theirs")
    for number in range(fd, fd + 2):  # both ends
        other = os.open(foreign, os.O_RDWR)
        os.dup2(other, number)
        os.close(other)
    fill(store, range(2))
    time.sleep(0.05)
    assert len(cursor.read()) == 2
    assert foreign.read_text() == "theirs"
    assert cursor.fileno() not in (fd, fd + 1) and not is_readable(cursor)
    fill(store, range(1))
    assert is_readable(cursor, LIMIT_S)
    cursor.close()
    del cursor
    assert os.fstat(fd).st_ino == os.fstat(fd + 1).st_ino == foreign.stat().st_ino, "closed, though it is not ours"
    os.close(fd)
    os.close(fd + 1)


@pytest.mark.parametrize("who", ["reader", "closer"])
def test_a_program_that_closed_the_descriptor_and_has_the_usual_sigpipe_lives(
    store: EventStore[Tick], who: str
) -> None:
    def child() -> int:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        cursor = store.cursor()
        os.close(cursor.fileno())
        fill(store, range(2))
        if who == "reader" and len(cursor.read(1)) != 1:
            return 1
        cursor.close()
        return 0

    with Child(child) as forked:
        assert forked.wait() == 0


NO_DESCRIPTOR = """
import resource, select, sys
import shmstore

with shmstore.attach(sys.argv[1]) as store:
    refused = store.cursor()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        refused.fileno()
    except shmstore.TooManyFiles:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    del refused
    filled = [b"\\xff" * number for number in range(600, 2000, 8) for _ in range(4)]
    assert not select.select([store.cursor()], [], [], 0)[0]
    sys.exit(7)
"""


def test_a_cursor_that_got_no_descriptor_leaves_nothing_behind(store: EventStore[Tick]) -> None:
    spoils_freed_memory = {"PYTHONMALLOC": "debug"}
    program = [sys.executable, "-c", NO_DESCRIPTOR, store.name]
    assert subprocess.run(program, env={**os.environ, **spoils_freed_memory}, check=False).returncode == 7


@pytest.mark.parametrize("first", ["asked", "another closed"])
def test_a_forked_child_has_a_descriptor_of_its_own(store: EventStore[Tick], first: str) -> None:
    cursor, another = store.cursor(), store.cursor()
    fd = cursor.fileno()
    another.fileno()

    def child() -> int:
        os.set_inheritable(fd, False)
        pipe = os.fstat(fd).st_ino
        if first == "another closed":
            another.close()
        if cursor.fileno() != fd or os.fstat(fd).st_ino == pipe:
            return 3
        if cursor.fileno() != fd or is_readable(cursor):
            return 1
        fill(store, range(1))
        if not is_readable(cursor, LIMIT_S) or len(cursor.read()) != 1 or is_readable(cursor):
            return 2
        cursor.close()
        return 0

    with Child(child) as forked:
        assert forked.wait() == 0
    assert is_readable(cursor, LIMIT_S) and len(cursor.read()) == 1 and not is_readable(cursor)


# -- failures amid a read


def test_a_busy_writer_does_not_keep_a_read_or_a_search_by_time_going(name: str) -> None:
    """What a loop toward the tail reads is fixed when it begins: here each record that is made appends two more."""
    with shmstore.create(name, Appending, capacity=100_000, partitions=1) as store:
        Appending.store = store
        store.append(number=0)
        sizes = [len(store.cursor().read(1_000_000)) for _ in range(3)]
        assert sizes == [1, 3, 9]
        Appending.store = None


@dataclass
class Appending:
    store: ClassVar["EventStore[Appending] | None"] = None
    number: int

    def __post_init__(self) -> None:
        if self.store is not None:
            self.store.append_many([(0,), (0,)])
