"""What does another process's snapshot cost, as columns against a copy under a lock, as tuples against iter_unpack?

The copy goes from shared memory into memory that was used before; so does every snapshot but a first. As tuples, one
includes its copy, and the rivals have theirs already. A list of a million tuples costs whoever makes it the same: four
million objects and their memory. Who passes over a snapshot needs no list; then most objects serve again.
"""

import multiprocessing
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from mmap import mmap
from multiprocessing.connection import Connection

from harness import LAYOUTS, Reading, medians, nanoseconds, store_of, worker
from report import Row, at_most, main

import shmstore
from shmstore import EventStore

RECORDS = 1_000_000
READING = struct.Struct("=qdq")


def locked_copy(data: bytes) -> Callable[[], None]:
    """What processes do by hand: under a lock, copy what is shared into memory that was used before."""
    lock, shared, used = multiprocessing.Lock(), mmap(-1, len(data)), bytearray(len(data))
    shared[:] = data
    source, to = memoryview(shared), memoryview(used)

    def copy() -> None:
        with lock:
            to[:] = source

    return copy


def first_snapshot(name: str, populate: bool) -> float:
    with shmstore.attach(name, Reading, populate=populate) as store:
        return nanoseconds(store.snapshot)


def go_through(records: Iterable[object]) -> None:
    for _ in records:
        pass


def read(connection: Connection, name: str, records: int, rounds: int) -> None:
    """The reading process: sends the median nanoseconds of each way to read."""
    data = READING.pack(12_345, 1.5, 10**18) * records
    with shmstore.attach(name, Reading) as store:
        quick: dict[str, Callable[[], float]] = {
            "copy": partial(nanoseconds, locked_copy(data)),
            "snapshot": partial(nanoseconds, store.snapshot),
        }
        first: dict[str, Callable[[], float]] = {
            "first": partial(first_snapshot, name, False),
            "first, populated": partial(first_snapshot, name, True),
        }
        slow: dict[str, Callable[[], float]] = {
            "list of unpacked": partial(nanoseconds, lambda: list(READING.iter_unpack(data))),
            "list of tuples": partial(nanoseconds, lambda: store.snapshot().rows()),
            "list of records": partial(nanoseconds, lambda: list(store.snapshot())),
            "each unpacked": partial(nanoseconds, lambda: go_through(READING.iter_unpack(data))),
            "each tuple": partial(nanoseconds, lambda: go_through(store.snapshot().iter_rows())),
            "each record": partial(nanoseconds, lambda: go_through(store.snapshot())),
        }
        connection.send(medians(5 * rounds, quick) | medians(rounds, first) | medians(rounds, slow))


def fill(store: EventStore[Reading], records: int) -> None:
    store.append_many(
        {
            "meter": array("q", range(records)),
            "value": array("d", map(float, range(records))),
            "timestamp": array("q", range(10**18, 10**18 + records)),
        }
    )


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds = (20_000, 2) if smoke else (RECORDS, 7)
    for layout in LAYOUTS:
        with store_of(Reading, capacity=records, partitions=1, layout=layout) as store:
            fill(store, records)
            with worker(read, store.name, records, rounds, cpu=1) as reader:
                ms = {name: figure / 1e6 for name, figure in reader.recv().items()}
        rivals = {
            "copy": "copy under a lock into memory used before",
            "list of unpacked": "list(iter_unpack)",
            "each unpacked": "for ... iter_unpack",
        }
        for question, ours, rival, bar in (
            (f"snapshot of {records:,} × 3 fields", "snapshot", "copy", at_most(1.3)),
            ("first snapshot after attach", "first", "copy", None),
            ("first snapshot after attach with populate", "first, populated", "copy", None),
            ("snapshot as tuples, each passed over", "each tuple", "list of unpacked", None),
            ("snapshot to a list of tuples", "list of tuples", "list of unpacked", at_most(1.05)),
            ("snapshot to a list of records", "list of records", "list of unpacked", None),
            ("snapshot, then a loop over its tuples", "each tuple", "each unpacked", None),
            ("snapshot, then a loop over its records", "each record", "each unpacked", None),
        ):
            yield Row(f"{question}, {layout}", ms[ours], "ms", ms[rival], bar, rivals[rival])


if __name__ == "__main__":
    main(rows)
