"""Gaps: ranges of tickets that a reader did not get, and why. Snapshots and cursors report them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shmstore import _core
from shmstore.public import public


@public
class GapReason(StrEnum):
    """Why the records of a gap are missing."""

    LAPPED = "lapped"
    """Newer records took their slots before this reader came: it lost these records."""
    VOIDED = "voided"
    """Their writers died before publishing: no append of these tickets returned."""
    SKIPPED = "skipped"
    """A stalled writer held their slots: no record was written under these tickets, the appends took others."""
    CLEARED = "cleared"
    """`clear` or `purge` made them unreadable."""
    IN_FLIGHT = "in_flight"
    """A live writer was still writing them when the snapshot was taken."""
    REFUSED = "refused"
    """The class of the records raised an error when a cursor made one: the read raised it, and the next one went on."""
    DAMAGED = "damaged"
    """The bytes in their slots cannot be a record, or name a key that does not exist: a read raised DamagedSegment."""


_REASONS = {
    _core.GAP_LAPPED: GapReason.LAPPED,
    _core.GAP_VOIDED: GapReason.VOIDED,
    _core.GAP_SKIPPED: GapReason.SKIPPED,
    _core.GAP_CLEARED: GapReason.CLEARED,
    _core.GAP_IN_FLIGHT: GapReason.IN_FLIGHT,
    _core.GAP_REFUSED: GapReason.REFUSED,
    _core.GAP_DAMAGED: GapReason.DAMAGED,
}


@public
@dataclass(frozen=True, slots=True)
class Gap:
    """Tickets [first, end) of one partition that a reader did not get."""

    partition: int
    first: int
    end: int
    reason: GapReason

    @property
    def count(self) -> int:
        """How many tickets the gap spans."""
        return self.end - self.first


def gaps_of(found: Iterable[_core.Gap]) -> tuple[Gap, ...]:
    """The gaps that the core found, as users see them."""
    return tuple(Gap(gap.partition, gap.first, gap.end, _REASONS[gap.reason]) for gap in found)
