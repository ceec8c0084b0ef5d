"""The record of the run: it proves itself, and says whose how-many-th of which partition it is."""

from typing import Any

import numpy as np

from shmstore import Bytes, Int64, Key, Record, Timestamp, UInt8, UInt16, UInt32, UInt64
from shmstore.questions.snapshot import Snapshot
from tests.helpers.accounting import Wrong
from tests.helpers.proofs import proof, unproved, writers_and_numbers

PARTITIONS = 4
KEYS = 500  # so many different ones are used; each is entered by whoever comes first


class Event(Record):
    """`writer` is the writer's number and its partition in one; `number` counts his records of that partition."""

    writer: UInt32
    number: Int64
    tiny: UInt8
    short: UInt16
    digest: UInt64
    text: Bytes[40]
    key: Key[16]
    at: Timestamp


def event(source: int, number: int) -> tuple[Any, ...]:
    """The one right record, to be appended now."""
    return *proof(source, number), key_of(source // PARTITIONS), None


def key_of(writer: int) -> str:
    return f"key {writer % KEYS}"


def identify(record: Any) -> tuple[int, int]:
    """The source of a record (its writer and partition in one), and its number. Raises Wrong when it is not whole."""
    source, number = record[:2]
    if tuple(record[:6]) != proof(source, number):
        raise Wrong(f"it is torn: {record}")
    if record.key != key_of(source // PARTITIONS):
        raise Wrong(f"its key is not {key_of(source // PARTITIONS)!r}: {record}")
    return source, number


def wrong_with_snapshot(snapshot: Snapshot[Any], partition: int) -> str:
    """The same for all records of a snapshot of one partition, and for their order."""
    if torn := unproved(snapshot):
        return f"{torn} records of a snapshot are torn"
    writers, numbers = writers_and_numbers(snapshot)
    if (writers % PARTITIONS != partition).any():
        return "a snapshot has records of another partition"
    by_writer = np.argsort(writers, kind="stable")
    same = np.diff(writers[by_writer].astype(np.int64)) == 0
    if (np.diff(numbers[by_writer])[same] <= 0).any():
        return "a snapshot has a record twice, or too late"
    return ""
