"""What does it cost to hand another process's records to polars, pyarrow or NumPy, against a copy under a lock?

A snapshot, and what the other makes of it, against a copy of as many bytes into memory that was used before.
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import pyarrow as pa
from bench_snapshot import READING, fill, locked_copy
from harness import LAYOUTS, Reading, cpu_nanoseconds, medians, store_of, worker
from questions import RECORDS, filled
from report import Row, at_most, main
from tables import pl

import shmstore

SAMPLE = struct.Struct("=Idq")


def read(connection: Connection, names: dict[str, str], records: int, rounds: int) -> None:
    """The reading process: sends the median nanoseconds of CPU time of each way to read each of the stores."""
    for what, name in names.items():
        size = {"readings": READING, "samples": SAMPLE}[what].size
        with shmstore.attach(name) as store:
            ways: dict[str, Callable[[], object]] = {
                "copy": locked_copy(bytes(size * records)),
                "snapshot": store.snapshot,
                "pl.DataFrame": lambda store=store: pl.DataFrame(store.snapshot()),
                "pa.table": lambda store=store: pa.table(store.snapshot()),
                "np.asarray of a column": lambda store=store: np.asarray(store.snapshot()["value"]),
            }
            connection.send(medians(rounds, {way: partial(cpu_nanoseconds, make) for way, make in ways.items()}))


def rows(smoke: bool) -> Iterator[Row]:
    records, rounds = (20_000, 2) if smoke else (RECORDS, 31)
    for layout in LAYOUTS:
        with (
            store_of(Reading, capacity=records, layout=layout, partitions=1) as readings,
            filled(records, layout=layout, partitions=1) as samples,
        ):
            fill(readings, records)
            names = {"readings": readings.name, "samples": samples.name}
            with worker(read, names, records, rounds, cpu=1) as reader:
                for what in names:
                    ms = {way: ns / 1e6 for way, ns in reader.recv().items()}
                    base = ms.pop("copy")
                    for way, ours in ms.items():
                        bar = at_most(1.5) if (way, what) == ("pl.DataFrame", "readings") else None
                        note = "copy under a lock into memory used before"
                        yield Row(f"{way} of {records:,} {what}, {layout}", ours, "ms", base, bar, note)


if __name__ == "__main__":
    main(rows)
