"""The account at the end: what was acknowledged, what is in the store, what was read, and whether they agree."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from demo.measurement import PARTITIONS, Measurement
from shmstore import EventStore
from shmstore.events.statistics import Statistics


class Finding(NamedTuple):
    """One thing that must hold, and whether it does."""

    holds: bool
    text: str


@dataclass
class WriterLine:
    """One writer: what it acknowledged, and what the follower read of it."""

    number: int
    role: str
    pid: int
    killed: bool
    acknowledged: int
    last_found: bool
    read: int = 0
    highest: int = 0

    @property
    def unacknowledged(self) -> int:
        """Records read that it did not live to acknowledge."""
        return max(0, self.highest - self.acknowledged)

    @property
    def missing(self) -> int:
        """Acknowledged records that were not read."""
        return self.acknowledged - (self.read - self.unacknowledged)


@dataclass
class PartitionLine:
    """One partition: tickets handed out, records read by the follower, and tickets in its gaps by reason."""

    partition: int
    tickets: int
    read: int = 0
    gaps: dict[str, int] = field(default_factory=dict)

    @property
    def unexplained(self) -> int:
        """Tickets that were neither read nor in a gap."""
        return self.tickets - self.read - sum(self.gaps.values())


class Account:
    """Everything counted, from three independent sides: the writers, the store, the readers."""

    def __init__(
        self,
        store: EventStore[Measurement],
        writers: list[WriterLine],
        follower: dict[str, Any],
        snapshots: dict[str, Any],
    ) -> None:
        self.writers = writers
        self.statistics: Statistics = store.statistics
        self.partitions = [
            PartitionLine(part.partition, part.appended + part.skipped + part.voided)
            for part in self.statistics.partitions
        ]
        self._follower = follower
        self._snapshots = snapshots
        self._length = len(store)
        self._violations = store.check()
        self._strangers = 0
        by_number = {line.number: line for line in writers}
        for writer, key, count, highest in follower["sources"]:
            self.partitions[key % PARTITIONS].read += count  # as the rule "key" has it
            if line := by_number.get(writer):
                line.read += count
                line.highest = max(line.highest, highest)
            else:
                self._strangers += count
        for partition, count, reason in follower["gaps"]:
            gaps = self.partitions[partition].gaps
            gaps[reason] = gaps.get(reason, 0) + count

    @property
    def read(self) -> int:
        """Records that the follower read."""
        return sum(line.read for line in self.partitions)

    def gap(self, reason: str) -> int:
        """Tickets in the follower's gaps of this reason."""
        return sum(line.gaps.get(reason, 0) for line in self.partitions)

    def findings(self) -> Iterator[Finding]:
        """What must hold."""
        yield self._every_ticket()
        yield self._every_acknowledged()
        yield self._last_acknowledged()
        yield self._appended()
        yield self._whole()
        yield self._statistics()
        yield Finding(not self._violations, "every invariant of the store holds" + _list(self._violations))

    def _every_ticket(self) -> Finding:
        tickets = sum(line.tickets for line in self.partitions)
        holds = all(line.unexplained == 0 for line in self.partitions)
        reasons = "".join(f" + {self.gap(reason):,} {reason}" for reason in ("lapped", "voided", "skipped"))
        return Finding(holds, f"every ticket was read or lies in a gap: {self.read:,} read{reasons} = {tickets:,}")

    def _every_acknowledged(self) -> Finding:
        acknowledged = sum(line.acknowledged for line in self.writers)
        missing = sum(line.missing for line in self.writers)
        holds = all(line.missing >= 0 for line in self.writers) and missing <= self.gap("lapped")
        explained = f"all but {missing:,}, which lie in gaps" if missing and holds else f"{missing:,} missing"
        return Finding(holds, f"every acknowledged record was read: {acknowledged:,}, {explained}")

    def _last_acknowledged(self) -> Finding:
        lost = [f"writer {line.number} ({line.role})" for line in self.writers if not line.last_found]
        return Finding(not lost, "the last record that each writer acknowledged was found" + _list(lost))

    def _appended(self) -> Finding:
        """Only a killed writer can have appended one more than it acknowledged; read it was, or lapped."""
        appended = self.statistics.total_appended
        more = appended - sum(line.acknowledged for line in self.writers)
        seen = sum(line.unacknowledged for line in self.writers)
        killed = sum(line.killed for line in self.writers)
        holds = (
            seen <= more <= (killed if self.gap("lapped") else seen)
            and all(line.unacknowledged <= line.killed for line in self.writers)
            and not self._strangers
        )
        text = f"{appended:,} appended = all acknowledged + {more:,} that a killed writer did not live to acknowledge"
        return Finding(holds, text)

    def _whole(self) -> Finding:
        readers = (self._follower, self._snapshots)
        torn, repeated = (sum(reader[what] for reader in readers) for what in ("torn", "repeated"))
        checked = self.read + self._snapshots["records"]
        text = f"{torn:,} torn, {repeated:,} twice or out of order, of {checked:,} records followed and in snapshots"
        return Finding(torn == repeated == 0 and checked > 0, text)

    def _statistics(self) -> Finding:
        now = self.statistics
        holds = (
            now.length == self._length == now.total_appended - now.total_discarded
            and now.total_appended == self.read + self.gap("lapped") - self._hidden("voided") - self._hidden("skipped")
            and self._follower["lost"] == sum(count for _, count, _ in self._follower["gaps"])
        )
        return Finding(
            holds,
            f"the statistics agree: {now.total_appended:,} appended, {now.total_discarded:,} discarded, "
            f"{now.voided:,} voided, {now.skipped:,} skipped",
        )

    def _hidden(self, reason: str) -> int:
        """Tickets without a record over which the follower was lapped before it could see that."""
        return int(getattr(self.statistics, reason)) - self.gap(reason)


def _list(wrong: list[str]) -> str:
    return f": not so: {'; '.join(wrong)}" if wrong else ""
