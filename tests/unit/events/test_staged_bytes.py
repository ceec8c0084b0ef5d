"""The bytes of a row between its fields, which no record says anything of: zero, and nothing of the writer's memory."""

from collections.abc import Callable
from pathlib import Path

import pytest

import shmstore
from shmstore import EventStore, Record, Text
from shmstore.records.fields import Bool, Float64, Int16

RECORDS = 8


class Gappy(Record):
    flag: Bool
    value: Float64
    note: Text[3]
    number: Int16


class Large(Record):
    """Too large to be staged on the stack."""

    flag: Bool
    value: Float64
    note: Text[1000]


def row_of(record: type[Record]) -> Record:
    return Gappy(True, 1.5, "abc", 7) if record is Gappy else Large(True, 1.5, "abc")


WAYS: dict[str, Callable[[EventStore[Record], Record], object]] = {
    "append": lambda store, row: store.append(row),
    "append by name": lambda store, row: store.append(**row._asdict()),
    "appender": lambda store, row: store.appender(*row._fields)(*row),
    "rows": lambda store, row: store.append_many([row]),
    "columns": lambda store, row: store.append_many({name: [value] for name, value in row._asdict().items()}),
}


@pytest.mark.parametrize("record", [Gappy, Large])
@pytest.mark.parametrize("way", WAYS)
def test_gaps_between_fields_are_zero(name: str, record: type[Record], way: str) -> None:
    row = row_of(record)
    with shmstore.create(name, record, capacity=RECORDS, partitions=1, layout="rows") as store:
        for _ in range(RECORDS):
            WAYS[way](store, row)
        plan = store.core.plan()
        first = next(start for region, start, _ in plan.regions if region == "slots")
        slots = Path("/dev/shm", name).read_bytes()[first:]
        for slot in range(RECORDS):
            payload = slots[slot * (8 + plan.record_bytes) + 8 :]
            assert payload[:8] == b"\1" + bytes(7)  # the flag, and what lies between it and the value
        assert list(store.snapshot()) == [row] * RECORDS
        shmstore.unlink(name)
