"""How many records a second go from one producer process to one that follows, against a ring made by hand?"""

import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from harness import DEFAULT_LAYOUT, LAYOUTS, Sample, medians, pin, store_of, worker
from peers import Ring
from report import Row, at_least, main

import shmstore

RECORDS = 200_000
BATCH = 1000


def produce(append: Callable[[str, float], object], records: int) -> None:
    for _ in range(records):
        append("sensor-1", 1.5)


def serve(connection: Connection, names: dict[str, str], ring: Ring) -> None:
    """The producer: appends as many records to what it is told to."""
    stores = {layout: shmstore.attach(name, Sample) for layout, name in names.items()}
    appends: dict[str, Callable[[str, float], object]] = {
        layout: store.appender("sensor", "value") for layout, store in stores.items()
    }
    appends["ring"] = ring.appender()
    while True:
        to, records = connection.recv()
        produce(appends[to], records)


def follow(producer: Connection, to: str, read: Callable[[int], Sequence[Any]], records: int) -> float:
    """Millions of records a second that arrive here as tuples, from the word to start until the last is read."""
    start = time.perf_counter()
    producer.send((to, records))
    seen = 0
    while seen < records:
        seen += len(read(BATCH))
    return seen / (time.perf_counter() - start) / 1e6


def rows(smoke: bool) -> Iterator[Row]:
    records = 5_000 if smoke else RECORDS
    ring = Ring(records)
    pin(0)
    # Nothing is lost: a partition keeps a whole round, and the reader has caught up when the next one starts.
    with (
        store_of(Sample, capacity=records, partitions=1, layout="rows") as by_rows,
        store_of(Sample, capacity=records, partitions=1, layout="columns") as by_columns,
    ):
        names = {"rows": by_rows.name, "columns": by_columns.name}
        reads = {"rows": by_rows.cursor("latest").read, "columns": by_columns.cursor("latest").read}
        with worker(serve, names, ring, cpu=1) as producer:
            rates = medians(
                2 if smoke else 31,
                {
                    to: lambda to=to, read=read: follow(producer, to, read, records)
                    for to, read in [*reads.items(), ("ring", ring.reader())]
                },
            )
    for layout in LAYOUTS:
        bar = at_least(3) if layout == DEFAULT_LAYOUT else None
        note = "pack_into / unpack_from ring, no lock"
        yield Row(f"one producer to one cursor, {layout}", rates[layout], "M/s", rates["ring"], bar, note)


if __name__ == "__main__":
    main(rows)
