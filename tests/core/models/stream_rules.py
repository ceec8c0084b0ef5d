"""The rules of the log of streams.py, and what shows that each is needed; others are in stream_use_rules.py."""

from collections.abc import Mapping
from typing import Any

from tests.core.models.stream_orders import SUPERFLUOUS, WEAKER
from tests.core.models.stream_scenarios import scenarios
from tests.core.models.stream_threads import UsedStreams
from tests.core.models.stream_use_rules import BROKEN_USES
from tests.core.models.streams import (
    CLAIMED,
    EVENT,
    FREE,
    NOBODY,
    Change,
    Facts,
    Link,
    Moment,
    Newest,
    Place,
    Text,
    Word,
    facts_of,
    newest_of,
    next_of,
    published,
    text_of,
    word_of,
)
from tests.core.operations import (
    Program,
    cas_acq_rel,
    load_acquire,
    load_relaxed,
    store_relaxed,
    store_release,
)

__all__ = ["BROKEN", "SUPERFLUOUS", "WEAKER", "scenarios"]

# One rule broken each; the docstring is the rule.


class AnnouncesByStore(UsedStreams):
    """A change is announced by compare-exchange: another may be faster."""

    def announce(self, moment: Moment, what: str, slot: int, count: int) -> Program:
        change = Change(moment.tail + count, what, slot)
        yield store_release("log_announce:change", "change", change)
        yield from self.finish(change, moment.tail)
        return True


class AnnouncesWhatWasDecidedBefore(UsedStreams):
    """What was decided is of the moment that is announced after: a change since then fails it."""

    def announce(self, moment: Moment, what: str, slot: int, count: int) -> Program:
        now = yield from self.tidy()
        announced = yield from super().announce(now, what, slot, count)
        return announced


class WaitsForTheAnnouncer(UsedStreams):
    """Whoever finds a change announced finishes it before the next."""

    def tidy(self) -> Program:
        change = yield load_acquire("log_tidy:change", "change")
        return Moment(change, change.tail)


class LooksAtTheTailFirst(UsedStreams):
    """The change is loaded before the tail, which is then that before it, or later."""

    def look(self) -> Program:
        tail = yield load_acquire("log_tidy:tail", "tail")
        change = yield load_acquire("log_tidy:change", "change")
        if change.tail == tail:
            return Moment(change, tail)
        yield from self.finish(change, tail)
        return None


class StepsWithoutLooking(UsedStreams):
    """Before each step the change is seen to be announced still: what was read may be of a later time."""

    def make(self, change: Change, tail: int) -> Program:
        yield from super().make(change, tail)
        return True

    def is_announced(self, change: Change) -> Program:
        yield from ()
        return True


class ReadsWhatIsOver(UsedStreams):
    """What is announced is seen to be so after its slot was read: another may write there."""

    def finish_append(self, change: Change, tail: int, count: int) -> Program:
        last = yield from self.append_batch(change, tail, count)
        if last is None:
            return False
        text = yield from self.load(load_relaxed("", text_of(change.slot)))
        facts = yield from self.load(load_relaxed("", facts_of(change.slot)))
        if text.kind != EVENT:
            yield from self.make_newest(change, text, facts, count, last)
        else:
            before, after = Newest(facts.version, facts.before), Newest(facts.version + count, last)
            yield cas_acq_rel("finish_append:newest", newest_of(text.stream), before, after)
        return True


class PutsWithoutLooking(UsedStreams):
    """A slot is put in its place while its change is announced."""

    def put(self, change: Change, ticket: int, slot: int, owner: int) -> Program:
        seen = yield load_acquire("put:order", self.order_of(ticket))
        if seen is not None and seen.ticket != ticket and seen.slot >= 0:
            yield from self.discard(seen.slot, ticket - self.tickets, owner)
        if seen is None or seen.ticket != ticket:
            yield cas_acq_rel("put:slot", self.order_of(ticket), seen, Place(ticket, slot))
        return True


class TrustsWhatIsPut(UsedStreams):
    """Whoever finds a slot in its place looks whether its change is over: the slot may be another's by then."""

    def put(self, change: Change, ticket: int, slot: int, owner: int) -> Program:
        seen = yield load_acquire("put:order", self.order_of(ticket))
        if seen is not None and seen.ticket == ticket:
            return True
        done = yield from super().put(change, ticket, slot, owner)
        return done


class PublishesByStore(UsedStreams):
    """Each step is a compare-exchange from what was read: who comes late changes nothing."""

    def publish(self, change: Change, slot: int, word: Word, ticket: int) -> Program:
        is_announced = yield from self.is_announced(change)
        if is_announced:
            yield store_release("append_one:publish", word_of(slot), published(ticket))
        return is_announced


class NumbersNoWords(UsedStreams):
    """No word of a slot comes back: it bears the last ticket."""

    def give_slot(self, slot: int, word: Word, owner: int) -> Program:
        yield cas_acq_rel("discard:slot", word_of(slot), word, Word(0, owner, FREE if owner == NOBODY else CLAIMED))


class MakesNewestFromAny(UsedStreams):
    """An event becomes the newest by compare-exchange from the one that its appender has seen."""

    def make_newest(self, change: Change, text: Text, facts: Facts, count: int, last: int) -> Program:
        if text.kind != EVENT:
            yield from super().make_newest(change, text, facts, count, last)
        else:
            newest = yield load_relaxed("", newest_of(text.stream))
            after = Newest(facts.version + count, last)
            yield cas_acq_rel("finish_append:newest", newest_of(text.stream), newest, after)
        return True


class MakesNewestByVersion(UsedStreams):
    """Both halves of the newest are swapped at once."""

    def make_newest(self, change: Change, text: Text, facts: Facts, count: int, last: int) -> Program:
        is_announced = yield from self.is_announced(change)
        if is_announced:
            newest = yield load_relaxed("", newest_of(text.stream))
            if newest.versions == facts.version:
                middle = Newest(facts.version + count, newest.slot)
                yield cas_acq_rel("finish_append:newest", newest_of(text.stream), newest, middle)
                yield cas_acq_rel("finish_append:newest", newest_of(text.stream), middle, middle._replace(slot=last))
        return is_announced


class CountsOneOfABatch(UsedStreams):
    """All events of a batch become versions at once."""

    def make_newest(self, change: Change, text: Text, facts: Facts, count: int, last: int) -> Program:
        yield from super().make_newest(change, text, facts, 1, change.slot)
        done = yield from super().make_newest(change, text, Facts(facts.version + 1, 0, change.slot), count - 1, last)
        return done


class LowersTheDeletion(UsedStreams):
    """What is deleted for ever stays so."""

    def raise_word(self, location: Any, to: int) -> Program:
        yield store_relaxed("raise:word", location, to)


class MovesTheTailFirst(UsedStreams):
    """The tail moves when all is done."""

    def finish(self, change: Change, tail: int) -> Program:
        yield cas_acq_rel("finish:tail", "tail", tail, change.tail)
        done = yield from super().finish(change, tail)
        return done


class MakesNewestFirst(UsedStreams):
    """An event is published before it is the newest."""

    def finish_append(self, change: Change, tail: int, count: int) -> Program:
        text = yield from self.load(load_relaxed("", text_of(change.slot)))
        facts = yield from self.load(load_relaxed("", facts_of(change.slot)))
        yield from self.make_newest(change, text, facts, count, change.slot)
        done = yield from super().finish_append(change, tail, count)
        return done


class PublishesBeforeItIsPut(UsedStreams):
    """An event is published when it has its place, and what it replaces is discarded."""

    def append_one(self, change: Change, ticket: int, slot: int, is_alone: bool) -> Program:
        word = yield load_acquire("append_one:word", word_of(slot))
        if word == published(ticket):
            return True
        yield from self.publish(change, slot, word, ticket)
        done = yield from self.put(change, ticket, slot, word.owner)
        return done


class PublishesBeforeTheChain(UsedStreams):
    """An event is published when it is in the chain of its id: whoever finds it published does no more."""

    def append_one(self, change: Change, ticket: int, slot: int, is_alone: bool) -> Program:
        word = yield load_acquire("append_one:word", word_of(slot))
        if word == published(ticket):
            return True
        is_put = yield from self.put(change, ticket, slot, word.owner)
        if not is_put:
            return False
        done = yield from self.publish(change, slot, word, ticket)
        text = yield from self.load(load_relaxed("", text_of(slot)))
        if text.id is not None:
            yield from self.chain(slot, published(ticket), ticket, text.id)
        return done


class ChainsWhatIsOver(UsedStreams):
    """A chain is changed while the slot's word is the one from before its change."""

    def is_before(self, slot: int, word: Word) -> Program:
        yield from ()
        return True


class LooksBeforeItChains(UsedStreams):
    """That is looked at after the chain and the link were read."""

    def chain(self, slot: int, word: Word, ticket: int, name: str) -> Program:
        is_before = yield from self.is_before(slot, word)
        first = yield load_acquire("chain:first", "chain")
        behind = yield load_relaxed("", next_of(slot))
        if is_before and (first is None or first[:2] != (ticket, slot)):
            yield from self.lead_on(slot, ticket, name, first, behind)


class ChainsTwice(UsedStreams):
    """What is the first of its chain already does not lead to itself."""

    def chain(self, slot: int, word: Word, ticket: int, name: str) -> Program:
        first = yield load_acquire("chain:first", "chain")
        behind = yield load_relaxed("", next_of(slot))
        is_before = yield from self.is_before(slot, word)
        if is_before:
            yield from self.lead_on(slot, ticket, name, first, behind)


class LeadsOnLate(UsedStreams):
    """A slot leads to the rest of its chain before it is the first of it."""

    def lead_on(self, slot: int, ticket: int, name: str, first: Link | None, behind: Link | None) -> Program:
        yield cas_acq_rel("chain:slot", "chain", first, Link(ticket, slot, name, first is None))
        if behind != first:
            yield cas_acq_rel("chain:next", next_of(slot), behind, first)


class LeadsOnByStore(UsedStreams):
    """A link is led on by compare-exchange from what it was before: who comes late changes nothing."""

    def lead_on(self, slot: int, ticket: int, name: str, first: Link | None, behind: Link | None) -> Program:
        yield store_release("chain:next", next_of(slot), first)
        yield cas_acq_rel("chain:slot", "chain", first, Link(ticket, slot, name, first is None))


class EndsTheChainEarly(UsedStreams):
    """A chain ends where nothing is behind that is there still."""

    def lead_on(self, slot: int, ticket: int, name: str, first: Link | None, behind: Link | None) -> Program:
        if behind != first:
            yield cas_acq_rel("chain:next", next_of(slot), behind, first)
        yield cas_acq_rel("chain:slot", "chain", first, Link(ticket, slot, name, is_end=True))


class KeepsWithoutLooking(UsedStreams):
    """An event is kept while that is announced: its place may have another by then."""

    def finish_keep(self, change: Change, ticket: int) -> Program:
        seen = yield load_acquire("finish_keep:order", self.order_of(ticket))
        word = published(ticket - self.tickets)
        if seen.ticket != ticket:
            text = yield from self.load(load_relaxed("", text_of(change.slot)))
            yield from self.chain(change.slot, word, ticket, text.id)
            yield from self.keep(seen, word, ticket, change.slot)
        return True


class KeepsAlone(UsedStreams):
    """What is kept has nothing older behind it in its chain that is there still."""

    def discard_next(self, ticket: int, count: int) -> Program:
        yield from ()


class DiscardsAfterItKeeps(UsedStreams):
    """What is older is discarded before the word of what is kept changes: who finds that changed discards nothing."""

    def make_first(self, slot: int, word: Word, ticket: int, before: int) -> Program:
        yield from super().make_first(slot, word, ticket, 0)

    def keep(self, seen: Place, word: Word, ticket: int, slot: int) -> Program:
        yield from super().keep(seen, word, ticket, slot)
        if word != published(ticket):
            yield from self.discard_next(ticket, word.ticket - (ticket - self.tickets))


class KeepsBeforeTheChain(UsedStreams):
    """A kept event's word changes when it is the first of its chain."""

    def make_first(self, slot: int, word: Word, ticket: int, before: int) -> Program:
        yield cas_acq_rel("finish_keep:word", word_of(slot), word, published(ticket))
        yield from super().make_first(slot, word, ticket, before)


class PlacesBeforeItKeeps(UsedStreams):
    """A kept event has its place when its word has changed: whoever finds it there does no more."""

    def keep(self, seen: Place, word: Word, ticket: int, slot: int) -> Program:
        yield cas_acq_rel("finish_keep:slot", self.order_of(ticket), seen, Place(ticket, slot))
        yield cas_acq_rel("finish_keep:word", word_of(slot), word, published(ticket))


class KeepsByStore(UsedStreams):
    """A kept event's word changes by compare-exchange: who comes late changes nothing."""

    def keep(self, seen: Place, word: Word, ticket: int, slot: int) -> Program:
        yield store_release("finish_keep:word", word_of(slot), published(ticket))
        yield cas_acq_rel("finish_keep:slot", self.order_of(ticket), seen, Place(ticket, slot))


BROKEN: Mapping[type[UsedStreams], str] = {
    AnnouncesByStore: "two append under one condition",
    AnnouncesWhatWasDecidedBefore: "two append under one condition",
    WaitsForTheAnnouncer: "the appender of a batch dies",
    LooksAtTheTailFirst: "a deletion is finished late",
    StepsWithoutLooking: "an append is finished late",
    ReadsWhatIsOver: "an append is finished late, and its slot used again",
    PutsWithoutLooking: "an append is finished late",
    TrustsWhatIsPut: "an append is finished late",
    PublishesByStore: "an append is finished late",
    NumbersNoWords: "an append is finished late",
    MakesNewestFromAny: "an append is finished late",
    MakesNewestByVersion: "the appender of a batch dies",
    CountsOneOfABatch: "the appender of a batch dies",
    LowersTheDeletion: "a deletion is finished late",
    MovesTheTailFirst: "a ticket is read",
    MakesNewestFirst: "a reader goes back",
    PublishesBeforeItIsPut: "two finish an append",
    PublishesBeforeTheChain: "two finish an append",
    ChainsWhatIsOver: "an append is finished late",
    LooksBeforeItChains: "an append is finished late",
    ChainsTwice: "an id meets another of its chain",
    LeadsOnLate: "an id meets another of its chain",
    LeadsOnByStore: "a link is set late",
    EndsTheChainEarly: "an id meets another of its chain",
    KeepsWithoutLooking: "an event is kept late",
    KeepsAlone: "two keep an event behind another",
    DiscardsAfterItKeeps: "two keep an event behind another",
    KeepsBeforeTheChain: "two keep an event",
    PlacesBeforeItKeeps: "two keep an event",
    KeepsByStore: "an event is kept late",
    **BROKEN_USES,
}
