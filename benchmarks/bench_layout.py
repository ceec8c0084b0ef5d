"""Which layout suits which record? All kinds of work by columns and by rows, by number and size of the fields.

`shmstore.events.options.suitable_layout` goes by these figures.
"""

import random
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple

from harness import LAYOUTS, cpu_nanoseconds, medians, sleep_until, store_of, worker
from quiet import enough_are_quiet, quietest
from report import Row, main

import shmstore
from shmstore import EventStore, Key, Record, Text, Timestamp, field

STORE_BYTES = 24_000_000  # of the records of a store
KEYS = tuple(f"sensor-{number}" for number in range(8))
STEP_NS = 1000
BURST = 250
WRITERS = 2
WINDOW_S = 0.02
MOST_ROUNDS = 30

MS, NS, RATE = "ms", "ns", "M/s"
WINDOW, GROUPS = "a key's summary in the last half", "groups and their sums"


class Shape(NamedTuple):
    """A record of a key, a time, so many floats, and a text of so many bytes."""

    floats: int
    text: int

    def __str__(self) -> str:
        text = f", one a text of {self.text} bytes" if self.text else ""
        return f"{2 + self.floats + bool(self.text)} fields{text}"

    @property
    def bytes(self) -> int:
        return 12 + 8 * self.floats + self.text

    def record(self) -> type[Record]:
        kinds: dict[str, Any] = {"sensor": Key, "timestamp": Timestamp}
        kinds |= {f"value{number}": float for number in range(self.floats)}
        kinds |= {"text": Text[self.text]} if self.text else {}
        return type("Shaped", (Record,), {"__annotations__": kinds, "__module__": __name__})


SHAPES = (Shape(1, 0), Shape(6, 0), Shape(14, 0), Shape(30, 0), Shape(1, 62), Shape(1, 254))


class Window(NamedTuple):
    rate: float
    share: float


def fill(store: EventStore[Any], shape: Shape, records: int) -> None:
    dice = random.Random(1)
    ids = [store.key(key) for key in KEYS]
    columns: dict[str, Any] = {
        "sensor": array("I", dice.choices(ids, k=records)),
        "timestamp": array("q", range(0, records * STEP_NS, STEP_NS)),
        **{f"value{number}": array("d", [1.5]) * records for number in range(shape.floats)},
    }
    store.append_many(columns | ({"text": ["a word of text"] * records} if shape.text else {}))


def burst_of(store: EventStore[Any], shape: Shape) -> Callable[[], None]:
    """Appends BURST records, as quickly as may be."""
    values = [store.key(KEYS[0]), *[1.5] * shape.floats, *(["a word of text"] if shape.text else [])]
    append = store.appender(*(name for name in store.schema.names if name != "timestamp"))

    def burst() -> None:
        for _ in range(BURST):
            append(*values)

    return burst


def write(connection: Connection, names: dict[tuple[Shape, str], str]) -> None:
    """One of the writers: for each (shape, layout, start) sends its rate and the share of the time that it had."""
    stores = {what: shmstore.attach(name) for what, name in names.items()}
    bursts = {(shape, layout): burst_of(store, shape) for (shape, layout), store in stores.items()}
    while True:
        what, start = connection.recv()
        sleep_until(start)
        calls, cpu, begun = 0, time.process_time(), time.monotonic()
        while (now := time.monotonic()) < start + WINDOW_S:
            bursts[what]()
            calls += 1
        connection.send((calls * BURST / (now - begun), (time.process_time() - cpu) / (now - begun)))


def together(writers: list[Connection], what: tuple[Shape, str]) -> Window:
    start = time.monotonic() + 0.002
    for writer in writers:
        writer.send((what, start))
    answers = [writer.recv() for writer in writers]
    return Window(sum(rate for rate, _ in answers), min(share for _, share in answers))


def works(store: EventStore[Any], shape: Shape, records: int) -> dict[str, Callable[[], object]]:
    middle, key = records // 2 * STEP_NS, field("sensor") == KEYS[3]
    return {
        "snapshot": store.snapshot,
        WINDOW: lambda: store.summary("value0", where=key, since=middle),
        GROUPS: lambda: store.group_by("sensor").sum("value0"),
        "append": burst_of(store, shape),  # the last, as it changes what the others are about
    }


def work_alone(shape: Shape, smoke: bool) -> dict[tuple[str, str], float]:
    """Nanoseconds of CPU time, by work and layout."""
    records = 5000 if smoke else STORE_BYTES // shape.bytes
    with ExitStack() as stack:
        measures: dict[tuple[str, str], Callable[[], float]] = {}
        for layout in LAYOUTS:
            store = stack.enter_context(store_of(shape.record(), capacity=records, partitions=1, layout=layout))
            fill(store, shape, records)
            measures |= {
                (work, layout): partial(cpu_nanoseconds, do) for work, do in works(store, shape, records).items()
            }
        reading = {what: measure for what, measure in measures.items() if what[0] != "append"}
        appending = {what: measure for what, measure in measures.items() if what[0] == "append"}
        found = medians(2 if smoke else 11, reading) | medians(2 if smoke else 101, appending)
    return {what: ns / BURST if what[0] == "append" else ns / 1e6 for what, ns in found.items()}


def work_together(smoke: bool) -> dict[tuple[Shape, str], tuple[float, str]]:
    """Millions of records a second of several writers to one partition, by shape and layout, and a note."""
    with ExitStack() as stack:
        names = {
            (shape, layout): stack.enter_context(
                store_of(shape.record(), capacity=20_000, partitions=1, layout=layout)
            ).name
            for shape in SHAPES
            for layout in LAYOUTS
        }
        writers = [stack.enter_context(worker(write, names, cpu=number)) for number in range(WRITERS)]
        windows: dict[tuple[Shape, str], list[Window]] = {what: [] for what in names}
        for _ in range(2 if smoke else MOST_ROUNDS):
            for what, found in windows.items():
                found.append(together(writers, what))
            if all(map(enough_are_quiet, windows.values())):
                break
    used = {what: quietest(found) for what, found in windows.items()}
    return {what: (median(window.rate for window in quiet) / 1e6, note) for what, (quiet, note) in used.items()}


def rows(smoke: bool) -> Iterator[Row]:
    """By columns, and beside it by rows."""
    rates = work_together(smoke)
    for shape in SHAPES:
        alone = work_alone(shape, smoke)
        for work in dict.fromkeys(work for work, _ in alone):
            unit = NS if work == "append" else MS
            yield Row(f"{work}, {shape}: columns", alone[work, "columns"], unit, alone[work, "rows"], None, "rows")
        (columns, note), (by_rows, _) = rates[shape, "columns"], rates[shape, "rows"]
        yield Row(f"{WRITERS} writers to a partition, {shape}: columns", columns, RATE, by_rows, None, note or "rows")


if __name__ == "__main__":
    main(rows)
