"""The board: numbers that the processes show one another beside the store, in memory that they inherit from the first.

A writer acknowledges here what `append` returned for, so what was acknowledged is known even of one that was killed.
"""

import mmap
import os
from collections.abc import Callable
from enum import IntEnum

_WORD_BYTES = 8
_WRITERS_FROM = 16  # the cells before are named by Cell
_WRITER_WORDS = 4
MOST_WRITERS = 500
_BYTES = (_WRITERS_FROM + MOST_WRITERS * _WRITER_WORDS) * _WORD_BYTES


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
    FIRST_PROCESS = 8  # who made the board, and started all others


class Board:
    """Unsigned 64-bit numbers by Cell, and for each writer the last append that it acknowledged."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._words = memoryview(mmap.mmap(fd, _BYTES)).cast("Q")

    @classmethod
    def make(cls) -> "Board":
        """A new board; others map it by its descriptor."""
        fd = os.memfd_create("board")
        os.ftruncate(fd, _BYTES)
        board = cls(fd)
        board[Cell.FIRST_PROCESS] = os.getpid()
        return board

    def __getitem__(self, cell: Cell) -> int:
        return self._words[cell]

    def __setitem__(self, cell: Cell, value: int) -> None:
        self._words[cell] = value

    def is_over(self, cell: Cell) -> bool:
        """Whether a worker that goes by this cell has to end: it was told to, or the demo itself is gone."""
        return bool(self._words[cell]) or os.getppid() != self._words[Cell.FIRST_PROCESS]

    def acknowledger(self, writer: int) -> Callable[[int, int], None]:
        """A function (sequence, position) that acknowledges, in an order that a death between two stores cannot spoil.

        The position goes where the previous one is not; then the sequence says which of the two holds.
        """
        words, base = self._words, _WRITERS_FROM + writer * _WRITER_WORDS

        def acknowledge(sequence: int, position: int) -> None:
            words[base + 1 + (sequence & 1)] = position
            words[base] = sequence

        return acknowledge

    def acknowledged(self, writer: int) -> tuple[int, int]:
        """The sequence of a writer's last acknowledged append (0: none) and its position."""
        base = _WRITERS_FROM + writer * _WRITER_WORDS
        sequence = self._words[base]
        return sequence, self._words[base + 1 + (sequence & 1)]
