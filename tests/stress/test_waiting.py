"""Waiting for news of other processes: every wait ends when there is news, whoever waits, stands still or dies."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import shmstore
from shmstore import EventStore, Int64, Record, StoreUnlinked
from tests.helpers.points import points
from tests.helpers.processes import LIMIT_S, Child, shared_numbers

MISSED_S = 0.7  # a sleeper that nobody wakes looks again after a second; one that is woken, after a ten-thousandth


class Turn(Record):
    number: Int64


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Turn]]:
    with shmstore.create(name, Turn, capacity=200, partitions=2, partition_by="explicit") as store:
        yield store
        if not store.unlinked:
            shmstore.unlink(name)


def test_two_processes_that_wait_for_each_other_never_miss_a_turn(store: EventStore[Turn]) -> None:
    turns = 5000

    def take_turns(partition: int) -> None:
        with shmstore.attach(store.name, Turn) as handle, handle.cursor(partition=partition) as cursor:
            for turn in range(turns):
                if turn or partition == 0:
                    cursor.wait()
                    [record] = cursor.read()
                    assert record.number == turn
                handle.append(number=turn + 1 - partition, partition=1 - partition)

    with Child(lambda: take_turns(0)) as first, shmstore.attach(store.name, Turn) as handle:
        with handle.cursor(partition=1) as cursor:
            for turn in range(turns):
                handle.append(number=turn, partition=0)
                assert cursor.wait()
                assert [record.number for record in cursor.read()] == [turn + 1]
        assert first.wait() == 0


def follow(store: EventStore[Turn], seen: memoryview, number: int, timeout_s: float | None = None) -> None:
    """Show the newest number in `seen[number]`, for ever; -1 before the first."""
    with shmstore.attach(store.name, Turn) as handle, handle.cursor("latest") as cursor:
        seen[number] = -1
        while True:
            cursor.wait(timeout_s)
            for record in cursor.read():
                seen[number] = record.number


async def follow_async(store: EventStore[Turn], seen: memoryview, number: int) -> None:
    with shmstore.attach(store.name, Turn) as handle, handle.cursor("latest") as cursor:
        seen[number] = -1
        async for record in cursor:
            seen[number] = record.number


def all_see(seen: memoryview, number: int) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while any(newest != number for newest in seen):
        os.sched_yield()
        if time.monotonic() > deadline:
            return False
    return True


def test_every_one_of_many_waiters_sees_every_append(store: EventStore[Turn]) -> None:
    seen = shared_numbers(6)
    with ExitStack() as children:
        for waiter in range(len(seen)):
            children.enter_context(Child(lambda waiter=waiter: follow(store, seen, waiter)))
        assert all_see(seen, -1)
        for number in range(1, 3000):
            store.append(number=number, partition=number % 2)
            assert all_see(seen, number), f"a waiter sleeps on: {number} was appended, they saw {list(seen)}"


def test_a_waiter_misses_no_append_while_others_come_and_go(store: EventStore[Turn]) -> None:
    seen, shown, late = shared_numbers(1), shared_numbers(2), 0
    with Child(lambda: follow(store, seen, 0)), ExitStack() as children:
        for passer in range(len(shown)):
            children.enter_context(Child(lambda passer=passer: follow(store, shown, passer, timeout_s=20e-6)))
        assert all_see(seen, -1) and all_see(shown, -1)
        for number in range(1, 20_000):
            begun = time.monotonic()
            store.append(number=number, partition=0)
            assert all_see(seen, number)
            late += time.monotonic() - begun > MISSED_S
    assert late <= 1, f"it slept over {late} appends"  # one may be the machine's fault


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_appender_that_ends_just_before_it_wakes_others_delays_them_but_a_moment(
    store: EventStore[Turn], number: int
) -> None:
    seen = shared_numbers(3)
    with points().attach(store.name) as preloaded, ExitStack() as children:

        def life() -> None:
            points().arm("waking", number=number)
            preloaded.append(number=1, partition=0)

        for waiter in range(len(seen)):
            children.enter_context(Child(lambda waiter=waiter: follow(store, seen, waiter)))
        assert all_see(seen, -1)
        time.sleep(0.05)  # until they sleep
        with Child(life) as appender:
            assert appender.has_stopped() == (number == signal.SIGSTOP)
            assert all_see(seen, 1)


def test_async_for_follows_other_processes(store: EventStore[Turn]) -> None:
    seen = shared_numbers(2)
    with ExitStack() as children:
        for waiter in range(2):
            children.enter_context(Child(lambda waiter=waiter: asyncio.run(follow_async(store, seen, waiter))))
        assert all_see(seen, -1)
        for number in range(1, 300):
            store.append(number=number, partition=0)
            assert all_see(seen, number)


def test_a_killed_or_stopped_waiter_costs_nobody_a_wake_up(store: EventStore[Turn], seed: int) -> None:
    dice, seen = random.Random(seed), shared_numbers(1)
    with Child(lambda: follow(store, seen, 0)):
        assert all_see(seen, -1)
        for number in range(1, 100):
            shown = shared_numbers(1)
            with Child(lambda shown=shown: follow(store, shown, 0)) as victim:
                assert all_see(shown, -1)
                time.sleep(dice.random() * 0.002)
                if dice.random() < 0.5:
                    victim.send(signal.SIGSTOP)
                else:
                    victim.kill()
                store.append(number=number, partition=0)
                assert all_see(seen, number)


def test_an_appender_that_is_killed_leaves_waiters_that_the_next_append_wakes(
    store: EventStore[Turn], seed: int
) -> None:
    dice, seen = random.Random(seed), shared_numbers(3)

    def hammer() -> None:
        with shmstore.attach(store.name, Turn) as handle:
            while True:
                handle.append(number=0, partition=0)

    with ExitStack() as children:
        for waiter in range(3):
            children.enter_context(Child(lambda waiter=waiter: follow(store, seen, waiter)))
        assert all_see(seen, -1)
        for number in range(1, 60):
            with Child(hammer) as victim:
                time.sleep(dice.random() * 0.003)
                victim.kill()
            store.append(number=number, partition=0)
            assert all_see(seen, number)


def test_unlink_ends_the_waits_of_other_processes(store: EventStore[Turn]) -> None:
    shown = shared_numbers(2)

    def wait(number: int, read_only: bool) -> int:
        with shmstore.attach(store.name, Turn, read_only=read_only) as handle, handle.cursor() as cursor:
            shown[number] = 1
            try:
                cursor.wait()
            except StoreUnlinked:
                return 0
        return 1

    with Child(lambda: wait(0, False)) as writer, Child(lambda: wait(1, True)) as looker:
        assert all_see(shown, 1)
        time.sleep(0.02)
        shmstore.unlink(store.name)
        assert (writer.wait(), looker.wait()) == (0, 0)


def test_a_wait_ends_at_its_timeout_and_not_before(store: EventStore[Turn]) -> None:
    for read_only in (False, True):
        with shmstore.attach(store.name, Turn, read_only=read_only) as handle, handle.cursor() as cursor:
            begun = time.monotonic()
            assert not cursor.wait(0.1)
            assert 0.1 <= time.monotonic() - begun < 10


def test_a_waiter_uses_no_processor(store: EventStore[Turn]) -> None:
    shown = shared_numbers(1)

    def wait() -> int:
        with shmstore.attach(store.name, Turn) as handle, handle.cursor() as cursor:
            begun = time.process_time()
            cursor.wait(0.5)
            shown[0] = int((time.process_time() - begun) * 1e6)
        return 0

    assert Child(wait).wait() == 0
    assert shown[0] < 100_000, f"{shown[0]} µs of 500,000"
