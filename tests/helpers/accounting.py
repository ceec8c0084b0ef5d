"""Exactly-once accounting: every ticket is read once or lies in exactly one gap, and nothing that returned is missing."""

from collections import Counter
from typing import Any

from shmstore import EventStore, GapReason
from shmstore.gap import gaps_of
from tests.helpers.processes import eventually
from tests.helpers.proofs import is_proved


class Follower:
    """Follows a store from its first ticket on and knows the ticket of every record that it reads."""

    def __init__(self, store: EventStore[Any]) -> None:
        self._store = store
        self._cursors = [store._core.cursor([(partition, 0)]) for partition in range(store.partitions)]
        self._next = [0] * store.partitions
        self.records: dict[int, tuple[int, int]] = {}
        """(writer, number) of every record read, by position."""
        self.missed: dict[int, GapReason] = {}
        """Why a position was not read."""

    def read(self) -> None:
        """Read what is there."""
        for partition, cursor in enumerate(self._cursors):
            records = cursor.read(1_000_000)
            [(_, end)] = cursor.positions()
            tickets = range(self._next[partition], end)
            missed = {}
            for gap in gaps_of(cursor.drain_gaps()):
                for ticket in range(gap.first, gap.end):
                    assert ticket in tickets and ticket not in missed, f"ticket {ticket} is in two gaps, or was read"
                    missed[ticket] = gap.reason
            got = [ticket for ticket in tickets if ticket not in missed]
            assert len(got) == len(records), f"{len(records)} records of tickets {tickets} without {missed}"
            for ticket, record in zip(got, records, strict=True):
                assert is_proved(record), f"ticket {ticket} of partition {partition} is torn: {record}"
                self.records[self._position(partition, ticket)] = record[0], record[1]
            for ticket, reason in missed.items():
                self.missed[self._position(partition, ticket)] = reason
            self._next[partition] = end

    def read_out(self) -> None:
        """Read until there is no more."""

        def is_at_the_end() -> bool:
            self.read()
            return self._next == [totals.tail for totals in self._store._core.totals()]

        assert eventually(is_at_the_end), f"the cursors stand at {self._next}: {self._store._core.totals()}"

    def check_account(self) -> None:
        """At rest, when all is read and the dead are repaired: read + gaps = tail, and the statistics say the same."""
        statistics = self._store.statistics
        tickets = sum(totals.tail for totals in self._store._core.totals())
        reasons = Counter(self.missed.values())
        assert len(self.records) + len(self.missed) == tickets
        assert sum(cursor.lost() for cursor in self._cursors) == len(self.missed)
        assert statistics.total_appended + statistics.skipped + statistics.voided == tickets
        if not reasons[GapReason.LAPPED]:
            assert statistics.total_appended == len(self.records)
            assert statistics.skipped == reasons[GapReason.SKIPPED]
            assert statistics.voided == reasons[GapReason.VOIDED]
        assert statistics.skipped >= reasons[GapReason.SKIPPED] and statistics.voided >= reasons[GapReason.VOIDED]

    def check_acknowledged(self, acknowledged: dict[tuple[int, int], int | None]) -> None:
        """`acknowledged` says which appends returned, by (writer, number), and their positions where these are known.

        Each was read once, at its position; or newer records had taken its place before we came.
        """
        found = Counter(self.records.values())
        assert not [record for record, times in found.items() if times > 1], "doubled"
        for record, position in acknowledged.items():
            if position is None:
                assert found[record] == 1, f"lost: {record}"
            elif self.missed.get(position) is not GapReason.LAPPED:
                assert self.records.get(position) == record, f"lost: {record}, {self.missed.get(position)}"

    def _position(self, partition: int, ticket: int) -> int:
        return ticket * self._store.partitions + partition
