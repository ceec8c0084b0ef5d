"""What writers say of their appends, in memory that outlives them: how many each began, and how many returned.

A writer counts for each partition by itself, from 0 on, so that a reader who misses a number knows it.
"""

from stress.event import PARTITIONS
from tests.helpers.processes import shared_numbers

_BEGAN, _RETURNED, _POSITION = range(3)


class Ledger:
    """Room for so many writers; made before any of them is forked."""

    def __init__(self, writers: int) -> None:
        self.writers = writers
        self._words = shared_numbers(writers * PARTITIONS * 3)

    def begin(self, writer: int, partition: int, count: int = 1) -> int:
        """Note that records will be appended. Returns the number of the first."""
        at = self._at(writer, partition)
        first = self._words[at + _BEGAN]
        self._words[at + _BEGAN] = first + count
        return first

    def acknowledge(self, writer: int, partition: int, count: int = 1, position: int | None = None) -> None:
        """Note that the append of so many records returned, and where the last of them is, if that was said."""
        at = self._at(writer, partition)
        self._words[at + _POSITION] = 0  # it is never beside the count of another append
        self._words[at + _RETURNED] += count
        self._words[at + _POSITION] = 0 if position is None else position + 1

    def began(self, writer: int, partition: int) -> int:
        return self._words[self._at(writer, partition) + _BEGAN]

    def returned(self, writer: int, partition: int) -> int:
        return self._words[self._at(writer, partition) + _RETURNED]

    def newest(self, writer: int, partition: int) -> tuple[int, int] | None:
        """The number and position of the newest append that returned; None while or when that is not known."""
        at = self._at(writer, partition)
        position, returned = self._words[at + _POSITION], self._words[at + _RETURNED]
        if not position or position != self._words[at + _POSITION]:
            return None
        return returned - 1, position - 1

    @staticmethod
    def _at(writer: int, partition: int) -> int:
        return (writer * PARTITIONS + partition) * 3
