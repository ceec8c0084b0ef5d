"""The board: numbers that the processes show one another beside the store, in memory that the first one passes on.

A writer acknowledges each append here after it returned, so that this is known even of a writer that was killed.
"""

import mmap
import os
from enum import IntEnum

from demo.measurement import PARTITIONS, sources_of
from tests.helpers.accounting import WORDS, Ledger

MOST_WRITERS = 500
SOURCES = MOST_WRITERS * PARTITIONS
_LEDGER_FROM = 16  # the cells before are named by Cell
_BYTES = (_LEDGER_FROM + SOURCES * WORDS) * 8


class Cell(IntEnum):
    """The numbers that are not a writer's."""

    HAMMER_ENDS = 0
    SAMPLERS_END = 1
    READERS_END = 2
    FOLLOWED = 3
    LAG = 4
    SNAPSHOTS = 5
    SNAPSHOT_NS = 6
    SNAPSHOT_RECORDS = 7
    FIRST_PROCESS = 8  # the one that made the board, and started all others


class Board:
    """64-bit numbers by Cell, and the ledger of all writers."""

    def __init__(self, fd: int | None = None) -> None:
        """Map the board of this descriptor, or make one."""
        self.fd = os.memfd_create("board") if fd is None else fd
        os.ftruncate(self.fd, _BYTES)
        self._words = memoryview(mmap.mmap(self.fd, _BYTES)).cast("q")
        self.ledger = Ledger(SOURCES, self._words[_LEDGER_FROM:])
        if fd is None:
            self[Cell.FIRST_PROCESS] = os.getpid()

    def __getitem__(self, cell: Cell) -> int:
        return self._words[cell]

    def __setitem__(self, cell: Cell, value: int) -> None:
        self._words[cell] = value

    def acknowledged(self, writer: int) -> int:
        """How many appends of a writer returned."""
        return sum(map(self.ledger.returned, sources_of(writer)))

    def is_over(self, cell: Cell) -> bool:
        """Whether a worker that goes by this cell has to end: it was told to, or the demo itself is gone."""
        return bool(self._words[cell]) or os.getppid() != self._words[Cell.FIRST_PROCESS]
