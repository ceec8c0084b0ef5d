"""`shmstore-coordinator` as a process: another one takes over, it repairs, it ends cleanly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import shmstore
from shmstore import Key, Record, Timestamp
from shmstore.events.store import EventStore

LIMIT_S = 30.0
COORDINATOR = [sys.executable, "-m", "shmstore.cli.coordinator"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1])}
VICTIM = """
import sys, time, shmstore
store = shmstore.attach(sys.argv[1])
store.append(gateway="victim", value=1.0)
print("ready", flush=True)
time.sleep(60)
"""


class Order(Record):
    gateway: Key
    value: float
    timestamp: Timestamp


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    with shmstore.create(name, Order, capacity=100, partitions=2) as store:
        yield store
        with suppress(shmstore.StoreNotFound):
            shmstore.unlink(name)


@contextmanager
def coordinator(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*COORDINATOR, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(store: EventStore[Order], number: signal.Signals) -> None:
    with coordinator(store.name) as process:
        assert eventually(store._core.coordinator_alive)
        process.send_signal(number)
        output, messages = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (0, "") and "Traceback" not in messages
    assert f"coordinating store {store.name!r}" in messages
    assert not store._core.coordinator_alive()


def test_it_ends_when_the_store_is_unlinked(store: EventStore[Order]) -> None:
    with coordinator(store.name) as process:
        assert eventually(store._core.coordinator_alive)
        shmstore.unlink(store.name)
        _, messages = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0 and "was unlinked" in messages


def test_a_standby_takes_over_when_the_first_is_killed(store: EventStore[Order]) -> None:
    with coordinator(store.name) as first:
        assert eventually(store._core.coordinator_alive)
        with coordinator(store.name, "--quiet") as standby:
            time.sleep(0.5)
            assert standby.poll() is None
            first.kill()
            first.wait()
            before = len(store._core.history())
            assert eventually(lambda: len(store._core.history()) > before)
            assert store._core.coordinator_alive()
            standby.terminate()
            _, messages = standby.communicate(timeout=LIMIT_S)
            assert (standby.returncode, messages) == (0, "")


def test_it_repairs_a_killed_process_and_says_so(store: EventStore[Order]) -> None:
    with coordinator(store.name) as process:
        assert eventually(store._core.coordinator_alive)
        with subprocess.Popen(
            [sys.executable, "-c", VICTIM, store.name], stdout=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT
        ) as victim:
            assert victim.stdout is not None and victim.stdout.readline() == "ready\n"
            victim.kill()
        assert eventually(lambda: victim.pid not in {place.pid for place in store.processes()})
        process.terminate()
        _, messages = process.communicate(timeout=LIMIT_S)
    assert f"repaired dead process {victim.pid}" in messages


def test_retention_purges(store: EventStore[Order]) -> None:
    store.append(gateway="gw", value=1.0, timestamp=time.time_ns() - 3600 * 10**9)
    store.append(gateway="gw", value=2.0)
    with coordinator(store.name, "--retention", "10m"):
        assert eventually(lambda: len(store) == 1)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-store-{name}"], 3),
        (["a/b"], 2),
        ([], 2),
        (["{name}", "--retention", "soon"], 2),
        (["{name}", "--tick", "10s"], 2),
    ],
)
def test_what_cannot_be_coordinated(store: EventStore[Order], arguments: list[str], code: int) -> None:
    with coordinator(*(argument.format(name=store.name) for argument in arguments)) as process:
        output, messages = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, output) == (code, "") and messages and "Traceback" not in messages
