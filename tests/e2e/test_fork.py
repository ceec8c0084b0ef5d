"""Forks of every kind: each process has a place of its own, and nobody's death is hidden by a child that lives on."""

import ctypes
import multiprocessing
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import shmstore
from shmstore import Coordinator, EventStore, Int64, Key, Record
from tests.helpers.points import points
from tests.helpers.processes import Child, Gate, eventually, shared_numbers

START_METHODS = ["fork", "spawn", "forkserver"]


class Note(Record):
    key: Key
    pid: Int64
    number: Int64


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Any]]:
    with shmstore.create(name, Note, capacity=10_000, partitions=2, processes=16) as store:
        yield store
        if not store.unlinked:
            shmstore.unlink(name)


def work(store: EventStore[Any], count: int = 10) -> None:
    """Append, and see oneself in the process table, alive and with the right count."""
    for number in range(count):
        store.append(key=f"process {os.getpid()}", pid=os.getpid(), number=number)
    [place] = [place for place in store.processes() if place.pid == os.getpid()]
    assert (place.state, place.appended) == ("alive", count)


def numbers_of(store: EventStore[Any], pid: int) -> list[int]:
    return [record.number for record in store.snapshot() if record.pid == pid]


def state_of(store: EventStore[Any], pid: int) -> str:
    """What the process table says of a process: "none" when it has no place."""
    return {place.pid: place.state for place in store.processes()}.get(pid, "none")


def test_a_forked_child_enters_the_table_by_itself_and_its_parent_stays(
    store: EventStore[Any], scorecard: Callable[..., None]
) -> None:
    work(store, 5)
    with Child(lambda: work(store)) as child:
        assert child.wait() == 0
    assert state_of(store, child.pid) == "dead"
    assert [dead.pid for dead in store._core.reap()] == [child.pid]
    store.append(key="parent", pid=os.getpid(), number=5)
    assert state_of(store, os.getpid()) == "alive"
    assert numbers_of(store, child.pid) == list(range(10))
    assert numbers_of(store, os.getpid()) == list(range(6))
    scorecard(12, ways=1, false_deaths=0)


def test_a_child_that_closes_its_copy_leaves_its_parent_in_place(store: EventStore[Any]) -> None:
    work(store, 1)

    def use_and_close() -> None:
        work(store)
        store.close()

    for life in (store.close, use_and_close):
        with Child(life) as child:
            assert child.wait() == 0
        assert state_of(store, child.pid) == "none"
        assert state_of(store, os.getpid()) == "alive" and store._core.reap() == []


def test_workers_of_a_preloaded_handle_have_a_place_each(
    store: EventStore[Any], scorecard: Callable[..., None]
) -> None:
    gate, workers = Gate(), 8

    def life() -> None:
        gate.wait()
        work(store, 500)

    children = [Child(life) for _ in range(workers)]
    gate.open()
    assert [child.wait() for child in children] == [0] * workers
    for child in children:
        assert numbers_of(store, child.pid) == list(range(500))
    assert len({place.place for place in store.processes()}) == workers + 1
    scorecard(12, ways=1, false_deaths=0)


def test_grandchildren_are_processes_like_others(store: EventStore[Any]) -> None:
    def life() -> int:
        work(store, 3)
        with Child(lambda: work(store, 4)) as grandchild:
            assert grandchild.wait() == 0
        store.append(key="child", pid=os.getpid(), number=3)
        return 0 if state_of(store, os.getpid()) == "alive" else 1

    with Child(life) as child:
        assert child.wait() == 0
    assert sorted(len(numbers_of(store, pid)) for pid in {record.pid for record in store.snapshot()}) == [4, 4]


def test_a_handle_made_before_a_fork_reads_and_follows_in_the_child(store: EventStore[Any]) -> None:
    cursor = store.cursor()
    work(store, 3)

    def life() -> None:
        assert [record.number for record in cursor.read()] == [0, 1, 2]
        assert len(store.snapshot()) == 3
        assert cursor.wait(20)
        assert [record.number for record in cursor.read()] == [77]
        assert state_of(store, os.getpid()) == "none", "to read is not to enter"

    with Child(life) as child:
        time.sleep(0.05)
        store.append(key="parent", pid=os.getpid(), number=77)
        assert child.wait() == 0
    assert len(cursor.read()) == 4, "the child read with a copy of the cursor"


def plain_fork() -> int:
    return os.fork()


def fork_without_handlers() -> int:
    """The system call itself: nothing tells Python, or us, that there was a fork."""
    clone = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
    if clone is None:
        pytest.skip("the number of clone is not known here")
    pid: int = ctypes.PyDLL(None).syscall(clone, signal.SIGCHLD, 0, 0, 0, 0)
    return pid


def linger() -> None:
    """Do nothing, but not for ever."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(60)
    signal.pause()


def end(orphan: int) -> None:
    """Kill a grandchild, which is ours when its parent is dead (conftest.py sees to it)."""
    os.kill(orphan, signal.SIGKILL)
    os.waitpid(orphan, 0)


@pytest.mark.parametrize(
    ("fork", "child_works"), [(plain_fork, False), (plain_fork, True), (fork_without_handlers, True)]
)
def test_a_parent_that_is_killed_is_seen_as_dead_while_its_child_lives(
    store: EventStore[Any], fork: Callable[[], int], child_works: bool, scorecard: Callable[..., None]
) -> None:
    shown = shared_numbers(1)

    def parent() -> None:
        work(store, 1)
        if not fork():
            if child_works:
                work(store)
            shown[0] = os.getpid()
        linger()

    with Child(parent) as child:
        assert eventually(lambda: shown[0])
        assert state_of(store, child.pid) == "alive"
        child.kill()
        assert state_of(store, child.pid) == "dead"
        assert [dead.pid for dead in store._core.reap()] == [child.pid]
        assert state_of(store, shown[0]) == ("alive" if child_works else "none")
        end(shown[0])
    assert len(numbers_of(store, shown[0])) == (10 if child_works else 0)
    scorecard(12, ways=1, false_deaths=0)


def test_a_parent_that_is_killed_is_seen_as_dead_while_a_program_that_it_started_runs(store: EventStore[Any]) -> None:
    shown = shared_numbers(1)

    def parent() -> None:
        work(store, 1)
        with subprocess.Popen(["sleep", "60"], close_fds=False) as program:
            shown[0] = program.pid

    with Child(parent) as child:
        assert eventually(lambda: shown[0])
        child.kill()
        assert state_of(store, child.pid) == "dead"
        end(shown[0])


@pytest.mark.parametrize("method", START_METHODS)
def test_multiprocessing_workers_append_to_a_handle_that_they_were_given(
    store: EventStore[Any], method: str, scorecard: Callable[..., None]
) -> None:
    context = multiprocessing.get_context(method)
    workers = [context.Process(target=work, args=(store,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    for worker in workers:
        assert worker.pid is not None and numbers_of(store, worker.pid) == list(range(10))
    store._core.reap()
    assert {place.pid for place in store.processes()} == {os.getpid()}
    scorecard(12, ways=1, false_deaths=0)


def append_one(given: tuple[EventStore[Any], int]) -> int:
    store, number = given
    store.append(key="pool", pid=os.getpid(), number=number)
    return number


@pytest.mark.parametrize("method", START_METHODS)
def test_a_pool_of_processes_appends_each_record_once(store: EventStore[Any], method: str) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(append_one, [(store, number) for number in range(20)]))
    assert sorted(record.number for record in store.snapshot()) == list(range(20))


def test_threads_share_the_place_of_their_process(store: EventStore[Any]) -> None:
    def append(thread: int) -> None:
        for number in range(1000):
            store.append(key=f"thread {thread}", pid=thread, number=number)

    def life() -> int:
        threads = [threading.Thread(target=append, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [place] = [place for place in store.processes() if place.pid == os.getpid()]
        return 0 if place.appended == 4000 else 1

    assert Child(life).wait() == 0
    for thread in range(4):
        assert numbers_of(store, thread) == list(range(1000))


def busy_thread(store: EventStore[Any], stops: threading.Event) -> None:
    """Whatever runs without the GIL, or holds a lock of ours."""
    rows = [("thread", 0, number) for number in range(200)]
    with shmstore.attach(store.name) as handle, store.cursor("latest") as cursor:
        while not stops.is_set():
            handle.append_many(rows)
            store.append_many(rows)
            store.snapshot()
            cursor.wait(0.001)
            store._core.reap()
            shmstore.attach(store.name).close()


def test_a_fork_beside_busy_threads_gives_a_child_that_works(store: EventStore[Any]) -> None:
    stops = threading.Event()

    def life() -> int:
        threads = [threading.Thread(target=busy_thread, args=(store, stops)) for _ in range(3)]
        for thread in threads:
            thread.start()
        codes = [Child(lambda: work(store)).wait() for _ in range(100)]
        stops.set()
        for thread in threads:
            thread.join()
        return 0 if codes == [0] * 100 else 1

    assert Child(life).wait() == 0
    assert store.check() == []


def test_a_child_that_was_forked_while_a_thread_waited_can_leave(store: EventStore[Any]) -> None:
    def forked() -> int:
        work(store)
        store.close()
        with shmstore.attach(store.name, read_only=True) as looker:
            return 0 if state_of(looker, os.getpid()) == "none" else 1

    def life() -> int:
        work(store, 1)
        with store.cursor("latest") as cursor:
            thread = threading.Thread(target=lambda: list(cursor))
            thread.start()
            time.sleep(0.05)
            code = Child(forked).wait()
            assert state_of(store, os.getpid()) == "alive" and thread.is_alive()
            cursor.close()
            thread.join()
        return code

    assert Child(life).wait() == 0


def test_a_child_does_not_use_the_key_cell_that_its_parent_reserved(store: EventStore[Any]) -> None:
    texts = ["of the first child", "of the second child", "of the parent"]
    with points().attach(store.name) as preloaded:

        def life() -> None:
            points().arm("key reserved", number=signal.SIGSTOP)
            preloaded.key("raced for")
            for text in texts[:2]:
                assert Child(lambda text=text: preloaded.key(text) and None).wait() == 0
            preloaded.key(texts[2])

        with Child(life) as child:
            assert child.has_stopped()
            store.key("raced for")  # it comes second, and has a cell to spare
            assert child.resume() == 0
    assert [store.keys()[store.key(text)] for text in texts] == texts
    assert store.check() == []


def test_a_child_of_a_coordinator_does_not_keep_its_role(store: EventStore[Any]) -> None:
    shown = shared_numbers(1)

    def parent() -> None:
        with shmstore.attach(store.name) as handle, Coordinator(handle) as coordinator:
            assert eventually(lambda: coordinator.is_active)
            if not os.fork():
                shown[0] = os.getpid()
            linger()

    with Child(parent) as child:
        assert eventually(lambda: shown[0])
        assert store._core.coordinator_alive()
        child.kill()
        assert not store._core.coordinator_alive()
        with Coordinator(store) as successor:
            assert eventually(lambda: successor.is_active)
        end(shown[0])
