"""What does another process's snapshot cost, as columns against bytes(memoryview), as tuples against iter_unpack?"""

import ctypes
import struct
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from harness import LAYOUTS, Reading, medians, nanoseconds, store_of, worker
from report import Row, at_most, main

import shmstore

RECORDS = 1_000_000
READING = struct.Struct("=qdq")
M_MMAP_THRESHOLD = -3  # of mallopt


def fresh_pages() -> None:
    """Large blocks come from the kernel and go back to it, so that each copy is made to pages not touched before."""
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)


def first_snapshot(name: str, populate: bool) -> float:
    with shmstore.attach(name, Reading, populate=populate) as store:
        return nanoseconds(store.snapshot)


def as_tuples(store: shmstore.EventStore[Any]) -> list[tuple[Any, ...]]:
    return store.snapshot().rows()


def unpack(copied: bytes) -> list[tuple[Any, ...]]:
    return list(READING.iter_unpack(copied))


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
            "unpack": partial(nanoseconds, unpack, copied),
            "tuples": partial(nanoseconds, as_tuples, store),
            "records": partial(nanoseconds, lambda: list(store.snapshot())),
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
        size, copied, made = f"{records:,} × 3 fields, {layout}", "bytes(memoryview)", "list(iter_unpack) of a copy"
        yield Row(f"snapshot, {size}", ms["snapshot"], "ms", ms["bytes"], copy_bar, copied)
        yield Row(f"first snapshot after attach, {layout}", ms["first"], "ms", ms["bytes"], None, copied)
        yield Row(f"the same with populate, {layout}", ms["first, populated"], "ms", ms["bytes"], None, copied)
        yield Row(f"snapshot as tuples, {layout}", ms["tuples"], "ms", ms["unpack"], tuples_bar, made)
        yield Row(f"snapshot as records, {layout}", ms["records"], "ms", ms["unpack"], None, made)


if __name__ == "__main__":
    main(rows)
