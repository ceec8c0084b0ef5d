"""How much of a core does a coordinator use while nothing happens in its store?"""

import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from harness import Sample, coordinating, store_of, worker
from report import Row, main, within

from shmstore.coordinator import DEFAULT_TICK_S


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process, to the nanosecond: the usual counters know only hundredths of a second."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def tick(connection: Connection) -> None:
    """The least that a program can do that looks around as often as a coordinator."""
    connection.send(os.getpid())
    while True:
        time.sleep(DEFAULT_TICK_S)


def rows(smoke: bool) -> Iterator[Row]:
    seconds = 0.3 if smoke else 10.0
    with (
        store_of(Sample, capacity=1_000_000) as store,
        coordinating(store) as coordinator,
        worker(tick, cpu=0) as ticker,
    ):
        ticker_pid = ticker.recv()
        time.sleep(seconds / 5)  # both have started
        begun, before = time.monotonic(), (cpu_seconds(coordinator), cpu_seconds(ticker_pid))
        time.sleep(seconds)
        elapsed, after = time.monotonic() - begun, (cpu_seconds(coordinator), cpu_seconds(ticker_pid))
    percent = [100 * (late - early) / elapsed for late, early in zip(after, before, strict=True)]
    note = f"a Python loop that only sleeps {DEFAULT_TICK_S * 1000:.0f} ms at a time"
    yield Row("coordinator of an idle store", percent[0], "% of a core", percent[1], within(0.5), note)


if __name__ == "__main__":
    main(rows)
