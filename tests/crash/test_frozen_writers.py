"""A process that stands still is slow, not dead: nobody takes what it holds, and nobody waits for it.

Nothing is torn when it goes on after others have lapped it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from signal import SIGCONT, SIGSTOP
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, PartitionStalled, ProcessTableFull, StoreClosed
from tests.helpers.points import points
from tests.helpers.processes import Child
from tests.helpers.promises import Follower, Promises
from tests.helpers.proofs import Proof, is_proved, proof, unproved

SLOTS = 8
LAPS = 3

HOLDING = ["claimed", "tail moved", "payload written"]  # points at which an append holds a slot
REPAIRING = [
    ("append", "settle begun"),
    *[("reap", point) for point in ("settle begun", "sweep", "reap swept")],
    *[("enter", point) for point in ("settle begun", "sweep", "place swept", "entering", "entered")],
]


class Arena:
    """A store of one partition, its account, and processes that stop at named points. Our own writer is number 0."""

    def __init__(self, name: str, slots: int, processes: int) -> None:
        self.store: EventStore[Any] = shmstore.create(
            name, Proof, capacity=slots, partitions=1, partition_by="explicit", processes=processes
        )
        self.preloaded = points().attach(name)
        self.promises = Promises(writers=10, appends=5000, partitions=1)
        self.follower = Follower(self.store, self.promises)

    def start(self, life: Callable[[], object], *stops: str) -> Child:
        """A process that lives so, and stops at these points in turn. Returns when it stands at the first."""

        def armed_life() -> None:
            for point in stops:
                points().arm(point, number=SIGSTOP)
            life()  # what it returns is no exit code

        child = Child(armed_life)
        assert not stops or child.has_stopped(), f"it never came to {stops[0]!r}, and ended with {child.code}"
        return child

    def writer(self, number: int, *stops: str, appends: int = 3) -> Child:
        """A process that appends."""

        def life() -> None:
            for _ in range(appends):
                self.promises.append(self.preloaded, number, 0)

        return self.start(life, *stops)

    def lap(self, laps: int) -> None:
        """Append so many times as many records as there are slots."""
        for _ in range(laps * self.store.capacity):
            self.promises.append(self.store, 0, 0)
            assert all(is_proved(record) for record in self.store.snapshot())

    def is_alive(self, child: Child) -> bool:
        return "alive" in {place.state for place in self.store.processes() if place.pid == child.pid}

    def check(self) -> None:
        """At rest: the invariants, the account, and every record that somebody was promised."""
        assert self.store.check() == []
        self.follower.read_out()
        self.follower.check()


@contextmanager
def open_arena(name: str, slots: int = SLOTS, processes: int = 16) -> Iterator[Arena]:
    arena = Arena(name, slots, processes)
    with arena.store, arena.preloaded:
        yield arena
    shmstore.unlink(name)


@pytest.fixture
def arena(name: str) -> Iterator[Arena]:
    with open_arena(name) as arena:
        yield arena


@pytest.mark.parametrize("point", ["before claim", *HOLDING])
def test_a_writer_that_is_lapped_while_it_stands_still_corrupts_nothing(arena: Arena, point: str) -> None:
    with arena.writer(1, point) as child:
        arena.lap(LAPS)
        assert arena.store._core.reap() == [] and arena.is_alive(child), "taken for dead"
        assert arena.store.check() == []
        assert child.resume() == 0
    arena.check()
    # One slot a lap is passed over. The late record was discarded before it was written, and is counted so.
    held, statistics = point in HOLDING, arena.store.statistics
    assert (arena.promises.returned_records()[1, 0] == 0) == held
    assert statistics.skipped == (LAPS if held else 0)
    assert statistics.total_appended == len(arena.promises.returned_records()) == LAPS * SLOTS + 3
    assert statistics.total_discarded == statistics.total_appended - len(arena.store.snapshot())
    assert ((1, 0) in arena.follower.records.values()) != held


def test_a_writer_that_stands_still_when_it_finds_itself_lapped_corrupts_nothing(arena: Arena) -> None:
    with arena.writer(1, "payload written", "late") as child:
        arena.lap(1)
        child.send(SIGCONT)
        assert child.has_stopped()
        arena.lap(LAPS)
        assert arena.store._core.reap() == [] and arena.is_alive(child), "taken for dead"
        assert child.resume() == 0
    arena.check()
    assert arena.store.statistics.skipped == 1 + LAPS


@pytest.mark.parametrize("point", ["skip marked", "skip counted"])
def test_a_writer_that_stands_still_while_it_passes_over_another_corrupts_nothing(arena: Arena, point: str) -> None:
    with arena.writer(1, "payload written") as first, arena.writer(2, point, appends=2 * SLOTS) as second:
        arena.lap(LAPS)
        assert arena.store._core.reap() == [] and arena.is_alive(second), "taken for dead"
        assert second.resume() == first.resume() == 0
    arena.check()


@pytest.mark.parametrize(("does", "point"), REPAIRING)
def test_a_process_that_stands_still_while_it_repairs_stops_nobody(name: str, does: str, point: str) -> None:
    with open_arena(name, processes=4 if does == "append" else 3) as arena:  # so that to enter is to follow the dead
        arena.writer(1, "payload written").kill()

        def life() -> None:
            if does == "reap":
                arena.preloaded._core.reap()
            for _ in range(2 * SLOTS):
                arena.promises.append(arena.preloaded, 2, 0)

        with arena.start(life, point) as child:
            arena.lap(LAPS)
            arena.store._core.reap()
            assert arena.store.check() == []
            assert child.resume() == 0
        arena.store._core.reap()
        arena.check()
        assert arena.store.statistics.total_appended == len(arena.promises.returned_records())


@pytest.mark.parametrize("point", ["settle begun", "sweep", "reap swept"])
def test_a_place_that_somebody_repairs_is_given_to_nobody_until_he_is_done(name: str, point: str) -> None:
    def newcomer() -> int:
        with suppress(ProcessTableFull):
            shmstore.attach(name).close()
            return 1
        return 2

    with open_arena(name, processes=3) as arena:
        assert len(arena.store.processes()) == 2, "one of the store, one of the core with points"
        arena.writer(1, "payload written").kill()
        with arena.start(arena.preloaded._core.reap, point) as repairer:
            with Child(newcomer) as child:
                assert child.wait() == 2
            repairer.resume()
        with Child(newcomer) as child:
            assert child.wait() == 1
        arena.check()


@pytest.mark.parametrize("point", HOLDING)
@pytest.mark.parametrize("laps", [0, LAPS])
def test_a_writer_that_is_killed_while_it_stands_still_is_repaired(arena: Arena, point: str, laps: int) -> None:
    with arena.writer(1, point) as child:
        arena.lap(laps)
        child.kill()
    [dead] = arena.store._core.reap()
    assert (dead.pid, dead.voided, dead.released) == (child.pid, int(laps == 0), int(laps > 0))
    arena.lap(1)
    arena.check()
    assert arena.store.statistics.skipped == laps


@pytest.mark.parametrize("point", HOLDING)
def test_a_record_that_was_never_written_is_counted_as_voided_even_when_it_was_lapped(arena: Arena, point: str) -> None:
    with arena.writer(1, point) as child:
        arena.lap(LAPS)
        child.kill()
    arena.store._core.reap()
    arena.lap(1)
    assert arena.store.statistics.voided == 1
    assert arena.store.statistics.total_appended == len(arena.promises.returned_records())


@pytest.mark.parametrize("count", [1, 4])
def test_frozen_writers_stop_nobody_and_cost_one_slot_each_a_lap(
    name: str, count: int, scorecard: Callable[..., None]
) -> None:
    # Others take turns: two at once would pass over each other whenever one is off its processor for a lap.
    slots, appends, others = 16, 5000, (8, 9)
    with open_arena(name, slots) as arena, ExitStack() as children:
        for number in range(count):
            children.enter_context(arena.writer(1 + number, "payload written"))

        def life(number: int) -> None:
            for _ in range(appends):
                arena.promises.append(arena.preloaded, number, 0)

        for number in others:
            lively = children.enter_context(Child(lambda number=number: life(number)))
            while not lively.is_over():
                assert unproved(arena.store.snapshot()) == 0
            assert lively.code == 0
        [totals] = arena.store._core.totals()
        laps = totals.tail // slots
        assert totals.tail == count + len(others) * appends + totals.skipped
        assert count * (laps - 1) <= totals.skipped <= count * laps
        assert arena.store.check() == []
        scorecard(
            6,
            frozen_writers=count,
            appends_beside_them=len(others) * appends,
            slots_lost=totals.skipped,
            slots_lost_beyond_one_a_lap=max(0, totals.skipped - count * laps),
        )


def test_a_partition_whose_every_slot_is_held_says_so_and_works_again_afterwards(name: str) -> None:
    with open_arena(name, slots=2) as arena, ExitStack() as children:
        held = [children.enter_context(arena.writer(1 + number, "claimed", appends=1)) for number in range(2)]
        with pytest.raises(PartitionStalled, match="does not go on"):
            arena.store.append(proof(0, 0), partition=0)
        assert arena.store.check() == []
        assert [child.resume() for child in held] == [0, 0]
        arena.promises.append(arena.store, 0, 0)
        arena.check()
        assert arena.store.statistics.total_appended == 3


def test_what_frozen_batches_hold_is_there_again_when_they_are_dead(name: str) -> None:
    batch = [b""] * 64
    with shmstore.create_streams(name, capacity=64, partitions=1, data_bytes=8, streams=2, processes=8) as store:
        stream: Any = points().attach_stream(name, "frozen").__self__  # type: ignore[attr-defined]

        def freeze() -> None:
            points().arm("before announcing", number=SIGSTOP)
            stream.append_events(batch, shmstore.ANY)

        with Child(freeze) as one, Child(freeze) as other:
            assert one.has_stopped() and other.has_stopped()
            with pytest.raises(PartitionStalled, match="hold so many slots"):
                store["lively"].append_many(batch)
        assert store["lively"].append_many(batch) == list(range(64))
        assert store.names() == ["lively"] and store.check() == []


def test_a_store_is_closed_while_an_append_waits_for_what_others_hold(name: str) -> None:
    """The wait is without the interpreter's lock: other threads run meanwhile, and may do anything."""
    batch = [b""] * 64
    with shmstore.create_streams(name, capacity=64, partitions=1, data_bytes=8, streams=2, processes=8) as store:
        stream: Any = points().attach_stream(name, "frozen").__self__  # type: ignore[attr-defined]

        def freeze() -> None:
            points().arm("before announcing", number=SIGSTOP)
            stream.append_events(batch, shmstore.ANY)

        found = []
        with Child(freeze) as one, Child(freeze) as other:
            assert one.has_stopped() and other.has_stopped()
            while StoreClosed not in found:
                handle = shmstore.attach_streams(name)
                closing = threading.Timer(0.003, handle.close)  # in the middle of the wait, mostly
                with pytest.raises((StoreClosed, PartitionStalled)) as refused:
                    closing.start()
                    handle["lively"].append_many(batch)
                closing.join()
                found.append(refused.type)
        assert store["lively"].append_many(batch) == list(range(64)) and store.check() == []


@pytest.mark.parametrize("wakes", [True, False])
def test_a_cursor_stops_at_a_frozen_writer_and_goes_on_when_it_is_decided(arena: Arena, wakes: bool) -> None:
    with arena.writer(1, "claimed", appends=1) as child, arena.store.cursor() as cursor:
        arena.promises.append(arena.store, 0, 0)
        snapshot = arena.store.snapshot()
        assert (len(snapshot), snapshot.complete) == (1, False)
        assert cursor.read() == [] and not cursor.wait(0.01)
        assert child.resume() == 0 if wakes else child.kill() < 0
        assert cursor.wait(10)
        assert [tuple(record[:2]) for record in cursor.read()] == ([(1, 0), (0, 0)] if wakes else [(0, 0)])
        assert [gap.reason for gap in cursor.gaps] == ([] if wakes else [shmstore.GapReason.VOIDED])


def test_a_frozen_writer_of_one_partition_holds_up_no_reader_of_another(name: str) -> None:
    with shmstore.create(name, Proof, capacity=8, partitions=2, partition_by="explicit") as store:
        with points().attach(name) as preloaded:

            def life() -> None:
                points().arm("claimed", number=SIGSTOP)
                preloaded.append(proof(1, 0), partition=0)

            with Child(life) as child, store.cursor() as cursor:
                assert child.has_stopped()
                store.append(proof(0, 0), partition=1)
                assert cursor.wait(10)
                assert [record.writer for record in cursor.read()] == [0]
        shmstore.unlink(name)
