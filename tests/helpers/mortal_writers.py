"""Writers without end beside readers: a steady one, and others that are killed or stopped, and replaced."""

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import shmstore
from shmstore import EventStore
from tests.helpers.processes import Child, shared_numbers

STEADY, CONTENDED = 0, 1
"""Partitions. STEADY has one writer, so the number of each record is its ticket; CONTENDED has several, which die."""

Burst = Callable[[EventStore[Any], int, int, int], int]
"""Appends records of a writer, from a number on, to a partition of a store; returns how many."""


class Writers:
    """One writer of STEADY, and several of CONTENDED that are killed or stopped by `disturb`."""

    def __init__(self, name: str, dice: random.Random, steady: Burst, mortal: Sequence[Burst], killed: float) -> None:
        self.count = 0
        self._name, self._dice, self._killed = name, dice, killed
        self._ends = shared_numbers(1)
        self._bursts = mortal
        self._steady = self._start(STEADY, steady)
        self._mortal = [self._start(CONTENDED, burst) for burst in mortal]

    def _start(self, partition: int, burst: Burst) -> Child:
        writer = self.count
        self.count += 1

        def life() -> None:
            number = 0
            with shmstore.attach(self._name) as store:
                while not self._ends[0]:
                    number += burst(store, writer, number, partition)

        return Child(life)

    def disturb(self) -> None:
        """Kill one of the mortal writers, which another replaces, or let one stand still for a moment."""
        turn = self._dice.randrange(len(self._mortal))
        if self._dice.random() < self._killed:
            assert self._mortal[turn].kill() == -signal.SIGKILL
            self._mortal[turn] = self._start(CONTENDED, self._bursts[turn])
        else:
            self._mortal[turn].send(signal.SIGSTOP)
            time.sleep(self._dice.random() * 0.02)
            self._mortal[turn].send(signal.SIGCONT)

    def end(self) -> None:
        """Let all come to their ends."""
        self._ends[0] = 1
        assert {writer.wait() for writer in [self._steady, *self._mortal]} == {0}

    def kill(self) -> None:
        for writer in [self._steady, *self._mortal]:
            writer.kill()


@contextmanager
def writing(
    store: EventStore[Any], dice: random.Random, steady: Burst, mortal: Sequence[Burst], *, killed: float
) -> Iterator[Writers]:
    """Writers at work; of what disturbs them, a share of `killed` are deaths."""
    writers = Writers(store.name, dice, steady, mortal, killed)
    try:
        yield writers
    finally:
        writers.kill()
