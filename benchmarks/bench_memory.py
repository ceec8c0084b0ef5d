"""How much memory does an answer take beyond the store, in a process that asks for the first time?

Each question is asked by processes of its own that have the whole store mapped and touched. One finds the peak of its
resident memory (VmHWM) while it answers, less what was resident before (VmRSS): what it takes for itself, and code that
it did not need before. The kernel notes a peak in batches of pages and can miss some hundred KiB, so another finds the
peak of what was allocated (tracemalloc, which sees nearly all that the core allocates). The larger figure counts.

The bar is for one answer; an order statistic of each group gathers the values first, and is there to compare.
"""

import tracemalloc
from array import array
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness import LAYOUTS, Sample, store_of, worker
from report import Row, main, within

import shmstore
from shmstore import EventStore, field

RECORDS = 1_000_000
KEYS = 8
PRIME = 7919  # so that number * PRIME % RECORDS takes every value once, in no order
LIMIT_KIB = 1024

ASKED = field("sensor") == "sensor-3"
GROUPS = "quantile of each group"
QUESTIONS: dict[str, Callable[[EventStore[Any]], Any]] = {
    "count": lambda store: store.count(where=ASKED),
    "sum": lambda store: store.sum("value", where=ASKED),
    "mean": lambda store: store.mean("value", where=ASKED),
    "variance": lambda store: store.variance("value", where=ASKED),
    "min and max": lambda store: (store.min("value", where=ASKED), store.max("value", where=ASKED)),
    "summary": lambda store: store.summary("value", where=ASKED),
    "first and last": lambda store: (store.first("sensor", where=ASKED), store.last("sensor", where=ASKED)),
    "quantile": lambda store: store.quantile("value", 0.99),
    "distinct, all are": lambda store: store.distinct("value"),
    "groups, top 5": lambda store: store.group_by("sensor").sum("value").top(5),
    GROUPS: lambda store: store.group_by("sensor").quantile("value", 0.99),
}


def resident_kib() -> tuple[int, int]:
    """What is resident now, and the most that ever was."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]), int(lines["VmHWM"].split()[0])


def answer(connection: Connection, name: str, question: str | None, traced: bool) -> None:
    """The asking process: sends how many KiB it took; without a question, for a snapshot."""
    with shmstore.attach(name, populate=True) as store:
        if traced:
            tracemalloc.start()
        resident_kib()  # itself for the first time
        before, _ = resident_kib()
        found = store.snapshot() if question is None else QUESTIONS[question](store)
        _, peak = resident_kib()
        connection.send(tracemalloc.get_traced_memory()[1] / 1024 if traced else peak - before)
    del found


def kib_of(name: str, question: str | None) -> float:
    figures = []
    for traced in (False, True):
        with worker(answer, name, question, traced, cpu=1, fresh=True) as asker:
            figures.append(asker.recv())
    return float(max(figures))


def rows(smoke: bool) -> Iterator[Row]:
    records = 20_000 if smoke else RECORDS
    numbers = [number * PRIME % records for number in range(records)]
    columns = {
        "sensor": array("I", (number % KEYS for number in numbers)),
        "value": array("d", numbers),
        "timestamp": array("q", range(records)),
    }
    for layout in LAYOUTS:
        with store_of(Sample, capacity=records, partitions=1, layout=layout) as store:
            for number in range(KEYS):
                store.key(f"sensor-{number}")
            store.append_many(columns)
            snapshot = kib_of(store.name, None)
            for question in QUESTIONS:
                bar = within(LIMIT_KIB) if layout == "columns" and question != GROUPS else None
                note = "a snapshot"
                yield Row(f"memory of {question}, {layout}", kib_of(store.name, question), "KiB", snapshot, bar, note)


if __name__ == "__main__":
    main(rows)
