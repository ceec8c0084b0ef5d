"""Numbers at their limits and a clock that jumps: everything goes on, for only timestamps come from the clock.

Limits that no store reaches in years are written into the bytes of a fresh one, and crossed through the Python API.
"""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, GapReason, Int64, Record, Timestamp
from tests.helpers.points import points
from tests.helpers.processes import Child, Gate, eventually
from tests.helpers.segments import may_fork

SLOTS = 5
LIMITS = {"laps at 2^40": (2**40 - 1) * SLOTS, "tickets at 2^32": 2**32, "tickets at 2^63": 2**63}
PUBLISHED = 2
PLACE_BYTES, PARTITION_BYTES, FLOOR_AT = 256, 256, 128

pytestmark = may_fork


class Step(Record):
    number: Int64
    timestamp: Timestamp


def region(store: EventStore[Any], name: str) -> int:
    """Where a part of the segment begins."""
    return next(first for found, first, _ in store._core.plan().regions if found == name)


def put(store: EventStore[Any], at: int, value: int) -> None:
    struct.pack_into("Q", store._segment.buffer, at, value % 2**64)


def start_at(store: EventStore[Any], ticket: int) -> None:
    """As if so many appends had been made to each partition of a fresh store, and then cleared."""
    plan = store._core.plan()
    stride = 8 + plan.record_bytes if store._header.options["layout"] == 1 else 8
    size = (len(store._segment.buffer) - region(store, "slots")) // store.partitions // 64 * 64
    assert store.partitions == 1 and size >= SLOTS * stride
    for before in range(ticket - SLOTS, ticket):
        word = (before // SLOTS + 1) % 2**40 << 24 | PUBLISHED
        put(store, region(store, "slots") + before % SLOTS * stride, word)
    put(store, region(store, "partitions"), ticket)
    put(store, region(store, "partitions") + FLOOR_AT, ticket)


@pytest.fixture(params=["rows", "columns"])
def store(request: pytest.FixtureRequest, name: str) -> Any:
    with shmstore.create(name, Step, capacity=SLOTS, partitions=1, processes=4, layout=request.param) as store:
        yield store
        shmstore.unlink(name)


# -- numbers at their limits


@pytest.mark.parametrize("limit", LIMITS)
def test_appending_reading_and_waiting_cross_the_limits_of_tickets_and_laps(
    store: EventStore[Step], limit: str, scorecard: Callable[..., None]
) -> None:
    first = LIMITS[limit] - 2 * SLOTS - 2
    start_at(store, first)
    assert len(store) == 0 and store.check() == [] and store.read_at(first - 1) is None
    follower, late = store.cursor("latest"), store.cursor("latest")
    for number in range(4 * SLOTS):
        position = store.append(number=number)
        assert position == first + number and store.locate(position) == (0, position)
        assert store.read_at(position) == store.snapshot()[-1]
        assert follower.wait(5) and [record.number for record in follower.read()] == [number]
        assert [record.number for record in store.snapshot()] == list(range(max(0, number - SLOTS + 1), number + 1))
        assert len(store) == min(number + 1, SLOTS) and store.check() == []
    assert follower.positions == (first + 4 * SLOTS,) and follower.lag == 0 and follower.lost == 0
    assert [record.number for record in late.read()] == list(range(3 * SLOTS, 4 * SLOTS))
    assert [(gap.first, gap.end, gap.reason) for gap in late.gaps] == [(first, first + 3 * SLOTS, GapReason.LAPPED)]
    assert store.append_many([(number, 0) for number in range(2 * SLOTS)]) == 2 * SLOTS
    assert store.statistics.partitions[0].appended == first + 6 * SLOTS
    store.clear()
    assert len(store) == 0 and store.check() == []
    scorecard(20, wraps=1, violations=0)


@pytest.mark.parametrize("limit", LIMITS)
def test_deaths_and_stalls_are_told_apart_across_the_limits(
    store: EventStore[Step], limit: str, scorecard: Callable[..., None]
) -> None:
    first = LIMITS[limit] - SLOTS
    start_at(store, first)
    preloaded = points().attach(store.name)

    def claim(number: int) -> None:
        points().arm("payload written", number=number)
        preloaded.append(number=-1)

    read: list[int] = []
    gaps: list[tuple[int, int, GapReason]] = []
    with preloaded, store.cursor("latest") as cursor:
        for turn in range(2 * SLOTS):
            assert Child(lambda: claim(signal.SIGKILL)).wait() == -signal.SIGKILL
            store.append(number=turn)
            read += [record.number for record in cursor.read()]
        gaps = [(gap.first, gap.end, gap.reason) for gap in cursor.gaps]
        assert read == list(range(2 * SLOTS))
        assert gaps == [(first + 2 * turn, first + 2 * turn + 1, GapReason.VOIDED) for turn in range(2 * SLOTS)]
    store._core.reap()
    start = store.append(number=0)
    with points().attach(store.name) as preloaded, Child(lambda: claim(signal.SIGSTOP)) as stopped:
        assert stopped.has_stopped()
        store.append_many([(number, 0) for number in range(2 * SLOTS)])
        assert store.statistics.skipped == 2 and store.check() == []
        assert stopped.resume() == 0
    store._core.reap()
    assert store.check() == [] and store.append(number=1) == start + 2 * SLOTS + 4
    scorecard(20, wraps=1, violations=0)


@pytest.mark.parametrize("generation", [2**9, 2**32, 2**56])
def test_a_place_whose_generation_wraps_is_used_again_and_again(
    store: EventStore[Step], generation: int, scorecard: Callable[..., None]
) -> None:
    """In a slot word it has nine bits, in its place 56. Those whose nine bits are 0 are passed over: no owner is 0."""
    own = store._core.enter()
    place = next(index for index in range(4) if index != own)
    put(store, region(store, "processes") + place * PLACE_BYTES, (generation - 3) % 2**56 << 8)
    seen = []

    def claim_and_die() -> None:
        handle = points().attach(store.name)
        points().arm("payload written")
        handle.append(number=-1)

    points()
    for turn in range(6):
        assert Child(claim_and_die).wait() == -signal.SIGKILL
        [dead] = [found for found in store.processes() if found.place != own]
        seen.append((dead.place, dead.generation))
        assert dead.state == "dead" and store._core.reap()[0].voided == 1
        assert store.check() == [] and store.statistics.voided == turn + 1
    used = [number % 2**56 for number in range(generation - 2, generation + 5) if number % 2**9]
    assert seen == [(place, number) for number in used]
    scorecard(20, wraps=1, violations=0)


def test_the_count_of_wake_ups_wraps_and_wakes(store: EventStore[Step], scorecard: Callable[..., None]) -> None:
    """The news word counts by four in 32 bits; the flags below it stay what they are."""
    news = next(first for name, first, _ in store._core.plan().regions if name == "header and board") + 4352
    struct.pack_into("I", store._segment.buffer, news, 2**32 - 12)
    gate = Gate()

    def follow() -> int:
        with shmstore.attach(store.name) as handle, handle.cursor("latest") as cursor:
            gate.open()
            woken = 0
            while cursor.wait(20) and cursor.read()[-1].number >= 0:
                woken += 1
            return woken if woken > 3 else 99

    with Child(follow) as child:
        gate.wait()
        sleeping = lambda: "futex" in Path(f"/proc/{child.pid}/wchan").read_text()  # noqa: E731
        for number in range(8):
            eventually(sleeping, 1)
            store.append(number=number)
        eventually(sleeping, 1)
        store.append(number=-1)
        assert child.wait() in range(4, 9)
    (word,) = struct.unpack_from("I", store._segment.buffer, news)
    assert word < 2**31 and not store.unlinked
    scorecard(20, wraps=1, violations=0)


def test_numbers_of_samples_and_counts_of_loss_wrap(store: EventStore[Step], scorecard: Callable[..., None]) -> None:
    start_at(store, 10_000)
    history = region(store, "history") - 4608 + 4352 + 128  # the line of the board before the history
    put(store, history, 2**63 - 2)
    assert store._core.lock_coordinator()
    numbers = [store._core.sample(second).number for second in range(1, 5)]
    assert numbers == list(range(2**63 - 2, 2**63 + 2))
    assert [sample.number for sample in store._core.history(4)] == numbers
    ledger = (9_000 << 1 | 1) % 2**32 << 32 | 2**32 - 1
    for at in (8, 16):
        put(store, region(store, "partitions") + FLOOR_AT + at, ledger)
    before = store.statistics.voided

    def claim_and_die() -> None:
        handle = points().attach(store.name)
        points().arm("payload written")
        handle.append(number=-1)

    points()
    for _ in range(3):
        assert Child(claim_and_die).wait() == -signal.SIGKILL
        store._core.reap()
        store.append_many([(number, 0) for number in range(SLOTS)])
        assert store.check() == []
    assert (store.statistics.voided - before) % 2**32 == 3
    scorecard(20, wraps=2, violations=0)


# -- clocks


def test_timestamps_that_run_backwards_change_no_order_but_their_own(store: EventStore[Step]) -> None:
    for number in range(2 * SLOTS):
        store.append(number=number, timestamp=10**18 - number * 10**9)
    numbers = list(range(SLOTS, 2 * SLOTS))
    assert (
        [record.number for record in store.snapshot()] == numbers == [record.number for record in store.cursor().read()]
    )
    assert [record.number for record in store.snapshot(order="time")] == numbers[::-1]
    assert [record.number for record in store.snapshot(since=10**18 - 7 * 10**9)] == [5, 6, 7]
    assert store.purge(older_than=10**18 - 8 * 10**9) == 0, "the oldest ticket is not older, so nothing goes"
    assert store.purge(older_than=datetime(2100, 1, 1, tzinfo=UTC)) == SLOTS
    assert store.check() == []


CLOCK = """
/* A wall clock that can be set: for this process alone, and not the others' or the monotonic one. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long ahead_s;
void set_clock_ahead(long seconds) { ahead_s = seconds; }
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += ahead_s;
    return result;
}
"""

PROGRAM = """
import ctypes, os, signal, sys, time
import shmstore
from shmstore import Coordinator, Int64, Record, Timestamp

YEAR_S = 365 * 86400
clock = ctypes.CDLL(os.environ["LD_PRELOAD"])

class Step(Record):
    number: Int64
    timestamp: Timestamp

def passed(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun

with shmstore.create(sys.argv[1], Step, capacity=50, partitions=1, processes=4) as store:
    cursor, positions, jumps = store.cursor("latest"), [], (0, -YEAR_S, YEAR_S, -40 * YEAR_S, 0)
    with Coordinator(store, tick=0.01) as coordinator:
        for jump in jumps:
            clock.set_clock_ahead(ctypes.c_long(jump))
            dead = os.fork()
            if not dead:
                store.append(number=-1)
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitpid(dead, 0)
            positions += [store.append(number=number) for number in range(10)]
            assert cursor.wait(5)
            assert [record.number for record in cursor.read()] == [-1, *range(10)]
            assert 0.2 <= passed(lambda: cursor.wait(0.2)) < 5
            assert passed(lambda: time.sleep(1.1)) < 10  # a sample is due
            deadline = time.monotonic() + 20
            while len(store.processes()) > 1 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert [place.pid for place in store.processes()] == [os.getpid()], "the dead were not repaired"
            assert store.statistics.appends_per_second is None or store.statistics.appends_per_second >= 0
            assert store.check() == []
        samples = store._core.history()
        assert coordinator.reaped == len(jumps) and coordinator.is_active
    assert positions == [turn * 11 + 1 + number for turn in range(len(jumps)) for number in range(10)]
    assert len(samples) >= len(jumps) and [s.number for s in samples] == list(range(len(samples)))
    times = [record.timestamp for record in store.snapshot()]
    assert max(times) - min(times) > 40 * YEAR_S * 10**9
    assert any(b.time_ns < a.time_ns for a, b in zip(samples, samples[1:])), "the clock did not jump"
    print(len(jumps), len(samples))
"""


def test_a_wall_clock_set_back_and_forth_shifts_timestamps_and_nothing_else(name: str, tmp_path: Path) -> None:
    """Waiting, ticking, repairing and sampling go by the monotonic clock."""
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(CLOCK)
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
    env = {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", PROGRAM, name], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    jumps, samples = map(int, done.stdout.split())
    assert samples >= jumps
    shmstore.unlink(name)
