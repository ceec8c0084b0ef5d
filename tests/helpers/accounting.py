"""Exactly-once accounting: every ticket is read once or lies in one gap, and no append that returned is missing.

A source is one writer in one partition: writer * partitions + partition. It numbers its records from 0 on, so whoever
misses a number knows it. A number that does not come must have been overwritten or cleared: as many tickets as numbers
are missed must lie in gaps of these reasons since that source was read last, and as many in all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from shmstore import EventStore, Gap, GapReason
from shmstore.reading.gap import gaps_of
from tests.helpers.processes import shared_numbers

_TAKEN = (GapReason.LAPPED, GapReason.CLEARED)  # reasons for which a record may be missing that was there
_BEGAN, _RETURNED, _POSITIONS, WORDS = 0, 1, 2, 4  # of a source; the positions are those of even and odd counts

Identify = Callable[[Any], tuple[int, int]]
"""The source and the number of a record, which it proves to be whole. Raises Wrong."""


class Wrong(AssertionError):
    """A promise was broken; says which."""


class Ledger:
    """What writers say of their appends, in memory that outlives them: which began, and which returned."""

    def __init__(self, sources: int, words: memoryview | None = None) -> None:
        """`words` are WORDS signed 64-bit numbers of each source, 0 at first; without it, of processes forked later."""
        self.sources = sources
        self._words = shared_numbers(sources * WORDS) if words is None else words

    def begin(self, source: int, count: int = 1) -> int:
        """Note that records will be appended. Returns the number of the first."""
        at = source * WORDS
        first = self._words[at]
        self._words[at] = first + count
        return first

    def acknowledge(self, source: int, first: int, count: int = 1, position: int | None = None) -> None:
        """Note that an append of `count` records returned, and where the last is, if that was said.

        The position goes where the previous one is not; then the count says which of the two holds. So a death between
        the two spoils nothing.
        """
        at, end = source * WORDS, first + count
        self._words[at + _POSITIONS + (end & 1)] = 0 if position is None else position + 1
        self._words[at + _RETURNED] = end

    def began(self, source: int) -> int:
        return self._words[source * WORDS + _BEGAN]

    def returned(self, source: int) -> int:
        """How many appends returned."""
        return self._words[source * WORDS + _RETURNED]

    def newest(self, source: int) -> tuple[int, int] | None:
        """The number and position of the newest append that returned; None while or when that is not known."""
        at, returned = source * WORDS, self.returned(source)
        position = self._words[at + _POSITIONS + (returned & 1)]
        return (returned - 1, position - 1) if position and self.returned(source) == returned else None

    def end(self, source: int) -> int:
        """The number after the last whose append returned."""
        return self.returned(source)

    def owed(self, source: int, first: int, end: int) -> int:
        """How many of these numbers must be there, when an append after them began or the last of them returned."""
        return end - first


def check_order(records: Iterable[Any], identify: Identify) -> None:
    """What each source appended is there in its order, nothing torn and nothing twice. Raises Wrong."""
    last: dict[int, int] = {}
    for record in records:
        source, number = identify(record)
        if number <= last.get(source, -1):
            raise Wrong(f"record {number} of source {source} is there twice, or too late")
        last[source] = number


class Account:
    """What a reader got of one partition."""

    def __init__(self, partition: int, partitions: int, ledger: Ledger, identify: Identify) -> None:
        self.partition = partition
        self.partitions = partitions
        self.next = 0
        """The first ticket that is neither read nor in a gap."""
        self.read = 0
        self.gaps: Counter[GapReason] = Counter()
        self.missed: Counter[int] = Counter()
        """For each source, how many numbers did not come that must have been there."""
        self.ends: dict[int, int] = {}
        """For each source the number that comes next."""
        self._taken_before: dict[int, int] = {}  # for each source, how many tickets had been taken when it was read
        self._ledger = ledger
        self._identify = identify
        self._named = f"partition {partition}"

    @property
    def taken(self) -> int:
        """How many tickets were lapped or cleared."""
        return sum(self.gaps[reason] for reason in _TAKEN)

    def take(self, records: list[Any], gaps: Iterable[Gap], end: int) -> None:
        """Enter what one read gave: records and gaps up to the ticket `end`. Raises Wrong."""
        ahead = iter(records)
        for gap in gaps:
            if gap.first < self.next or gap.end > end:
                raise Wrong(f"{gap} in a read of tickets from {self.next} to {end}: it was read, or is in another gap")
            self._walk(gap.first, ahead)
            self.pass_over(gap)
        self._walk(end, ahead)
        if (more := next(ahead, None)) is not None:
            raise Wrong(f"more records came than tickets of {self._named} up to {end}: {more}")

    def close(self, tail: int, voided: int, skipped: int, sources: Iterable[int]) -> None:
        """Balance it when nobody writes any more; `sources` are all of this partition. Raises Wrong."""
        if self.next != tail or self.read + self.gaps.total() != tail:
            raise Wrong(f"{self.read} read and {dict(self.gaps)} are not the {tail} tickets of {self._named}")
        if self.gaps[GapReason.VOIDED] > voided or self.gaps[GapReason.SKIPPED] > skipped:
            raise Wrong(f"{dict(self.gaps)} in {self._named}, which counts {voided} voided and {skipped} skipped")
        began = returned = 0
        for source in sources:
            began += self._ledger.began(source)
            returned += self._ledger.returned(source)
            if self.ends.get(source, 0) < (last := self._ledger.end(source)):
                self._miss(source, last, self.taken)
                self.ends[source] = last
        if not returned <= tail - voided - skipped <= began:
            raise Wrong(
                f"{returned} appends returned and {began} began, but {self._named} counts {tail - voided - skipped}"
            )
        if (missed := self.missed.total()) > self.taken:
            raise Wrong(f"{missed} records did not come, but only {self.taken} tickets of {self._named} were taken")

    def enter(self, ticket: int, source: int, number: int) -> None:
        """For whoever has to know the records one by one."""

    def pass_over(self, gap: Gap) -> None:
        """Enter a gap."""
        self.gaps[gap.reason] += gap.count
        self.next = gap.end

    def _walk(self, end: int, ahead: Iterator[Any]) -> None:
        """The tickets up to this one are those of the next records."""
        identify, ends, taken = self._identify, self.ends, self.taken
        touched: dict[int, int] = {}
        ticket, source, number = self.next, -1, -1
        enter = None if type(self).enter is Account.enter else self.enter
        try:
            for ticket, record in enumerate(islice(ahead, end - self.next), self.next):
                source, number = identify(record)
                if number != touched.get(source):
                    self._jump(source, number, touched, taken)
                touched[source] = number + 1
                if enter is not None:
                    enter(ticket, source, number)
        except Wrong as wrong:
            raise Wrong(f"ticket {ticket} of {self._named}: {wrong}") from None
        if source >= 0:
            self.read += ticket + 1 - self.next
            self.next = ticket + 1
            self._check_position(ticket, source, number)
        if self.next < end:
            raise Wrong(f"ticket {self.next} of {self._named} was not read, and is in no gap")
        ends.update(touched)
        for source, number in touched.items():
            self._taken_before[source] = taken
            if number > self._ledger.began(source):
                raise Wrong(f"nobody wrote record {number - 1} of source {source} in {self._named}")

    def _jump(self, source: int, number: int, touched: dict[int, int], taken: int) -> None:
        """A source comes for the first time in these tickets, or not with the number that was expected."""
        if not 0 <= source < self._ledger.sources:
            raise Wrong(f"nobody is source {source}")
        if source % self.partitions != self.partition:
            raise Wrong(f"record {number} of source {source} is of partition {source % self.partitions}")
        expected = self.ends[source] = touched.get(source, self.ends.get(source, 0))
        if number < expected:
            raise Wrong(f"record {number} of source {source} is doubled, or comes too late")
        if source in touched:
            self._taken_before[source] = taken
        if number > expected:
            self._miss(source, number, taken)

    def _miss(self, source: int, number: int, taken: int) -> None:
        """Numbers of a source up to this one did not come; see whether they may have been taken."""
        expected, taken = self.ends.get(source, 0), taken - self._taken_before.get(source, 0)
        count = self._ledger.owed(source, expected, number)
        if count > taken:
            raise Wrong(
                f"lost: {count} of the records {expected} to {number - 1} of source {source} in {self._named}, where "
                f"since then only {taken} tickets were overwritten or cleared"
            )
        self.missed[source] += count

    def _check_position(self, ticket: int, source: int, number: int) -> None:
        """If this is the newest append of its source that returned, it is where that said."""
        newest, position = self._ledger.newest(source), ticket * self.partitions + self.partition
        if newest is not None and newest[0] == number and newest[1] != position:
            raise Wrong(f"record {number} of source {source} is at {position}; its append said {newest[1]}")


def balance(accounts: Iterable[Account], store: EventStore[Any], writers: int) -> None:
    """Balance accounts of all partitions when nobody writes any more, so many writers having lived. Raises Wrong."""
    for account, totals in zip(accounts, store._core.totals(), strict=True):
        sources = range(account.partition, writers * account.partitions, account.partitions)
        account.close(totals.tail, totals.voided, totals.skipped, sources)


class Reader:
    """Reads every partition from its first ticket to its last, with an account of each."""

    def __init__(
        self, store: EventStore[Any], ledger: Ledger, identify: Identify, kind: type[Account] = Account
    ) -> None:
        self.store = store
        self.accounts = [kind(partition, store.partitions, ledger, identify) for partition in range(store.partitions)]
        self.cursors = [store._core.cursor([(partition, 0)]) for partition in range(store.partitions)]

    @property
    def next(self) -> list[int]:
        """Where each account stands."""
        return [account.next for account in self.accounts]

    def read(self, at_most: int) -> bool:
        """Read what is there, at most so many records of a partition. Returns whether there was anything."""
        before = self.next
        for account, cursor in zip(self.accounts, self.cursors, strict=True):
            records = cursor.read(at_most)
            [(_, end)] = cursor.positions()
            account.take(records, gaps_of(cursor.drain_gaps()), end)
        return before != self.next

    def close(self, writers: int) -> None:
        """Balance every account when nobody writes any more, so many writers having lived. Raises Wrong."""
        balance(self.accounts, self.store, writers)
