"""What is explored of the ring, and which rule of it each mutant breaks; the protocol itself is in ring.py."""

from collections.abc import Mapping
from typing import Any

from tests.core.models.ring import (
    ABANDONED,
    HELD,
    NOBODY,
    PUBLISHED,
    SKIPPED,
    STALLED,
    VOID,
    WRITING,
    Ledger,
    Ring,
    Word,
    unit_of,
    word_of,
)
from tests.core.operations import (
    Program,
    Scenario,
    cas_acq_rel,
    cas_release,
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    store_relaxed,
    store_release,
)


def scenarios(model: type[Ring] = Ring) -> Mapping[str, Scenario]:
    ring, pair = model(), model(slots=2)

    def appends(me: int, count: int = 1, ring: Ring = ring) -> Any:
        return lambda: ring.appends(me, count)

    def reads(looks: int = 1, writable: bool = True) -> Any:
        return lambda: ring.reads(0, looks, writable)

    def publishes() -> Program:
        return ring.publishes(0)

    return {
        "two readers meet the dead": ring.scenario(appends(0), reads(), reads(), mortal=[0, 1]),
        "two append and one reads": ring.scenario(appends(0), appends(1), reads()),
        "two append two laps": ring.scenario(appends(0, 2), appends(1, 2)),
        "a reader only looks": ring.scenario(appends(0), appends(1), reads(1, False), mortal=[0]),
        "a reader looks twice": ring.scenario(publishes, appends(1), reads(2), mortal=[0], claimed=True),
        "two meet the dead": ring.scenario(publishes, appends(1), appends(2), mortal=[0], claimed=True),
        "a run is overtaken": pair.scenario(appends(0, 3, pair), lambda: pair.reads(0)),
        "a run of two writers is passed": pair.scenario(
            appends(0, 1, pair), appends(1, 1, pair), lambda: pair.reads(0), filled=True
        ),
        "a helper passes a new key": ring.scenario(
            lambda: ring.interns_and_appends(0), ring.helps, ring.asks_about_keys
        ),
        "two raise the floor": ring.scenario(lambda: ring.raises_floor(1), lambda: ring.raises_floor(2)),
    }


class PublishesBeforeThePayload(Ring):
    """A record is published after its payload."""

    def write_and_publish(self, me: Any, ticket: int, lap: int, slot: int) -> Program:
        yield fence_release("ring_append:fence")
        yield from self.publish(me, lap, slot)
        yield store_relaxed("store_payload:unit", unit_of(slot), ticket)


class PublishesByStore(Ring):
    """A claim is published by compare-exchange: it may have been passed."""

    def publish(self, me: Any, lap: int, slot: int) -> Program:
        yield store_release("ring_append:publish", word_of(slot), Word(lap, NOBODY, PUBLISHED))


class MovesTheTailFirst(Ring):
    """The tail moves after the claim."""

    def claim(self, me: Any, ticket: int, lap: int, slot: int, word: Word) -> Program:
        yield cas_acq_rel("claim_next:move", "tail", ticket, ticket + 1)
        claimed, _ = yield cas_acq_rel("claim_next:claim", word_of(slot), word, Word(lap, me, WRITING))
        return claimed


class ClaimsByStore(Ring):
    """A slot is claimed by compare-exchange: another may be faster."""

    def claim(self, me: Any, ticket: int, lap: int, slot: int, word: Word) -> Program:
        yield store_release("claim_next:claim", word_of(slot), Word(lap, me, WRITING))
        yield cas_acq_rel("claim_next:move", "tail", ticket, ticket + 1)
        return True


class WritesBeforeTheClaim(Ring):
    """Only who has claimed a slot writes its payload."""

    def claim(self, me: Any, ticket: int, lap: int, slot: int, word: Word) -> Program:
        yield store_relaxed("store_payload:unit", unit_of(slot), ticket)
        claimed = yield from super().claim(me, ticket, lap, slot, word)
        return claimed

    def write_and_publish(self, me: Any, ticket: int, lap: int, slot: int) -> Program:
        yield from self.publish(me, lap, slot)


class SettlesTheSlow(Ring):
    """Only what belongs to the dead is settled, never by timeout."""

    def is_dead(self, owner: Any) -> Program:
        yield from ()
        return True


class TakesFromTheLiving(Ring):
    """No slot is taken from a live owner: it may still write into it."""

    def pass_held(self, ticket: int, slot: int, lap: int, word: Word) -> Program:
        yield cas_acq_rel("pass_held:mark", word_of(slot), word, Word(lap - 1, NOBODY, SKIPPED))


class PassesWithoutMark(Ring):
    """A slot that is passed is marked STALLED before the tail moves."""

    def pass_held(self, ticket: int, slot: int, lap: int, word: Word) -> Program:
        yield cas_acq_rel("help:move", "tail", ticket, ticket + 1)


class MarksItsOldLap(Ring):
    """The mark bears the lap of the ticket that is skipped."""

    def pass_held(self, ticket: int, slot: int, lap: int, word: Word) -> Program:
        yield cas_acq_rel("pass_held:mark", word_of(slot), word, Word(word.lap, word.owner, STALLED))
        yield cas_acq_rel("help:move", "tail", ticket, ticket + 1)


class NeverReleases(Ring):
    """Who was passed while it wrote releases its slot."""

    def release_stalled(self, me: Any, slot: int, word: Word) -> Program:
        yield from ()


class ReleasesByStore(Ring):
    """A stalled slot is released by compare-exchange: it may be passed again."""

    def release_stalled(self, me: Any, slot: int, word: Word) -> Program:
        yield store_release("release_stalled:release", word_of(slot), Word(word.lap, NOBODY, SKIPPED))


class PublishesLate(Ring):
    """Who was passed has no record: its ticket, and the one it was passed for, are gone."""

    def release_stalled(self, me: Any, slot: int, word: Word) -> Program:
        done = False
        while not done:
            done, word = yield cas_release(
                "release_stalled:release", word_of(slot), word, Word(word.lap, NOBODY, PUBLISHED)
            )


class LooksOnce(Ring):
    """A reader proves its copy by a second look."""

    def overwritten(self, ticket: int, slot: int, published: Word, count: int) -> Program:
        yield from ()
        return 0


class TrustsALaterTail(Ring):
    """A tail beyond t + N tells that ticket t may be overwritten."""

    def overwritten(self, ticket: int, slot: int, published: Word, count: int) -> Program:
        tail = yield load_relaxed("read_run:tail", "tail")
        row = min(tail - self.slots - ticket - 1, count)
        while row > 0:
            word = yield load_relaxed("read_run:again", word_of(slot + row - 1))
            if word != published:
                return row
            row -= 1
        return 0


class LooksOnlyAtTheTail(Ring):
    """Copies of an earlier lap are refused by their words: a run begins with words of its lap."""

    def read_run(self, ticket: int, most: int) -> Program:
        _, slot = self.where(ticket)
        unit = yield load_relaxed("copy_column:unit", unit_of(slot))
        yield fence_acquire("read_run:after")
        tail = yield load_relaxed("read_run:tail", "tail")
        return ((unit,), 0) if ticket + self.slots >= tail else ((), 1)


class TrustsOneLook(Ring):
    """A reader that cannot settle looks at the word again: its owner may have published before it died."""

    def look_again(self, slot: int, word: Word) -> Program:
        yield from ()
        return True


class VoidsWithoutAsking(Ring):
    """A reader that settles believes the exchange, not the word that it saw."""

    def settle(self, slot: int, word: Word) -> Program:
        yield from super().settle(slot, word)
        return True


class SettlesByStore(Ring):
    """A slot is settled by exchange of the exact word."""

    def settle(self, slot: int, word: Word) -> Program:
        yield from self.announce(slot, word)
        yield store_release("ring_settle:settle", word_of(slot), Word(word.lap, NOBODY, VOID))
        return True


class ForgetsTheOlderTicket(Ring):
    """ABANDONED tells that its dead owner's older ticket has no record either."""

    def settle(self, slot: int, word: Word) -> Program:
        yield from self.announce(slot, word)
        settled = Word(word.lap, NOBODY, VOID if word.state == WRITING else SKIPPED)
        done, _ = yield cas_acq_rel("ring_settle:settle", word_of(slot), word, settled)
        return done


class AnnouncesAfterSettling(Ring):
    """voids_until rises before the word changes."""

    def settle(self, slot: int, word: Word) -> Program:
        settled = Word(word.lap, NOBODY, VOID if word.state == WRITING else ABANDONED)
        done, _ = yield cas_acq_rel("ring_settle:settle", word_of(slot), word, settled)
        if done:
            yield from self.announce(slot, word)
        return done


class CountsAfterTheMove(Ring):
    """A skip is counted before the tail is moved past it."""

    def help(self, ticket: int, lap: int, word: Word) -> Program:
        yield fence_acquire("help:fence")
        yield cas_acq_rel("help:move", "tail", ticket, ticket + 1)
        if word.lap == lap and word.state in (STALLED, SKIPPED, ABANDONED):
            yield from self.ledger_count("skip_ledger", ticket)


class CountsNobodysName(Ring):
    """A ledger names the ticket that it counted, so that nobody counts it again."""

    def ledger_count(self, ledger: str, ticket: int) -> Program:
        seen = yield load_acquire("ledger_count:ledger", ledger)
        yield cas_acq_rel("ledger_count:count", ledger, seen, Ledger(ticket, seen.count + 1))


class CountsBehindTheTail(Ring):
    """A ticket is counted only while the tail is there."""

    def ledger_count(self, ledger: str, ticket: int) -> Program:
        seen = yield load_acquire("ledger_count:ledger", ledger)
        while seen.names != ticket:
            counted, seen = yield cas_acq_rel("ledger_count:count", ledger, seen, Ledger(ticket, seen.count + 1))
            if counted:
                return


class LooksAtTheTailFirst(Ring):
    """The ledger is loaded before the tail: a count by others then changes it."""

    def ledger_count(self, ledger: str, ticket: int) -> Program:
        tail = yield load_acquire("ledger_count:tail", "tail")
        seen = yield load_acquire("ledger_count:ledger", ledger)
        if tail == ticket and seen.names != ticket:
            yield cas_acq_rel("ledger_count:count", ledger, seen, Ledger(ticket, seen.count + 1))


class ClaimsUncountedVoids(Ring):
    """A void ticket is counted before its slot is claimed over."""

    def claim(self, me: Any, ticket: int, lap: int, slot: int, word: Word) -> Program:
        claimed, _ = yield cas_acq_rel("claim_next:claim", word_of(slot), word, Word(lap, me, WRITING))
        if claimed:
            if word.state in (VOID, ABANDONED):
                yield from self.ledger_count("void_ledger", ticket)
            yield cas_acq_rel("claim_next:move", "tail", ticket, ticket + 1)
        return claimed


class StopsAtADecidedTicket(Ring):
    """Who finds a ticket decided helps the tail past it."""

    def try_to_claim(self, me: Any, skips: int) -> Program:
        ticket = yield load_acquire("claim_next:tail", "tail")
        lap, slot = self.where(ticket)
        word = yield load_relaxed("claim_next:word", word_of(slot))
        if word.state in HELD:
            yield from self.pass_held(ticket, slot, lap, word)
            return "blocked"
        claimed = yield from self.claim(me, ticket, lap, slot, word)
        return (ticket, word) if claimed else 0


class LowersTheFloor(Ring):
    """The floor never falls."""

    def raise_bound(self, bound: str, ticket: int) -> Program:
        seen = yield load_relaxed("raise_bound:seen", bound)
        if seen < ticket:
            yield store_release("raise_bound:raise", bound, ticket)


BROKEN = {
    PublishesBeforeThePayload: "two append and one reads",
    PublishesByStore: "two append and one reads",
    MovesTheTailFirst: "two append and one reads",
    ClaimsByStore: "two append and one reads",
    WritesBeforeTheClaim: "two append and one reads",
    SettlesTheSlow: "two append and one reads",
    TakesFromTheLiving: "two append and one reads",
    PassesWithoutMark: "two append and one reads",
    MarksItsOldLap: "two append and one reads",
    NeverReleases: "two append and one reads",
    ReleasesByStore: "two append two laps",
    PublishesLate: "two append and one reads",
    LooksOnce: "two append and one reads",
    TrustsALaterTail: "a run is overtaken",
    LooksOnlyAtTheTail: "a run of two writers is passed",
    TrustsOneLook: "a reader only looks",
    VoidsWithoutAsking: "two readers meet the dead",
    SettlesByStore: "two readers meet the dead",
    ForgetsTheOlderTicket: "two meet the dead",
    AnnouncesAfterSettling: "two readers meet the dead",
    CountsAfterTheMove: "two meet the dead",
    CountsNobodysName: "two meet the dead",
    CountsBehindTheTail: "two meet the dead",
    LooksAtTheTailFirst: "two meet the dead",
    ClaimsUncountedVoids: "two meet the dead",
    StopsAtADecidedTicket: "two append and one reads",
    LowersTheFloor: "two raise the floor",
}
WEAKER = {
    "claim_next:tail acquire": "two meet the dead",
    "claim_next:claim acquire": "two append and one reads",
    "claim_next:move release": "two readers meet the dead",
    "help:move release": "two append and one reads",
    "help:fence acquire": "a helper passes a new key",
    "scan_range:tail acquire": "a helper passes a new key",
    "report_unreadable:tail acquire": "a reader looks twice",
    "read_run:before acquire": "two append and one reads",
    "read_run:after acquire": "two append and one reads",
    "ring_append:fence release": "two append and one reads",
    "ring_append:publish release": "two append and one reads",
    "release_stalled:release release": "two append and one reads",
    "ring_settle:settle release": "a reader looks twice",
    "ledger_count:ledger acquire": "two meet the dead",
    "ledger_count:count acquire": "two meet the dead",
    "ledger_count:count release": "two meet the dead",
}
SUPERFLUOUS = {
    "claim_next:move acquire": "who won the claim has seen all that matters by claim_next:claim",
    "help:move acquire": "the helper begins again with claim_next:tail",
    "ledger_count:tail acquire": "what is counted is decided by the exchange; ledger_count:ledger orders it",
    "pass_held:mark acquire": "the loop begins again, and whoever claims the slot acquires",
    "pass_held:mark release": "the exchange carries on what the claim released, and says nothing else",
    "ring_settle:settle acquire": "the dead owner's bytes are seen by asking the kernel",
    "raise_bound:raise acquire": "nothing else is read because of a bound",
    "raise_bound:raise release": "a floor tells of nothing else; what is announced is settled by a release",
}
