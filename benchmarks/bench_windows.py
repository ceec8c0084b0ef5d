"""How soon does a store answer about a window of its time, against a full scan, which looks at every record?"""

from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection

from harness import LAYOUTS, cpu_nanoseconds, medians, worker
from questions import RECORDS, filled, time_of, window
from report import Row, at_most, main

import shmstore

# From where to where each window goes, in parts of all the time that there is; few begin or end where a block does.
WINDOWS = {
    "all of it": (0, 1),
    "the last half": (0.5, 1),
    "the middle third": (1 / 3, 2 / 3),
    "the first hundredth": (0, 0.01),
    "the last thousandth": (0.999, 1),
    "one record": (0.123456, 0.123456),
    "none": (2, 3),
}


def read(connection: Connection, name: str, records: int, rounds: int) -> None:
    """The asking process: sends nanoseconds of CPU time: of the first question, then of each window, both ways."""
    with shmstore.attach(name, populate=True) as quick, shmstore.attach(name, populate=True) as full:
        full.summaries = False
        bounds = {
            what: (time_of(int(start * records)), time_of(int(end * records) + 1))
            for what, (start, end) in WINDOWS.items()
        }
        connection.send(cpu_nanoseconds(window, quick, *bounds["all of it"]))
        measures = {}
        for what, (since, until) in bounds.items():
            assert window(quick, since, until).count == window(full, since, until).count
            measures[what, "scan"] = partial(cpu_nanoseconds, window, full, since, until)
            measures[what, "window"] = partial(cpu_nanoseconds, window, quick, since, until)
        connection.send(medians(rounds, measures))


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds = (50_000, 2) if smoke else (10 * RECORDS, 21)
    for layout in LAYOUTS:
        with filled(records, layout=layout, partitions=1) as store:
            with worker(read, store.name, records, rounds, cpu=1) as reader:
                first_ms = reader.recv() / 1e6
                ms = {way: ns / 1e6 for way, ns in reader.recv().items()}
        for what in WINDOWS:
            bar = at_most(0.01) if layout == "columns" else None
            question = f"window of {records:,} records, {what}, {layout}"
            yield Row(question, ms[what, "window"], "ms", ms[what, "scan"], bar, "the same without block summaries")
        question = f"the first question about {records:,} records, {layout}"
        note = "a full scan; it makes the block summaries"
        yield Row(question, first_ms, "ms", ms["all of it", "scan"], None, note)


if __name__ == "__main__":
    main(rows)
