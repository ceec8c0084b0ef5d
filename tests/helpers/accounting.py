"""Exactly-once accounting: every ticket is read once or lies in one gap, and nothing that returned is missing."""

import time
from collections import Counter
from typing import Any

from shmstore import EventStore, GapReason, PartitionStalled
from shmstore.reading.gap import gaps_of
from tests.helpers.processes import LIMIT_S, eventually, shared_numbers
from tests.helpers.proofs import is_proved, proof


class Promises:
    """What writers say of their appends, in memory that outlives them: which began, and which returned."""

    def __init__(self, writers: int, appends: int) -> None:
        """Room for writers 0, 1, .. and for so many appends of each."""
        self._appends = appends
        self._began = shared_numbers(writers)
        self._returned = shared_numbers(writers * appends)  # 0; 1 + position; -1: it returned without a position
        self._refused = shared_numbers(writers)

    def room(self, writer: int) -> int:
        """How many more this writer may append."""
        return self._appends - self._began[writer]

    def refused(self) -> int:
        """How many times an append was refused because living writers held every slot, and was tried again."""
        return sum(self._refused)

    def append(self, store: EventStore[Any], writer: int, partition: int) -> None:
        """Append the next record, again and again while those that live hold every slot: nothing is stored then."""
        number = self._begin(writer, 1)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                position = store.append(proof(writer, number), partition=partition)
                break
            except PartitionStalled:
                if time.monotonic() > deadline:
                    raise
                self._refused[writer] += 1
                time.sleep(0.001)
        self._returned[writer * self._appends + number] = 1 + position

    def append_many(self, store: EventStore[Any], writer: int, count: int, partition: int) -> None:
        first = self._begin(writer, count)
        store.append_many([proof(writer, number) for number in range(first, first + count)], partition=partition)
        for number in range(first, first + count):
            self._returned[writer * self._appends + number] = -1

    def began(self) -> set[tuple[int, int]]:
        """Which records may be there, by writer and number."""
        return {(writer, number) for writer, began in enumerate(self._began) for number in range(began)}

    def returned(self) -> dict[tuple[int, int], int | None]:
        """Which records must be there, and their positions, None where these are not known."""
        said = {record: self._returned[record[0] * self._appends + record[1]] for record in self.began()}
        return {record: None if word < 0 else word - 1 for record, word in said.items() if word}

    def _begin(self, writer: int, count: int) -> int:
        number = self._began[writer]
        assert number + count <= self._appends
        self._began[writer] = number + count
        return number


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

    def reasons(self) -> Counter[GapReason]:
        """How many tickets were missed, by reason."""
        return Counter(self.missed.values())

    def check_account(self) -> None:
        """At rest, when all is read and the dead are repaired: read + gaps = tail, and the statistics say the same."""
        statistics, reasons = self._store.statistics, self.reasons()
        tickets = sum(totals.tail for totals in self._store._core.totals())
        assert len(self.records) + len(self.missed) == tickets
        assert sum(cursor.lost() for cursor in self._cursors) == len(self.missed)
        assert statistics.total_appended + statistics.skipped + statistics.voided == tickets
        assert statistics.length == len(self._store.snapshot())
        assert statistics.total_appended == statistics.length + statistics.total_discarded
        assert statistics.skipped >= reasons[GapReason.SKIPPED] and statistics.voided >= reasons[GapReason.VOIDED]
        if not reasons[GapReason.LAPPED]:
            assert statistics.total_appended == len(self.records)
            assert statistics.skipped == reasons[GapReason.SKIPPED]
            assert statistics.voided == reasons[GapReason.VOIDED]

    def check_promises(self, promises: Promises) -> None:
        """Each append that returned was read once, at its position, or newer records had taken its place before."""
        found = Counter(self.records.values())
        began, returned = promises.began(), promises.returned()
        assert not [record for record, times in found.items() if times > 1], "doubled"
        assert found.keys() <= began, "records that nobody wrote"
        for position, record in self.records.items():
            assert returned.get(record) in (None, position), f"{record} is not where its append said, but at {position}"
        for record, position in returned.items():
            if position is None:
                assert found[record] == 1, f"lost: {record}"
            elif self.missed.get(position) is not GapReason.LAPPED:
                assert self.records.get(position) == record, f"lost: {record}, {self.missed.get(position)}"
        assert len(returned) <= self._store.statistics.total_appended <= len(began)

    def _position(self, partition: int, ticket: int) -> int:
        return ticket * self._store.partitions + partition
