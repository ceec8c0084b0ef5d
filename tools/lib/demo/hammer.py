"""The hammering writer, which appends as fast as it can: NAME DESCRIPTOR WRITER.

Its measurements are its own: how long after the one before each append was made.
"""

import os
from itertools import repeat

from demo.board import Cell
from demo.measurement import HAMMER_METRICS
from demo.worker import begin, writer

_ROUNDS = 250  # between two looks at the board
_NICENESS = 10  # where cores are few, it must not starve the processes that watch it


def main() -> None:
    """Write to every partition in turn until told to end, or killed."""
    os.nice(_NICENESS)
    store, board, arguments = begin()
    with store:
        write = writer(store, board, int(arguments[0]))
        keys = [store.key(metric) for metric in HAMMER_METRICS]
        before_ns = now_ns = write(keys[0], 0.0)
        while not board.is_over(Cell.HAMMER_ENDS):
            for _ in repeat(None, _ROUNDS):
                for key in keys:
                    before_ns, now_ns = now_ns, write(key, float(now_ns - before_ns))


if __name__ == "__main__":
    main()
