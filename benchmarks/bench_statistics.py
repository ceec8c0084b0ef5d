"""What does an append pay for statistics: while another process asks for them, and while a coordinator samples them?"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing.connection import Connection

from harness import Sample, coordinating, medians, pin, store_of, worker
from report import Row, at_most, main

import shmstore

ASK_EVERY_S = 1.0
BURST = 1000


def ask(connection: Connection, name: str) -> None:
    """Another process that looks at the statistics each second, the first time at once."""
    with shmstore.attach(name) as store:
        while not connection.poll(0):
            assert store.statistics.total_appended > 0
            time.sleep(ASK_EVERY_S)


def append_for(
    beside: Callable[[], AbstractContextManager[object]], append: Callable[[str, float], object], seconds: float
) -> float:
    """Nanoseconds of CPU time of this process for one append, while something goes on beside it."""
    with beside():
        calls, cpu_ns, end = 0, time.process_time_ns(), time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(BURST):
                append("sensor-1", 1.5)
            calls += BURST
        return (time.process_time_ns() - cpu_ns) / calls


def rows(smoke: bool) -> Iterator[Row]:
    seconds, rounds = (0.02, 1) if smoke else (1.2, 7)
    pin(0)
    with store_of(Sample, capacity=100_000) as store:
        append = store.appender("sensor", "value")
        append("sensor-1", 1.5)
        beside: dict[str, Callable[[], AbstractContextManager[object]]] = {
            "nothing": nullcontext,
            "statistics": lambda: worker(ask, store.name, cpu=1),
            "coordinator": lambda: coordinating(store),
        }
        ns = medians(rounds, {name: partial(append_for, what, append, seconds) for name, what in beside.items()})
    # Nothing that shows: figures of one and the same loop differ by some percent from run to run.
    bar, note = at_most(1.05), "CPU time, against nothing beside"
    yield Row("append while another asks for statistics at 1 Hz", ns["statistics"], "ns", ns["nothing"], bar, note)
    yield Row("append while a coordinator is at work", ns["coordinator"], "ns", ns["nothing"], bar, note)


if __name__ == "__main__":
    main(rows)
