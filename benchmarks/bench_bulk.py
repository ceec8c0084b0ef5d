"""What does append_many cost from column buffers, against copying the same bytes into shared memory?"""

import mmap
from array import array
from collections.abc import Iterator
from functools import partial

from harness import DEFAULT_LAYOUT, LAYOUTS, Reading, medians, nanoseconds, store_of
from report import Row, at_most, main

RECORDS = 1_000_000
ROUNDS = 15


def copy_into(target: memoryview, columns: list[memoryview]) -> None:
    at = 0
    for column in columns:
        target[at : at + len(column)] = column
        at += len(column)


def rows(smoke: bool) -> Iterator[Row]:
    records = 20_000 if smoke else RECORDS
    columns = {
        "meter": array("q", range(records)),
        "value": array("d", map(float, range(records))),
        "timestamp": array("q", range(records)),
    }
    sources = [memoryview(column).cast("B") for column in columns.values()]
    target = memoryview(mmap.mmap(-1, sum(map(len, sources))))
    for layout in LAYOUTS:
        with store_of(Reading, capacity=records, partitions=1, layout=layout) as store:
            ns = medians(
                3 if smoke else ROUNDS,
                {
                    "copy": partial(nanoseconds, copy_into, target, sources),
                    "append": partial(nanoseconds, store.append_many, columns),
                },
            )
        yield Row(
            f"append_many from columns, {records:,} × 3 fields, {layout}",
            ns["append"] / 1e6,
            "ms",
            ns["copy"] / 1e6,
            at_most(10) if layout == DEFAULT_LAYOUT else None,
            f"{ns['append'] / records:.0f} ns a record; the copy goes to shared memory touched before",
        )


if __name__ == "__main__":
    main(rows)
