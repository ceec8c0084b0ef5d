"""What do processes that append at once cost each other? By number of partitions and processes, and by rule."""

import random
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from statistics import median
from typing import NamedTuple

from harness import CPUS, Sample, sleep_until, store_of, worker
from quiet import enough_are_quiet, quietest
from report import Bar, Row, at_least, main

import shmstore
from shmstore import EventStore
from shmstore.events.options import Rule

KEYS = tuple(f"sensor-{number}" for number in range(64))
BURST = 250  # appends between two looks at the clock
MANY = 1000  # records in one append_many

MOST_ROUNDS = 60  # as long as it makes sense to hope for quiet ones


class Place(NamedTuple):
    """A store to append to, and how."""

    rule: Rule
    partitions: int
    many: bool = False  # by append_many


class Case(NamedTuple):
    """So many processes append to one store at once. The bar is for all of them together, against one alone."""

    place: Place
    processes: int
    bar: Bar


GRID = [
    Case(Place(rule, partitions), processes, at_least(0.6))
    for rule in ("key", "turn")
    for partitions in (1, 2, 4, 8, 16)
    for processes in (2, 4, 8)
]
CASES = [
    *GRID,
    Case(Place("process", 16), 2, at_least(1.9)),
    Case(Place("key", 2, many=True), 2, at_least(0.6)),
    Case(Place("key", 8, many=True), 2, at_least(0.6)),
]
PLACES = list(dict.fromkeys(case.place for case in CASES))
MOST_PROCESSES = max(case.processes for case in CASES)


class Window(NamedTuple):
    """What one process, or several together, did between two moments; `share` of the CPU time that they could have."""

    rate: float
    share: float


def burst_of(store: EventStore[Sample], many: bool) -> tuple[int, Callable[[], object]]:
    """What a writer does again and again, and how many records that appends: a mix of keys in an order of its own."""
    if many:
        keys = array("I", map(store.key, random.choices(KEYS, k=MANY)))
        columns = {"sensor": keys, "value": array("d", [1.5] * MANY)}
        return MANY, lambda: store.append_many(columns)
    append, texts = store.appender("sensor", "value"), random.choices(KEYS, k=BURST)

    def burst() -> None:
        for text in texts:
            append(text, 1.5)

    return BURST, burst


def serve(connection: Connection, names: dict[Place, str]) -> None:
    """A writer: one window for each (place, start, end) that it is told; sends its rate and the CPU seconds it took."""
    bursts = {place: burst_of(shmstore.attach(name, Sample), place.many) for place, name in names.items()}
    while True:
        place, start, end = connection.recv()
        size, burst = bursts[place]
        sleep_until(start)
        calls, cpu, begun = 0, time.process_time(), time.monotonic()
        while (now := time.monotonic()) < end:
            burst()
            calls += 1
        connection.send((calls * size / (now - begun), time.process_time() - cpu))


def together(writers: list[Connection], place: Place, seconds: float) -> Window:
    start = time.monotonic() + 0.002
    for writer in writers:
        writer.send((place, start, start + seconds))
    answers = [writer.recv() for writer in writers]
    there_was = seconds * min(len(writers), max(1, len(CPUS)))
    return Window(sum(rate for rate, _ in answers), sum(cpu for _, cpu in answers) / there_was)


def typical(windows: list[Window]) -> tuple[float, str]:
    """The median rate of the quietest windows in millions a second, and a note when they are not quiet."""
    used, note = quietest(windows)
    return median(window.rate for window in used) / 1e6, note


def question(case: Case) -> str:
    rule = {"key": "keys mixed, by key", "turn": "keys mixed, in turn", "process": "by process"}[case.place.rule]
    how = f"append_many of {MANY:,}, {rule}" if case.place.many else rule
    partitions = "1 partition" if case.place.partitions == 1 else f"{case.place.partitions} partitions"
    return f"{case.processes} processes, {partitions}, against 1: {how}"


def rows(smoke: bool) -> Iterator[Row]:
    rounds, seconds = (2, 0.01) if smoke else (MOST_ROUNDS, 0.025)
    with ExitStack() as stack:
        names = {
            place: stack.enter_context(
                store_of(Sample, capacity=100_000, partitions=place.partitions, partition_by=place.rule)
            ).name
            for place in PLACES
        }
        writers = [stack.enter_context(worker(serve, names, cpu=number)) for number in range(MOST_PROCESSES)]
        measured = dict.fromkeys((place, 1) for place in PLACES) | dict.fromkeys(case[:2] for case in CASES)
        windows: dict[tuple[Place, int], list[Window]] = {case: [] for case in measured}
        for _ in range(rounds):
            for (place, processes), found in windows.items():
                found.append(together(writers[:processes], place, seconds))
            if all(map(enough_are_quiet, windows.values())):
                break
    for case in CASES:
        (alone, alone_note), (all_, note) = typical(windows[case.place, 1]), typical(windows[case[:2]])
        yield Row(question(case), all_, "M/s", alone, case.bar, note or alone_note)


if __name__ == "__main__":
    main(rows)
