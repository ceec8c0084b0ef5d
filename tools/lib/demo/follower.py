"""The follower, which reads every record once, from the first on, and waits for news: NAME DESCRIPTOR.

Its report, when told to end and all is read, is a JSON object on standard output.
"""

import json
import statistics
import time
from collections.abc import Iterator
from itertools import takewhile

from demo.board import Board, Cell
from demo.measurement import PARTITIONS, Measurement
from demo.tally import Tally
from demo.worker import begin
from shmstore import Cursor, Gap

_BATCH = 4096
_FEW = (
    32  # where more come at a time, a writer would have to wake us for every other record: breathe instead of waiting
)
_BREATH_S = 0.001
_WAIT_S = 0.05
_ASLEEP_NS = 100_000  # after this long in a wait it sleeps in the kernel, so that what comes next has to wake it


class Follower:
    """Reads to the end with one cursor, and keeps account of what came and of what did not."""

    def __init__(self, cursor: Cursor[Measurement], tally: Tally, board: Board) -> None:
        self.tally = tally
        self.gaps: list[Gap] = []
        self.wake_ups_ns: list[int] = []
        self._cursor = cursor
        self._board = board

    def run(self) -> None:
        """Follow until told to end and nothing is left."""
        waiting_ns = woken_ns = 0
        while True:
            ending = self._board.is_over(Cell.READERS_END)  # looked at before the read that finds nothing
            records = self._cursor.read(_BATCH)
            if records:
                first_ns = min(record.timestamp for record in records) if woken_ns else 0
                if first_ns > waiting_ns + _ASLEEP_NS:
                    self.wake_ups_ns.append(woken_ns - first_ns)
                self.tally.add(records)
                self.gaps += self._new_gaps()
                self._board[Cell.FOLLOWED] = self.tally.records
                self._board[Cell.LAG] = self._cursor.lag
            elif ending and not self._cursor.lag:
                return
            woken_ns = 0
            if len(records) < _FEW:
                waiting_ns = time.time_ns()
                woken_ns = time.time_ns() if self._cursor.wait(_WAIT_S) else 0
            elif len(records) < _BATCH:
                time.sleep(_BREATH_S)

    def report(self) -> dict[str, object]:
        """What the account needs to know."""
        self.gaps += self._new_gaps()
        wake_ups_us = [wake_up_ns / 1000 for wake_up_ns in self.wake_ups_ns]
        percentiles_us = statistics.quantiles(wake_ups_us, n=100) if len(wake_ups_us) > 1 else None
        return {
            "sources": self.tally.by_source(),
            "torn": self.tally.torn,
            "repeated": self.tally.repeated,
            "gaps": [(gap.partition, gap.count, gap.reason) for gap in self.gaps],
            "lost": self._cursor.lost,
            "wake_ups": len(wake_ups_us),
            "wake_up_p50_us": percentiles_us and percentiles_us[49],
            "wake_up_p99_us": percentiles_us and percentiles_us[98],
        }

    def _new_gaps(self) -> Iterator[Gap]:
        """The cursor keeps its newest gaps; those after the last that we know are new."""
        known = self.gaps[-1] if self.gaps else None
        return reversed(list(takewhile(lambda gap: gap is not known, reversed(self._cursor.gaps))))


def main() -> None:
    """Follow from the first ticket of every partition, whether it is still there or not."""
    store, board, _ = begin()
    with store, store.cursor(start=range(PARTITIONS)) as cursor:
        follower = Follower(cursor, Tally(store.key), board)
        follower.run()
        print(json.dumps(follower.report()))


if __name__ == "__main__":
    main()
