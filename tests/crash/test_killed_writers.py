"""Writers that say what they appended, and are then killed: what they said is there, once.

They die at every named point of the core, several at once, while others append, read, repair or stand still; and at
random instants. An append that returned is read once, or newer records had taken its place before the reader came; and
every ticket is accounted for.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest

import shmstore
from shmstore import EventStore, Key, KeyTableFull, Record
from tests.helpers.effort import cases
from tests.helpers.points import EXIT, EXIT_CODE, points
from tests.helpers.processes import Child, Gate, eventually
from tests.helpers.promises import Follower, Promises
from tests.helpers.proofs import Proof

AT_ONCE = 8  # victims that run at the same time
STEPS = 16  # of a victim, at most
BATCH = 4  # records of an append_many
PARTITIONS = 2
SURVIVED = 5

OF_APPENDING = ["before claim", "claimed", "tail moved", "payload written"]
OF_REPAIRING = ["settle begun", "sweep", "reap swept", "place swept"]
OF_PLACES = ["entering", "entered", "left"]
OF_STALLING = ["skip marked", "skip counted", "late"]


class Campaign:
    """Batches of victims on one store, and the account of them all. Leaving its `with` block kills those that live."""

    def __init__(self, name: str, seed: int, *, slots: int, victims: int, appends: int) -> None:
        self.dice = random.Random(seed)
        self.store: EventStore[Any] = shmstore.create(
            name, Proof, capacity=slots * PARTITIONS, partitions=PARTITIONS, partition_by="explicit", processes=24
        )
        self.promises = Promises(victims, appends, PARTITIONS)
        self.follower = Follower(self.store, self.promises)
        self.victims = 0
        self.living: list[Child] = []
        self.deaths: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.living:
            child.kill()

    def start(self, life: Callable[[int, random.Random], int | None]) -> Child:
        """Start a victim: a function of its number and of dice of its own."""
        number, dice = self.victims, random.Random(self.dice.random())
        self.victims += 1
        child = Child(lambda: life(number, dice))
        self.living = [*(other for other in self.living if other.code is None), child]
        return child

    def finish(self, scorecard: Callable[..., None]) -> None:
        """Repair, read, and check the whole account."""
        self.store._core.reap()
        self.follower.read_out()
        assert self.store.check() == []
        self.follower.check()
        print(f"{self.deaths.total()} of {self.victims} died: {dict(self.deaths)}; {self.follower.reasons()}")
        print(f"{self.promises.refused()} times an append found every slot held")
        scorecard(1, kills=self.deaths.total(), lost=0, doubled=0)
        scorecard(7, tickets=len(self.follower.records) + len(self.follower.missed), unexplained=0)
        self.store.close()
        shmstore.unlink(self.store.name)


class CampaignAtPoints(Campaign):
    """Victims that die at named points."""

    def __init__(self, name: str, seed: int, *, slots: int, deaths: int, batch: int) -> None:
        super().__init__(name, seed, slots=slots, victims=3 * deaths, appends=STEPS * max(1, batch))
        self.batch = batch
        self.preloaded = points().attach(name)

    def work(self, store: EventStore[Any], writer: int, dice: random.Random) -> int:
        """The life of a victim, unless it dies before."""
        for _ in range(STEPS):
            partition, choice = dice.randrange(PARTITIONS), dice.random()
            if choice < 0.1:
                store._core.reap()
            elif choice < 0.2:
                store.close()
                store = points().attach(store.name)
            elif choice < 0.3 and self.batch:
                self.promises.append_many(store, writer, self.batch, partition)
            else:
                self.promises.append(store, writer, partition)
        return SURVIVED

    def victim(self, gate: Gate, point: str, number: int) -> Child:
        def life(writer: int, dice: random.Random) -> int:
            gate.wait()
            points().arm(point, dice.choice([1, 1, 2, 3, 5, 8]) if point in OF_APPENDING else 1, number)
            if number == signal.SIGSTOP and dice.random() < 0.5:
                points().arm("late")
            store = self.preloaded if dice.random() < 0.7 else points().attach(self.store.name)
            return self.work(store, writer, dice)

        return self.start(life)

    def run_batch(self, armed: list[tuple[str, int]]) -> None:
        """Let victims loose at once, each armed with a point and a signal; resume or kill those that stop."""
        gate = Gate()
        victims = [(self.victim(gate, point, number), point) for point, number in armed]
        gate.open()
        for victim, point in victims:
            if not victim.has_stopped():
                self.note(victim, point)
            self.follower.read()
        for victim, _ in victims:
            if victim.code is None and self.dice.random() < 0.3:
                victim.kill()
                self.note(victim, "stopped")
            elif victim.code is None:
                victim.resume()
                self.note(victim, "late")
        if self.dice.random() < 0.5:
            self.store._core.reap()
        self.follower.read_out()

    def note(self, victim: Child, point: str) -> None:
        assert victim.code in (-signal.SIGKILL, EXIT_CODE, SURVIVED)
        if victim.code != SURVIVED:
            self.deaths[point] += 1

    def finish(self, scorecard: Callable[..., None]) -> None:
        self.preloaded.close()
        super().finish(scorecard)


def test_no_append_that_returned_is_lost_or_doubled_when_writers_die_at_named_points(
    name: str, seed: int, scorecard: Callable[..., None]
) -> None:
    # Slots enough for all that a batch can append: nothing is overwritten unread, so every single record must be there.
    deaths = cases(full=2500, sample=650)
    places = [*OF_APPENDING * 3, *OF_REPAIRING, *OF_PLACES]
    with CampaignAtPoints(name, seed, slots=AT_ONCE * STEPS * BATCH, deaths=deaths, batch=BATCH) as campaign:
        dice = campaign.dice
        while campaign.deaths.total() < deaths:
            campaign.run_batch([(dice.choice(places), dice.choice([signal.SIGKILL, EXIT])) for _ in range(AT_ONCE)])
        campaign.finish(scorecard)
    assert set(campaign.deaths) == set(places), "points at which nobody died"


def test_the_account_balances_when_writers_die_or_stand_still_and_others_lap_them(
    name: str, seed: int, scorecard: Callable[..., None]
) -> None:
    # Slots so few that every append meets what others left: dead claims, stalled ones, and ones skipped.
    # Those that are off their processor may hold the rest: such an append is refused, and made again.
    deaths = cases(full=2100, sample=550)
    places = [*OF_APPENDING * 2, *OF_REPAIRING, *OF_STALLING[:2]]
    with CampaignAtPoints(name, seed, slots=4, deaths=deaths, batch=0) as campaign:
        dice = campaign.dice
        while campaign.deaths.total() < deaths:
            armed = [(dice.choice(places), dice.choice([signal.SIGKILL, EXIT])) for _ in range(AT_ONCE)]
            frozen = dice.randrange(3)
            armed[:frozen] = [("payload written", signal.SIGSTOP)] * frozen
            campaign.run_batch(armed)
        campaign.finish(scorecard)
    assert set(campaign.deaths) == {*places, "late", "stopped"}, "points at which nobody died"


def test_no_append_that_returned_is_lost_or_doubled_when_writers_are_killed_at_random_instants(
    name: str, seed: int, scorecard: Callable[..., None]
) -> None:
    kills, at_once, appends = cases(full=400, sample=100), 4, 600

    def life(writer: int, dice: random.Random) -> int:
        with shmstore.attach(name) as store:
            while campaign.promises.room(writer) > BATCH:
                if dice.random() < 0.1:
                    campaign.promises.append_many(store, writer, BATCH, dice.randrange(PARTITIONS))
                else:
                    campaign.promises.append(store, writer, dice.randrange(PARTITIONS))
        signal.pause()
        return SURVIVED

    with Campaign(name, seed, slots=at_once * appends, victims=kills, appends=appends) as campaign:
        while campaign.victims < kills:
            victims = [campaign.start(life) for _ in range(at_once)]
            for victim in victims:
                time.sleep(campaign.dice.random() * 0.002)
                assert victim.kill() == -signal.SIGKILL
            campaign.follower.read_out()
            if campaign.dice.random() < 0.5:
                campaign.store._core.reap()
        campaign.deaths["random"] = kills
        campaign.finish(scorecard)


def test_an_append_that_finds_every_slot_held_by_the_living_is_made_once_when_they_go_on(
    name: str, seed: int, scorecard: Callable[..., None]
) -> None:
    slots = 4
    with Campaign(name, seed, slots=slots, victims=slots + 1, appends=1) as campaign:

        def hold(writer: int, _: random.Random) -> None:
            points().arm("payload written", number=signal.SIGSTOP)
            campaign.promises.append(points().attach(name), writer, 0)

        holders = [campaign.start(hold) for _ in range(slots)]
        assert [holder.has_stopped() for holder in holders] == [True] * slots
        late = campaign.start(lambda writer, _: campaign.promises.append(shmstore.attach(name), writer, 0))
        assert eventually(lambda: campaign.promises.refused() > 1)
        assert [holder.resume() for holder in holders] == [0] * slots and late.wait() == 0
        assert campaign.store.statistics.total_appended == len(campaign.promises.returned_records()) == slots + 1
        campaign.finish(scorecard)


class Named(Record):
    key: Key
    value: float


@pytest.mark.parametrize("point", ["key reserved", "key written", "key published"])
def test_a_death_while_a_key_is_entered_leaves_the_table_whole(name: str, point: str) -> None:
    deaths, keys = 20, 30
    with shmstore.create(name, Named, capacity=8, partitions=1, keys=keys, processes=deaths) as store:
        with points().attach(name) as preloaded:

            def life(text: str) -> None:
                points().arm(point)
                preloaded.key(text)

            texts = [f"key {number}" for number in range(keys)]
            for text in texts[:deaths]:
                assert Child(lambda text=text: life(text)).wait() == -signal.SIGKILL
        assert store.check() == []
        numbers = [store.key(text) for text in texts]
        assert len(set(numbers)) == keys
        assert [store.keys()[number] for number in numbers] == texts
        with pytest.raises(KeyTableFull):
            for number in range(deaths + 1):  # a key whose publisher died before it counted it is one more
                store.key(f"too many {number}")
        store.append(key=texts[0], value=1.0)
        with shmstore.attach(name) as other:
            assert [record.key for record in other.snapshot()] == texts[:1]
        assert store.check() == []
        shmstore.unlink(name)
