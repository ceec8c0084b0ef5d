"""The process table: entering, leaving, being taken for dead, and repair; the numbers are the sentences of process.h.

It adds to the ring how a process learns that an owner is dead: from the word of its place, and from the byte lock that the
kernel drops. An owner is a place and its generation, of which a slot word bears only the low bit here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.explorer import (
    FREE,
    Program,
    Scene,
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
from tests.core.models.ring import HELD, Ring, Word, word_of

PLACE_FREE, PLACE_ENTERING, PLACE_USED = "PLACE_FREE", "PLACE_ENTERING", "PLACE_USED"


class Place(NamedTuple):
    generation: int
    state: str


def place_of(index: int) -> tuple[str, int]:
    return "place", index


def lock_of(index: int) -> tuple[str, int]:
    return "lock", index


def owner_of(index: int, place: Place) -> tuple[int, int]:
    return index, place.generation % 2


class Processes(Ring):
    """The protocol as it is. Place 0 changes hands; place 1 belongs to thread 1 all the time."""

    def locations(self) -> dict[Any, Any]:
        places = {place_of(0): Place(0, PLACE_FREE), place_of(1): Place(1, PLACE_USED)}
        return super().locations() | places | {lock_of(0): FREE, lock_of(1): 1, "fields": 0}

    # [2] Entering and leaving.

    def enter(self, index: int) -> Program:
        """Returns the owner, or None when somebody holds the place."""
        locked = yield lock(lock_of(index))
        if not locked:
            return None
        owner = yield from self.take_place(index)
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
        yield store_relaxed("", "fields", generation)
        yield store_release("take_place:used", place_of(index), Place(generation, PLACE_USED))
        return owner_of(index, Place(generation, PLACE_USED))

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
        held = yield is_locked(lock_of(index))
        if held:
            return
        locked = yield lock(lock_of(index))
        if locked:
            yield from self.repair(index)
            yield unlock(lock_of(index))

    def repair(self, index: int) -> Program:
        place = yield load_acquire("", place_of(index))
        if place.state != PLACE_FREE:
            yield from self.sweep(owner_of(index, place))
            yield store_release("processes_reap:free", place_of(index), Place(place.generation, PLACE_FREE))

    def fields(self, index: int) -> Program:
        """What the binding tells people of a place: the fields of one incarnation."""
        before = yield load_acquire("place_object:word", place_of(index))
        fields = yield load_relaxed("", "fields")
        yield fence_acquire("place_object:fence")
        after = yield load_relaxed("", place_of(index))
        if before == after and before.state == PLACE_USED:
            require(fields == before.generation, f"place {before} is described by the fields of {fields}")

    # What must hold.

    def at_rest(self, values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        super().at_rest(values, results)
        for slot in range(self.slots):
            word: Word = values[word_of(slot)]
            if word.state in HELD:
                index, _ = word.owner
                place, holder = values[place_of(index)], values[lock_of(index)]
                gone = place.state == PLACE_FREE or owner_of(index, place) != word.owner
                require(not gone, f"{word} is held by a process that has left its place, now {place}")
                require(place.state != PLACE_USED or self.holds(holder, word, results), f"{word} is nobody's")

    def holds(self, holder: Any, word: Word, results: Sequence[Any]) -> bool:
        """Who holds the place's lock and has ended holds no slot."""
        return holder is FREE or results[holder] is None

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

    def reaps(self) -> Program:
        yield from self.reap(0)
        return ()

    def looks_at_fields(self) -> Program:
        yield from self.fields(0)
        return ()

    def stage(self, *programs: Any, mortal: Sequence[int] = (), holder: int | None = None) -> Scene:
        """A scene in which thread `holder` has entered place 0 already."""
        shared = self.locations()
        if holder is not None:
            shared |= {place_of(0): Place(1, PLACE_USED), lock_of(0): holder, "fields": 1}
        return Scene(shared, programs, frozenset(mortal), frozenset({lock_of(0), lock_of(1)}), at_rest=self.at_rest)


FIRST = (0, 1)  # the owner of place 0 in its first generation
SECOND = (1, 1)


def scenes(model: type[Processes] = Processes) -> Mapping[str, Scene]:
    table = model()

    def first() -> Program:
        return table.appends(FIRST)

    def other() -> Program:
        return table.appends(SECOND)

    enters, leaves = table.enters_and_appends, table.appends_and_leaves
    return {
        "a new owner is met": table.stage(enters, other),
        "a new owner is read": table.stage(enters, other, lambda: table.reads(0)),
        "a reader meets who leaves": table.stage(leaves, other, lambda: table.reads(0, 1, False)),
        "a place changes hands": table.stage(first, enters, mortal=[0], holder=0),
        "two repair": table.stage(first, table.reaps, table.reaps, mortal=[0, 1], holder=0),
        "a repairer meets an appender": table.stage(first, other, table.reaps, mortal=[0], holder=0),
        "a place changes hands twice": table.stage(first, enters, enters, mortal=[0, 1], holder=0),
        "people look": table.stage(first, enters, table.looks_at_fields, mortal=[0], holder=0),
    }


BROKEN: dict[type[Processes], str] = {}
