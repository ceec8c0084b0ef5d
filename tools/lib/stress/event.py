"""The record of the run: it proves that it is whole, and tells its writer, its partition and its number there."""

from typing import Any

import numpy as np

from shmstore import Bytes, Int64, Key, Record, Timestamp, UInt8, UInt16, UInt32, UInt64
from shmstore.questions.snapshot import Snapshot
from tests.helpers.accounting import Wrong
from tests.helpers.proofs import is_proved, proof, unproved, writers_and_numbers

PARTITIONS = 4
KEYS = 500  # as many different keys are used; the first to need one enters it


class Event(Record):
    """`writer` is the writer's number and its partition in one; `number` counts its records of that partition."""

    writer: UInt32
    number: Int64
    tiny: UInt8
    short: UInt16
    digest: UInt64
    text: Bytes[40]
    key: Key[16]
    at: Timestamp


def event(source: int, number: int) -> tuple[Any, ...]:
    """The only right record of this source and number, to be appended now."""
    return *proof(source, number), key_of(source // PARTITIONS), None


def key_of(writer: int) -> str:
    return f"key {writer % KEYS}"


def identify(record: Any) -> tuple[int, int]:
    """The source of a record (its writer and partition in one), and its number. Raises Wrong when it is not whole."""
    if not is_proved(record[:6]):
        raise Wrong(f"it is torn: {record}")
    if record.key != (key := key_of(record.writer // PARTITIONS)):
        raise Wrong(f"its key is not {key!r}: {record}")
    return record.writer, record.number


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
