"""Appending to streams, claiming and freeing slots, and reading: on the log of streams.py."""

from typing import Any, NamedTuple

from tests.core.models.streams import (
    APPEND,
    CLAIMED,
    CLOSED,
    EVENT,
    FREE,
    HARD,
    KEEP,
    NO_SLOT,
    NOBODY,
    PUBLISHED,
    TAKE,
    Facts,
    Link,
    Log,
    Moment,
    Newest,
    Text,
    Word,
    age,
    batch_of,
    deleted_of,
    facts_of,
    lost_of,
    newest_of,
    next_of,
    published,
    text_of,
    truncated_of,
    word_of,
)
from tests.core.operations import (
    Operation,
    Program,
    cas_acq_rel,
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    require,
    store_relaxed,
)

ANY = -1  # what is expected of a stream, if not its newest version
NO_STREAM = -2
GONE, NEXT = "GONE", "NEXT"


class Wish(NamedTuple):
    id: str | None
    data: str


class Append(NamedTuple):
    """What an append is asked to do, and the slots that it has for it."""

    me: int
    stream: int
    wishes: tuple[Wish, ...]
    slots: tuple[int, ...]
    expected: int = ANY
    kind: str = EVENT


class Decision(NamedTuple):
    newest: Newest
    versions: tuple[int, ...]
    new: int  # events that are to be appended
    refused: str = ""


class Done(NamedTuple):
    """What came of a thread."""

    events: tuple[tuple[int, int, str], ...] = ()  # stream, version and data, that are there for it
    spares: tuple[int, ...] = ()
    appended: int = 0
    deleted: int = 0  # what says so, at least
    lapped: tuple[int, ...] = ()  # tickets whose events have given way
    swept: int | None = None  # whose claims it has freed
    refused: str = ""


class Streams(Log):
    """The protocol as it is. What is fixed is there already: to store it is no step."""

    def store(self, operation: Operation) -> Program:
        if operation.location not in self.fixed:
            yield operation
        else:
            there = self.fixed[operation.location]
            require(there is None or (there,) == operation.values, f"{there} is fixed, not {operation.values}")

    # Appending.

    def append(self, a: Append) -> Program:
        for i in range(len(a.wishes)):
            yield from self.fill(a, i)
        done = None
        while done is None:
            done = yield from self.attempt(a)
        return done

    def fill(self, a: Append, i: int) -> Program:
        yield from self.look_at_claim(a.me, a.slots[i])
        text = Text(a.stream, a.kind, a.wishes[i].id, a.wishes[i].data)
        yield from self.store(store_relaxed("", text_of(a.slots[i]), text))

    def look_at_claim(self, me: int, slot: int) -> Program:
        word = yield load_acquire("slots_claim:word", word_of(slot))
        require((word.owner, word.state) == (me, CLAIMED), f"{me} has claimed slot {slot}, which is {word}")
        yield fence_release("slots_fill:fence")

    def attempt(self, a: Append) -> Program:
        """Returns what came of it, or None: once more."""
        moment = yield from self.tidy()
        decision = yield from self.decide(a, moment)
        if decision is None or decision.refused:
            return decision and Done(self.found(a, decision), a.slots, refused=decision.refused)
        replaced = yield from self.make_way(moment, decision.new)
        if replaced is None:
            return None
        first = yield from self.write(a, decision, moment.tail)
        announced = yield from self.announce(moment, APPEND, first, decision.new)
        return self.appended(a, decision, replaced) if announced else None

    def found(self, a: Append, decision: Decision) -> tuple[tuple[int, int, str], ...]:
        """The events of an append, of which each has a version."""
        if a.kind != EVENT or decision.refused not in ("", "known"):
            return ()
        pairs = zip(a.wishes, decision.versions, strict=True)
        return tuple((a.stream, version, wish.id or wish.data) for wish, version in pairs)

    def appended(self, a: Append, decision: Decision, replaced: tuple[int, ...]) -> Done:
        unused = [slot for slot, v in zip(a.slots, decision.versions, strict=True) if v < decision.newest.versions]
        new = decision.new if a.kind == EVENT else 0
        deleted = {EVENT: 0, HARD: CLOSED}.get(a.kind, decision.newest.versions + 1)
        mine = replaced if decision.new == 1 else ()
        return Done(self.found(a, decision), (*mine, *unused), new, deleted)

    # Deciding [3].

    def decide(self, a: Append, moment: Moment) -> Program:
        versions = yield from self.first_half(load_relaxed("", newest_of(a.stream)))
        before = yield from self.second_half(load_relaxed("", newest_of(a.stream)))
        deleted = yield from self.load(load_relaxed("", deleted_of(a.stream)))
        decision = yield from self.look_up(a, moment.tail, Newest(versions, before))
        decision = decision._replace(refused=self.refusal(a, decision, deleted))
        if not decision.refused:
            return decision
        is_at = yield from self.is_announced(moment.change)
        return decision if is_at else None

    def refusal(self, a: Append, decision: Decision, deleted: int) -> str:
        versions = decision.newest.versions
        exists = versions and deleted != versions + 1
        if deleted == CLOSED:
            return "deleted"
        if not decision.new:
            return "known"
        if exists if a.expected == NO_STREAM else a.expected not in (ANY, versions - 1):
            return "conflict"
        return "" if a.kind in (EVENT, HARD) or exists else "nothing"

    def look_up(self, a: Append, tail: int, newest: Newest) -> Program:
        versions: tuple[int, ...] = ()
        new = 0
        for i in range(len(a.wishes)):
            version = None
            if a.wishes[i].id is not None:
                version = yield from self.find_id(tail, a.stream, a.wishes[i].id)
            versions += (newest.versions + new if version is None else version,)
            new += version is None
        return Decision(newest, versions, new)

    def find_id(self, tail: int, stream: int, name: str | None) -> Program:
        """[9] Returns the version of the event with this id, or None."""
        link = yield from self.load(load_acquire("chains_find:first", "chain"))
        passed = 0
        while link is not None and passed < age(link, tail) <= self.tickets:
            if link.is_end and link.id != name:
                return None
            found = yield from self.look_behind(link, stream, name)
            if found != NEXT:
                return None if found == GONE else found
            passed = age(link, tail)
            link = yield from self.load(load_relaxed("", next_of(link.slot)))
        return None

    def look_behind(self, link: Link, stream: int, name: str | None) -> Program:
        word = yield from self.load(load_acquire("chains_find:word", word_of(link.slot)))
        if word.state != PUBLISHED or word.ticket != link.ticket:
            return GONE
        text = yield from self.load(load_relaxed("", text_of(link.slot)))
        if text.id != name or text.stream != stream:
            return NEXT
        facts = yield from self.load(load_relaxed("", facts_of(link.slot)))
        return facts.version

    # Making way [6, 7], and writing.

    def make_way(self, moment: Moment, count: int) -> Program:
        """Returns the slots that are replaced, or None where something else was announced."""
        replaced: tuple[int, ...] = ()
        for i in range(count):
            slot = yield from self.has_place(moment.tail + i)
            if slot == NO_SLOT:
                continue
            replaced += (slot,)
            is_reserved = yield from self.is_reserved(slot)
            if is_reserved:
                yield from self.announce(moment, KEEP, slot, 1)
                return None
        return replaced

    def has_place(self, ticket: int) -> Program:
        seen = yield from self.load(load_relaxed("", self.order_of(ticket)))
        if seen is None or seen.slot == NO_SLOT:
            return NO_SLOT
        word = yield from self.load(load_relaxed("", word_of(seen.slot)))
        return seen.slot if word == published(ticket - self.tickets) else NO_SLOT

    def write(self, a: Append, decision: Decision, ticket: int) -> Program:
        """Returns the slot of the first new event."""
        new = tuple([i for i in range(len(a.slots)) if decision.versions[i] >= decision.newest.versions])
        slots = tuple([a.slots[i] for i in new])
        for n in range(len(slots)):
            before = slots[n - 1] if n else decision.newest.slot
            facts = Facts(decision.newest.versions + n, ticket + n, before)
            yield from self.store(store_relaxed("", facts_of(slots[n]), facts))
            link = Link(ticket + n, slots[n], a.wishes[new[n]].id)
            yield from self.store(store_relaxed("", next_of(slots[n]), link))
            yield from self.store(store_relaxed("", batch_of(slots[n]), None))
            if n:
                yield from self.store(store_relaxed("", batch_of(slots[n - 1]), slots[n]))
        return slots[0]

    # Claiming [1, 7], and freeing [10].

    def claim(self, me: int, slot: int) -> Program:
        word = yield load_relaxed("", word_of(slot))
        if word.state != FREE:
            return False
        claimed, _ = yield cas_acq_rel("claim:word", word_of(slot), word, Word(word.ticket, me, CLAIMED))
        return claimed

    def take(self, me: int) -> Program:
        """Returns the slot of the oldest event, or None."""
        moment = yield from self.tidy()
        slot = yield from self.has_place(moment.tail)
        is_reserved = False
        if slot != NO_SLOT:
            is_reserved = yield from self.is_reserved(slot)
        claimed = False
        if is_reserved:
            yield from self.announce(moment, KEEP, slot, 1)
        else:
            announced = yield from self.announce(moment, TAKE, NO_SLOT, 1)
            if announced and slot != NO_SLOT:
                claimed = yield from self.claim(me, slot)
        return slot if claimed else None

    def free_slot(self, slot: int, owner: int) -> Program:
        word = yield load_relaxed("", word_of(slot))
        if word.state == CLAIMED and word.owner == owner:
            yield cas_acq_rel("free_slot:word", word_of(slot), word, Word(word.ticket, NOBODY, FREE))

    def sweep(self, owner: int) -> Program:
        yield from self.tidy()
        for slot in range(self.slots):
            yield from self.free_slot(slot, owner)

    # Reading.

    def has_versions(self, stream: int, following: int) -> Program:
        versions = yield from self.first_half(load_acquire("follow_has_versions:newest", newest_of(stream)))
        return versions > following

    def read_slot(self, slot: int) -> Program:
        """Returns the word, text and facts of a published event, or None."""
        word = yield load_acquire("slots_read:word", word_of(slot))
        if word.state != PUBLISHED:
            return None
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        text = yield from self.load(load_relaxed("slots_read:text", text_of(slot)))
        yield fence_acquire("slots_read:fence")
        again = yield load_relaxed("slots_read:again", word_of(slot))
        return (word, text, facts) if again == word else None

    def read_leads(self, stream: int, version: int, slot: int | None) -> Program:
        """Returns the facts of a version, if its event is in this slot. It may be kept meanwhile."""
        if slot is None:
            return None
        while True:
            word = yield load_acquire("read_leads:word", word_of(slot))
            if word.state != PUBLISHED:
                return None
            text = yield from self.load(load_relaxed("", text_of(slot)))
            facts = yield from self.load(load_relaxed("", facts_of(slot)))
            yield fence_acquire("read_leads:fence")
            again = yield load_relaxed("read_leads:again", word_of(slot))
            if again == word:
                is_it = (text.stream, text.kind, facts.version) == (stream, EVENT, version)
                return facts if is_it else None

    def start(self, stream: int) -> Program:
        """Returns the number of versions, and the slot of the newest, of one moment."""
        while True:
            versions = yield from self.first_half(load_acquire("seek_start:versions", newest_of(stream)))
            slot = yield from self.second_half(load_acquire("seek_start:slot", newest_of(stream)))
            again = yield from self.first_half(load_relaxed("", newest_of(stream)))
            if again == versions:
                return Newest(versions, slot)

    def not_there(self, stream: int, version: int, asked: int) -> Program:
        lost = yield from self.first_half(load_acquire("not_there:lost", lost_of(stream)))
        require(version < lost, f"version {version} of stream {stream} is damaged on the way to {asked}")
        lost = yield from self.first_half(load_relaxed("", lost_of(stream)))
        require(asked < lost, f"version {asked} of stream {stream} is damaged")
        return "lost"

    def find_version(self, stream: int, asked: int) -> Program:
        """Returns the slot, or why there is none."""
        newest = yield from self.start(stream)
        if asked >= newest.versions:
            return "not yet"
        version, slot = newest.versions - 1, newest.slot
        while True:
            facts = yield from self.read_leads(stream, version, slot)
            if facts is None:
                why = yield from self.not_there(stream, version, asked)
                return why
            if version == asked:
                return slot
            version, slot = version - 1, facts.before

    def read_version(self, stream: int, version: int, slot: int) -> Program:
        """Returns the data, or that it is lost."""
        while True:
            whole = yield from self.read_slot(slot)
            if whole and (whole[1].stream, whole[1].kind, whole[2].version) == (stream, EVENT, version):
                return whole[1].data
            lost = yield from self.first_half(load_acquire("streams_read:lost", lost_of(stream)))
            if version < lost:
                return "lost"
            require(not whole, f"version {version} of stream {stream} is damaged")

    def read_ticket(self, ticket: int) -> Program:
        """Returns text and facts, or why there are none."""
        tail = yield load_acquire("streams_tail:tail", "tail")
        if ticket >= tail:
            return "not yet"
        link = yield load_acquire("streams_read_ticket:order", self.order_of(ticket))
        if link is None or link.ticket != ticket:
            return "lapped"
        if link.slot == NO_SLOT:
            return "none"
        whole = yield from self.read_slot(link.slot)
        if whole is None or whole[0] != published(ticket):
            return "lapped"
        return whole[1:] if whole[2].position == ticket else "kept"

    def state(self, stream: int) -> Program:
        """Returns what is lost, and the number of versions."""
        lost: Any = None
        while lost is None:
            lost = yield from self.look_at_lost(stream)
        versions = yield from self.first_half(load_relaxed("", newest_of(stream)))
        return lost, versions

    def look_at_lost(self, stream: int) -> Program:
        below = yield from self.first_half(load_acquire("streams_state:lost", lost_of(stream)))
        expired = yield from self.second_half(load_acquire("streams_state:expired", lost_of(stream)))
        again = yield from self.first_half(load_relaxed("", lost_of(stream)))
        return (below, expired) if again == below else None

    def truncate(self, stream: int, to: int) -> Program:
        seen = yield load_relaxed("", truncated_of(stream))
        raised = False
        while seen < to and not raised:
            raised, seen = yield cas_acq_rel("streams_truncate:raise", truncated_of(stream), seen, to)
