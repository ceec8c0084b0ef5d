"""Counting a partition while others append, stall, die and are settled: ring_totals, by whoever asks.

What it says must have been so at some instant of the call: never more records than were appended in the end, never
fewer than before, and a partition's readable ones not more than that either.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.models.ring import ABANDONED, HELD, PUBLISHED, STALLED, VOID, WRITING, Ledger, Ring, Word, word_of
from tests.core.operations import (
    Program,
    Scenario,
    fence_acquire,
    load_acquire,
    load_relaxed,
    require,
    store_release,
)

ASKERS = (0, 1)


class Counted(NamedTuple):
    """What one call found."""

    appended: int
    length: int


class Looked(NamedTuple):
    """What the first loads of a look found."""

    skips: Ledger
    voids: Ledger
    until: int
    tail: int


class Totals(Ring):
    """The protocol as it is. A mutant is a class below it that does one thing otherwise."""

    def locations(self) -> dict[Any, Any]:
        return super().locations() | {("decided", asker): 0 for asker in ASKERS}

    def count(self, asker: int) -> Program:
        """ring_totals, without its limit of looks."""
        while True:
            skips = yield load_acquire("try_totals:ledgers", "skip_ledger")
            voids = yield load_acquire("try_totals:ledgers", "void_ledger")
            until = yield load_relaxed("try_totals:until", "voids_until")
            tail = yield load_acquire("try_totals:tail", "tail")
            counted = yield from self.try_totals(asker, Looked(skips, voids, until, tail))
            if counted:
                return counted

    def try_totals(self, asker: int, looked: Looked) -> Program:
        first = max(looked.tail - self.slots, 0)
        held = yield from self.holds_any(first, looked.tail, asker)
        words: tuple[Word, ...] = ()
        if held or self.is_lossy(looked):
            words = yield from self.words(first, looked.tail)
        _, slot = self.where(looked.tail)
        following = yield load_relaxed("try_totals:next", word_of(slot))
        fits = yield from self.look_again(looked)
        return self.judge(looked, first, words, following) if fits else None

    def is_lossy(self, looked: Looked) -> bool:
        """May any of the newest tickets have been skipped or voided?"""
        skipped_lately = looked.skips.count and looked.tail - looked.skips.names <= self.slots
        return bool(skipped_lately or looked.tail < looked.until)

    def holds_any(self, first: int, tail: int, asker: int) -> Program:
        known = yield load_relaxed("holds_any:known", ("decided", asker))
        decided = yield from self.find_held(self.begin_at(first, known, tail), tail)
        yield fence_acquire("holds_any:fence")
        yield store_release("holds_any:decided", ("decided", asker), decided)
        return decided < tail

    def begin_at(self, first: int, known: int, tail: int) -> int:
        return max(first, known)

    def find_held(self, ticket: int, tail: int) -> Program:
        while ticket < tail:
            _, slot = self.where(ticket)
            word = yield load_relaxed("holds_any:words", word_of(slot))
            if word.state in HELD:
                return ticket
            ticket += 1
        return ticket

    def words(self, first: int, tail: int) -> Program:
        found: tuple[Word, ...] = ()
        while first + len(found) < tail:
            _, slot = self.where(first + len(found))
            word = yield load_relaxed("try_totals:words", word_of(slot))
            found += (word,)
        return found

    def look_again(self, looked: Looked) -> Program:
        yield fence_acquire("try_totals:fence")
        skips = yield load_relaxed("try_totals:again", "skip_ledger")
        voids = yield load_relaxed("try_totals:again", "void_ledger")
        until = yield load_relaxed("try_totals:again", "voids_until")
        return (skips, voids, until) == looked[:3]

    def judge(self, looked: Looked, first: int, words: Sequence[Word], following: Word) -> Counted:
        """Without a floor: the oldest ticket is the first."""
        tail, voids = looked.tail, looked.voids
        skipped, voided, in_flight, missing, oldest_missing = looked.skips.count, voids.count, 0, 0, False
        skipped -= looked.skips.names == tail
        for ticket, word in enumerate(words, first):
            lap, _ = self.where(ticket)
            current, ahead = word.lap == lap, voids.names == tail and ticket + self.slots == tail
            in_flight += word.state == STALLED or (word.state == WRITING and current)
            if word.state == ABANDONED or (word.state == VOID and current):
                voided += not (ahead and current)
            if current and word.state != PUBLISHED:
                missing += 1
                oldest_missing |= ticket == first
        lap, _ = self.where(tail)
        claimed = following.lap >= lap and following.state != PUBLISHED
        missing += claimed and not oldest_missing and first + self.slots == tail
        return Counted(tail - skipped - voided - in_flight, tail - first - missing)

    # Threads.

    def counts(self, asker: int, times: int = 1, least: int = 0) -> Program:
        counted: tuple[Counted, ...] = ()
        while times:
            found = yield from self.count(asker)
            require(found.appended >= least, f"{least} were appended before, counted were {found}")
            require(0 <= found.length <= self.slots, f"the length of {self.slots} slots is {found}")
            counted, least, times = (*counted, found), found.appended, times - 1
        return counted

    def appends_and_counts(self, me: int, asker: int) -> Program:
        tickets = yield from self.appends(me)
        counted = yield from self.counts(asker, 1, len(tickets))
        return tickets + counted

    def settles(self) -> Program:
        """A reader that asks about ticket 0."""
        yield from self.explain(0, writable=True)
        return ()

    def at_rest(self, values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        rest = [result and tuple(one for one in result if not isinstance(one, Counted)) for result in results]
        super().at_rest(values, rest)
        appended = sum(isinstance(one, int) for result in rest for one in result or ())
        for one in (one for result in results for one in result or () if isinstance(one, Counted)):
            require(one.appended <= appended, f"{appended} were appended in the end, counted were {one}")
            require(one.length <= appended, f"{appended} were appended in the end, there were {one}")


def scenarios(model: type[Totals] = Totals) -> Mapping[str, Scenario]:
    one, two, patient = model(), model(slots=2), model(rounds=2)

    def counts(ring: Totals = one, asker: int = 0, times: int = 1, least: int = 0) -> Callable[[], Program]:
        return lambda: ring.counts(asker, times, least)

    def publishes(ring: Totals = one) -> Callable[[], Program]:
        return lambda: ring.publishes(0)

    def appends(me: int, count: int = 1, ring: Totals = one) -> Callable[[], Program]:
        return lambda: ring.appends(me, count)

    return {
        "a claim is settled": one.scenario(publishes(), one.settles, counts(times=2), mortal=[0], claimed=True),
        "the next lap meets the dead": one.scenario(publishes(), appends(1), counts(times=2), mortal=[0], claimed=True),
        "two askers share a memo": two.scenario(
            publishes(two), two.settles, counts(two), counts(two), mortal=[0], claimed=True
        ),
        "an appender dies": one.scenario(appends(0), counts(), mortal=[0]),
        "a slow writer is passed": patient.scenario(
            publishes(patient), appends(1, 1, patient), counts(patient), claimed=True
        ),
        "who appends counts": one.scenario(lambda: one.appends_and_counts(0, 0), lambda: one.appends_and_counts(1, 1)),
        "a full ring is appended to": two.scenario(appends(0, 2, two), counts(two, least=2), filled=True),
    }


class LooksOnce(Totals):
    """A look at words counts when no ledger changed and no settling began meanwhile."""

    def look_again(self, looked: Looked) -> Program:
        yield fence_acquire("try_totals:fence")
        return True


class LooksAtTheLedgersOnly(Totals):
    """Also that a settling began meanwhile is seen."""

    def look_again(self, looked: Looked) -> Program:
        yield fence_acquire("try_totals:fence")
        skips = yield load_relaxed("try_totals:again", "skip_ledger")
        voids = yield load_relaxed("try_totals:again", "void_ledger")
        return (skips, voids) == looked[:2]


class LooksAtWhatBegan(Totals):
    """Also that a ledger changed meanwhile is seen."""

    def look_again(self, looked: Looked) -> Program:
        yield fence_acquire("try_totals:fence")
        until = yield load_relaxed("try_totals:again", "voids_until")
        return until == looked.until


class CountsWhatIsNotThereYet(Totals):
    """What a ledger names at the tail is not handed out yet."""

    def judge(self, looked: Looked, first: int, words: Sequence[Word], following: Word) -> Counted:
        skips = looked.skips._replace(names=-1)
        return super().judge(looked._replace(skips=skips), first, words, following)


class CountsAVoidTwice(Totals):
    """A void ticket that a ledger has counted may still stand in its slot."""

    def judge(self, looked: Looked, first: int, words: Sequence[Word], following: Word) -> Counted:
        return super().judge(looked._replace(voids=looked.voids._replace(names=-1)), first, words, following)


class ForgetsVoidsTooEarly(Totals):
    """Voids are looked for until their slot is claimed over."""

    def is_lossy(self, looked: Looked) -> bool:
        return super().is_lossy(looked._replace(until=looked.until - 1))


class RemembersTheTail(Totals):
    """What is remembered as decided ends at the first ticket that is held."""

    def find_held(self, ticket: int, tail: int) -> Program:
        found = yield from super().find_held(ticket, tail)
        return max(found, tail)


BROKEN = {
    LooksOnce: "a claim is settled",
    LooksAtTheLedgersOnly: "a claim is settled",
    LooksAtWhatBegan: "the next lap meets the dead",
    CountsWhatIsNotThereYet: "the next lap meets the dead",
    CountsAVoidTwice: "the next lap meets the dead",
    ForgetsVoidsTooEarly: "a claim is settled",
    RemembersTheTail: "a claim is settled",
}
WEAKER = {
    "try_totals:ledgers acquire": "a slow writer is passed",
    "try_totals:tail acquire": "an appender dies",
    "try_totals:fence acquire": "the next lap meets the dead",
    "holds_any:fence acquire": "two askers share a memo",
    "holds_any:decided release": "two askers share a memo",
}
SUPERFLUOUS: Mapping[str, str] = {}
