"""The log of streams: announcing changes, finishing them, discarding; the numbers are the sentences of log.h.

One partition; all ids are of one bucket. What describes an event is three units: what is known before the moment of its
append (`Text`), what depends on that moment (`Facts`), and the rest of its batch. A swap of both halves is one
compare-exchange; a load of a half is a load of the same location of which only that half is seen. Owners are threads.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.core.operations import (
    Operation,
    Program,
    cas_acq_rel,
    fence_acquire,
    load_acquire,
    load_relaxed,
    require,
)

FREE, CLAIMED, PUBLISHED = "FREE", "CLAIMED", "PUBLISHED"
NONE, APPEND, KEEP, TAKE = "NONE", "APPEND", "KEEP", "TAKE"
EVENT, SOFT, HARD = "EVENT", "SOFT", "HARD"
NO_SLOT = -1
NOBODY = -1
CLOSED = 99  # instead of a number of versions
MODULUS = 2**35  # of tickets in links of chains


class Word(NamedTuple):
    ticket: int
    owner: int
    state: str


class Place(NamedTuple):
    """Of `order`."""

    ticket: int
    slot: int


class Link(NamedTuple):
    """Of a chain of ids."""

    ticket: int
    slot: int
    id: str | None
    is_end: bool = False


class Change(NamedTuple):
    tail: int
    what: str
    slot: int


class Moment(NamedTuple):
    change: Change
    tail: int


class Text(NamedTuple):
    stream: int
    kind: str
    id: str | None
    data: str


class Facts(NamedTuple):
    version: int
    position: int
    before: int | None  # slot of the event before


class Newest(NamedTuple):
    versions: int
    slot: int | None


class Lost(NamedTuple):
    below: int
    expired: int


def word_of(slot: int) -> tuple[str, int]:
    return "word", slot


def text_of(slot: int) -> tuple[str, int]:
    return "text", slot


def facts_of(slot: int) -> tuple[str, int]:
    return "facts", slot


def next_of(slot: int) -> tuple[str, int]:
    return "next", slot


def batch_of(slot: int) -> tuple[str, int]:
    return "batch", slot


def newest_of(stream: int) -> tuple[str, int]:
    return "newest", stream


def lost_of(stream: int) -> tuple[str, int]:
    return "lost", stream


def deleted_of(stream: int) -> tuple[str, int]:
    return "deleted", stream


def truncated_of(stream: int) -> tuple[str, int]:
    return "truncated", stream


def published(ticket: int) -> Word:
    return Word(ticket, NOBODY, PUBLISHED)


def age(link: Link, ticket: int) -> int:
    return (ticket - link.ticket) % MODULUS


class Log:
    """The protocol as it is. `fixed` is what nobody changes in a scenario: to load it is no step. The newest event
    of stream `reserved` is its reserve.
    """

    def __init__(self, tickets: int, slots: int, most: int = 0, reserved: int = -1) -> None:
        self.tickets, self.slots, self.most, self.reserved = tickets, slots, most, reserved
        self.fixed: Mapping[Any, Any] = {}

    def order_of(self, ticket: int) -> tuple[str, int]:
        return "order", ticket % self.tickets

    def load(self, operation: Operation) -> Program:
        if operation.location in self.fixed:
            return self.fixed[operation.location]
        value = yield operation
        return value

    def first_half(self, operation: Operation) -> Program:
        both = yield from self.load(operation)
        return both[0]

    def second_half(self, operation: Operation) -> Program:
        both = yield from self.load(operation)
        return both[1]

    def is_announced(self, change: Change) -> Program:
        yield fence_acquire("is_announced:fence")
        now = yield load_acquire("is_announced:change", "change")
        return now == change

    # [8] Discarding.

    def first_kept(self, stream: int, newest: int) -> Program:
        deleted = yield from self.load(load_relaxed("", deleted_of(stream)))
        truncated = yield from self.load(load_relaxed("", truncated_of(stream)))
        return max(truncated, deleted - 1, newest - self.most if self.most else 0)

    def is_reserved(self, slot: int) -> Program:
        text = yield from self.load(load_relaxed("", text_of(slot)))
        if text is None or text.kind != EVENT or text.stream != self.reserved:
            return False
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        newest = yield from self.first_half(load_relaxed("", newest_of(text.stream)))
        if facts.version + 1 < newest:
            return False
        first = yield from self.first_kept(text.stream, newest)
        return facts.version >= first

    def tell_loss(self, stream: int, version: int) -> Program:
        told = False
        while not told:
            lost = yield from self.first_half(load_acquire("tell_loss:lost", lost_of(stream)))
            if lost > version:
                return
            told = yield from self.count_and_tell(stream, version, lost)

    def count_and_tell(self, stream: int, version: int, lost: int) -> Program:
        expired = yield from self.second_half(load_relaxed("", lost_of(stream)))
        newest = yield from self.first_half(load_relaxed("", newest_of(stream)))
        kept = yield from self.first_kept(stream, newest)
        gone = max(min(kept, version + 1) - lost, 0)
        before, after = Lost(lost, expired), Lost(version + 1, expired + gone)
        told, _ = yield cas_acq_rel("tell_loss:tell", lost_of(stream), before, after)
        return told

    def raise_word(self, location: Any, to: int) -> Program:
        seen = yield load_relaxed("", location)
        raised = False
        while seen < to and not raised:
            raised, seen = yield cas_acq_rel("raise:word", location, seen, to)

    def tell(self, slot: int, ticket: int) -> Program:
        """Returns whether the slot has its event still."""
        word = yield load_acquire("tell:word", word_of(slot))
        if word != published(ticket):
            return False
        text = yield from self.load(load_relaxed("", text_of(slot)))
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        is_same = yield from self.is_same(slot, word)
        if is_same and text.kind == EVENT:
            yield from self.tell_loss(text.stream, facts.version)
        return is_same

    def is_same(self, slot: int, word: Word) -> Program:
        yield fence_acquire("tell:fence")
        again = yield load_relaxed("tell:again", word_of(slot))
        return again == word

    def discard(self, slot: int, ticket: int, owner: int) -> Program:
        is_there = yield from self.tell(slot, ticket)
        if is_there:
            yield from self.give_slot(slot, published(ticket), owner)

    def give_slot(self, slot: int, word: Word, owner: int) -> Program:
        left = Word(word.ticket, owner, FREE if owner == NOBODY else CLAIMED)
        yield cas_acq_rel("discard:slot", word_of(slot), word, left)

    # Finishing.

    def put(self, change: Change, ticket: int, slot: int, owner: int) -> Program:
        seen = yield load_acquire("put:order", self.order_of(ticket))
        if seen is not None and seen.ticket == ticket:
            is_announced = yield from self.is_announced(change)
            return is_announced
        if seen is not None and seen.slot != NO_SLOT:
            yield from self.discard(seen.slot, ticket - self.tickets, owner)
        is_announced = yield from self.is_announced(change)
        if is_announced:
            yield cas_acq_rel("put:slot", self.order_of(ticket), seen, Place(ticket, slot))
        return is_announced

    def chain(self, slot: int, word: Word, ticket: int, name: str) -> Program:
        """[9] Make a slot the first of the chain of its id."""
        first = yield load_acquire("chain:first", "chain")
        behind = yield load_relaxed("", next_of(slot))
        is_before = yield from self.is_before(slot, word)
        if is_before and (first is None or first[:2] != (ticket, slot)):
            yield from self.lead_on(slot, ticket, name, first, behind)

    def is_before(self, slot: int, word: Word) -> Program:
        """Is the word of a slot the one that it has before its change, after what was read?"""
        yield fence_acquire("chain:fence")
        now = yield load_relaxed("chain:word", word_of(slot))
        return now == word

    def lead_on(self, slot: int, ticket: int, name: str, first: Link | None, behind: Link | None) -> Program:
        if behind != first:
            yield cas_acq_rel("chain:next", next_of(slot), behind, first)
        is_end = first is None or age(first, ticket) > self.tickets
        yield cas_acq_rel("chain:slot", "chain", first, Link(ticket, slot, name, is_end))

    def append_one(self, change: Change, ticket: int, slot: int, is_alone: bool) -> Program:
        word = yield load_acquire("append_one:word", word_of(slot))
        if word == published(ticket):
            return True
        is_put = yield from self.put(change, ticket, slot, word.owner if is_alone else NOBODY)
        if not is_put:
            return False
        text = yield from self.load(load_relaxed("", text_of(slot)))
        if text.id is not None:
            yield from self.chain(slot, word, ticket, text.id)
        is_published = yield from self.publish(change, slot, word, ticket)
        return is_published

    def publish(self, change: Change, slot: int, word: Word, ticket: int) -> Program:
        is_announced = yield from self.is_announced(change)
        if is_announced:
            yield cas_acq_rel("append_one:publish", word_of(slot), word, published(ticket))
        return is_announced

    def tell_last(self, ticket: int) -> Program:
        """Tell the loss of what gives way to the last ticket of a batch."""
        seen = yield from self.load(load_relaxed("", self.order_of(ticket)))
        if seen is not None and seen.slot != NO_SLOT:
            yield from self.tell(seen.slot, ticket - self.tickets)

    def finish_append(self, change: Change, tail: int, count: int) -> Program:
        """[5]"""
        text = yield from self.load(load_relaxed("", text_of(change.slot)))
        facts = yield from self.load(load_relaxed("", facts_of(change.slot)))
        is_announced = yield from self.is_announced(change)
        if not is_announced:
            return False
        last = yield from self.append_batch(change, tail, count)
        if last is None:
            return False
        done = yield from self.make_newest(change, text, facts, count, last)
        return done

    def append_batch(self, change: Change, tail: int, count: int) -> Program:
        """Returns the last slot, or None where they are not of this change any more."""
        slot: int | None = change.slot
        last = slot
        if count > 1:
            yield from self.tell_last(tail + count - 1)
        for i in range(count):
            if slot is None:
                return None
            last = slot
            slot = yield from self.load(load_relaxed("", batch_of(last)))
            done = yield from self.append_one(change, tail + i, last, count == 1)
            if not done:
                return None
        return last

    def make_newest(self, change: Change, text: Text, facts: Facts, count: int, last: int) -> Program:
        is_announced = yield from self.is_announced(change)
        if not is_announced:
            return False
        if text.kind != EVENT:
            yield from self.raise_word(deleted_of(text.stream), facts.version + 1 if text.kind == SOFT else CLOSED)
        else:
            before, after = Newest(facts.version, facts.before), Newest(facts.version + count, last)
            yield cas_acq_rel("finish_append:newest", newest_of(text.stream), before, after)
        return True

    def discard_next(self, ticket: int, count: int) -> Program:
        """What the next tickets would overwrite."""
        for i in range(count):
            seen = yield from self.load(load_relaxed("", self.order_of(ticket + i)))
            if seen is not None and seen.slot != NO_SLOT:
                yield from self.discard(seen.slot, ticket + i - self.tickets, NOBODY)

    def finish_keep(self, change: Change, ticket: int) -> Program:
        """[6]"""
        slot = change.slot
        seen = yield load_acquire("finish_keep:order", self.order_of(ticket))
        if seen.ticket == ticket:
            return True
        word = yield load_relaxed("", word_of(slot))
        if word != published(ticket):
            before = word.ticket - (ticket - self.tickets)
            if word.state != PUBLISHED or not 0 <= before < self.tickets:
                return False
            yield from self.make_first(slot, word, ticket, before)
        is_announced = yield from self.is_announced(change)
        if is_announced:
            yield from self.keep(seen, word, ticket, slot)
        return is_announced

    def make_first(self, slot: int, word: Word, ticket: int, before: int) -> Program:
        """Of all that is there, and of its chain."""
        yield from self.discard_next(ticket, before)
        text = yield from self.load(load_relaxed("", text_of(slot)))
        if text.id is not None:
            yield from self.chain(slot, word, ticket, text.id)

    def keep(self, seen: Place, word: Word, ticket: int, slot: int) -> Program:
        if word != published(ticket):
            yield cas_acq_rel("finish_keep:word", word_of(slot), word, published(ticket))
        yield cas_acq_rel("finish_keep:slot", self.order_of(ticket), seen, Place(ticket, slot))

    def finish(self, change: Change, tail: int) -> Program:
        """Returns whether it is done, or was over."""
        done = yield from self.make(change, tail)
        if done:
            yield cas_acq_rel("finish:tail", "tail", tail, change.tail)
            return True
        is_announced = yield from self.is_announced(change)
        return not is_announced

    def make(self, change: Change, tail: int) -> Program:
        if change.what == TAKE:
            done = yield from self.put(change, tail, NO_SLOT, NOBODY)
        elif change.what == KEEP:
            done = yield from self.finish_keep(change, tail)
        else:
            done = yield from self.finish_append(change, tail, change.tail - tail)
        return done

    # [3] Announcing.

    def tidy(self) -> Program:
        moment = None
        while moment is None:
            moment = yield from self.look()
        return moment

    def look(self) -> Program:
        change = yield load_acquire("log_tidy:change", "change")
        tail = yield load_acquire("log_tidy:tail", "tail")
        is_announced = yield from self.is_announced(change)
        if not is_announced:
            return None
        if change.tail == tail:
            return Moment(change, tail)
        done = yield from self.finish(change, tail)
        require(done, f"{change} can never be finished")
        return None

    def announce(self, moment: Moment, what: str, slot: int, count: int) -> Program:
        change = Change(moment.tail + count, what, slot)
        announced, _ = yield cas_acq_rel("log_announce:change", "change", moment.change, change)
        if announced:
            yield from self.finish(change, moment.tail)
        return announced
