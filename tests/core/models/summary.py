"""Blocks of slots: whole ones are read without their words, and what they sum up to is kept beside them.

A scan that has seen every word of a block PUBLISHED in a lap marks the block: as long as no slot of it can have been
claimed since, the payloads alone tell its records. What such a block sums up to is stored word by word by whoever has
read it, and owned by nobody. The last word, the check, follows from the others and from the lap: a mixture, a part or
another lap's does not fit. Here the check is perfect, and a sum is one word.

The check bears its partition, block and field as well. They tell damage, and have no part in a race: nobody writes
there about anything else.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.core.models.ring import NOBODY, PUBLISHED, Ring, Word, unit_of, word_of
from tests.core.operations import (
    Program,
    Scenario,
    fence_acquire,
    load_acquire,
    load_relaxed,
    require,
    store_relaxed,
    store_release,
)

BLOCK = 2  # slots; the last block may have fewer
FACTS = ("low", "high", "sum", "check")


def mark_of(block: int, process: int) -> tuple[str, int, int]:
    """The lap in which a process has found the block whole: private to it, and shared by its threads."""
    return "mark", block, process


def fact_of(block: int, name: str) -> tuple[str, int]:
    return name, block


class Blocks(Ring):
    """The protocol as it is. A mutant is a class below it that does one thing otherwise."""

    def block_of(self, ticket: int) -> tuple[int, range]:
        """The block of a ticket, and its tickets in that lap."""
        slot = ticket % self.slots
        block = slot // BLOCK
        first = ticket - slot % BLOCK
        return block, range(first, first + min(BLOCK, self.slots - block * BLOCK))

    # Scan.

    def scan(self, process: int = 0) -> Program:
        """Returns what became of each ticket that was there."""
        tail = yield load_acquire("scan_range:tail", "tail")
        floor = yield load_acquire("", "floor")
        found = yield from self.scan_tickets(process, max(floor, tail - self.slots, 0), tail)
        return found

    def scan_tickets(self, process: int, oldest: int, tail: int) -> Program:
        outcomes: tuple[tuple[int, str], ...] = ()
        while oldest + len(outcomes) < tail:
            found = yield from self.scan_block(process, oldest + len(outcomes), oldest, tail)
            outcomes += found
        return outcomes

    def scan_block(self, process: int, ticket: int, oldest: int, tail: int) -> Program:
        block, tickets = self.block_of(ticket)
        lap, _ = self.where(ticket)
        end, covered = min(tickets.stop, tail), self.is_covered(tickets, oldest, tail)
        mark = yield load_acquire("scan_block:sealed", mark_of(block, process))
        if covered:
            facts = yield from self.summary_read(block, lap)
            if facts:
                require(facts == self.fold(tickets), f"the summary of {tickets} is {facts}")
                require(oldest <= tickets[0] and tickets[-1] < tail, f"{tickets} lie not in {oldest}..{tail}")
                return tuple((one, "whole") for one in tickets)
        if self.is_sealed(mark, lap):
            copied = yield from self.copy_published(ticket, end)
            if copied:
                if covered:
                    yield from self.summary_write(block, lap, copied)
                return self.outcomes_of(ticket, copied)
        found = yield from self.read_words(ticket, end)
        if self.is_whole(found, tickets):
            yield store_release("scan_block:seal", mark_of(block, process), lap)
        return found

    def is_covered(self, tickets: range, oldest: int, tail: int) -> bool:
        """Is every ticket of the block asked about?"""
        return oldest <= tickets[0] and tickets[-1] < tail

    def is_sealed(self, mark: int, lap: int) -> bool:
        return mark == lap

    def is_whole(self, found: Sequence[tuple[int, str]], tickets: range) -> bool:
        return found == tuple((ticket, "whole") for ticket in tickets)

    def outcomes_of(self, ticket: int, copied: Sequence[int]) -> tuple[tuple[int, str], ...]:
        for row, unit in enumerate(copied):
            require(unit == ticket + row, f"ticket {ticket + row} was read as {unit}")
        return tuple((ticket + row, "whole") for row in range(len(copied)))

    def copy_published(self, ticket: int, end: int) -> Program:
        """Returns the units, or none when their slots may have been claimed over."""
        copied: tuple[int, ...] = ()
        while ticket + len(copied) < end:
            _, slot = self.where(ticket + len(copied))
            unit = yield load_relaxed("copy_column:unit", unit_of(slot))
            copied += (unit,)
        yield fence_acquire("ring_copy_published:after")
        tail = yield load_relaxed("ring_copy_published:tail", "tail")
        return copied if self.is_untouched(ticket, tail) else ()

    def is_untouched(self, ticket: int, tail: int) -> bool:
        return tail <= ticket + self.slots

    def read_words(self, ticket: int, end: int) -> Program:
        """ring_read."""
        yield load_acquire("report_unreadable:tail", "tail")
        outcomes: tuple[tuple[int, str], ...] = ()
        while ticket + len(outcomes) < end:
            found = yield from self.look(ticket + len(outcomes), end - ticket - len(outcomes), True)
            outcomes += found
        return outcomes

    # Summaries.

    def fold(self, units: Sequence[int]) -> tuple[int, ...]:
        return min(units), max(units), sum(units)

    def check_of(self, lap: int, facts: tuple[int, ...]) -> Any:
        return lap, facts

    def summary_write(self, block: int, lap: int, units: Sequence[int]) -> Program:
        facts = self.fold(units)
        words: tuple[Any, ...] = (*facts, self.check_of(lap, facts))
        at = 0
        while at < len(FACTS):
            yield store_relaxed("summary_write:word", fact_of(block, FACTS[at]), words[at])
            at += 1

    def summary_read(self, block: int, lap: int) -> Program:
        """Returns the facts, or none when nothing there fits."""
        words: tuple[Any, ...] = ()
        while len(words) < len(FACTS):
            word = yield load_relaxed("summary_read:word", fact_of(block, FACTS[len(words)]))
            words += (word,)
        return words[:-1] if self.fits(words[-1], lap, words[:-1]) else ()

    def fits(self, check: Any, lap: int, facts: tuple[int, ...]) -> bool:
        return bool(check == self.check_of(lap, facts))

    # Threads.

    def scans(self, process: int = 0, times: int = 1) -> Program:
        outcomes: tuple[Any, ...] = ()
        while times:
            found = yield from self.scan(process)
            outcomes += found
            times -= 1
        return outcomes

    def has_copied(self, ticket: int) -> Program:
        """The rest of a scan that has read and proved a block when the scenario begins."""
        block, tickets = self.block_of(ticket)
        lap, _ = self.where(ticket)
        yield from self.summary_write(block, lap, tickets)
        return ()

    def begins(
        self, *programs: Any, tail: int = 0, floor: int = 0, sealed: Sequence[int] = (), mortal: Sequence[int] = ()
    ) -> Scenario:
        """All below the tail is published when it begins, what lies below the floor is cleared, and these processes
        have marked every block that is whole."""
        shared = {**self.locations(), "tail": tail, "floor": floor}
        for slot in range(self.slots):
            block, _ = self.block_of(slot)
            shared |= {mark_of(block, process): 0 for process in range(2)}
            shared |= {fact_of(block, name): 0 for name in FACTS}
        for ticket in range(tail):
            block, tickets = self.block_of(ticket)
            lap, slot = self.where(ticket)
            shared |= {word_of(slot): Word(lap, NOBODY, PUBLISHED), unit_of(slot): ticket}
            if ticket == tickets[-1]:
                shared |= {mark_of(block, process): lap for process in sealed}

        def published() -> Program:
            yield from ()
            return tuple(range(tail))

        return Scenario(shared, (*programs, published), frozenset(mortal), at_rest=self.at_rest)


def scenarios(model: type[Blocks] = Blocks) -> Mapping[str, Scenario]:
    ring = model(slots=3)  # a block of two and one of one

    def appends(me: int, count: int = 1) -> Callable[[], Program]:
        return lambda: ring.appends(me, count)

    def scans(process: int = 0, times: int = 1) -> Callable[[], Program]:
        return lambda: ring.scans(process, times)

    def goes_on(process: int, first: int, tail: int) -> Callable[[], Program]:
        """A scan that has fixed its tickets when the scenario begins."""
        return lambda: ring.scan_tickets(process, first, tail)

    def has_copied(ticket: int) -> Callable[[], Program]:
        return lambda: ring.has_copied(ticket)

    return {
        "a sealed block is overtaken": ring.begins(appends(0, 2), scans(), tail=2, sealed=[0]),
        "two overtake a sealed block": ring.begins(appends(0), appends(1), scans(), tail=2, sealed=[0]),
        "a block is sealed and overtaken": ring.begins(appends(0, 2), scans(0, 2), tail=2),
        "two threads share their marks": ring.begins(appends(0, 2), scans(), scans()),
        "a block is summed up and overtaken": ring.begins(
            appends(0, 2), goes_on(0, 0, 2), goes_on(1, 0, 2), tail=2, sealed=[0]
        ),
        "a full ring is summed up": ring.begins(appends(0), goes_on(0, 0, 2), goes_on(1, 0, 2), tail=3, sealed=[0]),
        "two sum up two laps": ring.begins(has_copied(0), has_copied(3), scans(), tail=5),
        "one is a lap late": ring.begins(has_copied(0), goes_on(0, 3, 5), goes_on(1, 3, 5), tail=5, sealed=[0]),
        "who sums up dies": ring.begins(has_copied(0), has_copied(3), scans(), tail=5, sealed=[0], mortal=[0, 1]),
        "a lap goes by": ring.begins(appends(0, 2), has_copied(0), scans(), tail=3),
        "an appender dies in a block": ring.begins(appends(0), appends(1), scans(0, 3), mortal=[0]),
        "two ask about half a block": ring.begins(has_copied(0), goes_on(0, 1, 2), goes_on(1, 0, 1), tail=2),
    }


class NeverLooksAtTheTail(Blocks):
    """A copy without words is proved by the tail."""

    def is_untouched(self, ticket: int, tail: int) -> bool:
        return True


class TrustsALaterTail(Blocks):
    """A tail beyond t + N tells that ticket t may be overwritten."""

    def is_untouched(self, ticket: int, tail: int) -> bool:
        return tail <= ticket + self.slots + 1


class ForgetsTheLap(Blocks):
    """A mark is of one lap."""

    def is_sealed(self, mark: int, lap: int) -> bool:
        return mark > 0


class SealsTooEarly(Blocks):
    """A block is whole with its last ticket."""

    def is_whole(self, found: Sequence[tuple[int, str]], tickets: range) -> bool:
        return super().is_whole(found[:-1], tickets[:-1])


class TakesTheUnseenForWhole(Blocks):
    """That a block is whole is told by its mark or by a summary, not by the tail."""

    def summary_read(self, block: int, lap: int) -> Program:
        yield from ()
        _, tickets = self.block_of((lap - 1) * self.slots + block * BLOCK)
        return self.fold(tickets)


class SumsUpTheUnproved(Blocks):
    """A copy is summed up after it was proved."""

    def copy_published(self, ticket: int, end: int) -> Program:
        copied: tuple[int, ...] = ()
        while ticket + len(copied) < end:
            _, slot = self.where(ticket + len(copied))
            unit = yield load_relaxed("copy_column:unit", unit_of(slot))
            copied += (unit,)
        block, _ = self.block_of(ticket)
        lap, _ = self.where(ticket)
        yield from self.summary_write(block, lap, copied)
        return ()


class LeavesTheLapOut(Blocks):
    """The check bears the lap."""

    def check_of(self, lap: int, facts: tuple[int, ...]) -> Any:
        return facts


class LeavesAWordOut(Blocks):
    """The check bears every word."""

    def check_of(self, lap: int, facts: tuple[int, ...]) -> Any:
        return lap, facts[:-1]


class TakesAnyLap(Blocks):
    """A summary of another lap is none."""

    def fits(self, check: Any, lap: int, facts: tuple[int, ...]) -> bool:
        return bool(check) and self.check_of(check[0], facts) == check


class TakesTheUncovered(Blocks):
    """A summary stands for all tickets of its block: all must be asked about."""

    def is_covered(self, tickets: range, oldest: int, tail: int) -> bool:
        return tickets[-1] < tail


class TakesTheUnborn(Blocks):
    """Also those that came after the scan began."""

    def is_covered(self, tickets: range, oldest: int, tail: int) -> bool:
        return oldest <= tickets[0]


BROKEN = {
    NeverLooksAtTheTail: "a sealed block is overtaken",
    TrustsALaterTail: "a sealed block is overtaken",
    ForgetsTheLap: "a sealed block is overtaken",
    SealsTooEarly: "two threads share their marks",
    TakesTheUnseenForWhole: "an appender dies in a block",
    SumsUpTheUnproved: "a full ring is summed up",
    LeavesTheLapOut: "one is a lap late",
    LeavesAWordOut: "one is a lap late",
    TakesAnyLap: "one is a lap late",
    TakesTheUncovered: "two ask about half a block",
    TakesTheUnborn: "two ask about half a block",
}
WEAKER = {
    "scan_block:seal release": "two threads share their marks",
    "scan_block:sealed acquire": "two threads share their marks",
    "ring_copy_published:after acquire": "a sealed block is overtaken",
}
SUPERFLUOUS: Mapping[str, str] = {}
