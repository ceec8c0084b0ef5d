"""Creators and attachers that die: nobody sees a half-made segment, no name is stuck, and no death removes a segment.

Creation is tried in both ways: with nameless files, and with scratch names, as where the kernel has no nameless files.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import posix_ipc
import pytest

from shmstore import _core
from shmstore.errors import NoSpace, StoreExists, StoreNotFound
from shmstore.segments import names, segment
from tests.helpers.effort import cases
from tests.helpers.processes import Child
from tests.helpers.segments import (
    create,
    files,
    may_fork,
    planned_bytes,
    small_directory,
    use_scratch_names,
    used_bytes,
)

RACES = cases(full=300, sample=100)

WON, LOST, NO_SPACE, KILLED = 0, 1, 2, -signal.SIGKILL

pytestmark = may_fork


def attempt(name: str, capacity: int = 1000) -> int:
    """Create, and tell how that went."""
    try:
        create(name, capacity)
    except StoreExists:
        return LOST
    except NoSpace:
        return NO_SPACE
    return WON


@pytest.fixture(params=["nameless", "scratch"])
def way(request: pytest.FixtureRequest, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "scratch":
        use_scratch_names(monkeypatch, name)
    return str(request.param)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tmpfs of 8 MiB in place of /dev/shm, of which all used bytes are ours."""
    with small_directory(monkeypatch, tmp_path, 8):
        yield


def race_and_kill(name: str, dice: random.Random, span_s: float) -> None:
    """Let three create the same name, perhaps kill two of them within `span_s`, and look at the name all the time."""
    racers = [Child(lambda: attempt(name)) for _ in range(3)]
    kill_at = time.monotonic() + dice.random() * span_s if dice.random() < 0.7 else float("inf")
    while not all(racer.is_over() for racer in racers):
        with suppress(StoreNotFound):
            segment.attach(name).close()  # anything but a whole store or nothing raises
        if time.monotonic() >= kill_at:
            for racer in racers[:2]:
                racer.kill()
    codes = [racer.wait() for racer in racers]
    assert set(codes) <= {WON, LOST, KILLED}
    assert codes.count(WON) <= 1 if KILLED in codes else codes.count(WON) == 1


def race_rounds(name: str, seed: int, rounds: int) -> None:
    dice = random.Random(seed)
    begun = time.monotonic()
    assert Child(lambda: attempt(name)).wait() == WON
    span_s = (time.monotonic() - begun) * 2
    segment.unlink(name)
    for _ in range(rounds):
        race_and_kill(name, dice, span_s)
        with suppress(StoreExists):  # whatever happened, the name is free or leads to a store
            create(name).close()
        segment.attach(name).close()
        segment.unlink(name)
    create(name).close()  # removes what the last round's dead left under scratch names
    segment.unlink(name)
    assert files(name) == []


def test_racing_creators_under_sigkill_show_no_half_made_segment_and_leave_no_stuck_name(
    name: str, seed: int, way: str, scorecard: Callable[..., None]
) -> None:
    race_rounds(name, seed, RACES)
    scorecard(13, rounds=RACES, half_made=0, stuck_names=0)


def test_killed_creators_leak_no_memory(name: str, seed: int, way: str, small: None) -> None:
    before = used_bytes()
    race_rounds(name, seed, 30)
    assert used_bytes() == before


def test_racing_creators_of_a_store_that_fits_but_once_do_not_run_out_of_space(
    name: str, way: str, small: None
) -> None:
    capacity = next(capacity for capacity in range(1000, 1_000_000, 1000) if planned_bytes(capacity) > 5 << 20)
    for _ in range(10):
        racers = [Child(lambda: attempt(name, capacity)) for _ in range(5)]
        assert sorted(racer.wait() for racer in racers) == [WON] + [LOST] * 4
        segment.unlink(name)


STEPS = {
    "after the turn is taken": (os.path, "lexists"),
    "before memory is reserved": (os, "posix_fallocate"),
    "before it is mapped": (names, "another"),
    "before it is filled": (_core, "format"),
    "before it gets its mode": (os, "fchmod"),
    "before it gets its name": (os, "link"),
}


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("step", STEPS)
def test_a_creator_killed_at_any_step_leaves_nothing_that_the_next_one_does_not_clear(
    name: str, way: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "TURN_SECONDS", 1e6)  # the watchdog ends the test should the next one wait for the dead
    with monkeypatch.context() as patch:
        patch.setattr(*STEPS[step], die)
        assert Child(lambda: attempt(name)).wait() == KILLED
    assert way == "scratch" or files(name) == []
    with pytest.raises(StoreNotFound):
        segment.attach(name)
    create(name).close()
    segment.attach(name).close()
    assert files(name) == [name]
    if way == "scratch":
        assert posix_ipc.Semaphore(f"/{name}").value == 1


def test_a_creator_killed_when_the_segment_has_its_name_leaves_a_whole_store(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_die(*arguments: object, **options: object) -> None:
        link(*arguments, **options)
        die()

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link_and_die)
        assert Child(lambda: attempt(name)).wait() == KILLED
    segment.attach(name).close()
    with pytest.raises(StoreExists):
        create(name)
    assert files(name) == [name]


def test_a_stopped_creator_does_not_stop_others(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "TURN_SECONDS", 0.2)
    another = names.another

    def stop_and_go_on(fd: int) -> int:
        os.kill(os.getpid(), signal.SIGSTOP)
        return another(fd)

    with monkeypatch.context() as patch:
        patch.setattr(names, "another", stop_and_go_on)
        stopped = Child(lambda: attempt(name))
    with stopped:
        assert stopped.has_stopped()
        create(name).close()
        assert stopped.resume() == LOST
    assert files(name) == [name]
    if way == "scratch":
        assert posix_ipc.Semaphore(f"/{name}").value == 1  # the stopped one's turn had been given on


def test_an_interrupted_creation_leaves_nothing_or_a_whole_store(name: str, way: str, seed: int) -> None:
    dice = random.Random(seed)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGPROF, interrupt)
    try:
        for _ in range(200):
            try:
                signal.setitimer(signal.ITIMER_PROF, dice.uniform(1e-6, 1e-3))
                create(name).close()
                signal.setitimer(signal.ITIMER_PROF, 0)
            except KeyboardInterrupt:
                pass
            with suppress(StoreNotFound):
                segment.attach(name).close()
                segment.unlink(name)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    create(name).close()
    assert files(name) == [name]


ATTACHERS = """
import multiprocessing, os, resource, signal, sys
from shmstore.segments import segment
from shmstore.errors import NoSpace

NAME = sys.argv[1]

def attach(ending):
    if ending == "no memory":
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + (4 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        try:
            segment.attach(NAME)
        except NoSpace:
            return
        os._exit(9)
    writer, reader = segment.attach(NAME), segment.attach(NAME, writable=False)
    writer.buffer[-1] = 1
    if ending == "close":
        writer.close()
        reader.close()
    elif ending == "exit":
        sys.exit(0)
    elif ending == "exit at once":
        os._exit(0)
    elif ending == "kill":
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    ending, method = sys.argv[2:]
    if method == "unrelated":
        attach(ending)
    else:
        context = multiprocessing.get_context(method)
        ours = segment.attach(NAME)
        workers = [context.Process(target=attach, args=(ending,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == (-signal.SIGKILL if ending == "kill" else 0), worker.exitcode
        assert ours.is_linked()
"""


@pytest.mark.parametrize("method", ["unrelated", "fork", "spawn", "forkserver"])
def test_no_way_to_end_removes_a_segment_or_prints_a_word(
    name: str, method: str, tmp_path: Path, scorecard: Callable[..., None]
) -> None:
    program = tmp_path / "attachers.py"
    program.write_text(ATTACHERS)
    with create(name, 1_000_000) as ours:
        assert ours.size > 8 << 20

        def end(ending: str) -> None:
            # The resource tracker has the other end of stderr too: `run` returns when that has done its last work.
            ended = subprocess.run(
                [sys.executable, program, name, ending, method],
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
            expected = KILLED if (method, ending) == ("unrelated", "kill") else 0
            assert (ended.returncode, ended.stdout, ended.stderr) == (expected, "", ""), ending
            assert ours.is_linked(), ending

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(end, ("close", "forget", "exit", "exit at once", "kill", "no memory")):
                scorecard(16, ends=1, removed=0, warnings=0)
