"""A record with a field of every kind, sixty of them, and a store's snapshots of them in every shape."""

from shmstore import (
    Bool,
    Bytes,
    EventStore,
    Float32,
    Int8,
    Int16,
    Int32,
    Key,
    Record,
    Text,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
)
from shmstore.questions.snapshot import Snapshot


class Everything(Record):
    key: Key
    text: Text[12]
    raw: Bytes[5]
    i8: Int8
    i16: Int16
    i32: Int32
    i64: int
    u8: UInt8
    u16: UInt16
    u32: UInt32
    u64: UInt64
    f32: Float32
    f64: float
    truth: Bool
    time: Timestamp


def everything(number: int) -> Everything:
    sign = -1 if number % 2 else 1
    return Everything(
        f"gw-{number % 3}",
        ("", "plain", "zwölf é", "a\0b")[number % 4],
        (b"", b"\0", b"\xff\x00\xfe", b"12345")[number % 4],
        sign * (number % 128),
        sign * (2**15 - 1 - number),
        sign * (2**31 - 1 - number),
        sign * (2**63 - 1 - number),
        255 - number % 256,
        2**16 - 1 - number,
        2**32 - 1 - number,
        2**64 - 1 - number,
        number / 4,
        1 / (number + 1),
        number % 5 == 0,
        10**18 + (number * 7919) % 100,
    )


RECORDS = [everything(number) for number in range(60)]

KINDS_OF_SNAPSHOT = ("whole", "slice", "one", "reversed", "by time", "empty")


def variant(store: EventStore[Everything], which: str) -> Snapshot[Everything]:
    match which:
        case "slice":
            return store.snapshot()[7:31:2]
        case "one":
            return store.snapshot()[-1:]
        case "reversed":
            return store.snapshot()[::-1]
        case "by time":
            return store.snapshot(order="time")
        case "empty":
            return store.snapshot(since=0, until=1)
    return store.snapshot()
