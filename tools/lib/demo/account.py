"""The result: what was acknowledged, what is in the store, what was read, and whether they agree."""

import signal
from collections.abc import Iterable, Iterator
from typing import Any

from demo.board import Board
from demo.measurement import Measurement, sources_of
from demo.workers import Worker
from shmstore import EventStore
from shmstore.events.statistics import PartitionStatistics

REASONS = ("lapped", "voided", "skipped")


class Account:
    """Everything counted, from three independent sides: the writers, the store, the readers."""

    def __init__(
        self,
        store: EventStore[Measurement],
        board: Board,
        writers: Iterable[Worker],
        follower: dict[str, Any],
        snapshots: dict[str, Any],
    ) -> None:
        self.statistics = store.statistics
        self._length, self._violations = len(store), store.check()
        self._follower, self._snapshots = follower, snapshots
        pairs = zip(self.statistics.partitions, follower["partitions"], strict=True)
        self.partitions = [_partition_line(part, seen) for part, seen in pairs]
        self.writers = [_writer_line(writer, board, follower["sources"]) for writer in writers]
        self.writers.sort(key=lambda line: line["number"])

    def findings(self) -> Iterator[tuple[bool, str]]:
        """What must hold, and whether it does."""
        now, total = self.statistics, self._total
        reasons = "".join(f" + {total(reason):,} {reason}" for reason in REASONS)
        yield (
            not any(line["unexplained"] for line in self.partitions),
            f"every ticket was read or lies in a gap: {total('read'):,} read{reasons} = {total('tickets'):,}",
        )
        acknowledged, missing = (sum(line[what] for line in self.writers) for what in ("acknowledged", "missing"))
        holds = missing <= total("lapped") and all(
            line["read"] + line["missing"] == line["acknowledged"] + line["unacknowledged"] for line in self.writers
        )
        explained = f"all but {missing:,}, which lie in gaps" if missing and holds else f"{missing:,} missing"
        yield holds, f"every acknowledged record was read: {acknowledged:,}, {explained}"
        lost = [f"writer {line['number']} ({line['role']})" for line in self.writers if not line["last_found"]]
        yield not lost, "the last record that each writer acknowledged was found" + _list(lost)
        yield self._appended(acknowledged)
        yield self._whole()
        hidden = sum(getattr(now, reason) - total(reason) for reason in ("voided", "skipped"))  # before they were seen
        yield (
            now.length == self._length == now.total_appended - now.total_discarded
            and now.total_appended == total("read") + total("lapped") - hidden
            and self._follower["lost"] == sum(map(total, REASONS)),
            f"the statistics agree: {now.total_appended:,} appended, {now.total_discarded:,} discarded, "
            f"{now.voided:,} voided, {now.skipped:,} skipped",
        )
        yield not self._violations, "every invariant of the store holds" + _list(self._violations)

    def _total(self, what: str) -> int:
        """The sum of a column of the partitions."""
        return sum(line[what] for line in self.partitions)

    def _appended(self, acknowledged: int) -> tuple[bool, str]:
        """Only a killed writer can have appended one more than it acknowledged; that one was read, or lapped."""
        more = self.statistics.total_appended - acknowledged
        seen = sum(line["unacknowledged"] for line in self.writers)
        killed = sum(line["killed"] for line in self.writers)
        holds = seen <= more <= (killed if self._total("lapped") else seen)
        return (
            holds and all(line["unacknowledged"] <= line["killed"] for line in self.writers),
            f"{self.statistics.total_appended:,} appended = all acknowledged + {more:,} that a killed writer did not "
            "live to acknowledge",
        )

    def _whole(self) -> tuple[bool, str]:
        checked = self._total("read") + self._snapshots["records"]
        if wrong := self._follower["wrong"] or self._snapshots["wrong"]:
            return False, wrong
        return checked > 0, f"0 torn, 0 twice or out of order, of {checked:,} records followed and in snapshots"


def _partition_line(part: PartitionStatistics, seen: dict[str, Any]) -> dict[str, int]:
    """One partition: what its tickets became, and how many of them nothing explains."""
    tickets, read, gaps = part.appended + part.skipped + part.voided, seen["read"], seen["gaps"]
    told = {"partition": part.partition, "tickets": tickets, "read": read}
    told |= {reason: gaps.get(reason, 0) for reason in REASONS}
    return told | {"unexplained": tickets - read - sum(gaps.values())}


def _writer_line(writer: Worker, board: Board, read: Iterable[tuple[int, int, int]]) -> dict[str, Any]:
    """One writer: what it acknowledged, and what the follower read of each of its sources."""
    sources, killed = sources_of(writer.number), writer.returncode == -signal.SIGKILL
    ends = [(source, end, missed) for source, end, missed in read if source in sources]
    return {
        "number": writer.number,
        "role": f"{writer.role}{' (killed)' if killed else ''}",
        "pid": writer.pid,
        "acknowledged": board.acknowledged(writer.number),
        "read": sum(end - missed for _, end, missed in ends),
        "missing": sum(missed for _, _, missed in ends),  # acknowledged records that were not read
        "unacknowledged": sum(max(0, end - board.ledger.returned(source)) for source, end, _ in ends),
        "killed": killed,
        "last_found": writer.last_found,
    }


def _list(wrong: list[str]) -> str:
    return f": not so: {'; '.join(wrong)}" if wrong else ""
