"""The process table: entering, leaving, being taken for dead, and repair; the numbers are the sentences of process.h.

It adds to the ring how a process learns that an owner is dead: from the word of its place, and from the byte lock that
the kernel drops. An owner is a place and its generation, of which a slot word bears only the low bit here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.models.ring import HELD, Ring, Word, word_of
from tests.core.operations import (
    FREE,
    Program,
    Scenario,
    fence_acquire,
    fence_release,
    is_locked,
    load_acquire,
    load_relaxed,
    lock,
    require,
    store_relaxed,
    store_release,
    unlock,
)

PLACE_FREE, PLACE_ENTERING, PLACE_USED = "PLACE_FREE", "PLACE_ENTERING", "PLACE_USED"


class Place(NamedTuple):
    generation: int
    state: str


def place_of(index: int) -> tuple[str, int]:
    return "place", index


def lock_of(index: int) -> tuple[str, int]:
    return "lock", index


def repair_lock_of(index: int) -> tuple[str, int]:
    return "repair lock", index


def owner_of(index: int, place: Place) -> tuple[int, int]:
    return index, place.generation % 2


class Processes(Ring):
    """The protocol as it is. Place 0 changes hands; place 1 belongs to thread 1 all the time."""

    def locations(self) -> dict[Any, Any]:
        places = {place_of(0): Place(0, PLACE_FREE), place_of(1): Place(1, PLACE_USED)}
        locks = {lock_of(0): FREE, lock_of(1): 1, repair_lock_of(0): FREE}
        return super().locations() | places | locks | {"pid": 0, "start_time": 0, "own": None}

    # [2] Entering and leaving.

    def enter(self, index: int) -> Program:
        """Returns the owner, or None when somebody holds the place."""
        locked = yield lock(lock_of(index))
        if not locked:
            return None
        in_turn = yield lock(repair_lock_of(index))
        if not in_turn:
            yield unlock(lock_of(index))
            return None
        owner = yield from self.take_place(index)
        yield unlock(repair_lock_of(index))
        return owner

    def take_place(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        if place.state == PLACE_USED:
            yield from self.sweep(owner_of(index, place))
        raised = yield from self.describe(index, place.generation + 1)
        return raised

    def describe(self, index: int, generation: int) -> Program:
        yield store_relaxed("take_place:entering", place_of(index), Place(generation, PLACE_ENTERING))
        yield fence_release("take_place:fence")
        last = yield load_relaxed("", "pid")
        yield store_relaxed("", "pid", last + 1)
        yield store_relaxed("", "start_time", last + 1)
        yield store_release("take_place:used", place_of(index), Place(generation, PLACE_USED))
        owner = owner_of(index, Place(generation, PLACE_USED))
        yield store_release("take_place:own", "own", owner)  # for the other threads of the process
        return owner

    def leave(self, index: int) -> Program:
        place = yield load_relaxed("", place_of(index))
        yield store_release("processes_leave:free", place_of(index), Place(place.generation, PLACE_FREE))
        yield unlock(lock_of(index))

    # [3] Dead?

    def is_dead(self, owner: Any) -> Program:
        index, _ = owner
        place = yield load_acquire("processes_is_dead:word", place_of(index))
        if place.state == PLACE_FREE or owner_of(index, place) != owner:
            return True
        locked = yield is_locked(lock_of(index))
        return not locked

    # [4] Repair.

    def sweep(self, owner: Any) -> Program:
        for slot in range(self.slots):
            settled = False
            while not settled:
                word = yield load_acquire("ring_sweep:word", word_of(slot))
                settled = word.state not in HELD or word.owner != owner
                if not settled:
                    yield from self.settle(slot, word)

    def reap(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        if place.state == PLACE_FREE:
            return
        in_turn = yield lock(repair_lock_of(index))
        if in_turn:
            yield from self.repair(index)
            yield unlock(repair_lock_of(index))

    def repair(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        held = yield is_locked(lock_of(index))
        if place.state != PLACE_FREE and not held:
            yield from self.sweep(owner_of(index, place))
            yield store_release("processes_reap:free", place_of(index), Place(place.generation, PLACE_FREE))

    def fields(self, index: int) -> Program:
        """What the binding tells people of a place: the fields of one incarnation."""
        before = yield load_acquire("", place_of(index))
        pid = yield load_relaxed("", "pid")
        start_time = yield load_relaxed("", "start_time")
        yield fence_acquire("place_object:fence")
        after = yield load_relaxed("", place_of(index))
        if before == after and before.state == PLACE_USED:
            require(pid == start_time, f"{before} has the pid of incarnation {pid}, the start time of {start_time}")

    # What must hold.

    def at_rest(self, values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        super().at_rest(values, results)
        for slot in range(self.slots):
            word: Word = values[word_of(slot)]
            if word.state in HELD:
                index, _ = word.owner
                place = values[place_of(index)]
                gone = place.state == PLACE_FREE or owner_of(index, place) != word.owner
                require(not gone, f"{word} is held by a process that has left its place, now {place}")

    def has_ended(self, owner: Any, values: Mapping[Any, Any], results: Sequence[Any]) -> bool:
        holder = values[lock_of(owner[0])]
        return holder is not FREE and all(result is not None for result in results)

    # Threads.

    def enters_and_appends(self, index: int = 0) -> Program:
        owner = yield from self.enter(index)
        if owner is None:
            return ()
        tickets = yield from self.appends(owner)
        return tickets

    def appends_and_leaves(self, index: int = 0) -> Program:
        tickets = yield from self.enters_and_appends(index)
        if tickets:
            yield from self.leave(index)
        return tickets

    def only_enters(self) -> Program:
        yield from self.enter(0)
        return ()

    def appends_beside(self) -> Program:
        """Another thread of the process that enters place 0."""
        owner = yield load_acquire("processes_owner:own", "own")
        if owner is None:
            return ()
        tickets = yield from self.appends(owner)
        return tickets

    def reaps(self) -> Program:
        yield from self.reap(0)
        return ()

    def looks_at_fields(self) -> Program:
        yield from self.fields(0)
        return ()

    def scenario(self, *programs: Any, mortal: Sequence[int] = (), holder: int | None = None) -> Scenario:
        """A scenario in which thread `holder` has entered place 0 already."""
        shared = self.locations()
        if holder is not None:
            shared |= {place_of(0): Place(1, PLACE_USED), lock_of(0): holder}
        locks = frozenset({lock_of(0), lock_of(1), repair_lock_of(0)})
        return Scenario(shared, programs, frozenset(mortal), locks, at_rest=self.at_rest)


# One rule broken each; the docstring is the rule.


class KeepsTheGeneration(Processes):
    """The generation rises with every holder of a place."""

    def describe(self, index: int, generation: int) -> Program:
        owner = yield from super().describe(index, max(generation - 1, 1))
        return owner


class SweepsAfterTheGeneration(Processes):
    """What the last holder left is settled before the generation rises."""

    def take_place(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        owner = yield from self.describe(index, place.generation + 1)
        if place.state == PLACE_USED:
            yield from self.sweep(owner_of(index, place))
        return owner


class SweepsNothing(Processes):
    """Who takes over a place settles what its last holder left."""

    def sweep(self, owner: Any) -> Program:
        yield from ()


class SweepsOnce(Processes):
    """A sweep looks at a slot until it is no longer the dead one's: an appender may mark it meanwhile."""

    def sweep(self, owner: Any) -> Program:
        word = yield load_acquire("ring_sweep:word", word_of(0))
        if word.state in HELD and word.owner == owner:
            yield from self.settle(0, word)


class FreesBeforeTheSweep(Processes):
    """A place is freed when all is settled."""

    def repair(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        if place.state != PLACE_FREE:
            yield store_release("processes_reap:free", place_of(index), Place(place.generation, PLACE_FREE))
            yield from self.sweep(owner_of(index, place))


class RepairsWithoutTheLock(Processes):
    """Who repairs holds the repair lock of the place."""

    def reap(self, index: int) -> Program:
        yield from self.repair(index)


class EntersWithoutTheRepairLock(Processes):
    """Who enters holds the repair lock of the place too: a repairer may have found it dead before."""

    def enter(self, index: int) -> Program:
        locked = yield lock(lock_of(index))
        if not locked:
            return None
        owner = yield from self.take_place(index)
        return owner


class RepairsUnderTheLockOfLife(Processes):
    """To repair a place makes nobody look alive: a repairer may stand still for ever."""

    def reap(self, index: int) -> Program:
        locked = yield lock(lock_of(index))
        if locked:
            holder_is_dead = yield from self.is_dead(FIRST)
            require(holder_is_dead, "the dead holder of a place looks alive while a repairer has its lock")
            yield unlock(lock_of(index))


class RepairsWhatItSawBefore(Processes):
    """Who repairs looks at the place again when it has the lock."""

    def reap(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        held = yield is_locked(lock_of(index))
        in_turn = yield lock(repair_lock_of(index))
        if in_turn and not held:
            yield from self.sweep(owner_of(index, place))
            yield store_release("processes_reap:free", place_of(index), Place(place.generation, PLACE_FREE))
        if in_turn:
            yield unlock(repair_lock_of(index))


class TakesNoAnswerForDeath(Processes):
    """A question that cannot be asked, as through another file's descriptor, is answered "alive"."""

    def is_dead(self, owner: Any) -> Program:
        index, _ = owner
        place = yield load_acquire("processes_is_dead:word", place_of(index))
        return place.state == PLACE_FREE or owner_of(index, place) != owner or True


class AppendsAsNobody(Processes):
    """A process whose owner is not there, as after a fork, appends nothing."""

    def appends_beside(self) -> Program:
        yield load_acquire("processes_owner:own", "own")
        tickets = yield from self.appends((0, 0))
        return tickets


class EntersWithoutTheLock(Processes):
    """A place belongs to who holds its lock."""

    def enter(self, index: int) -> Program:
        held = yield is_locked(lock_of(index))
        if held:
            return None
        owner = yield from self.take_place(index)
        return owner


class UnlocksBeforeFreeing(Processes):
    """Only the holder of its lock writes a place."""

    def leave(self, index: int) -> Program:
        place = yield load_relaxed("", place_of(index))
        yield unlock(lock_of(index))
        yield store_release("processes_leave:free", place_of(index), Place(place.generation, PLACE_FREE))


class LeavesBeforePublishing(Processes):
    """Nobody leaves while an append of its process runs."""

    def append(self, me: Any) -> Program:
        claim = yield from self.claim_next(me)
        if claim is None:
            return None
        ticket, _ = claim
        lap, slot = self.where(ticket)
        if me == FIRST:
            yield from self.leave(0)
        yield from self.write_and_publish(me, ticket, lap, slot)
        return ticket


class CallsTheSlowDead(Processes):
    """Who holds its lock is alive."""

    def is_dead(self, owner: Any) -> Program:
        yield from ()
        return True


FIRST = (0, 1)  # the owner of place 0 in its first generation
SECOND = (1, 1)


def scenarios(model: type[Processes] = Processes) -> Mapping[str, Scenario]:
    table = model()

    def first() -> Program:
        return table.appends(FIRST)

    def other() -> Program:
        return table.appends(SECOND)

    enters, leaves = table.enters_and_appends, table.appends_and_leaves
    return {
        "a new owner is met": table.scenario(enters, other),
        "a new owner is read": table.scenario(enters, other, lambda: table.reads(0)),
        "a reader meets who leaves": table.scenario(leaves, other, lambda: table.reads(0, 1, False)),
        "a place changes hands": table.scenario(first, enters, mortal=[0], holder=0),
        "one leaves and another enters": table.scenario(leaves, enters, mortal=[1]),
        "two repair": table.scenario(first, table.reaps, table.reaps, mortal=[0, 1], holder=0),
        "a repairer meets an appender": table.scenario(first, other, table.reaps, mortal=[0], holder=0),
        "a place changes hands twice": table.scenario(first, enters, enters, mortal=[0, 1], holder=0),
        "a process has two threads": table.scenario(table.only_enters, other, table.appends_beside),
        "a repairer is late": table.scenario(first, enters, table.reaps, mortal=[0, 1], holder=0),
        "people look": table.scenario(first, enters, table.looks_at_fields, mortal=[0], holder=0),
    }


BROKEN = {
    KeepsTheGeneration: "people look",
    SweepsAfterTheGeneration: "a place changes hands twice",
    SweepsNothing: "two repair",
    SweepsOnce: "a repairer meets an appender",
    FreesBeforeTheSweep: "two repair",
    RepairsWithoutTheLock: "a repairer is late",
    EntersWithoutTheRepairLock: "a repairer is late",
    RepairsUnderTheLockOfLife: "two repair",
    TakesNoAnswerForDeath: "a new owner is met",
    AppendsAsNobody: "a process has two threads",
    RepairsWhatItSawBefore: "a repairer is late",
    EntersWithoutTheLock: "a place changes hands twice",
    UnlocksBeforeFreeing: "one leaves and another enters",
    LeavesBeforePublishing: "a new owner is met",
    CallsTheSlowDead: "a new owner is met",
}
WEAKER = {
    "claim_next:claim release": "a process has two threads",
    "processes_is_dead:word acquire": "a reader meets who leaves",
    "processes_leave:free release": "a reader meets who leaves",
    "place_object:fence acquire": "people look",
    "take_place:fence release": "people look",
    "take_place:used release": "people look",
    "processes_owner:own acquire": "a process has two threads",
}
SUPERFLUOUS = {
    "pass_held:fence acquire": "the word is of a ticket below the tail, which was read by an acquire and moved by its "
    "claimer, or by who had seen the claim (help:fence)",
    "explain:word acquire": "as for pass_held:fence",
    "take_place:own release": "take_place:fence stands before it: the place is seen as ENTERING at least, and alive",
    "processes_reap:free release": "its holder was dead before, too; the lock orders what comes after",
    "ring_sweep:word acquire": "the lock that the dead lost shows all that they did; the exchange has the last word",
}
