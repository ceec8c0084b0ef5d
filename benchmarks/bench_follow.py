"""How many records a second go from one producer process to one that follows, against a ring made by hand, and how many
does each way to read take of those that are there?"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from harness import DEFAULT_LAYOUT, LAYOUTS, Sample, medians, pin, store_of, worker
from peers import Ring
from report import Row, above, at_least, main

import shmstore
from shmstore import Cursor, EventStore

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


def by_read(cursor: Cursor[Any], records: int) -> None:
    while records:
        records -= len(cursor.read(BATCH))


def by_for(cursor: Cursor[Any], records: int) -> None:
    for _ in cursor:
        records -= 1
        if not records:
            break


def by_async_for(cursor: Cursor[Any], records: int) -> None:
    async def follow() -> None:
        left = records
        async for _ in cursor:
            left -= 1
            if not left:
                break

    asyncio.run(follow())


def taken(store: EventStore[Any], way: Callable[[Cursor[Any], int], None], records: int) -> float:
    """Millions of records a second, of so many that are there."""
    cursor = store.cursor()
    start = time.perf_counter()
    way(cursor, records)
    return records / (time.perf_counter() - start) / 1e6


def ways_to_read(smoke: bool) -> Iterator[Row]:
    records = 5_000 if smoke else RECORDS
    with store_of(Sample, capacity=records, partitions=1) as store:
        store.append_many([("sensor-1", 1.5, number) for number in range(records)])
        ways = {"read": by_read, "for": by_for, "async for": by_async_for}
        rates = medians(
            2 if smoke else 15, {name: lambda way=way: taken(store, way, records) for name, way in ways.items()}
        )
    for name, bar in (("for", at_least(0.5)), ("async for", at_least(0.3))):
        yield Row(f"records taken by `{name}`", rates[name], "M/s", rates["read"], bar, f"read({BATCH})")


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
    yield Row("the same, read in a tight loop", rates[DEFAULT_LAYOUT], "M/s", rates["ring"], above(7), note)
    yield from ways_to_read(smoke)


if __name__ == "__main__":
    main(rows)
