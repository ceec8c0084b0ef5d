"""What the processes of a run share: the store's name, the ledger, the orders to end, and figures."""

from dataclasses import dataclass
from enum import IntEnum
from random import Random
from typing import Any

from shmstore import EventStore
from stress.event import PARTITIONS
from tests.helpers.accounting import Ledger
from tests.helpers.processes import shared_numbers

CALM = 0
"""Nothing is overwritten unread in this partition, as writers wait for readers there: every record must come."""

_DOOMED = 0.5  # of all writers

PLANTS = ("torn", "lost", "doubled", "foreign")


class Word(IntEnum):
    """Numbers that all processes see."""

    ENDS = 0  # writers, observers and coordinators have to end
    RESTS = 1  # nobody writes any more; readers read out, balance and end
    SNAPSHOTS = 2
    COPIED = 3
    CLEARED = 4  # times
    ATTACHED = 5  # times
    PLANTED = 6
    READERS = 7  # from here on, for each reader: how many records it read, and where it is in CALM


@dataclass
class Shared:
    """Made before anyone is forked. The store's handle is inherited: some use it, others attach by themselves."""

    store: EventStore[Any]
    lives: int
    """For how many writers the ledger has room."""
    seed: int
    readers: int
    batch: int
    """The most records of one append_many."""
    plant: str | None = None
    preloaded: EventStore[Any] | None = None
    """A handle of the core with named points, if some writers are to die at one."""

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.lives * PARTITIONS)
        self.words = shared_numbers(Word.READERS + 2 * self.readers)
        self._room = self.store.capacity // PARTITIONS // 2

    def dice(self, *names: object) -> Random:
        """Dice for one purpose: the same throws for the same seed."""
        return Random("/".join(map(str, (self.seed, *names))))

    def is_doomed(self, writer: int) -> bool:
        """Whether this writer will die at a named point of the core."""
        return self.preloaded is not None and self.dice("doom", writer).random() < _DOOMED

    def add(self, word: Word, count: int = 1) -> None:
        """Count something. Of two counts at the same instant one may be lost: they are only shown to people."""
        self.words[word] += count

    def show_reader(self, reader: int, read: int, calm_ticket: int) -> None:
        self.words[Word.READERS + 2 * reader] = read
        self.words[Word.READERS + 2 * reader + 1] = calm_ticket

    def read(self) -> int:
        """How many records all readers together have read."""
        return sum(self.words[Word.READERS :: 2])

    def calm_has_room(self, store: EventStore[Any]) -> bool:
        """Whether the slowest reader is near enough that a batch of every writer overwrites nothing unread."""
        tail = store._core.totals()[CALM].tail
        return tail - min(self.words[Word.READERS + 1 :: 2]) < self._room
