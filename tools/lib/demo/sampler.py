"""A writer that samples this machine: NAME DESCRIPTOR WRITER NUMBER COUNT.

It measures the processor, memory, disk, network and the demo's own processes, through psutil.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil

from demo.board import Cell
from demo.worker import begin, writer

_EVERY_S = 0.05

Gauge = Callable[[], Iterator[tuple[str, float]]]


def cpu() -> Iterator[tuple[str, float]]:
    """Load of each core since the last call, and of the machine."""
    for core, percent in enumerate(psutil.cpu_percent(percpu=True)):
        yield f"cpu {core} percent", percent
    yield "load of 1 minute", psutil.getloadavg()[0]


def memory() -> Iterator[tuple[str, float]]:
    """Memory used and available."""
    now = psutil.virtual_memory()
    yield "memory used bytes", now.used
    yield "memory available bytes", now.available
    yield "memory percent", now.percent


def disk() -> Iterator[tuple[str, float]]:
    """Bytes moved so far, where the machine tells, and how full the root is."""
    if moved := psutil.disk_io_counters():
        yield "disk read bytes", moved.read_bytes
        yield "disk written bytes", moved.write_bytes
    yield "disk percent", psutil.disk_usage("/").percent


def network() -> Iterator[tuple[str, float]]:
    """Bytes of each interface so far."""
    for interface, moved in psutil.net_io_counters(pernic=True).items():
        yield f"network {interface} sent bytes", moved.bytes_sent
        yield f"network {interface} received bytes", moved.bytes_recv


def processes() -> Iterator[tuple[str, float]]:
    """Time and memory of each process of the demo."""
    first = psutil.Process(os.getppid())
    for process in (first, *first.children()):
        with suppress(psutil.Error), process.oneshot():  # it may be gone, or just killed
            times = process.cpu_times()
            yield f"process {process.pid} cpu seconds", times.user + times.system
            yield f"process {process.pid} memory bytes", process.memory_info().rss


GAUGES: tuple[Gauge, ...] = (cpu, memory, disk, network, processes)


def main() -> None:
    """Write one round of measurements after another until told to end."""
    store, board, arguments = begin()
    name, number, count = map(int, arguments)
    gauges = GAUGES[number::count] or (GAUGES[number % len(GAUGES)],)  # all are shared out, and each sampler has one
    with store:
        write = writer(store, board, name)
        while not board.is_over(Cell.SAMPLERS_END):
            for gauge in gauges:
                for metric, value in gauge():
                    write(store.key(metric), value)
            time.sleep(_EVERY_S)


if __name__ == "__main__":
    main()
