"""The record of the demo: one measurement, with a proof by which a reader knows that it is whole."""

from shmstore import Int64, Key, Record, Timestamp, UInt16, UInt64

PARTITIONS = 4
CAPACITY = 400_000

# What the hammer writes: one key a partition, as keys are numbered in the order in which they are entered.
HAMMER_METRICS = tuple(f"append interval {number} ns" for number in range(PARTITIONS))


class Measurement(Record):
    """One value of one metric. Each writer numbers its own from 1 on, without holes."""

    metric: Key
    writer: UInt16
    sequence: UInt64
    value: float
    timestamp: Timestamp
    proof: Int64


def proof_of(key: int, writer: int, sequence: int, value: float, timestamp: int) -> int:
    """A number that any mixture of two records would get wrong; `key` is the number of the metric's key."""
    return hash((key, writer, sequence, value, timestamp))
