"""The coordinator in one process: reaping, samples, retention, the one role, and every way to end it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import Key, Record, Timestamp
from shmstore.coordinator import LONGEST_TICK_S, Coordinator
from shmstore.errors import InvalidOption, ReadOnlyStore
from shmstore.events.store import EventStore
from shmstore.segments import handle, segment
from shmstore.segments.handle import Handle
from tests.helpers.segments import METRICS

LIMIT_S = 10.0  # an order of magnitude more than anything here takes

LIFE = """
import sys, shmstore
store = shmstore.attach(sys.argv[1])
store.append(gateway="other", value=1.0)
print(flush=True)
sys.stdin.read()
"""


class Order(Record):
    gateway: Key
    value: float
    timestamp: Timestamp


class Reading(Record):
    value: float


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    with shmstore.create(name, Order, capacity=100, partitions=2) as store:
        yield store
        with suppress(shmstore.StoreNotFound):
            shmstore.unlink(name)


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@contextmanager
def another_process(store: EventStore[Any]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has appended one record and then does nothing."""
    environment = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1])}
    command = [sys.executable, "-c", LIFE, store.name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"\n"
            yield process
        finally:
            process.kill()


def test_a_killed_process_is_repaired_and_its_place_freed(store: EventStore[Order]) -> None:
    with another_process(store) as victim, Coordinator(store) as coordinator:
        assert victim.pid in {place.pid for place in store.processes()}
        victim.kill()
        assert eventually(lambda: coordinator.reaped == 1)
        assert victim.pid not in {place.pid for place in store.processes()}
    assert len(store) == 1 and store.check() == []


def test_a_stopped_process_is_not_taken_for_dead(store: EventStore[Order]) -> None:
    with another_process(store) as sleeper, Coordinator(store, tick=0.01) as coordinator:
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        assert coordinator.reaped == 0
        assert sleeper.pid in {place.pid for place in store.processes()}


def test_one_coordinates_and_another_takes_over(store: EventStore[Order]) -> None:
    with shmstore.attach(store.name) as other, Coordinator(store) as first:
        assert eventually(lambda: first.is_active)
        with Coordinator(other) as second:
            time.sleep(0.3)
            assert not second.is_active
            assert (repr(first), repr(second)) == (
                f"<Coordinator of {store.name!r}: active>",
                f"<Coordinator of {store.name!r}: standing by, or stopped>",
            )
            first.stop()
            assert not first.is_active
            assert eventually(lambda: second.is_active)
            assert store._core.coordinator_alive()
    assert not store._core.coordinator_alive()


def test_one_that_stands_by_says_so_once(store: EventStore[Order], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shmstore.coordinator")
    with shmstore.attach(store.name) as other, Coordinator(store) as first:
        assert eventually(lambda: first.is_active)
        with Coordinator(other) as second:
            assert eventually(lambda: "standing by" in caplog.text)
            time.sleep(0.5)  # it looks more than once
            assert caplog.text.count("standing by") == 1
            first.stop()
            assert eventually(lambda: second.is_active)
    assert caplog.text.count("standing by") == 1


def test_it_samples_each_second(store: EventStore[Order]) -> None:
    for value in range(300):
        store.append(gateway=f"gw-{value % 2}", value=value)
    with Coordinator(store):
        assert eventually(lambda: len(store._core.history()) >= 3)
    first, second, third = store._core.history()[:3]
    assert (first.appended, first.discarded, first.length) == (300, 200, 100)
    assert (first.number + 1, second.number + 1) == (second.number, third.number)
    assert third.time_ns - first.time_ns == pytest.approx(2e9, rel=0.4)


def test_statistics_are_handed_out_each_second(store: EventStore[Order]) -> None:
    seen: list[Any] = []
    store.append(gateway="gw", value=1.0)
    with Coordinator(store, on_statistics=seen.append):
        assert eventually(lambda: seen)
    assert seen[0].total_appended == 1


def test_the_callback_of_the_store_serves_when_no_other_is_given(name: str) -> None:
    seen: list[Any] = []
    with shmstore.create(name, Order, capacity=10, partitions=1, on_statistics=seen.append) as store:
        with Coordinator(store):
            assert eventually(lambda: seen)
        shmstore.unlink(name)


def test_a_failing_callback_is_told_and_survived(store: EventStore[Order], caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def fail(_statistics: Any) -> None:
        calls.append(1)
        raise RuntimeError("planted")

    with Coordinator(store, on_statistics=fail):
        assert eventually(lambda: len(calls) >= 2)
    assert "planted" in caplog.text


def test_retention_purges_what_is_older(store: EventStore[Order]) -> None:
    now_ns = time.time_ns()
    for age_s in (3600, 61, 59, 0):
        store.append(gateway="gw", value=age_s, timestamp=now_ns - age_s * 10**9)
    with Coordinator(store, retention=timedelta(seconds=60)):
        assert eventually(lambda: len(store) == 2)
    assert [record.value for record in store.snapshot()] == [59, 0]


def test_an_unlinked_store_ends_it(store: EventStore[Order]) -> None:
    coordinator = Coordinator(store).start()
    assert eventually(lambda: coordinator.is_active)
    shmstore.unlink(store.name)
    assert eventually(lambda: not coordinator.is_active)
    coordinator.run()  # returns at once


def test_a_removed_file_ends_it(store: EventStore[Order]) -> None:
    coordinator = Coordinator(store).start()
    assert eventually(lambda: coordinator.is_active)
    os.unlink(f"/dev/shm/{store.name}")
    assert eventually(lambda: not coordinator.is_active)


def test_a_closed_store_ends_it(name: str) -> None:
    store = shmstore.create(name, Order, capacity=10, partitions=1)
    coordinator = Coordinator(store).start()
    assert eventually(lambda: coordinator.is_active)
    store.close()
    assert eventually(lambda: not coordinator.is_active)
    coordinator.stop()
    shmstore.unlink(name)


def test_a_store_that_is_closed_in_any_moment_ends_it_without_a_word(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[object] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    shmstore.create(name, Order, capacity=10, partitions=1).close()
    for moment in range(60):
        store = shmstore.attach(name)
        with Coordinator(store, tick=0.001, on_statistics=str):
            time.sleep(0.0001 * (moment % 20))
            store.close()
    shmstore.unlink(name)
    assert died == [] and [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_it_can_be_stopped_from_its_callback_and_started_again(store: EventStore[Order]) -> None:
    coordinator = Coordinator(store, on_statistics=lambda _: coordinator.stop())
    for _ in range(2):
        coordinator.start()
        assert eventually(lambda: not any("shmstore coordinator" in thread.name for thread in threading.enumerate()))
    coordinator.stop()
    coordinator.stop()


def test_a_forked_child_neither_coordinates_nor_hangs(store: EventStore[Order]) -> None:
    with Coordinator(store) as coordinator:
        assert eventually(lambda: coordinator.is_active)
        pid = os.fork()
        if pid == 0:
            coordinator.stop()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert coordinator.is_active and store._core.coordinator_alive()


@pytest.mark.parametrize("tick", [0, -1, LONGEST_TICK_S * 1.01, float("nan")])
def test_a_tick_out_of_bounds_is_refused(store: EventStore[Order], tick: float) -> None:
    with pytest.raises(InvalidOption, match="tick"):
        Coordinator(store, tick=tick)


@pytest.mark.parametrize("retention", [timedelta(0), timedelta(seconds=-1)])
def test_a_retention_that_is_not_positive_is_refused(store: EventStore[Order], retention: timedelta) -> None:
    with pytest.raises(InvalidOption, match="retention"):
        Coordinator(store, retention=retention)


def test_retention_needs_a_timestamp(name: str) -> None:
    with shmstore.create(name, Reading, capacity=10, partitions=1) as store:
        with pytest.raises(InvalidOption, match="Timestamp"):
            Coordinator(store, retention=timedelta(seconds=1))
        shmstore.unlink(name)


def test_a_read_only_store_cannot_be_coordinated(store: EventStore[Order]) -> None:
    with shmstore.attach(store.name, read_only=True) as looker, pytest.raises(ReadOnlyStore):
        Coordinator(looker)


def test_a_segment_of_another_kind_is_coordinated_without_records(name: str) -> None:
    with Handle(segment.create(name, (), METRICS)) as metrics:
        for option in ({"retention": timedelta(minutes=1)}, {"on_statistics": print}):
            with pytest.raises(InvalidOption, match="is not attached as a store"):
                Coordinator(metrics, **option)  # type: ignore[arg-type]
        with Coordinator(metrics) as coordinator:
            assert eventually(metrics.core.history) and coordinator.is_active
            assert metrics.core.history()[0].processes == 1
        assert not metrics.core.coordinator_alive()
        segment.unlink(name)


def test_a_segment_without_the_right_to_write_cannot_be_coordinated(name: str) -> None:
    segment.create(name, (), METRICS).close()
    with handle.attach(name, read_only=True) as reader, pytest.raises(ReadOnlyStore):
        Coordinator(reader)
