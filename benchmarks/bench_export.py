"""What does it cost to hand another process's samples to polars, pyarrow or NumPy, against bytes(memoryview)?

A snapshot, and what the other makes of it, on fresh pages as bytes(memoryview) of as many bytes.
"""

from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import pyarrow as pa
from harness import LAYOUTS, cpu_nanoseconds, fresh_pages, medians, worker
from questions import RECORDS, filled
from report import Row, at_most, main
from tables import pl

import shmstore

RECORD_BYTES = 4 + 8 + 8


def read(connection: Connection, name: str, records: int, rounds: int) -> None:
    """The reading process: sends the median nanoseconds of CPU time of each way to read."""
    fresh_pages()
    source = memoryview(bytearray(b"x" * (RECORD_BYTES * records)))
    with shmstore.attach(name) as store:
        ways: dict[str, Callable[[], object]] = {
            "bytes": lambda: bytes(source),
            "snapshot": store.snapshot,
            "pl.DataFrame": lambda: pl.DataFrame(store.snapshot()),
            "pa.table": lambda: pa.table(store.snapshot()),
            "np.asarray of a column": lambda: np.asarray(store.snapshot()["value"]),
        }
        connection.send(medians(rounds, {way: partial(cpu_nanoseconds, make) for way, make in ways.items()}))


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds = (20_000, 2) if smoke else (RECORDS, 31)
    for layout in LAYOUTS:
        with filled(records, layout=layout, partitions=1) as store:
            with worker(read, store.name, records, rounds, cpu=1) as reader:
                ms = {way: ns / 1e6 for way, ns in reader.recv().items()}
        base = ms.pop("bytes")
        for way, ours in ms.items():
            bar = at_most(3) if (way, layout) == ("pl.DataFrame", "columns") else None
            yield Row(f"{way} of {records:,} samples, {layout}", ours, "ms", base, bar, "bytes(memoryview)")


if __name__ == "__main__":
    main(rows)
