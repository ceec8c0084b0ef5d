"""The follower, which reads every record once, from the first on, and waits for news: NAME DESCRIPTOR.

Its report, when told to end and all is read, is a JSON object on standard output.
"""

import json
import time
from functools import cache

from demo.board import MOST_WRITERS, Board, Cell
from demo.measurement import PARTITIONS, Measurement, identifier
from demo.worker import begin
from shmstore import Cursor, EventStore
from shmstore.reading.gap import gaps_of
from tests.helpers.accounting import Account, Wrong, balance

_BATCH = 4096
_FEW = 32  # when more come at a time, a writer would wake us for every other record: sleep briefly instead of waiting
_NAP_S = 0.001
_WAIT_S = 0.05
_ASLEEP_NS = 100_000  # after this long in a wait it sleeps in the kernel, so that what comes next has to wake it


class Follower:
    """Reads to the end with one cursor, and keeps account of what came and of what did not."""

    def __init__(self, store: EventStore[Measurement], cursor: Cursor[Measurement], board: Board) -> None:
        self._store = store
        self._cursor = cursor
        self._board = board
        self._number_of = cache(store.key)
        identify = identifier(self._number_of)
        self._accounts = [Account(number, PARTITIONS, board.ledger, identify) for number in range(PARTITIONS)]
        self._wake_ups_us: list[float] = []

    def run(self) -> None:
        """Follow until told to end and nothing is left, then balance. Raises Wrong."""
        waiting_ns = woken_ns = 0
        while True:
            ending = self._board.is_over(Cell.READERS_END)  # looked at before the read that finds nothing
            records = self._cursor.read(_BATCH)
            if records:
                first_ns = min(record.timestamp for record in records) if woken_ns else 0
                if first_ns > waiting_ns + _ASLEEP_NS:
                    self._wake_ups_us.append((woken_ns - first_ns) / 1000)
                self._take(records)
                self._board[Cell.FOLLOWED] = sum(account.read for account in self._accounts)
                self._board[Cell.LAG] = self._cursor.lag
            elif ending and not self._cursor.lag:
                self._take([])  # gaps at the very end
                return balance(self._accounts, self._store, MOST_WRITERS)
            woken_ns = 0
            if len(records) < _FEW:
                waiting_ns = time.time_ns()
                woken_ns = time.time_ns() if self._cursor.wait(_WAIT_S) else 0
            elif len(records) < _BATCH:
                time.sleep(_NAP_S)

    def report(self, wrong: str) -> dict[str, object]:
        """What the result needs to know."""
        return {
            "wrong": wrong,
            "partitions": [{"read": account.read, "gaps": account.gaps} for account in self._accounts],
            "sources": [
                (source, end, account.missed[source])
                for account in self._accounts
                for source, end in account.ends.items()
            ],
            "lost": self._cursor.lost,
            "wake_ups_us": self._wake_ups_us,
        }

    def _take(self, records: list[Measurement]) -> None:
        """Enter what one read gave into the accounts of its partitions."""
        parts: list[list[Measurement]] = [[] for _ in self._accounts]
        number_of = self._number_of
        for record in records:
            parts[number_of(record[0]) % PARTITIONS].append(record)
        gaps = gaps_of(self._cursor._core.drain_gaps())  # all of them; `gaps` keeps only the newest
        for account, part, position in zip(self._accounts, parts, self._cursor.positions, strict=True):
            account.take(part, (gap for gap in gaps if gap.partition == account.partition), position // PARTITIONS)


def main() -> None:
    """Follow from the first ticket of every partition, whether it is still there or not."""
    store, board, _ = begin()
    with store, store.cursor(start=range(PARTITIONS)) as cursor:
        follower, wrong = Follower(store, cursor, board), ""
        try:
            follower.run()
        except Wrong as error:
            wrong = str(error)
            while not board.is_over(Cell.READERS_END):
                time.sleep(_WAIT_S)
        print(json.dumps(follower.report(wrong)))


if __name__ == "__main__":
    main()
