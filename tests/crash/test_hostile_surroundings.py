"""No space, no memory, no descriptors, parts of a system that are missing: an error at the call, and nothing is left.

What must not happen shows as a signal or a failure of a forked child, which alone has the limits.
"""

import ctypes
import errno
import os
import resource
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shmstore
from shmstore import Coordinator, EventStore, Key, NoSpace, Record, ShmStoreError, StoreUnlinked, Timestamp
from shmstore.segments import names, segment
from shmstore.survey import machine
from shmstore.survey.findings import of_segments
from tests.helpers.namespaces import in_pid_namespace, needs_namespaces
from tests.helpers.points import points
from tests.helpers.processes import Child, shared_numbers
from tests.helpers.sandbox import NUMBERS, forbid
from tests.helpers.segments import (
    NOBODY,
    create,
    files,
    may_fork,
    needs_root,
    planned_bytes,
    small_directory,
    used_bytes,
)

PAGE = resource.getpagesize()
AROUND = 12  # pages on both sides of what a segment takes

pytestmark = may_fork


class Order(Record):
    gateway: Key
    value: int
    timestamp: Timestamp


def orders(name: str, capacity: int = 1000) -> EventStore[Order]:
    return shmstore.create(name, Order, capacity=capacity, partitions=2, keys=64, processes=8)


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    with orders(name) as store:
        yield store
        shmstore.unlink(name)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with small_directory(monkeypatch, tmp_path, 2) as directory:
        yield directory


def work(store: EventStore[Order], laps: int = 2) -> None:
    """Touch everything that a store has."""
    length = laps * store.capacity
    for number in range(64):
        store.key(f"key {number}")
    assert store.append_many([(number % 64, number, None) for number in range(length)]) == length
    store.append(gateway="key 1", value=-1)
    assert len(store.snapshot()) == len(store) <= store.capacity
    assert store.statistics.total_appended == length + 1
    with store.cursor() as cursor:
        assert len(cursor.read()) == len(store)
    coordinator = Coordinator(store)
    assert store._core.lock_coordinator()
    coordinator._each_second()
    store._core.unlock_coordinator()
    assert store.check() == [] and store._core.reap() == []


# -- no space


def leave_free(directory: Path, pages: int) -> None:
    """Fill the directory but for so many pages."""
    filler = directory / "filler"
    filler.unlink(missing_ok=True)
    status = os.statvfs(directory)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (status.f_bavail - pages) * status.f_frsize)


@pytest.mark.parametrize("capacity", [1, 1000, 60_000])
def test_at_each_size_around_the_limit_a_store_is_made_whole_or_not_at_all(
    small: Path, name: str, capacity: int, scorecard: Callable[..., None]
) -> None:
    needed = planned_bytes(capacity) // PAGE

    def make_and_fill() -> int:
        try:
            made = create(name, capacity)
        except NoSpace:
            return 1
        made.buffer[4096 * 2 :: 64] = bytes(len(made.buffer[4096 * 2 :: 64]))  # no page of it is missing
        return 0

    made = Counter[bool]()
    for pages in range(needed - AROUND, needed + AROUND + 1):
        leave_free(small, pages)
        before = used_bytes()
        refused = Child(make_and_fill).wait()
        assert refused == (pages < needed), f"{pages} free pages, and {needed} are needed: {refused}"
        made[not refused] += 1
        if refused:
            assert files(name) == [] and used_bytes() == before, "bytes are left"
        else:
            assert used_bytes() == before + needed * PAGE
            segment.unlink(name)
    scorecard(14, sizes=sum(made.values()), refused=made[False], signals=0, bytes_left=0)


def test_a_store_works_on_when_the_directory_is_filled_afterwards(
    small: Path, name: str, scorecard: Callable[..., None]
) -> None:
    def life() -> None:
        with shmstore.attach(name) as store:
            work(store)

    def another() -> int:
        try:
            orders(f"{name}-2")
        except NoSpace as error:
            assert error.errno == errno.ENOSPC and files(f"{name}-2") == []
            return 0
        return 1

    orders(name).close()
    leave_free(small, 0)
    assert Child(life).wait() == 0
    assert Child(another).wait() == 0
    with shmstore.attach(name, read_only=True) as store:
        assert len(store) == store.capacity and store.check() == [] and store.processes() == []
    shmstore.unlink(name)
    scorecard(14, filled_afterwards=1, signals=0, bytes_left=0)


# -- no memory


def mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * PAGE


def test_at_each_limit_of_memory_an_operation_ends_in_order(name: str, scorecard: Callable[..., None]) -> None:
    """RLIMIT_AS a little above what is mapped: attaching and copying fail at different steps, or succeed."""
    counts = shared_numbers(2)

    def life() -> None:
        looks: list[Callable[[EventStore[Order]], object]] = [
            lambda store: store.snapshot().to_dicts(),
            lambda store: store.cursor().read(),
            lambda store: store.append_many({"gateway": [0] * 50_000, "value": [1] * 50_000}),
            lambda store: store.statistics,
        ]
        descriptors = len(os.listdir("/proc/self/fd"))
        for kilobytes in [*range(0, 512, 16), *range(512, 16384, 512)]:
            limit = mapped_bytes() + kilobytes * 1024
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            try:
                with shmstore.attach(name) as store:
                    for look in looks:
                        try:
                            look(store)
                        except MemoryError:
                            counts[1] += 1
                    counts[0] += 1
            except (NoSpace, MemoryError):
                counts[1] += 1
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert len(os.listdir("/proc/self/fd")) == descriptors, "descriptors are left"

    with orders(name, 50_000) as store:
        store.append_many([("gw", number, None) for number in range(50_000)])
        assert Child(life).wait() == 0
        assert store.check() == [] and [place.pid for place in store.processes()] == [os.getpid()]
        shmstore.unlink(name)
    assert counts[0] > 0 and counts[1] > 0
    scorecard(14, memory_limits=counts[0] + counts[1], signals=0)


# -- no descriptors


class NoDescriptors:
    """Inside of the block so many descriptors can be opened and no more."""

    def __init__(self, left: int) -> None:
        self._left = left

    def __enter__(self) -> None:
        self._taken: list[int] = []
        self._before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, self._before[1]))
        try:
            while True:
                self._taken.append(os.dup(0))
        except OSError:
            for _ in range(self._left):
                os.close(self._taken.pop())

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, self._before)
        for fd in self._taken:
            os.close(fd)


def no_descriptor(action: Callable[[], object]) -> bool:
    """Whether the action ends for the want of a descriptor, and says so."""
    try:
        action()
    except OSError as error:
        assert "open files" in str(error), error
        return True
    return False


def test_a_store_that_is_attached_needs_no_further_descriptor(store: EventStore[Order]) -> None:
    def life() -> None:
        with shmstore.attach(store.name) as handle:
            with NoDescriptors(0):
                for number in range(100):
                    handle.append(gateway=f"gw-{number}"[:4], value=number)
                handle.append_many([("gw-1", 1, None)] * 100)
                assert len(handle.snapshot()) == len(handle) == 200
                with handle.cursor() as cursor:
                    assert len(cursor.read()) == 200 and not cursor.wait(0.01)
                assert handle.check() == [] and handle.statistics.total_appended == 200
                assert [place.state for place in handle.processes()] == ["alive", "alive"]
                handle.clear()
            handle.append(gateway="gw", value=1)

    assert Child(life).wait() == 0
    assert [place.pid for place in store.processes()] == [os.getpid()] and len(store) == 1


def test_without_descriptors_the_dead_wait_to_be_repaired_and_nobody_coordinates(store: EventStore[Order]) -> None:
    def die() -> None:
        handle = points().attach(store.name)
        points().arm("payload written")
        handle.append(gateway="gw", value=1)

    points()
    assert Child(die).wait() == -signal.SIGKILL

    with NoDescriptors(0):
        no_descriptor(store._core.reap)
        assert [place.state for place in store.processes()] == ["alive", "dead"]
        assert no_descriptor(store._core.lock_coordinator)
        assert not store._core.coordinator_alive()
        # Whoever meets the slot may void it all the same: that takes no lock.
        store.append_many([("gw", number, None) for number in range(store.capacity)], partition=0)
    assert store._core.lock_coordinator()
    store._core.unlock_coordinator()
    assert len(store._core.reap()) == 1 and [place.pid for place in store.processes()] == [os.getpid()]
    assert store.check() == [] and store.statistics.voided == 1


def test_with_each_number_of_descriptors_left_attaching_succeeds_or_leaves_nothing(store: EventStore[Order]) -> None:
    refused, attached, created = shared_numbers(1), shared_numbers(1), shared_numbers(1)

    def life() -> None:
        before = sorted(os.listdir("/proc/self/fd"))
        for left in range(12):
            with NoDescriptors(left):
                for read_only in (True, False):
                    if no_descriptor(lambda: shmstore.attach(store.name, read_only=read_only).close()):  # noqa: B023
                        refused[0] += 1
                    else:
                        attached[0] += 1
                created[0] += not no_descriptor(lambda: orders(f"{store.name}-2").close())
            if files(f"{store.name}-2"):
                shmstore.unlink(f"{store.name}-2")
            assert len(store.processes()) == 1, "a place is left"
        assert sorted(os.listdir("/proc/self/fd")) == before, "descriptors are left"

    assert Child(life).wait() == 0
    assert store.check() == [] and refused[0] > 4 and attached[0] > 8 and created[0] > 3


def test_a_forked_child_without_descriptors_cannot_enter_and_is_told(store: EventStore[Order]) -> None:
    def life() -> None:
        with NoDescriptors(0):
            assert no_descriptor(lambda: store.append(gateway="gw", value=1))
            assert len(store) == 1
        store.append(gateway="gw", value=2)

    store.append(gateway="gw", value=0)
    assert Child(life).wait() == 0
    assert [record.value for record in store.snapshot(order="time")] == [0, 2]


def test_every_error_here_is_one_of_the_package(store: EventStore[Order], name: str) -> None:
    """So that `except ShmStoreError` is enough, also when a process has used up what it may have."""
    attempts: dict[str, Callable[[], object]] = {
        "attach": lambda: shmstore.attach(name),
        "attach to look": lambda: shmstore.attach(name, read_only=True),
        "create": lambda: orders(f"{name}-2"),
        "list": shmstore.list_stores,
        "unlink": lambda: shmstore.unlink(name),
        "coordinate": store._core.lock_coordinator,
        "enter": lambda: store.append(gateway="gw", value=1),
    }

    def life() -> None:
        wrong = {}
        with NoDescriptors(0):
            for what, attempt in attempts.items():
                try:
                    attempt()
                except ShmStoreError:
                    continue
                except Exception as error:
                    wrong[what] = repr(error)
        assert not wrong, wrong

    assert Child(life).wait() == 0


# -- parts of a system that are missing or refuse


@pytest.fixture(autouse=True)
def own_semaphore(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creation without nameless files takes turns by a semaphore that stays; here it goes with the test."""
    monkeypatch.setattr(names, "SEMAPHORE", f"/{name}")


def outcomes(name: str) -> dict[str, str]:
    """What each call does here: "done", or the class of its error, which is one of the package and says what to do."""
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: orders(f"{name}-2").close(),
        "open": lambda: shmstore.open(f"{name}-3", Order, capacity=10).close(),
        "attach": lambda: shmstore.attach(name).close(),
        "look": lambda: shmstore.attach(name, read_only=True).close(),
        "list": shmstore.list_stores,
        "unlink": lambda: shmstore.unlink(name),
    }
    found = {}
    for what, call in calls.items():
        try:
            call()
            found[what] = "done"
        except ShmStoreError as error:
            assert ";" in str(error), error
            found[what] = type(error).__name__
    return found


def test_a_directory_that_may_only_be_read(small: Path, name: str) -> None:
    orders(name).close()
    subprocess.run(["mount", "-o", "remount,ro", small], check=True)
    refused = dict.fromkeys(("create", "open", "attach", "unlink"), "AccessDenied")
    assert outcomes(name) == {**refused, "look": "done", "list": "done"}
    assert machine._room().found.endswith("mounted read-only")


def test_a_system_without_the_directory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "DIRECTORY", str(tmp_path / "missing"))
    found = outcomes(name)
    assert set(found.values()) == {"SystemRefused"}, found
    first, *others = machine.examine()
    assert (first.health, first.found) == (machine.Health.BAD, "missing") and others
    assert of_segments()[0].health is machine.Health.BAD


@pytest.mark.parametrize("call", [*NUMBERS, "OFD locks"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_a_sandbox_that_forbids_a_system_call(name: str, call: str, number: int) -> None:
    """Whatever is refused: the store works, or an error says so and nothing is left."""

    def life() -> None:
        forbid(call, number)
        found = outcomes(name)
        assert set(found.values()) <= {"done", "SystemRefused", "AccessDenied"}, found
        assert (found["create"] == "done") == bool(files(f"{name}-2")) == bool(files(f"{name}-3"))
        if found["create"] != "done":
            return
        with shmstore.attach(f"{name}-2") as store, store.cursor() as cursor:
            began, worked = time.monotonic(), time.process_time()
            assert not cursor.wait(0.3)
            assert time.monotonic() - began > 0.2 and time.process_time() - worked < 0.2, "it span"
            work(store)

    orders(name).close()
    assert Child(life).wait() == 0


@needs_namespaces
def test_a_system_without_proc(name: str) -> None:
    """Nobody can attach for writing there, and creation leaves nothing; to look needs no /proc."""

    def life() -> None:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/proc"], check=True)
        found = outcomes(name)
        assert found["look"] == found["list"] == found["unlink"] == "done", found
        assert {found["create"], found["attach"]} <= {"done", "SystemRefused"}, found
        assert (found["create"] == "done") == bool(files(f"{name}-2")) == bool(files(f"{name}-3"))
        assert machine.examine()

    orders(name).close()
    assert in_pid_namespace(life).wait() == 0


@needs_root
def test_a_limit_of_locked_memory(name: str) -> None:
    """With mlockall, mapping a segment counts as locking it."""
    most = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    limit = 1 << 23 if most == resource.RLIM_INFINITY else min(most, 1 << 23)
    if limit < 1 << 21:
        pytest.skip("an interpreter needs more than this run may lock")

    def life() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
        os.setresuid(NOBODY, NOBODY, NOBODY)  # root has no such limit
        assert ctypes.CDLL(None).mlockall(2) == 0  # MCL_FUTURE
        for call in (lambda: orders(f"{name}-2", 1_000_000), lambda: shmstore.attach(name)):
            try:
                call()
            except NoSpace as error:
                assert "ulimit -l" in str(error)
                continue
            raise AssertionError("it was mapped")
        assert files(f"{name}-2") == []

    shmstore.create(name, Order, capacity=1_000_000, mode=0o666).close()
    assert Child(life).wait() == 0


# -- a name that another program removed


def test_whoever_is_attached_is_told_that_the_name_was_removed(store: EventStore[Order]) -> None:
    """As `rm` does it, or systemd-logind at logout: nothing in the segment says so until somebody looks."""
    os.unlink(f"/dev/shm/{store.name}")
    with pytest.raises(StoreUnlinked):  # at the latest a second after the last look
        for number in range(400):
            store.append(gateway="gw", value=number)
            time.sleep(0.01)
    with shmstore.create(store.name, Order, capacity=10) as second:
        assert not second.unlinked and store.unlinked


@pytest.mark.parametrize("read_only", [False, True])
def test_a_cursor_that_waits_is_told_that_the_name_was_removed(store: EventStore[Order], read_only: bool) -> None:
    with shmstore.attach(store.name, read_only=read_only) as other, other.cursor() as cursor:
        thread = threading.Thread(target=lambda: (time.sleep(0.2), os.unlink(f"/dev/shm/{store.name}")))
        thread.start()
        with pytest.raises(StoreUnlinked):
            assert cursor.wait(60)
        thread.join()
        assert other.unlinked
        if not read_only:  # whoever sees it tells all
            with pytest.raises(StoreUnlinked):
                store.append(gateway="gw", value=1)
    shmstore.create(store.name, Order, capacity=10).close()  # the fixture removes it


@pytest.mark.parametrize("look", [len, lambda store: store.statistics, lambda store: store._core.reap()])
def test_who_looks_at_a_store_without_a_name_tells_all(store: EventStore[Order], look: Callable[..., object]) -> None:
    store.append(gateway="gw", value=1)
    os.unlink(f"/dev/shm/{store.name}")
    look(store)
    with pytest.raises(StoreUnlinked):
        store.append(gateway="gw", value=1)
    assert [record.value for record in store.snapshot()] == [1], "what is there may be read"
    shmstore.create(store.name, Order, capacity=10).close()
