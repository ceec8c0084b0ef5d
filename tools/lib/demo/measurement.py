"""The record of the demo: one measurement, with a proof by which a reader knows that it is whole."""

from collections.abc import Callable

from shmstore import Int64, Key, Record, Timestamp, UInt16, UInt64
from tests.helpers.accounting import Identify, Wrong

PARTITIONS = 4
CAPACITY = 400_000

# What the hammer writes: one key a partition, as keys are numbered in the order in which they are entered.
HAMMER_METRICS = tuple(f"append interval {number} ns" for number in range(PARTITIONS))


class Measurement(Record):
    """One value of one metric. Each writer numbers its own of each partition from 0 on, without holes."""

    metric: Key
    writer: UInt16
    sequence: UInt64
    value: float
    timestamp: Timestamp
    proof: Int64


def proof_of(key: int, writer: int, sequence: int, value: float, timestamp: int) -> int:
    """A number that any mixture of two records would get wrong; `key` is the number of the metric's key."""
    return hash((key, writer, sequence, value, timestamp))


def source_of(writer: int, key: int) -> int:
    """Whose records these are, for the accountant: a writer's in the partition of a key."""
    return writer * PARTITIONS + key % PARTITIONS  # as the rule "key" has it


def sources_of(writer: int) -> range:
    """All that one writer wrote, for the accountant."""
    return range(writer * PARTITIONS, (writer + 1) * PARTITIONS)


def identifier(number_of: Callable[[str], int]) -> Identify:
    """A function that checks that a record is whole, and returns its source and number; `number_of` numbers keys."""

    def identify(record: Measurement) -> tuple[int, int]:
        metric, writer, sequence, value, timestamp, proof = record
        key = number_of(metric)
        if proof != proof_of(key, writer, sequence, value, timestamp):
            raise Wrong(f"it is torn: {record}")
        return source_of(writer, key), sequence

    return identify
