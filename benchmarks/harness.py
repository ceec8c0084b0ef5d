"""What benchmarks measure with: rounds that interleave, processes on CPUs of their own, stores that are cleaned up."""

import multiprocessing
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, TypeVar

import shmstore
from shmstore import EventStore, Key, Record, StoreNotFound, StoreUnlinked, Timestamp
from shmstore.events.options import suitable_layout
from shmstore.records.schema import Schema

# Workers are forked, so that starting one costs nothing; each attaches by name, as an unrelated process would.
FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")
K = TypeVar("K", bound=Hashable)
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
LAYOUTS = ("rows", "columns")


class Sample(Record):
    """The record of most benchmarks: an interned string, one float, the time of the append."""

    sensor: Key
    value: float
    timestamp: Timestamp


DEFAULT_LAYOUT = suitable_layout(Schema.of(Sample))


def pin(cpu: int) -> None:
    """Keep this process on one of the CPUs that it may use, where the system lets us say so and there are two."""
    if len(CPUS) >= 2:
        os.sched_setaffinity(0, {CPUS[cpu % len(CPUS)]})


class Reading(Record):
    """The record of benchmarks that count bytes: three fields of eight."""

    meter: int
    value: float
    timestamp: Timestamp


@contextmanager
def store_of(record: type[Record], **options: Any) -> Iterator[EventStore[Any]]:
    """A store of a name that nobody has, removed at the end, however that comes."""
    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    store = shmstore.create(name, record, **options)
    try:
        yield store
    finally:
        store.close()
        shmstore.unlink(name)


@contextmanager
def worker(function: Callable[..., None], *args: Any, cpu: int, fresh: bool = False) -> Iterator[Connection]:
    """Another process, on a CPU of its own, that runs `function(connection, *args)`; yields our end of the connection.

    A fresh one inherits no memory. It is killed at the end: nothing that it leaves needs it.
    """
    context = SPAWN if fresh else FORK
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(function, ours, theirs, cpu, args), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(
    function: Callable[..., None], parents: Connection, connection: Connection, cpu: int, args: tuple[Any, ...]
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends us
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parents.close()  # so that the parent's death is an EOFError here
    pin(cpu)
    with suppress(EOFError, StoreNotFound, StoreUnlinked):  # an interrupted parent removes the stores first
        function(connection, *args)


@contextmanager
def coordinating(store: EventStore[Any]) -> Iterator[int]:
    """The program `shmstore-coordinator` at work on a store; yields its process id."""
    command = [sys.executable, "-m", "shmstore.cli.coordinator", store.name, "--quiet"]
    process = subprocess.Popen(command, start_new_session=True)  # Ctrl-C is not for it: it is told to end below
    try:
        while not store._core.coordinator_alive():
            if process.poll() is not None:
                raise RuntimeError(f"shmstore-coordinator ended with exit code {process.returncode}")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def nanoseconds(function: Callable[..., object], *args: Any) -> float:
    """The wall time of one call. What it returns is let go after the clock was read."""
    start = time.perf_counter_ns()
    result = function(*args)
    end = time.perf_counter_ns()
    del result
    return end - start


def cpu_nanoseconds(function: Callable[..., object], *args: Any) -> float:
    """The CPU time of one call, of all threads of this process: the wall time, but for what others do meanwhile."""
    start = time.process_time_ns()
    result = function(*args)
    end = time.process_time_ns()
    del result
    return end - start


def medians(rounds: int, measures: Mapping[K, Callable[[], float]]) -> dict[K, float]:
    """The median figure of each measure. They take turns, so that what else the machine does meets all of them alike.

    A round before the first warms up and does not count. Short rounds are best: an interruption spoils only its own.
    """
    figures: dict[K, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            figure = measure()
            if number:
                figures[name].append(figure)
    return {name: median(values) for name, values in figures.items()}


def sleep_until(moment: float) -> None:
    """Sleep until shortly before `time.monotonic()` is `moment`, then spin."""
    time.sleep(max(0.0, moment - time.monotonic() - 0.0005))
    while time.monotonic() < moment:
        pass
