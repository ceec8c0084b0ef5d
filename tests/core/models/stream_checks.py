"""What must hold of the log of streams.py when its threads have ended, wherever the mortal ones then stand."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.models.stream_users import Done, Streams
from tests.core.models.streams import (
    CLAIMED,
    EVENT,
    FREE,
    NO_SLOT,
    NOBODY,
    NONE,
    PUBLISHED,
    Change,
    Facts,
    Link,
    Lost,
    Newest,
    Place,
    Text,
    Word,
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
from tests.core.operations import CAS, IS_DEAD, LOAD, STORE, Operation, Program, Scenario, require

MOST_STEPS = 1000  # of whoever finishes what is announced alone


class Event(NamedTuple):
    """An event that is there, or is announced, when a scenario begins."""

    ticket: int
    slot: int
    version: int
    data: str
    id: str | None = None
    stream: int = 0
    kind: str = EVENT

    @property
    def text(self) -> Text:
        return Text(self.stream, self.kind, self.id, self.data)


def alone(program: Program, values: dict[Any, Any]) -> Any:
    """Run a program with nobody beside it; returns its result."""

    def result_of(operation: Operation) -> Any:
        kind, at = operation.kind, operation.location
        if kind == LOAD:
            return values[at]
        if kind == CAS:
            seen, (expected, desired) = values[at], operation.values
            values[at] = desired if seen == expected else seen
            return seen == expected, seen
        if kind == STORE:
            (values[at],) = operation.values
        return kind == IS_DEAD

    try:
        operation = next(program)
        for _ in range(MOST_STEPS):
            operation = program.send(result_of(operation))
    except StopIteration as end:
        return end.value
    require(False, "what is announced is never finished")
    return None


class CheckedStreams(Streams):
    """The protocol, a scenario's beginning, and what must hold at its end."""

    known: dict[tuple[int, int], str]
    of_dead: Sequence[int]  # how many events the mortal may have appended, if any
    expired: int | None  # how many of each stream's lost versions could not be read any more
    streams: int
    stay: Sequence[tuple[int, int]]  # versions that are there in the end
    versions: int | None  # that stream 0 has in the end

    def at_rest(self, ended: Mapping[Any, Any], results: Sequence[Done | None]) -> None:
        values = {**self.fixed, **ended}
        alone(self.tidy(), values)
        done = [result for result in results if result is not None]
        there = self.require_order(values)
        for stream in range(self.streams):
            self.require_stream(values, stream, {v: data for (s, v), data in there.items() if s == stream})
        self.require_promises(values, there, done, self.of_dead if len(done) < len(results) else ())
        self.require_slots(values, results)

    def require_order(self, values: dict[Any, Any]) -> dict[tuple[int, int], str]:
        """Returns the events that are there."""
        tail = values["tail"]
        require(values["change"].tail == tail, "what is announced is done")
        there: dict[tuple[int, int], str] = {}
        placed = set()
        for ticket in range(max(tail - self.tickets, 0), tail):
            place = values[self.order_of(ticket)]
            require(place is not None and place.ticket == ticket, f"{place} has the place of ticket {ticket}")
            if place.slot == NO_SLOT:
                continue
            word, text, facts = (values[of(place.slot)] for of in (word_of, text_of, facts_of))
            if word != published(ticket) and not placed:
                continue  # it gave way to what was kept
            placed.add(place.slot)
            require(word == published(ticket), f"ticket {ticket} has slot {place.slot}, which is {word}")
            require(facts.position <= ticket, f"{facts} has ticket {ticket}")
            if text.kind == EVENT:
                key = text.stream, facts.version
                require(key not in there, f"version {key} is there twice")
                there[key] = text.id or text.data
                self.require_links(values, place.slot, text, facts)
            if text.id is not None:
                found = alone(self.find_id(tail, text.stream, text.id), values)
                require(found == facts.version, f"id {text.id} has version {facts.version}, and is found as {found}")
        for slot in range(self.slots):
            is_placed = values[word_of(slot)].state != PUBLISHED or slot in placed
            require(is_placed, f"slot {slot} is {values[word_of(slot)]} and has no ticket")
        return there

    def require_links(self, values: Mapping[Any, Any], slot: int, text: Text, facts: Facts) -> None:
        if not facts.version or facts.before is None or values[word_of(facts.before)].state != PUBLISHED:
            return
        before, its = values[facts_of(facts.before)], values[text_of(facts.before)]
        is_before = (its.stream, before.version) == (text.stream, facts.version - 1)
        lost = values[lost_of(text.stream)].below
        require(is_before or facts.version <= lost, f"slot {slot} leads to {its}, {before}")

    def require_stream(self, values: Mapping[Any, Any], stream: int, there: Mapping[int, str]) -> None:
        newest, lost = values[newest_of(stream)], values[lost_of(stream)]
        gone = [version for version in range(newest.versions) if version not in there]
        require(all(version < newest.versions for version in there), f"{there} are more than {newest}")
        require(lost.below == max(gone, default=-1) + 1, f"{gone} of stream {stream} are gone, and lost is {lost}")
        counted = 0 <= lost.expired <= lost.below if self.expired is None else lost.expired == self.expired
        require(counted, f"lost is {lost} of stream {stream}, and {self.expired} could not be read")
        if newest.versions - 1 in there:
            facts, text = values[facts_of(newest.slot)], values[text_of(newest.slot)]
            require((text.stream, facts.version) == (stream, newest.versions - 1), f"{newest} is {text}, {facts}")

    def require_promises(
        self,
        values: Mapping[Any, Any],
        there: Mapping[tuple[int, int], str],
        done: Sequence[Done],
        of_dead: Sequence[int],
    ) -> None:
        """Each event is there once, as whoever appended or read it was told, or is lost."""
        told = dict(self.known)
        for stream, version, data in [event for each in done for event in each.events]:
            key = stream, version
            require(told.setdefault(key, data) == data, f"version {key} is {told[key]} and {data}")
        for key, data in there.items():
            require(told.setdefault(key, data) == data, f"version {key} is {data} and was told to be {told[key]}")
        for (stream, version), data in told.items():
            is_lost = version < values[lost_of(stream)].below
            require(is_lost or (stream, version) in there, f"version {version} of stream {stream} is not there: {data}")
        require(len(set(there.values())) == len(there), f"an event is there twice: {there}")
        require(all(key in there for key in self.stay), f"{self.stay} stay, and {there} are there")
        its = values[newest_of(0)].versions
        require(self.versions in (None, its), f"there are {its} versions, not {self.versions}")
        versions = sum(values[newest_of(stream)].versions for stream in range(self.streams))
        more = versions - len(self.known) - sum(each.appended for each in done)
        require(more in (0, *of_dead), f"there are {versions} versions, {more} of which nobody has appended")
        for each in done:
            deleted, tail = values[deleted_of(0)], values["tail"]
            require(deleted >= each.deleted, f"what is deleted is {deleted}, not {each.deleted}")
            lapped = all(ticket + self.tickets < tail for ticket in each.lapped)
            require(lapped, f"tickets {each.lapped} were overwritten, and the tail is {tail}")

    def require_slots(self, values: Mapping[Any, Any], results: Sequence[Done | None]) -> None:
        """A claimed slot is somebody's who knows it, or who is dead."""
        swept = {result.swept for result in results if result is not None}
        spares = [(slot, owner) for owner, result in enumerate(results) if result for slot in result.spares]
        require(len(set(spares)) == len(spares), f"a slot is to be used twice: {spares}")
        for slot, owner in [pair for pair in spares if pair[1] not in swept]:
            word = values[word_of(slot)]
            require((word.owner, word.state) == (owner, CLAIMED), f"{owner} has slot {slot}, which is {word}")
        for slot in range(self.slots):
            word = values[word_of(slot)]
            if word.state == CLAIMED and (word.owner in swept or (slot, word.owner) not in spares):
                is_dead = results[word.owner] is None and word.owner not in swept
                require(is_dead, f"slot {slot} is {word}, and nobody knows")

    def scenario(
        self,
        *programs: Any,
        events: Sequence[Event],
        announced: Sequence[Event] = (),
        filled: Sequence[Event] = (),
        what: Change | None = None,
        claimed: Mapping[int, int] | None = None,
        written: Sequence[Any] = (),
        mortal: Sequence[int] = (),
        of_dead: Sequence[int] = (),
        expired: int | None = None,
        versions: int | None = None,
        stay: Sequence[tuple[int, int]] = (),
        deleted: int = 0,
        truncated: int = 0,
    ) -> Scenario:
        """A log that begins with these events; `claimed` says whose slots are. What changes, beside the log and its
        streams, is `written`. What is `filled` is of events that are announced later.
        """
        self.of_dead, self.expired, self.versions, self.stay = of_dead, expired, versions, stay
        self.streams = 1 + max(event.stream for event in (*events, *announced))
        tail = 1 + max(event.ticket for event in events)
        changed = tail + len(announced)
        shared: dict[Any, Any] = {"tail": tail, "chain": None, "change": Change(changed, NONE, 0)}
        if announced or what:
            shared["change"] = what or Change(changed, "APPEND", announced[0].slot)
        for ticket in range(self.tickets):
            shared[self.order_of(ticket)] = None
        for slot in range(self.slots):
            owner = (claimed or {}).get(slot, NOBODY)
            shared |= {word_of(slot): Word(0, owner, FREE if owner == NOBODY else CLAIMED)}
            shared |= {of(slot): None for of in (text_of, facts_of, next_of, batch_of)}
        self.known = {}
        for stream in range(self.streams):
            shared[newest_of(stream)] = Newest(0, None)
        for event in events:
            self.begin_with(shared, event)
            shared |= {word_of(event.slot): published(event.ticket), next_of(event.slot): shared["chain"]}
            shared[self.order_of(event.ticket)] = Place(event.ticket, event.slot)
            if event.id:
                shared["chain"] = Link(event.ticket, event.slot, event.id, shared["chain"] is None)
            if event.kind == EVENT:
                self.known |= {(event.stream, v): f"v{v}" for v in range(event.version)}
                shared[newest_of(event.stream)] = Newest(event.version + 1, event.slot)
        for event in events:
            if event.kind == EVENT:
                self.known[event.stream, event.version] = event.id or event.data
        self.begin_with_others(shared, (*announced, *filled))
        for stream in range(self.streams):
            there = [e.version for e in events if e.stream == stream and e.kind == EVENT]
            below = min(there, default=0)
            gone = min(below, truncated)
            shared |= {lost_of(stream): Lost(below, gone), deleted_of(stream): deleted}
            shared |= {truncated_of(stream): truncated}
        always = ("change", "tail")
        loose = {at for at in shared if at in always or at in written or at[0] in ("order", "word", "newest", "lost")}
        if any(event.id for event in (*events, *announced)):
            loose.add("chain")
        self.fixed = {at: value for at, value in shared.items() if at not in loose}
        return Scenario(
            {at: shared[at] for at in shared if at in loose}, programs, frozenset(mortal), at_rest=self.at_rest
        )

    def begin_with(self, shared: dict[Any, Any], event: Event) -> None:
        before = shared[newest_of(event.stream)].slot
        shared |= {text_of(event.slot): event.text, facts_of(event.slot): Facts(event.version, event.ticket, before)}

    def begin_with_others(self, shared: dict[Any, Any], others: Sequence[Event]) -> None:
        """Slots that are written: each event follows the one before, and those that are announced are a batch."""
        before = None
        for event in others:
            self.begin_with(shared, event)
            if before is not None:
                shared[facts_of(event.slot)] = Facts(event.version, event.ticket, before)
                shared[batch_of(before)] = event.slot if event.ticket < shared["change"].tail else None
            shared[next_of(event.slot)] = Link(event.ticket, event.slot, event.id) if event.id else None
            before = event.slot
