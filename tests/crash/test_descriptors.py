"""What a program does with descriptors harms neither it nor the store.

Daemonizers close them all, subprocess helpers close ranges, and what is opened next gets the same numbers. Before each
operation, in the process that attached and in a forked child of it, all descriptors beyond the first three are closed,
or closed and given to other files, or overwritten by dup2. Then the operation must do its work; nobody who lives may be
taken for dead, and no other file may be closed, locked, read or written.
"""

import fcntl
import os
import random
import select
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import shmstore
from shmstore import Cursor, EventStore, Key, Record, ShmStoreError, Timestamp
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork, use_scratch_names

pytestmark = may_fork

FIRST, OTHERS = 3, 40


class Reading(Record):
    sensor: Key
    value: float
    at: Timestamp


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(name, Reading, capacity=64, partitions=2, processes=8) as store:
        store.append(sensor="s", value=1.0)
        yield store
        shmstore.unlink(name)


class Program:
    """A process that has a handle and a cursor, and loses its descriptors."""

    def __init__(self, name: str) -> None:
        self.handle = shmstore.attach(name, Reading)
        self.handle.append(sensor="s", value=2.0)
        self.cursor: Cursor[Reading] = self.handle.cursor("oldest")
        self.cursor.fileno()
        self.files: dict[int, tuple[int, int, int]] = {}

    def lose(self, way: str, keep: int) -> None:
        """Close all descriptors but one; or have them be those of other files too."""
        files = [os.memfd_create(f"other-{number}") for number in range(OTHERS)] if way == "overwritten" else []
        if files:
            for number in range(FIRST, 200):
                if number != keep and number not in files:
                    os.dup2(files[number % OTHERS], number)
        else:
            os.closerange(FIRST, keep)
            os.closerange(keep + 1, 4096)
        if way == "reused":
            files = [os.memfd_create(f"other-{number}") for number in range(OTHERS)]
        for number in range(FIRST, 200):
            if way != "closed" and number != keep:
                try:
                    status = os.fstat(number)
                except OSError:
                    continue
                self.files[number] = (status.st_ino, status.st_size, os.lseek(number, 0, os.SEEK_CUR))

    def touched(self) -> list[int]:
        """The other files that were closed, written, read or locked."""
        wrong = []
        for number, before in self.files.items():
            try:
                status = os.fstat(number)
                if (status.st_ino, status.st_size, os.lseek(number, 0, os.SEEK_CUR)) != before:
                    wrong.append(number)
                fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                wrong.append(number)
        return wrong


def follow(program: Program) -> None:
    program.cursor.read(10)
    assert program.cursor.wait(timeout=0.01) in (True, False)
    number = program.cursor.fileno()
    assert not program.files.get(number), "the descriptor to poll is another file's"
    select.select([number], [], [], 0)


OPERATIONS: dict[str, Callable[[Program], Any]] = {
    "append": lambda program: program.handle.append(sensor="t", value=3.0),
    "append_many": lambda program: program.handle.append_many([("u", 4.0, 5)] * 10),
    "snapshot": lambda program: program.handle.snapshot(),
    "sum": lambda program: program.handle.sum("value"),
    "statistics": lambda program: program.handle.statistics,
    "processes": lambda program: program.handle.processes(),
    "reap": lambda program: program.handle._core.reap(),
    "coordinate": lambda program: (program.handle._core.lock_coordinator(), program.handle._core.unlock_coordinator()),
    "follow": follow,
    "purge": lambda program: program.handle.purge(older_than=timedelta(days=1)),
    "attach again": lambda program: shmstore.attach(program.handle.name).close(),
    "close": lambda program: program.handle.close(),
}


def run(name: str, way: str, operation: str, forked: bool, told: int) -> None:
    program = Program(name)
    if forked and os.fork():
        signal.pause()  # the parent lives on, with its descriptors, until it is killed
    program.lose(way, told)
    said = "ok"
    try:
        OPERATIONS[operation](program)
    except ShmStoreError as error:
        said = f"refused: {error}"
    if not program.handle.closed:
        said += f"; dead: {[place.pid for place in program.handle.processes() if place.state == 'dead']}"
        if operation != "close":
            program.handle.append(sensor="v", value=5.0)
    program.cursor.close()
    program.handle.close()
    os.write(told, f"{said}; touched: {program.touched()}".encode())
    os._exit(0)


@pytest.mark.parametrize("way", ["closed", "reused", "overwritten"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_program_does_with_descriptors_harms_neither_it_nor_the_store(
    name: str, store: EventStore[Any], operation: str, way: str, seed: int, scorecard: Callable[..., None]
) -> None:
    for forked in (False, True):
        listen, told = os.pipe()
        high = fcntl.fcntl(told, fcntl.F_DUPFD, random.Random(f"{seed}/{operation}/{way}").randrange(60, 120))
        os.close(told)
        with Child(lambda forked=forked, told=high: run(name, way, operation, forked, told)) as child:
            os.close(high)
            said = os.read(listen, 10_000).decode()
            assert said == ("ok; touched: []" if operation == "close" else "ok; dead: []; touched: []")
            assert [place.state for place in store.processes() if place.state == "dead"] == []
            child.kill()
        os.close(listen)
        assert store._core.check() == []
    scorecard(24, operations=1, ways=2, foreign_descriptors_touched=0, false_deaths=0)


def test_a_process_that_lost_its_descriptors_is_alive_to_all(name: str, store: EventStore[Any]) -> None:
    listen, told = os.pipe()

    def lose_and_stand_still() -> None:
        program = Program(name)
        program.lose("closed", told)
        os.write(told, b"lost")
        signal.pause()

    with Child(lose_and_stand_still) as child:
        os.close(told)
        assert os.read(listen, 10) == b"lost"
        assert [place.state for place in store.processes()] == ["alive", "alive"]
        assert store._core.reap() == []
        child.kill()
        assert sorted(place.state for place in store.processes()) == ["alive", "dead"]
        assert len(store._core.reap()) == 1
    os.close(listen)


def test_a_handle_costs_two_descriptors_and_a_process_one_place(name: str, store: EventStore[Any]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    handles = [shmstore.attach(name) for _ in range(100)]
    assert len(os.listdir("/proc/self/fd")) - before <= 200
    assert [place.state for place in store.processes()] == ["alive"]
    for handle in handles:
        handle.append(sensor="s", value=1.0)
        handle.close()
    assert len(os.listdir("/proc/self/fd")) == before
    store.append(sensor="s", value=1.0)
    assert [place.state for place in store.processes()] == ["alive"]


def speak_on_closed_descriptors(name: str) -> int:
    """Use a store as a daemon that has closed its standard descriptors, and say a word on each of them."""
    os.closerange(0, FIRST)
    with shmstore.create(f"{name}-new", Reading, capacity=64) as made, shmstore.attach(name) as handle:
        handle.append(sensor="s", value=2.0)
        made.append(sensor="s", value=2.0)
        with handle.cursor("latest") as cursor:
            told = cursor.fileno()
            handle._core.lock_coordinator()
            words = [number for number in range(FIRST) if _says(number)]
            heard = select.select([told], [], [], 0)[0]
        shmstore.unlink(made.name)
        return 0 if not words and not heard and handle.check() == made.check() == [] else 1


def _says(number: int) -> bool:
    try:
        return os.write(number, b"a complaint of the program, or of a library") > 0
    except OSError:
        return False


@pytest.mark.parametrize("nameless", [True, False])
def test_what_a_program_says_on_standard_descriptors_that_it_closed_reaches_no_store(
    name: str, store: EventStore[Any], nameless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not nameless:
        use_scratch_names(monkeypatch, name)
    with Child(lambda: speak_on_closed_descriptors(name)) as child:
        assert child.wait() == 0
    assert store.check() == []
    with shmstore.attach(name) as another:
        assert another.sum("value") == 3.0


def test_no_descriptor_is_kept_beside_a_store(store: EventStore[Any]) -> None:
    def life() -> int:
        os.close(0)
        before = set(os.listdir("/proc/self/fd"))
        with shmstore.attach(store.name) as handle:
            handle.append(sensor="s", value=2.0)
        return 0 if set(os.listdir("/proc/self/fd")) == before else 1

    with Child(life) as child:
        assert child.wait() == 0
