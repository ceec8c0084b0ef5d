"""Writers that note where each of their records went, and a follower that knows every ticket: for small stores."""

import time
from collections import Counter
from typing import Any

from shmstore import EventStore, Gap, GapReason, PartitionStalled
from tests.helpers.accounting import Account, Ledger, Reader, Wrong
from tests.helpers.processes import LIMIT_S, eventually, shared_numbers
from tests.helpers.proofs import is_proved, proof


class Promises(Ledger):
    """A ledger that knows of each append whether it returned, and where; one that is interrupted leaves a hole."""

    def __init__(self, writers: int, appends: int, partitions: int) -> None:
        """Room for writers 0, 1, .. and for so many appends of each."""
        super().__init__(writers * partitions)
        self._appends = appends
        self._partitions = partitions
        self._returned = shared_numbers(self.sources * appends)  # 0; 1 + position; -1: it returned without a position
        self._refused = shared_numbers(writers)

    def room(self, writer: int) -> int:
        """How many more this writer may append."""
        sources = range(writer * self._partitions, (writer + 1) * self._partitions)
        return self._appends - sum(map(self.began, sources))

    def refused(self) -> int:
        """How many times an append was refused because living writers held every slot, and was tried again."""
        return sum(self._refused)

    def append(self, store: EventStore[Any], writer: int, partition: int) -> None:
        """Append the next record, again and again while those that live hold every slot: nothing is stored then."""
        source = writer * self._partitions + partition
        number = self.begin(source)
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                position = store.append(proof(source, number), partition=partition)
                break
            except PartitionStalled:
                if time.monotonic() > deadline:
                    raise
                self._refused[writer] += 1
                time.sleep(0.001)
        self.acknowledge(source, number, position=position)

    def append_many(self, store: EventStore[Any], writer: int, count: int, partition: int) -> None:
        source = writer * self._partitions + partition
        first = self.begin(source, count)
        store.append_many([proof(source, number) for number in range(first, first + count)], partition=partition)
        self.acknowledge(source, first, count)

    def began_records(self) -> set[tuple[int, int]]:
        """Which records may be there, by source and number."""
        return {(source, number) for source in range(self.sources) for number in range(self.began(source))}

    def returned_records(self) -> dict[tuple[int, int], int | None]:
        """Which records must be there, and their positions, None where these are not known."""
        said = {record: self._returned[record[0] * self._appends + record[1]] for record in self.began_records()}
        return {record: None if word < 0 else word - 1 for record, word in said.items() if word}

    # -- a ledger with holes

    def begin(self, source: int, count: int = 1) -> int:
        number = super().begin(source, count)
        assert number + count <= self._appends
        return number

    def acknowledge(self, source: int, first: int, count: int = 1, position: int | None = None) -> None:
        for number in range(first, first + count):
            self._returned[source * self._appends + number] = -1 if position is None else position + 1
        super().acknowledge(source, first, count, position)

    def returned(self, source: int) -> int:
        return self.owed(source, 0, self.began(source))

    def newest(self, source: int) -> tuple[int, int] | None:
        """From the one word of the append that began last: its writer may be killed between any two."""
        number = self.began(source) - 1
        word = self._returned[source * self._appends + number] if number >= 0 else 0
        return (number, word - 1) if word > 0 else None

    def owed(self, source: int, first: int, end: int) -> int:
        words = self._returned[source * self._appends + first : source * self._appends + end]
        return sum(map(bool, words))


class _Account(Account):
    """An account that also knows what every ticket held, or why it was missed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.records: dict[int, tuple[int, int]] = {}
        self.reasons: dict[int, GapReason] = {}

    def enter(self, ticket: int, source: int, number: int) -> None:
        self.records[ticket * self.partitions + self.partition] = source, number

    def pass_over(self, gap: Gap) -> None:
        super().pass_over(gap)
        tickets = range(gap.first, gap.end)
        self.reasons.update((ticket * self.partitions + self.partition, gap.reason) for ticket in tickets)


def identify(record: Any) -> tuple[int, int]:
    """The source and number of a proof. Raises Wrong when it is torn."""
    if not is_proved(record):
        raise Wrong(f"it is torn: {record}")
    return record[0], record[1]


class Follower:
    """Follows a store from its first ticket on and knows the ticket of every record that it reads."""

    def __init__(self, store: EventStore[Any], promises: Promises) -> None:
        self._store = store
        self._promises = promises
        self._reader = Reader(store, promises, identify, _Account)

    @property
    def records(self) -> dict[int, tuple[int, int]]:
        """(source, number) of every record read, by position."""
        return {position: record for each in self._reader.accounts for position, record in each.records.items()}

    @property
    def missed(self) -> dict[int, GapReason]:
        """Why a position was not read."""
        return {position: reason for each in self._reader.accounts for position, reason in each.reasons.items()}

    def read(self) -> None:
        """Read what is there."""
        self._reader.read(1_000_000)

    def read_out(self) -> None:
        """Read until there is no more."""

        def is_at_the_end() -> bool:
            self.read()
            return self._reader.next == [totals.tail for totals in self._store._core.totals()]

        assert eventually(is_at_the_end), f"the cursors stand at {self._reader.next}: {self._store._core.totals()}"

    def reasons(self) -> Counter[GapReason]:
        """How many tickets were missed, by reason."""
        return Counter(self.missed.values())

    def check(self) -> None:
        """At rest, when all is read and the dead are repaired: the accounts balance, the statistics say the same, and
        each append that returned was read at its position, or newer records had taken its place before."""
        self._reader.close(self._promises.sources // self._store.partitions)
        statistics, reasons, records, missed = self._store.statistics, self.reasons(), self.records, self.missed
        tickets = sum(self._reader.next)
        assert sum(cursor.lost() for cursor in self._reader.cursors) == len(missed)
        assert (
            len(records) + len(missed) == statistics.total_appended + statistics.skipped + statistics.voided == tickets
        )
        assert statistics.length == len(self._store.snapshot())
        assert statistics.total_appended == statistics.length + statistics.total_discarded
        if not reasons[GapReason.LAPPED]:
            assert statistics.total_appended == len(records)
            assert statistics.skipped == reasons[GapReason.SKIPPED]
            assert statistics.voided == reasons[GapReason.VOIDED]
        returned, found = self._promises.returned_records(), Counter(records.values())
        for position, record in records.items():
            assert returned.get(record) in (None, position), f"{record} is not where its append said, but at {position}"
        for record, position in returned.items():
            if position is None:
                assert found[record] == 1, f"lost: {record}"
            elif missed.get(position) is not GapReason.LAPPED:
                assert records.get(position) == record, f"lost: {record}, {missed.get(position)}"
