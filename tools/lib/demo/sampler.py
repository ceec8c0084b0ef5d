"""A writer that samples this machine: NAME DESCRIPTOR WRITER NUMBER COUNT."""

import time

from demo.board import Cell
from demo.gauges import share
from demo.worker import begin, writer

_EVERY_S = 0.05


def main() -> None:
    """Write one round of measurements after another until told to end."""
    store, board, arguments = begin()
    name, number, count = map(int, arguments)
    with store:
        write = writer(store, board, name)
        gauges = share(number, count)
        while not board.is_over(Cell.SAMPLERS_END):
            for gauge in gauges:
                for metric, value in gauge():
                    write(store.key(metric), value)
            time.sleep(_EVERY_S)


if __name__ == "__main__":
    main()
