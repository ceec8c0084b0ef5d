"""The snapshotter, which copies the whole store once a second and looks at every record: NAME DESCRIPTOR.

It is attached for reading only, as an observer should be. Its report is a JSON object on standard output.
"""

import json
import time
from functools import cache

from demo.board import Cell
from demo.measurement import identifier
from demo.worker import begin
from tests.helpers.accounting import Wrong, check_order

_EVERY_S = 1.0
_GLANCE_S = 0.05


def main() -> None:
    """Take snapshots until told to end."""
    store, board, _ = begin(read_only=True)
    times_ms, records, wrong = [], 0, ""
    with store:
        identify = identifier(cache(store.key))
        while not board.is_over(Cell.READERS_END):
            start_s = time.perf_counter()
            snapshot = store.snapshot()
            took_s = time.perf_counter() - start_s
            times_ms.append(took_s * 1e3)
            board[Cell.SNAPSHOT_NS], board[Cell.SNAPSHOT_RECORDS] = int(took_s * 1e9), len(snapshot)
            board[Cell.SNAPSHOTS] += 1
            records += len(snapshot)
            try:
                check_order(snapshot, identify)
            except Wrong as error:
                wrong = f"in a snapshot: {error}"
            while time.perf_counter() < start_s + _EVERY_S and not board.is_over(Cell.READERS_END):
                time.sleep(_GLANCE_S)
    print(json.dumps({"times_ms": times_ms, "records": records, "wrong": wrong}))


if __name__ == "__main__":
    main()
