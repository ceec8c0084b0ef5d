"""The result: what was acknowledged, what is in the store, what was read, and whether they agree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from demo.board import Board
from demo.measurement import PARTITIONS, Measurement
from shmstore import EventStore

REASONS = ("lapped", "voided", "skipped")


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
    missing: int = 0
    """Acknowledged records that were not read."""
    unacknowledged: int = 0
    """Records read that it did not live to acknowledge."""


def line_of(store: EventStore[Measurement], board: Board, number: int, role: str, pid: int, killed: bool) -> WriterLine:
    """What a writer that has just ended acknowledged, and whether the last of it is in the store, or lapped."""
    sources = range(number * PARTITIONS, (number + 1) * PARTITIONS)
    newest = [last for source in sources if (last := board.ledger.newest(source))]
    found = [
        record and (record.writer, record.sequence) == (number, sequence)
        for sequence, position in newest
        for record in [store.read_at(position)]
    ]
    last_found = not newest or (any(found) and False not in found)
    return WriterLine(number, role, pid, killed, sum(map(board.ledger.returned, sources)), last_found)


class Account:
    """Everything counted, from three independent sides: the writers, the store, the readers."""

    def __init__(
        self,
        store: EventStore[Measurement],
        board: Board,
        writers: list[WriterLine],
        follower: dict[str, Any],
        snapshots: dict[str, Any],
    ) -> None:
        self.writers = writers
        self.statistics = store.statistics
        self.partitions: list[dict[str, int]] = []
        for part, seen in zip(self.statistics.partitions, follower["partitions"], strict=True):
            gaps = {reason: seen["gaps"].get(reason, 0) for reason in REASONS}
            tickets = part.appended + part.skipped + part.voided
            unexplained = tickets - seen["read"] - sum(seen["gaps"].values())
            self.partitions.append(
                {
                    "partition": part.partition,
                    "tickets": tickets,
                    "read": seen["read"],
                    **gaps,
                    "unexplained": unexplained,
                }
            )
        self._follower = follower
        self._snapshots = snapshots
        self._length = len(store)
        self._violations = store.check()
        by_number = {line.number: line for line in writers}
        for source, end, missed in follower["sources"]:
            if line := by_number.get(source // PARTITIONS):  # nobody else wrote, or the follower found that wrong
                line.read += end - missed
                line.missing += missed
                line.unacknowledged += max(0, end - board.ledger.returned(source))

    def total(self, what: str) -> int:
        """The sum of a column of the partitions."""
        return sum(line[what] for line in self.partitions)

    def findings(self) -> Iterator[Finding]:
        """What must hold."""
        now, total = self.statistics, self.total
        reasons = "".join(f" + {total(reason):,} {reason}" for reason in REASONS)
        yield Finding(
            not any(line["unexplained"] for line in self.partitions),
            f"every ticket was read or lies in a gap: {total('read'):,} read{reasons} = {total('tickets'):,}",
        )
        acknowledged = sum(line.acknowledged for line in self.writers)
        missing = sum(line.missing for line in self.writers)
        holds = missing <= total("lapped") and all(
            line.read + line.missing == line.acknowledged + line.unacknowledged for line in self.writers
        )
        explained = f"all but {missing:,}, which lie in gaps" if missing and holds else f"{missing:,} missing"
        yield Finding(holds, f"every acknowledged record was read: {acknowledged:,}, {explained}")
        lost = [f"writer {line.number} ({line.role})" for line in self.writers if not line.last_found]
        yield Finding(not lost, "the last record that each writer acknowledged was found" + _list(lost))
        yield self._appended(acknowledged)
        yield self._whole()
        hidden = sum(getattr(now, reason) - total(reason) for reason in ("voided", "skipped"))  # before they were seen
        yield Finding(
            now.length == self._length == now.total_appended - now.total_discarded
            and now.total_appended == total("read") + total("lapped") - hidden
            and self._follower["lost"] == sum(map(total, REASONS)),
            f"the statistics agree: {now.total_appended:,} appended, {now.total_discarded:,} discarded, "
            f"{now.voided:,} voided, {now.skipped:,} skipped",
        )
        yield Finding(not self._violations, "every invariant of the store holds" + _list(self._violations))

    def _appended(self, acknowledged: int) -> Finding:
        """Only a killed writer can have appended one more than it acknowledged; read it was, or lapped."""
        more = self.statistics.total_appended - acknowledged
        seen = sum(line.unacknowledged for line in self.writers)
        killed = sum(line.killed for line in self.writers)
        holds = seen <= more <= (killed if self.total("lapped") else seen)
        return Finding(
            holds and all(line.unacknowledged <= line.killed for line in self.writers),
            f"{self.statistics.total_appended:,} appended = all acknowledged + {more:,} that a killed writer did not "
            "live to acknowledge",
        )

    def _whole(self) -> Finding:
        checked = self.total("read") + self._snapshots["records"]
        if wrong := self._follower["wrong"] or self._snapshots["wrong"]:
            return Finding(False, wrong)
        text = f"0 torn, 0 twice or out of order, of {checked:,} records followed and in snapshots"
        return Finding(checked > 0, text)


def _list(wrong: list[str]) -> str:
    return f": not so: {'; '.join(wrong)}" if wrong else ""
