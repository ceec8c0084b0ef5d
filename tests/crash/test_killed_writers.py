"""Writers that say what they appended and are then killed: what they said is there, once, and every ticket is accounted for.

They die at every named point of the core, several at once, while others append, read, repair, or stand still; and at
random instants. An append that returned is read once, or newer records had taken its place before the reader came.
"""

import random
import signal
import time
from collections import Counter
from typing import Any

import pytest

import shmstore
from shmstore import EventStore
from tests.helpers.accounting import Follower
from tests.helpers.points import EXIT, EXIT_CODE, Points, points
from tests.helpers.processes import Child, Gate, shared_numbers
from tests.helpers.proofs import Proof, proof

AT_ONCE = 8  # victims that run at the same time
STEPS = 16  # of a victim, at most; each appends at most BATCH records
BATCH = 4
PARTITIONS = 2
SURVIVED = 5

OF_APPENDING = ["before claim", "claimed", "tail moved", "payload written"]
OF_REPAIRING = ["settle begun", "sweep", "reap swept", "place swept"]
OF_PLACES = ["entering", "entered", "left"]
OF_STALLING = ["skip marked", "skip counted", "late"]


class Promises:
    """What one victim says of its appends, in memory that outlives it: those that began, and those that returned."""

    NUMBERS = 1 + STEPS * BATCH

    def __init__(self, writer: int, memory: memoryview) -> None:
        self.writer = writer
        self._began = memory[:1]
        self._returned = memory[1:]  # 0; 1 + position once it returned; -1 if its position is not told

    def append(self, store: EventStore[Any], partition: int) -> None:
        number = self._began[0]
        self._began[0] += 1
        self._returned[number] = 1 + store.append(proof(self.writer, number), partition=partition)

    def append_many(self, store: EventStore[Any], partition: int) -> None:
        numbers = range(self._began[0], self._began[0] + BATCH)
        self._began[0] += BATCH
        store.append_many([proof(self.writer, number) for number in numbers], partition=partition)
        for number in numbers:
            self._returned[number] = -1

    def began(self) -> set[tuple[int, int]]:
        return {(self.writer, number) for number in range(self._began[0])}

    def returned(self) -> dict[tuple[int, int], int | None]:
        """The appends that returned and their positions, None where unknown."""
        numbers = range(self._began[0])
        said = {(self.writer, number): self._returned[number] for number in numbers if self._returned[number]}
        return {record: None if position < 0 else position - 1 for record, position in said.items()}


def work(store: EventStore[Any], build: Points, promises: Promises, dice: random.Random, batches: bool) -> int:
    """The life of a victim, unless it dies before."""
    for _ in range(STEPS):
        partition, choice = dice.randrange(PARTITIONS), dice.random()
        if choice < 0.1:
            store._core.reap()
        elif choice < 0.2:
            store.close()
            store = build.attach(store.name)
        elif choice < 0.3 and batches:
            promises.append_many(store, partition)
        else:
            promises.append(store, partition)
    return SURVIVED


class Campaign:
    """Batches of victims on one store, and the account of them all."""

    def __init__(self, name: str, seed: int, slots: int, deaths: int) -> None:
        self.dice = random.Random(seed)
        self.store: EventStore[Any] = shmstore.create(
            name, Proof, capacity=slots * PARTITIONS, partitions=PARTITIONS, partition_by="explicit", processes=24
        )
        self.preloaded = points().attach(name)
        self.follower = Follower(self.store)
        self._memory = shared_numbers(2 * deaths * Promises.NUMBERS)
        self.promises: list[Promises] = []
        self.deaths: Counter[str] = Counter()

    def victim(self, gate: Gate, point: str, number: int, batches: bool) -> Child:
        start = len(self.promises) * Promises.NUMBERS
        promises = Promises(len(self.promises), self._memory[start : start + Promises.NUMBERS])
        self.promises.append(promises)
        dice = random.Random(self.dice.random())

        def life() -> int:
            gate.wait()
            points().arm(point, dice.choice([1, 1, 2, 3, 5, 8]) if point in OF_APPENDING else 1, number)
            store = self.preloaded if dice.random() < 0.7 else points().attach(self.store.name)
            return work(store, points(), promises, dice, batches)

        return Child(life)

    def run_batch(self, armed: list[tuple[str, int]], batches: bool) -> None:
        """Let victims loose at once, each armed with a point and a signal, and read meanwhile; resume the stopped."""
        gate = Gate()
        children = [self.victim(gate, point, number, batches) for point, number in armed]
        gate.open()
        stopped = []
        for child, (point, number) in zip(children, armed, strict=True):
            if number == signal.SIGSTOP:
                if child.has_stopped():
                    stopped.append(child)
            elif child.wait() in (-signal.SIGKILL, EXIT_CODE):
                self.deaths[point] += 1
            self.follower.read()
        for child in stopped:
            if self.dice.random() < 0.5:
                child.kill()
                self.deaths["stopped"] += 1
            else:
                assert child.resume() == SURVIVED
        assert {child.wait() for child in children} <= {-signal.SIGKILL, EXIT_CODE, SURVIVED}
        if self.dice.random() < 0.5:
            self.store._core.reap()
        self.follower.read_out()

    def finish(self) -> None:
        """Repair, read, and check the whole account."""
        self.store._core.reap()
        self.follower.read_out()
        assert self.store.check() == []
        self.follower.check_account()
        self.follower.check_acknowledged({k: v for promises in self.promises for k, v in promises.returned().items()})
        began = set[tuple[int, int]]().union(*(promises.began() for promises in self.promises))
        assert set(self.follower.records.values()) <= began, "records that nobody wrote"
        print("deaths:", dict(self.deaths), self.store.statistics)
        self.preloaded.close()
        self.store.close()
        shmstore.unlink(self.store.name)


def test_no_append_that_returned_is_lost_or_doubled_when_writers_die_at_named_points(name: str, seed: int) -> None:
    # Slots enough for all that a batch can append: nothing is overwritten unread, so every single record must be there.
    campaign = Campaign(name, seed, slots=AT_ONCE * STEPS * BATCH, deaths=2500)
    places = [*OF_APPENDING * 3, *OF_REPAIRING, *OF_PLACES]
    while campaign.deaths.total() < 2500:
        armed = [(campaign.dice.choice(places), campaign.dice.choice([signal.SIGKILL, EXIT])) for _ in range(AT_ONCE)]
        campaign.run_batch(armed, batches=True)
    campaign.finish()
    assert set(campaign.deaths) == set(places), "points at which nobody died"


def test_the_account_balances_when_writers_die_or_stand_still_and_others_lap_them(name: str, seed: int) -> None:
    # Slots so few that every append meets what others left: dead claims, stalled ones, and ones skipped.
    campaign = Campaign(name, seed, slots=4, deaths=2100)
    places = [*OF_APPENDING * 2, *OF_REPAIRING, *OF_STALLING]
    while campaign.deaths.total() < 2100:
        armed = [(campaign.dice.choice(places), campaign.dice.choice([signal.SIGKILL, EXIT])) for _ in range(AT_ONCE)]
        frozen = campaign.dice.randrange(3)
        armed[:frozen] = [("payload written", signal.SIGSTOP)] * frozen
        campaign.run_batch(armed, batches=False)
    campaign.finish()
    assert set(campaign.deaths) - {"stopped"} >= {*OF_APPENDING, *OF_STALLING, "settle begun"}
