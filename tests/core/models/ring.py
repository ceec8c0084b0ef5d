"""The ring: claim, publish, read, settle and count. The numbers are the sentences at the top of ring.h.

One partition; a payload is one unit, which bears its record's ticket: a copy is whole, its own and not stale exactly
when it is that ticket. Owners are threads; the kernel says at once who is dead (the way there is in process.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.operations import (
    Program,
    Scenario,
    add_relaxed,
    cas_acq_rel,
    cas_release,
    fence_acquire,
    fence_release,
    is_dead,
    load_acquire,
    load_relaxed,
    require,
    store_relaxed,
)

EMPTY, WRITING, PUBLISHED, STALLED, SKIPPED, VOID, ABANDONED = (
    *("EMPTY", "WRITING", "PUBLISHED", "STALLED", "SKIPPED", "VOID", "ABANDONED"),
)
HELD = (WRITING, STALLED)
NOBODY = -1


class Word(NamedTuple):
    lap: int
    owner: Any
    state: str


class Ledger(NamedTuple):
    names: int
    count: int


NEVER = Word(0, NOBODY, EMPTY)


def word_of(slot: int) -> tuple[str, int]:
    return "word", slot


def unit_of(slot: int) -> tuple[str, int]:
    return "unit", slot


class Ring:
    """The protocol as it is. A mutant is a class below it that does one thing otherwise."""

    def __init__(self, slots: int = 1, rounds: int = 1) -> None:
        self.slots, self.rounds = slots, rounds

    def locations(self) -> dict[Any, Any]:
        shared: dict[Any, Any] = {
            "tail": 0,
            "skip_ledger": Ledger(NOBODY, 0),
            "void_ledger": Ledger(NOBODY, 0),
            "voids_until": 0,
            "floor": 0,
            "keys": 0,
        }
        for slot in range(self.slots):
            shared |= {word_of(slot): NEVER, unit_of(slot): NOBODY}
        return shared

    def where(self, ticket: int) -> tuple[int, int]:
        return ticket // self.slots + 1, ticket % self.slots

    def is_dead(self, owner: Any) -> Program:
        dead = yield is_dead(owner)
        return dead

    # Append.

    def append(self, me: Any) -> Program:
        """[1-6] Returns the ticket, or None when nothing was written."""
        claim = yield from self.claim_next(me)
        if claim is None:
            return None
        ticket, replaced = claim
        lap, slot = self.where(ticket)
        yield from self.take_discarded(slot, ticket, replaced)
        yield from self.write_and_publish(me, ticket, lap, slot)
        return ticket

    def claim_next(self, me: Any) -> Program:
        skips = 0
        while True:
            outcome = yield from self.try_to_claim(me, skips)
            if isinstance(outcome, tuple) or outcome == "blocked":
                return None if outcome == "blocked" else outcome
            skips += outcome

    def try_to_claim(self, me: Any, skips: int) -> Program:
        """Returns (ticket, replaced word), "blocked", or how many slots were found held."""
        ticket = yield load_acquire("claim_next:tail", "tail")  # [1]
        lap, slot = self.where(ticket)
        word = yield load_relaxed("claim_next:word", word_of(slot))
        if word.lap >= lap:
            yield from self.help(ticket, lap, word)  # [2]
            return 0
        if word.state in HELD:
            if skips == self.rounds:
                return "blocked"
            yield from self.pass_held(ticket, slot, lap, word)  # [3]
            return 1
        claimed = yield from self.claim(me, ticket, lap, slot, word)
        return (ticket, word) if claimed else 0

    def claim(self, me: Any, ticket: int, lap: int, slot: int, word: Word) -> Program:
        """[4, 11, 5]"""
        if word.state in (VOID, ABANDONED):
            yield from self.ledger_count("void_ledger", ticket)
        claimed, _ = yield cas_acq_rel("claim_next:claim", word_of(slot), word, Word(lap, me, WRITING))
        if claimed:
            yield cas_acq_rel("claim_next:move", "tail", ticket, ticket + 1)
        return claimed

    def help(self, ticket: int, lap: int, word: Word) -> Program:
        """[2]"""
        yield fence_acquire("help:fence")
        if word.lap == lap and word.state in (STALLED, SKIPPED, ABANDONED):
            yield from self.ledger_count("skip_ledger", ticket)  # [10]
        yield cas_acq_rel("help:move", "tail", ticket, ticket + 1)

    def ledger_count(self, ledger: str, ticket: int) -> Program:
        seen = yield load_acquire("ledger_count:ledger", ledger)
        while True:
            tail = yield load_acquire("ledger_count:tail", "tail")
            if tail != ticket or seen.names == ticket:
                return
            counted, seen = yield cas_acq_rel("ledger_count:count", ledger, seen, Ledger(ticket, seen.count + 1))
            if counted:
                return

    def pass_held(self, ticket: int, slot: int, lap: int, word: Word) -> Program:
        """[3] Looking again for a moment is left out: it only waits."""
        yield fence_acquire("pass_held:fence")
        dead = yield from self.is_dead(word.owner)
        if dead:
            yield from self.settle(slot, word)
        else:
            yield cas_acq_rel("pass_held:mark", word_of(slot), word, Word(lap, word.owner, STALLED))

    def settle(self, slot: int, word: Word) -> Program:
        """[9] Returns whether the word was still this one."""
        yield from self.announce(slot, word)
        settled = Word(word.lap, NOBODY, VOID if word.state == WRITING else ABANDONED)
        done, _ = yield cas_acq_rel("ring_settle:settle", word_of(slot), word, settled)
        return done

    def announce(self, slot: int, word: Word) -> Program:
        """[12] The word's ticket is looked for until its slot is claimed over."""
        ticket = (word.lap - 1) * self.slots + slot
        yield from self.raise_bound("voids_until", ticket + self.slots + 1)

    def take_discarded(self, slot: int, ticket: int, replaced: Word) -> Program:
        """[4] What the claim replaced is the record of N tickets ago, whole."""
        if replaced.state == PUBLISHED:
            unit = yield load_relaxed("", unit_of(slot))
            require(unit == ticket - self.slots, f"discarded {unit} for ticket {ticket}")

    def write_and_publish(self, me: Any, ticket: int, lap: int, slot: int) -> Program:
        yield fence_release("ring_append:fence")
        yield store_relaxed("store_payload:unit", unit_of(slot), ticket)
        yield from self.publish(me, lap, slot)

    def publish(self, me: Any, lap: int, slot: int) -> Program:
        done, word = yield cas_release(
            "ring_append:publish", word_of(slot), Word(lap, me, WRITING), Word(lap, NOBODY, PUBLISHED)
        )
        if not done:
            yield from self.release_stalled(me, slot, word)

    def release_stalled(self, me: Any, slot: int, word: Word) -> Program:
        """[6]"""
        done = False
        while not done:
            require(word.state == STALLED and word.owner == me, f"a claim of {me} was revoked: {word}")
            done, word = yield cas_release(
                "release_stalled:release", word_of(slot), word, Word(word.lap, NOBODY, SKIPPED)
            )

    # Read.

    def read(self, first: int, writable: bool = True) -> Program:
        """[7, 8] Read tickets from `first` to the tail. Returns what became of each: (ticket, "whole" or a reason)."""
        tail = yield load_acquire("report_unreadable:tail", "tail")
        outcomes: tuple[tuple[int, str], ...] = ()
        ticket = first
        while ticket < tail:
            found = yield from self.look(ticket, tail - ticket, writable)
            outcomes += found
            ticket += len(found)
        return outcomes

    def look(self, ticket: int, most: int, writable: bool) -> Program:
        copied, lapped = yield from self.read_run(ticket, most)
        for row, unit in enumerate(copied):
            require(unit == ticket + row, f"ticket {ticket + row} was read as {unit}")
        if copied:
            return tuple((ticket + row, "whole") for row in range(len(copied)))
        if lapped:
            return tuple((ticket + row, "lapped") for row in range(lapped))
        reason = yield from self.explain(ticket, writable)
        return ((ticket, reason),) if reason else ()

    def read_run(self, ticket: int, most: int) -> Program:
        """[7] Returns the units of a run, copied and proved whole, or how many were overwritten meanwhile."""
        lap, slot = self.where(ticket)
        published, limit, count = Word(lap, NOBODY, PUBLISHED), min(self.slots - slot, most), 0
        while count < limit:
            word = yield load_relaxed("read_run:words", word_of(slot + count))
            if word != published:
                break
            count += 1
        if not count:
            return (), 0
        yield fence_acquire("read_run:before")
        copied: tuple[int, ...] = ()
        while len(copied) < count:
            unit = yield load_relaxed("copy_column:unit", unit_of(slot + len(copied)))
            copied += (unit,)
        yield fence_acquire("read_run:after")
        lapped = yield from self.overwritten(ticket, slot, published, count)
        return ((), lapped) if lapped else (copied, 0)

    def overwritten(self, ticket: int, slot: int, published: Word, count: int) -> Program:
        """How many tickets, from the first on, may have been claimed over while they were copied."""
        tail = yield load_relaxed("read_run:tail", "tail")
        row = min(tail - self.slots - ticket, count)
        while row > 0:
            word = yield load_relaxed("read_run:again", word_of(slot + row - 1))
            if word != published:
                return row
            row -= 1
        return 0

    def explain(self, ticket: int, writable: bool) -> Program:
        """[8] Why is there no record? Empty: look again."""
        lap, slot = self.where(ticket)
        word = yield load_acquire("explain:word", word_of(slot))
        require(word.lap >= lap, f"ticket {ticket} lies below the tail, but its slot bears {word}")
        if word.lap > lap:
            return "lapped"
        if word.state != WRITING:
            return {PUBLISHED: "", VOID: "voided"}.get(word.state, "skipped")
        dead = yield from self.is_dead(word.owner)
        if not dead:
            return "in flight"
        unchanged = yield from self.settle(slot, word) if writable else self.look_again(slot, word)
        return "voided" if unchanged else ""

    def look_again(self, slot: int, word: Word) -> Program:
        """What a reader that may not settle does instead: its owner may have published before it died."""
        again = yield load_relaxed("explain:again", word_of(slot))
        return again == word

    # What must hold.

    def totals(self, values: Mapping[Any, Any]) -> tuple[int, int, int, int]:
        """(tail, skipped, voided, in flight) at rest, as ring_totals finds them."""
        tail, skips, voids = values["tail"], values["skip_ledger"], values["void_ledger"]
        skipped, voided, in_flight = skips.count - (skips.names == tail), voids.count, 0
        newest = [(t, *self.where(t)) for t in range(max(tail - self.slots, 0), tail)]
        held = any(values[word_of(slot)].state in HELD for _, _, slot in newest)
        skipped_lately = skips.count and tail - skips.names <= self.slots
        if not (held or skipped_lately or tail < values["voids_until"]):
            newest = []  # nobody need look
        for ticket, lap, slot in newest:
            word = values[word_of(slot)]
            current, ahead = word.lap == lap, voids.names == tail and ticket + self.slots == tail
            in_flight += word.state == STALLED or (word.state == WRITING and current)
            if word.state == ABANDONED or (word.state == VOID and current):
                voided += not (ahead and current)
        return tail, skipped, voided, in_flight

    def at_rest(self, values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        """[10, 11] Every ticket is explained once. Appenders end with a tuple of tickets, readers with outcomes."""
        appended = [ticket for result in results for ticket in result or () if isinstance(ticket, int)]
        require(len({*appended}) == len(appended), f"one ticket was given twice: {appended}")
        tail, skipped, voided, in_flight = self.totals(values)
        require(
            tail - skipped - voided - in_flight == len(appended),
            f"tail {tail}, skipped {skipped}, voided {voided}, in flight {in_flight}; appended {appended}",
        )
        for word in (values[word_of(slot)] for slot in range(self.slots)):
            is_left = word.state in HELD and self.has_ended(word.owner, values, results)
            require(not is_left, f"{word} is never released")
        for result in results:
            outcomes = [outcome for outcome in result or () if not isinstance(outcome, int)]
            for ticket, what in outcomes:
                passed = what in ("skipped", "voided")
                require(not (passed and ticket in appended), f"ticket {ticket} was appended, but read as {what}")
                require(not (passed and (ticket, "whole") in outcomes), f"ticket {ticket} was read, and also {what}")
                require(what != "whole" or ticket in appended, f"ticket {ticket} was read, but nobody appended it")

    def has_ended(self, owner: Any, values: Mapping[Any, Any], results: Sequence[Any]) -> bool:
        return results[owner] is not None

    # Threads.

    def appends(self, me: int, count: int = 1) -> Program:
        tickets: tuple[int, ...] = ()
        while count:
            ticket = yield from self.append(me)
            if ticket is not None:
                tickets += (ticket,)
            count -= 1
        return tickets

    def reads(self, first: int, looks: int = 1, writable: bool = True) -> Program:
        outcomes: tuple[Any, ...] = ()
        while looks:
            found = yield from self.read(first, writable)
            outcomes += found
            looks -= 1
        return outcomes

    def publishes(self, me: int) -> Program:
        """The rest of an append whose claim of ticket 0 and move are done when the scenario begins."""
        yield from self.write_and_publish(me, 0, 1, 0)
        return (0,)

    def interns_and_appends(self, me: int) -> Program:
        """Append a record of a new key."""
        yield add_relaxed("", "keys", 1)
        tickets = yield from self.appends(me)
        return tickets

    def asks_about_keys(self) -> Program:
        """Who has fixed its tickets, and then counts the keys, has counted those of its tickets."""
        tail = yield load_acquire("scan_range:tail", "tail")
        keys = yield load_relaxed("", "keys")
        require(keys == 1 or not tail, f"a record of a new key lies below the tail, and {keys} keys are counted")
        return ()

    def helps(self) -> Program:
        """An append to ticket 0 that finds it claimed, and goes no further."""
        word = yield load_relaxed("claim_next:word", word_of(0))
        if word.lap:
            yield from self.help(0, 1, word)
        return ()

    def filled(self) -> Program:
        """Who has published the first lap before the scenario begins."""
        yield from ()
        return tuple(range(self.slots))

    def raises_floor(self, ticket: int) -> Program:
        """Raise the floor; it never falls."""
        yield from self.raise_bound("floor", ticket)
        floor = yield load_relaxed("", "floor")
        require(floor >= ticket, f"the floor was raised to {ticket} and is {floor}")
        return ()

    def raise_bound(self, bound: str, ticket: int) -> Program:
        seen = yield load_relaxed("raise_bound:seen", bound)
        raised = False
        while seen < ticket and not raised:
            raised, seen = yield cas_acq_rel("raise_bound:raise", bound, seen, ticket)

    def scenario(
        self, *programs: Any, mortal: Sequence[int] = (), claimed: bool = False, filled: bool = False
    ) -> Scenario:
        """With `claimed`, thread 0 holds ticket 0 when it begins; with `filled`, the first lap has been published."""
        shared = self.locations()
        if filled:
            shared["tail"], programs = self.slots, (*programs, self.filled)
            for slot in range(self.slots):
                shared |= {word_of(slot): Word(1, NOBODY, PUBLISHED), unit_of(slot): slot}
        if claimed:
            shared |= {"tail": 1, word_of(0): Word(1, 0, WRITING)}
        return Scenario(shared, programs, frozenset(mortal), at_rest=self.at_rest)
