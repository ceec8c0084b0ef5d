"""One reader's account of one partition: every ticket is read once or lies in one gap, and no returned append is lost.

Numbers of a writer follow each other. One that does not come must have been overwritten or cleared: so many tickets as
numbers are missed must lie in gaps of these reasons since that writer was read last, and so many in all.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shmstore import Gap, GapReason
from stress.event import PARTITIONS, wrong_with
from stress.ledger import Ledger

_TAKEN = (GapReason.LAPPED, GapReason.CLEARED)  # reasons for which a record may be missing that was there


class Wrong(Exception):
    """A promise was broken; says which."""


@dataclass
class Account:
    """What a reader got of a partition."""

    partition: int
    ledger: Ledger
    next: int = 0
    """The first ticket that is neither read nor in a gap."""
    read: int = 0
    gaps: Counter[GapReason] = field(default_factory=Counter)
    missed: int = 0
    """Numbers that writers appended, and that did not come."""
    _known: dict[int, tuple[int, int]] = field(default_factory=dict)
    """For each writer the number that comes next, and how many tickets had been taken when it was read."""

    def take(self, records: list[Any], gaps: Iterable[Gap], end: int) -> None:
        """Enter what one read gave: records and gaps up to the ticket `end`. Raises Wrong."""
        ahead = iter(records)
        for gap in gaps:
            if gap.first < self.next or gap.end > end:
                raise Wrong(f"{gap} in a read of tickets from {self.next} to {end}: it was read, or is in another gap")
            self._walk(gap.first, ahead)
            self.gaps[gap.reason] += gap.count
            self.next = gap.end
        self._walk(end, ahead)
        if (more := next(ahead, None)) is not None:
            raise Wrong(f"more records came than tickets of {self._named} up to {end}: {more}")

    def close(self, tail: int, voided: int, skipped: int, ended: int) -> None:
        """Balance it when nobody writes any more, `ended` writers having lived. Raises Wrong."""
        if self.next != tail or self.read + self.gaps.total() != tail:
            raise Wrong(f"{self.read} read and {dict(self.gaps)} are not the {tail} tickets of {self._named}")
        if self.gaps[GapReason.VOIDED] > voided or self.gaps[GapReason.SKIPPED] > skipped:
            raise Wrong(f"{dict(self.gaps)} in {self._named}, which counts {voided} voided and {skipped} skipped")
        began = returned = 0
        for writer in range(ended):
            began += self.ledger.began(writer, self.partition)
            count = self.ledger.returned(writer, self.partition)
            returned += count
            if self._known.get(writer, (0, 0))[0] < count:
                self._pass_over(writer, count)
        if not returned <= tail - voided - skipped <= began:
            raise Wrong(
                f"{returned} appends returned and {began} began, but {self._named} counts {tail - voided - skipped}"
            )
        if self.missed > self.taken:
            raise Wrong(
                f"{self.missed} records did not come, but only {self.taken} tickets of {self._named} were taken"
            )

    @property
    def taken(self) -> int:
        """How many tickets were lapped or cleared."""
        return sum(self.gaps[reason] for reason in _TAKEN)

    @property
    def _named(self) -> str:
        return f"partition {self.partition}"

    def _walk(self, end: int, ahead: Iterator[Any]) -> None:
        """The tickets up to this one are those of the next records."""
        record = None
        while self.next < end:
            if (record := next(ahead, None)) is None:
                raise Wrong(f"ticket {self.next} of {self._named} was not read, and is in no gap")
            self._enter(self.next, record)
            self.next += 1
        if record is not None:
            self._check_position(end - 1, record)

    def _enter(self, ticket: int, record: Any) -> None:
        if wrong := wrong_with(record, self.partition):
            raise Wrong(f"ticket {ticket} of {self._named}: {wrong}")
        writer, number = record.writer // PARTITIONS, record.number
        expected, _ = self._known.get(writer, (0, 0))
        if number < expected:
            raise Wrong(f"record {number} of writer {writer} in {self._named} is doubled, or comes too late")
        if writer >= self.ledger.writers or number >= self.ledger.began(writer, self.partition):
            raise Wrong(f"nobody wrote record {number} of writer {writer} in {self._named}")
        if number > expected:
            self._pass_over(writer, number)
        self._known[writer] = number + 1, self.taken
        self.read += 1

    def _pass_over(self, writer: int, number: int) -> None:
        """A writer's numbers up to this one did not come; see whether they may have been taken."""
        expected, taken_before = self._known.get(writer, (0, 0))
        count = number - expected
        if count > self.taken - taken_before:
            raise Wrong(
                f"lost: records {expected} to {number - 1} of writer {writer} in {self._named}, where since then only "
                f"{self.taken - taken_before} tickets were overwritten or cleared"
            )
        self.missed += count

    def _check_position(self, ticket: int, record: Any) -> None:
        """If this is the newest append of its writer that returned, it is where that said."""
        newest = self.ledger.newest(record.writer // PARTITIONS, self.partition)
        position = ticket * PARTITIONS + self.partition
        if newest is not None and newest[0] == record.number and newest[1] != position:
            raise Wrong(f"record {record.number} of {record.writer} is at {position}; its append said {newest[1]}")
