"""What does another process's snapshot cost, as columns against bytes(memoryview), as tuples against iter_unpack?

A snapshot includes its copy; the rivals have theirs already. A list of a million tuples costs whoever makes it the
same: four million objects and their memory. Who passes over a snapshot needs no list; then most objects serve again.
"""

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing.connection import Connection

from harness import LAYOUTS, Reading, fresh_pages, medians, nanoseconds, store_of, worker
from report import Row, at_most, main

import shmstore

RECORDS = 1_000_000
READING = struct.Struct("=qdq")


def first_snapshot(name: str, populate: bool) -> float:
    with shmstore.attach(name, Reading, populate=populate) as store:
        return nanoseconds(store.snapshot)


def go_through(records: Iterable[object]) -> None:
    for _ in records:
        pass


def read(connection: Connection, name: str, records: int, rounds: int) -> None:
    """The reading process: sends the median nanoseconds of each way to read."""
    fresh_pages()
    private = bytearray(READING.pack(12_345, 1.5, 10**18) * records)
    source, copied = memoryview(private), bytes(private)
    with shmstore.attach(name, Reading) as store:
        quick: dict[str, Callable[[], float]] = {
            "bytes": partial(nanoseconds, bytes, source),
            "snapshot": partial(nanoseconds, store.snapshot),
            "first": partial(first_snapshot, name, False),
            "first, populated": partial(first_snapshot, name, True),
        }
        slow: dict[str, Callable[[], float]] = {
            "list of unpacked": partial(nanoseconds, lambda: list(READING.iter_unpack(copied))),
            "list of tuples": partial(nanoseconds, lambda: store.snapshot().rows()),
            "list of records": partial(nanoseconds, lambda: list(store.snapshot())),
            "each unpacked": partial(nanoseconds, lambda: go_through(READING.iter_unpack(copied))),
            "each tuple": partial(nanoseconds, lambda: go_through(store.snapshot().iter_rows())),
            "each record": partial(nanoseconds, lambda: go_through(store.snapshot())),
        }
        connection.send(medians(3 * rounds, quick) | medians(rounds, slow))


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds = (20_000, 2) if smoke else (RECORDS, 7)
    columns = {
        "meter": array("q", range(records)),
        "value": array("d", map(float, range(records))),
        "timestamp": array("q", range(10**18, 10**18 + records)),
    }
    for layout in LAYOUTS:
        with store_of(Reading, capacity=records, partitions=1, layout=layout) as store:
            store.append_many(columns)
            with worker(read, store.name, records, rounds, cpu=1) as reader:
                ms = {name: figure / 1e6 for name, figure in reader.recv().items()}
        copy_bar, tuples_bar = (at_most(2), at_most(0.6)) if layout == "columns" else (None, None)
        rivals = {
            "bytes": "bytes(memoryview)",
            "list of unpacked": "list(iter_unpack)",
            "each unpacked": "for ... iter_unpack",
        }
        for question, ours, rival, bar in (
            (f"snapshot of {records:,} × 3 fields", "snapshot", "bytes", copy_bar),
            ("first snapshot after attach", "first", "bytes", None),
            ("first snapshot after attach with populate", "first, populated", "bytes", None),
            ("snapshot as tuples, each passed over", "each tuple", "list of unpacked", None),
            ("snapshot to a list of tuples", "list of tuples", "list of unpacked", tuples_bar),
            ("snapshot to a list of records", "list of records", "list of unpacked", None),
            ("snapshot, then a loop over its tuples", "each tuple", "each unpacked", None),
            ("snapshot, then a loop over its records", "each record", "each unpacked", None),
        ):
            yield Row(f"{question}, {layout}", ms[ours], "ms", ms[rival], bar, rivals[rival])


if __name__ == "__main__":
    main(rows)
