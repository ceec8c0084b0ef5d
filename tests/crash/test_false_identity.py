"""Who is alive is the kernel's word: pids that come back, namespaces, zombies and other users mislead nobody.

A process that lives is never taken for dead, wherever one looks from; one that is dead is always noticed.
"""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import AccessDenied, EventStore, GapReason
from tests.helpers.namespaces import child_with_pid, in_pid_namespace, needs_namespaces
from tests.helpers.points import points
from tests.helpers.processes import Child, eventually, shared_numbers
from tests.helpers.proofs import Proof, is_proved, proof
from tests.helpers.segments import NOBODY, may_fork, needs_root

REUSES = int(os.environ.get("SHMSTORE_REUSES", "100"))
SYS_EXIT = 60 if os.uname().machine == "x86_64" else 93

pytestmark = may_fork


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(name, Proof, capacity=64, partitions=1, processes=8, mode=0o666) as store:
        yield store
        shmstore.unlink(name)


def states(store: EventStore[Any]) -> list[str]:
    """Of all places but our own, in order."""
    return [place.state for place in store.processes() if place.place != store._core.enter()]


def claim_and_die(name: str) -> None:
    """Attach, take a slot, and be killed with it."""
    handle = points().attach(name)
    points().arm("payload written")
    handle.append(proof(1, 1))


def claim_and_stop(name: str) -> None:
    """Attach, take a slot, and stand still with it; append once more when let go on."""
    handle = points().attach(name)
    points().arm("payload written", number=signal.SIGSTOP)
    handle.append(proof(2, 1))
    handle.append(proof(2, 2))


# -- pids that come back


@needs_namespaces
def test_a_process_with_the_pid_of_a_dead_one_is_another(
    store: EventStore[Any], scorecard: Callable[..., None]
) -> None:
    """Each round, one dies with a claim and the next has its pid, mostly within the same clock tick."""
    points()
    seen = shared_numbers(3)

    def life() -> None:
        pid = 1000
        child_with_pid(pid, lambda: claim_and_die(store.name)).wait()
        for _ in range(REUSES):
            dead = next(place for place in store.processes() if place.pid == pid)

            def successor() -> None:
                handle = points().attach(store.name)  # this repairs the dead
                places = [place for place in handle.processes() if place.pid == pid]
                seen[1] += places[-1].start_time == dead.start_time  # noqa: B023
                seen[2] += [place.state for place in places] != ["alive"]
                points().arm("payload written")
                handle.append(proof(1, 1))

            assert child_with_pid(pid, successor).wait() == -signal.SIGKILL
            seen[0] += 1

    child = in_pid_namespace(life)
    assert child.wait() == 0
    store._core.reap()
    assert states(store) == [] and store.check() == []
    assert store.statistics.voided == seen[0] + 1 and len(store) == 0
    print(f"{seen[0]} reuses, {seen[1]} of them with the start time of the dead, {seen[2]} wrong")
    assert seen[0] == REUSES and seen[2] == 0
    scorecard(12, pid_reuses=seen[0], with_the_same_start_time=seen[1], false_deaths=seen[2], ways=1)


@needs_namespaces
def test_the_living_one_is_left_alone_when_its_pid_was_that_of_a_dead_one(store: EventStore[Any]) -> None:
    points()

    def life() -> None:
        assert child_with_pid(500, lambda: claim_and_die(store.name)).wait() == -signal.SIGKILL
        with child_with_pid(500, lambda: claim_and_stop(store.name)) as stopped:
            assert stopped.has_stopped()
            with shmstore.attach(store.name) as handle:
                handle._core.reap()
                assert handle.statistics.voided == 1
                handle.append_many([proof(3, number) for number in range(200)])  # three laps over its slot
            assert stopped.resume() == 0

    assert in_pid_namespace(life).wait() == 0
    assert store.check() == [] and states(store) == []
    records = list(store.snapshot())
    assert all(is_proved(record) for record in records) and records[-1][:2] == (2, 2)


# -- pid namespaces


@needs_namespaces
@pytest.mark.parametrize("holder", ["inside", "outside"])
def test_a_live_process_of_another_namespace_is_alive_and_a_dead_one_is_noticed(
    store: EventStore[Any], holder: str, scorecard: Callable[..., None]
) -> None:
    """One holds a slot, stopped; one on the other side of the wall looks at it, alive and then killed."""
    points()
    said, turn = shared_numbers(2), shared_numbers(1)

    def hold() -> None:
        if holder == "inside":
            stopping = Child(lambda: claim_and_stop(store.name))
            assert stopping.has_stopped()
            turn[0] = 1
            assert eventually(lambda: turn[0] == 2)
            stopping.kill()
            turn[0] = 3
            stopping.wait()
        else:
            look()

    def look() -> None:
        with shmstore.attach(store.name) as handle:
            assert eventually(lambda: turn[0] == 1)
            handle._core.reap()
            said[0] = states(handle) == ["alive"] * len(states(handle)) and handle.statistics.voided == 0
            handle.append_many([proof(3, number) for number in range(100)])
            said[0] &= handle.statistics.skipped == 1 and all(is_proved(record) for record in handle.snapshot())
            turn[0] = 2
            assert eventually(lambda: turn[0] == 3)
            said[1] = eventually(lambda: handle._core.reap())
            assert handle.check() == []

    with in_pid_namespace(hold) as inside:
        if holder == "inside":
            look()
        else:
            with Child(lambda: claim_and_stop(store.name)) as stopping:
                assert stopping.has_stopped()
                turn[0] = 1
                assert eventually(lambda: turn[0] == 2)
                stopping.kill()
                turn[0] = 3
        assert inside.wait() == 0
    assert list(said) == [1, 1]
    assert store.check() == []
    scorecard(12, false_deaths=0, ways=1)


@needs_namespaces
def test_a_whole_namespace_that_is_killed_is_repaired_from_outside(store: EventStore[Any]) -> None:
    points()
    ready = shared_numbers(1)

    def life() -> None:
        for _ in range(3):
            assert Child(lambda: claim_and_stop(store.name)).has_stopped()
        ready[0] = 1
        signal.pause()

    with in_pid_namespace(life):
        assert eventually(lambda: ready[0])
        assert store._core.reap() == [] and states(store) == ["alive"] * 3
    assert eventually(lambda: states(store) == ["dead"] * 3)
    assert sorted(reaped.voided for reaped in store._core.reap()) == [1, 1, 1]
    assert store.check() == [] and [gap.reason for gap in store.snapshot().gaps] == [GapReason.VOIDED]


# -- zombies


def test_a_zombie_is_dead(store: EventStore[Any], scorecard: Callable[..., None]) -> None:
    points()
    with Child(lambda: claim_and_die(store.name)) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
        assert " Z " in Path(f"/proc/{zombie.pid}/stat").read_text()
        assert states(store) == ["dead"]
        assert [(reaped.pid, reaped.voided) for reaped in store._core.reap()] == [(zombie.pid, 1)]
    assert store.check() == []
    scorecard(12, false_deaths=0, ways=1)


def test_a_process_that_only_looks_like_a_zombie_is_alive(
    store: EventStore[Any], scorecard: Callable[..., None]
) -> None:
    """Its first thread has ended, and /proc calls the process a zombie; another thread works on."""
    shown = shared_numbers(2)

    def life() -> None:
        handle = shmstore.attach(store.name)

        def work() -> None:
            assert eventually(lambda: shown[0])
            handle.append(proof(1, 1))
            shown[1] = 1
            time.sleep(60)

        threading.Thread(target=work).start()
        ctypes.CDLL(None).syscall(SYS_EXIT, 0)

    with Child(life) as child:
        assert eventually(lambda: " Z " in Path(f"/proc/{child.pid}/stat").read_text())
        assert states(store) == ["alive"] and store._core.reap() == []
        shown[0] = 1
        assert eventually(lambda: shown[1])
        assert [record[:2] for record in store.snapshot()] == [(1, 1)]
    assert eventually(lambda: states(store) == ["dead"])
    assert len(store._core.reap()) == 1
    scorecard(12, false_deaths=0, ways=1)


# -- other users


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


@needs_root
def test_users_repair_each_others_dead(store: EventStore[Any], scorecard: Callable[..., None]) -> None:
    points()

    def die_as_nobody() -> None:
        become_nobody()
        claim_and_die(store.name)

    def repair_as_nobody() -> None:
        become_nobody()
        with shmstore.attach(store.name) as handle:
            assert handle.statistics.voided == 2 and states(handle) == ["alive"]
            handle.append(proof(5, 5))

    assert Child(die_as_nobody).wait() == -signal.SIGKILL
    assert [reaped.voided for reaped in store._core.reap()] == [1]
    assert Child(lambda: claim_and_die(store.name)).wait() == -signal.SIGKILL
    assert Child(repair_as_nobody).wait() == 0
    assert [record[:2] for record in store.snapshot()] == [(5, 5)] and store.check() == []
    scorecard(12, false_deaths=0, ways=1)


@needs_root
def test_a_child_that_drops_its_rights_after_the_fork_is_told_so_and_loses_nothing(name: str) -> None:
    """Its place must be taken through the file, which it may no longer write to; what it has entered before goes on."""

    def life() -> None:
        become_nobody()
        with pytest.raises((AccessDenied, PermissionError)):
            store.append(proof(1, 2))
        assert len(store.snapshot()) == 1

    def entered_before() -> None:
        store.append(proof(1, 2))
        become_nobody()
        store.append(proof(1, 3))

    with shmstore.create(name, Proof, capacity=64, partitions=1) as store:
        store.append(proof(1, 1))
        assert Child(life).wait() == 0
        assert len(store) == 1 and store.check() == []
        assert Child(entered_before).wait() == 0
        assert [record[1] for record in store.snapshot()] == [1, 2, 3] and store.check() == []
        shmstore.unlink(name)
