"""What do questions cost while another process appends at full speed, and what do they cost that process?"""

import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple

from harness import LAYOUTS, cpu_nanoseconds, sleep_until, worker
from questions import RECORDS, SENSORS, STEP_NS, SUM, SUMMARY, TOP, filled, summary, time_of, top, total, window
from quiet import enough_are_quiet, quietest
from report import Row, at_least, at_most, main

import shmstore
from shmstore import EventStore

WINDOW = "window of ten times as many"
SHORT, LONG = "short", "long"  # two stores: of RECORDS, and of ten times as many
BURST = 32 * len(SENSORS)
MOST_ROUNDS = 60

# Asked again and again about what is there then: the newest records, before which and with which `tail` were appended.
QUESTIONS: dict[str, tuple[str, Callable[[EventStore[Any], int], object]]] = {
    SUM: (SHORT, lambda store, tail: total(store)),
    SUMMARY: (SHORT, lambda store, tail: summary(store, time_of(tail - store.capacity // 2))),
    TOP: (SHORT, lambda store, tail: top(store)),
    WINDOW: (LONG, lambda store, tail: window(store, time_of(tail - store.capacity // 3), time_of(tail))),
}


class Round(NamedTuple):
    """Milliseconds a question, alone and beside a writer; millions of records a second, alone and beside an asker.

    All of CPU time; `share` of the wall time, at the least, that was.
    """

    asked: float
    asked_beside: float
    appended: float
    appended_beside: float
    share: float


def write(connection: Connection, names: dict[str, str]) -> None:
    """The writer: for (store, start, end) it appends meanwhile; sends how many millions a second and the share."""
    stores = {which: shmstore.attach(name) for which, name in names.items()}
    appends = {which: store.appender("sensor", "value", "timestamp") for which, store in stores.items()}
    keys = [stores[SHORT].key(sensor) for sensor in SENSORS] * (BURST // len(SENSORS))
    while True:
        which, start, end = connection.recv()
        append, first = appends[which], stores[which]._core.totals()[0].tail
        number = first
        sleep_until(start)
        begun, cpu = time.monotonic(), time.process_time()
        while (now := time.monotonic()) < end:
            for key, time_ns in zip(keys, range(time_of(number), time_of(number + BURST), STEP_NS), strict=True):
                append(key, 1.5, time_ns)
            number += BURST
        cpu = time.process_time() - cpu
        connection.send(((number - first) / cpu / 1e6, cpu / (now - begun)))


def ask(connection: Connection, names: dict[str, str]) -> None:
    """The asker: for (question, start, end) it asks meanwhile; sends the median milliseconds, and the share."""
    stores = {which: shmstore.attach(name, populate=True) for which, name in names.items()}
    while True:
        question, start, end = connection.recv()
        which, answer = QUESTIONS[question]
        store, found = stores[which], list[float]()
        sleep_until(start)
        begun, cpu = time.monotonic(), time.process_time()
        while (now := time.monotonic()) < end or not found:
            tail = store._core.totals()[0].tail
            found.append(cpu_nanoseconds(answer, store, tail))
        cpu = time.process_time() - cpu
        connection.send((median(found) / 1e6, cpu / (now - begun)))


def take_turns(writer: Connection, asker: Connection, question: str, seconds: float) -> Round:
    """Each alone, then both at once."""
    which, _ = QUESTIONS[question]
    figures = []
    for busy in ((asker,), (writer,), (asker, writer)):
        start = time.monotonic() + 0.002
        for each in busy:
            each.send((question if each is asker else which, start, start + seconds))
        figures += [each.recv() for each in busy]
    (asked, appended, asked_beside, appended_beside), shares = zip(*figures, strict=True)
    return Round(asked, asked_beside, appended, appended_beside, min(shares))


def measure(writer: Connection, asker: Connection, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """The rounds of each question, first one that warms up; no more once enough of them were quiet."""
    found: dict[str, list[Round]] = {question: [] for question in QUESTIONS}
    for question in QUESTIONS:
        take_turns(writer, asker, question, seconds)
    for _ in range(rounds):
        for question in QUESTIONS:
            found[question].append(take_turns(writer, asker, question, seconds))
        if all(enough_are_quiet(those) for those in found.values()):
            break
    return found


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds, seconds = (20_000, 2, 0.01) if smoke else (RECORDS, MOST_ROUNDS, 0.03)
    for layout in LAYOUTS:
        with (
            filled(records, layout=layout, partitions=1) as short,
            filled(10 * records, layout=layout, partitions=1) as long,
        ):
            names = {SHORT: short.name, LONG: long.name}
            with worker(write, names, cpu=0) as writer, worker(ask, names, cpu=1) as asker:
                found = measure(writer, asker, rounds, seconds)
        question_bar, writer_bar = (at_most(2), at_least(0.8)) if layout == "columns" else (None, None)
        for question, those in found.items():
            used, disturbed = quietest(those)
            asked, asked_beside, appended, appended_beside, _ = map(median, zip(*used, strict=True))
            what = f"{question}, asked beside a writer, {layout}"
            yield Row(what, asked_beside, "ms", asked, question_bar, disturbed or "with no writer")
            what = f"appends while asked {question}, {layout}"
            yield Row(what, appended_beside, "M/s", appended, writer_bar, disturbed or "with no asker")


if __name__ == "__main__":
    main(rows)
