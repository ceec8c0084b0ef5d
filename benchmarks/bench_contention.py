"""What do processes that append at once cost each other, on partitions of their own and on the same one?"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

from harness import CPUS, LAYOUTS, Sample, sleep_until, store_of, worker
from quiet import enough_are_quiet, quietest
from report import Row, at_least, main

import shmstore
from shmstore.options import DEFAULT_LAYOUT

# Which partition each of the processes appends to; neighbours have different CPUs.
ALONE, APART, SAME, MANY = (0,), (0, 1), (0, 0), (0,) * 8
CASES = (ALONE, APART, SAME, MANY)
BURST = 250

MOST_ROUNDS = 120  # as long as it makes sense to hope for quiet ones


class Window(NamedTuple):
    """What one process, or several together, did between two moments; `share` of the CPU time that they could have."""

    rate: float
    share: float


def append_until(append: Callable[[str, float], object], start: float, end: float) -> tuple[float, float]:
    """Append from `start` on; returns the rate, in records a second, and the CPU seconds that it took."""
    sleep_until(start)
    calls, cpu, begun = 0, time.process_time(), time.monotonic()
    while (now := time.monotonic()) < end:
        for _ in range(BURST):
            append("sensor-1", 1.5)
        calls += BURST
    return calls / (now - begun), time.process_time() - cpu


def serve(connection: Connection, names: dict[str, str]) -> None:
    """A writer: one window for each (layout, partition, start, end) that it is told."""
    stores = {layout: shmstore.attach(name, Sample) for layout, name in names.items()}
    appends = {
        (layout, partition): store.appender("sensor", "value", partition=partition)
        for layout, store in stores.items()
        for partition in range(store.partitions)
    }
    while True:
        layout, partition, start, end = connection.recv()
        connection.send(append_until(appends[layout, partition], start, end))


def together(writers: list[Connection], layout: str, case: tuple[int, ...], seconds: float) -> Window:
    start = time.monotonic() + 0.002
    for writer, partition in zip(writers, case, strict=False):
        writer.send((layout, partition, start, start + seconds))
    answers = [writer.recv() for writer in writers[: len(case)]]
    there_was = seconds * min(len(case), max(1, len(CPUS)))
    return Window(sum(rate for rate, _ in answers), sum(cpu for _, cpu in answers) / there_was)


def typical(windows: list[Window]) -> tuple[float, str]:
    """The median rate of the quietest windows in millions a second, and a note when they are not quiet."""
    used, note = quietest(windows)
    return median(window.rate for window in used) / 1e6, note


def rows(smoke: bool) -> Iterator[Row]:
    rounds, seconds = (2, 0.01) if smoke else (MOST_ROUNDS, 0.025)
    with ExitStack() as stack:
        names = {
            layout: stack.enter_context(store_of(Sample, capacity=200_000, partitions=2, layout=layout)).name
            for layout in LAYOUTS
        }
        writers = [stack.enter_context(worker(serve, names, cpu=number)) for number in range(len(MANY))]
        windows: dict[tuple[str, tuple[int, ...]], list[Window]] = {
            (layout, case): [] for layout in LAYOUTS for case in CASES
        }
        for _ in range(rounds):
            for (layout, case), found in windows.items():
                found.append(together(writers, layout, case, seconds))
            if all(map(enough_are_quiet, windows.values())):
                break
    for layout in LAYOUTS:
        (alone, alone_note), (apart, apart_note), (same, same_note), (many, many_note) = (
            typical(windows[layout, case]) for case in CASES
        )
        bars = [at_least(limit) if layout == DEFAULT_LAYOUT else None for limit in (1.8, 0.5, 0.6)]
        yield Row(
            f"2 processes, a partition each, against 1, {layout}",
            apart,
            "M/s",
            alone,
            bars[0],
            apart_note or alone_note,
        )
        yield Row(
            f"2 processes, the same partition, against 1, {layout}",
            same,
            "M/s",
            alone,
            bars[1],
            same_note or alone_note,
        )
        yield Row(
            f"8 processes, the same partition, against 2, {layout}", many, "M/s", same, bars[2], many_note or same_note
        )


if __name__ == "__main__":
    main(rows)
