"""Signals that arrive in the middle of everything, with handlers that raise: no operation is left half done."""

import asyncio
import os
import random
import signal
import struct
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

import shmstore
from shmstore import Coordinator, EventStore, Int8, Record, Timestamp
from tests.helpers.processes import Child, eventually, shared_numbers
from tests.helpers.promises import Follower, Promises
from tests.helpers.proofs import Proof, is_proved

RINGS = 1000
EVERY_S = 0.001
APPENDS = 200_000  # at most; so many slots has each partition, so that nothing is overwritten unread
BATCH = 10
PARTITIONS = 2


class Rung(Exception):
    """Raised by the handler."""


class Bell:
    """A thousand signals a second, whose handler raises Rung in whatever is running inside `try_`."""

    def __init__(self) -> None:
        self.rung = 0
        self._armed = False
        signal.signal(signal.SIGALRM, self._ring)
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)

    def _ring(self, _signal: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            self.rung += 1
            raise Rung

    def try_(self, action: Callable[[], object]) -> None:
        try:
            self._armed = True
            action()
            self._armed = False
        except Rung:
            pass


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(
        name, Proof, capacity=PARTITIONS * APPENDS, partitions=PARTITIONS, partition_by="explicit", processes=8
    ) as store:
        yield store
        shmstore.unlink(name)


def test_handlers_that_raise_a_thousand_times_a_second_leave_every_operation_whole(
    store: EventStore[Any], seed: int, scorecard: Callable[..., None]
) -> None:
    promises, rung = Promises(1, APPENDS, PARTITIONS), shared_numbers(1)
    follower = Follower(store, promises)

    def life() -> None:
        dice, bell, handle = random.Random(seed), Bell(), shmstore.attach(store.name)
        cursor = handle.cursor("latest")

        def look() -> None:
            assert all(is_proved(record) for record in handle.snapshot()[:20])

        def attach() -> None:
            shmstore.attach(store.name).close()

        actions: list[Callable[[], object]] = [
            *[lambda: promises.append(handle, 0, dice.randrange(PARTITIONS))] * 40,
            *[lambda: promises.append_many(handle, 0, BATCH, dice.randrange(PARTITIONS))] * 10,
            *[lambda: cursor.wait(0.002), lambda: cursor.read(100), lambda: handle.statistics, look, attach],
        ]
        while bell.rung < RINGS and promises.room(0) > BATCH:
            bell.try_(dice.choice(actions))
        rung[0] = bell.rung
        handle.close()

    with Child(life) as child:
        while not child.is_over():
            follower.read()
        assert child.wait() == 0
    store._core.reap()
    follower.read_out()
    assert store.check() == []
    follower.check()
    print(f"{rung[0]} raised, {len(promises.returned_records())} of {len(promises.began_records())} appends returned")
    assert rung[0] > RINGS / 2
    assert [place.pid for place in store.processes()] == [os.getpid()], "a place is held by a handle that was let go"
    scorecard(17, signals=rung[0], violations=0)


def wait(store: EventStore[Any]) -> None:
    store.cursor("latest").wait()


def wait_read_only(store: EventStore[Any]) -> None:
    with shmstore.attach(store.name, read_only=True) as looker:
        looker.cursor("latest").wait()


def iterate(store: EventStore[Any]) -> None:
    for _ in store.cursor("latest"):
        pass


def iterate_async(store: EventStore[Any]) -> None:
    async def follow() -> None:
        async for _ in store.cursor("latest"):
            pass

    asyncio.run(follow())


def coordinate(store: EventStore[Any]) -> None:
    Coordinator(store).run()


@pytest.mark.parametrize("action", [wait, wait_read_only, iterate, iterate_async, coordinate])
def test_ctrl_c_ends_whatever_waits_and_the_store_works_on(
    store: EventStore[Any], action: Callable[[EventStore[Any]], None]
) -> None:
    promises, shown = Promises(1, 10, PARTITIONS), shared_numbers(1)

    def life() -> int:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with shmstore.attach(store.name) as handle:
            promises.append(handle, 0, 0)
            try:
                shown[0] = 1
                action(handle)
            except KeyboardInterrupt:
                promises.append(handle, 0, 1)
                return len(handle.snapshot())
        return 0

    with Child(life) as child:
        assert eventually(lambda: shown[0])
        time.sleep(0.05)
        assert not child.is_over(), "it did not wait"
        child.send(signal.SIGINT)
        assert child.wait() == 2
    assert store.check() == []
    assert not store._core.coordinator_alive()


def test_a_handler_that_does_not_raise_lengthens_or_shortens_no_wait(store: EventStore[Any]) -> None:
    def life() -> int:
        calls = []
        signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
        signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
        begun = time.monotonic()
        with shmstore.attach(store.name) as handle, handle.cursor("latest") as cursor:
            woken = cursor.wait(0.3)
        return 0 if not woken and 0.3 <= time.monotonic() - begun < 3 and len(calls) > 30 else 1

    assert Child(life).wait() == 0


# Questions that take long.

HELD = 1 << 21  # tickets of which each is asked after in the process table
PANES, OVERLAP = 4000, 10_000


class Small(Record):
    value: Int8


class Timed(Record):
    value: Int8
    at: Timestamp


def count_what_is_held(store: EventStore[Any]) -> object:
    return store.count()


def quantile_of_what_is_held(store: EventStore[Any]) -> object:
    return store.group_by("value").quantile("value", 0.5)


def overlapping_windows(store: EventStore[Any]) -> object:
    return store.windows("value", every="1ns", period=OVERLAP)


@pytest.fixture
def held(name: str) -> Iterator[EventStore[Any]]:
    """A store whose every slot is claimed by this process, and being written."""
    with shmstore.create(f"{name}-held", Small, capacity=HELD, partitions=1, layout="columns") as store:
        store.append(value=1)
        (place,), regions = store.processes(), {name: first for name, first, _ in store._core.plan().regions}
        word = 1 << 24 | (place.place | place.generation << 12) << 3 | 1
        store._segment.buffer[regions["slots"] : regions["slots"] + 8 * HELD] = struct.pack("Q", word) * HELD
        struct.pack_into("Q", store._segment.buffer, regions["partitions"], HELD)
        yield store
        shmstore.unlink(store.name)


@pytest.fixture
def timed(name: str) -> Iterator[EventStore[Any]]:
    """A record a nanosecond."""
    with shmstore.create(f"{name}-timed", Timed, capacity=PANES, partitions=1) as store:
        store.append_many([(1, number) for number in range(PANES)])
        yield store
        shmstore.unlink(store.name)


@pytest.mark.parametrize(
    ("kind", "ask"),
    [("held", count_what_is_held), ("held", quantile_of_what_is_held), ("timed", overlapping_windows)],
)
def test_ctrl_c_ends_a_long_question_soon(
    kind: str, ask: Callable[[EventStore[Any]], object], request: pytest.FixtureRequest, scorecard: Callable[..., None]
) -> None:
    """By the processor time of this process, which is what the signal is sent by: others may use the machine."""
    store: EventStore[Any] = request.getfixturevalue(kind)

    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise Rung

    def used_s() -> float:
        begun_s = time.process_time()
        ask(store)
        return time.process_time() - begun_s

    whole_s = used_s()
    before = signal.signal(signal.SIGPROF, ring)
    begun_s = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_PROF, whole_s / 10)
        with pytest.raises(Rung):
            ask(store)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    heard_s = time.process_time() - begun_s
    print(f"heard after {heard_s:.3f} s of {whole_s:.3f} s")
    assert whole_s > 0.1, "it is too quick to show anything"
    assert heard_s < whole_s / 2
    scorecard(17, long_questions_ended=1, violations=0)
