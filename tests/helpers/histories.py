"""Histories of streams, held against what an atomic log would have done: does one order of all calls explain them?

The order of appends is known: that of the positions in a partition. So each event needs a moment, none earlier than
that of the event before, at which its call was under way; and each call that changed nothing needs one as well, between
the moments of the event that it found to be the newest and of the next. The earliest moments that all lower bounds
leave are taken in one pass; if one of them is too late, there is no order (linearizability, Herlihy and Wing 1990; with
the order of changes known it takes no search).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Wanted(NamedTuple):
    """An event that a call wants to append: its token is given to no other; an id may be."""

    token: int
    id: str | None = None


@dataclass(frozen=True)
class Call:
    """A call of a process: an append of `events`, or, without any, a reading.

    `ended` is math.inf for a call that never came back. What an append answered: `versions`, or, in a conflict,
    `newest`. What a reading answered: `newest`, and the tokens that it `saw` by version.
    """

    stream: str
    begun: float
    ended: float = math.inf
    events: Sequence[Wanted] = ()
    expected: int | None = None  # -1: no stream
    versions: Sequence[int] = ()
    newest: int | None = None
    saw: dict[int, int] = field(default_factory=dict)

    @property
    def came_back(self) -> bool:
        return self.ended < math.inf

    @property
    def is_conflict(self) -> bool:
        return self.came_back and bool(self.events) and not self.versions


class Logged(NamedTuple):
    """An event as it was read when all was over."""

    stream: str
    version: int
    position: int
    token: int
    id: str | None


class _Bounds:
    """From when to when an event must have come, as far as the calls around it tell."""

    def __init__(self) -> None:
        self.least, self.most = 0.0, math.inf

    def narrow(self, least: float, most: float) -> None:
        self.least, self.most = max(self.least, least), min(self.most, most)


@dataclass
class History:
    """All calls to the streams of one partition, and all events that the partition still had, in their order.

    `remembers` is how many positions long an id is surely known.
    """

    calls: list[Call]
    log: list[Logged]
    remembers: float = math.inf

    def anomalies(self) -> list[str]:
        """What no order of the calls explains, in words."""
        return [*self._of_the_log(), *self._of_calls()] or list(self._of_moments())

    # -- what the log says by itself

    def _of_the_log(self) -> Iterator[str]:
        newest: dict[str, Logged] = {}
        ids: dict[tuple[str, str], Logged] = {}
        tokens: set[int] = set()
        for event in self.log:
            before = newest.get(event.stream)
            if before and event.version != before.version + 1:
                yield f"version {event.version} of {event.stream} follows {before.version}"
            newest[event.stream] = event
            if event.token in tokens:
                yield f"token {event.token} is there twice"
            tokens.add(event.token)
            if event.id is not None:
                first = ids.setdefault((event.stream, event.id), event)
                if first is not event and event.position - first.position < self.remembers:
                    yield f"id {event.id} is version {first.version} of {event.stream} and {event.version}"
                ids[event.stream, event.id] = event
        for before, event in zip(self.log, self.log[1:], strict=False):
            if event.position <= before.position:
                yield f"position {event.position} follows {before.position}"

    # -- each call beside the log

    def _of_calls(self) -> Iterator[str]:
        self._by_version = {(event.stream, event.version): event for event in self.log}
        self._by_token = {event.token: event for event in self.log}
        self._first: dict[str, int] = {}
        self._end: dict[str, int] = {}
        for event in self.log:
            self._first.setdefault(event.stream, event.version)
            self._end[event.stream] = event.version + 1
        owners = {wanted.token: call for call in self.calls for wanted in call.events}
        yield from (f"token {token} is of nobody" for token in self._by_token.keys() - owners.keys())
        for call in self.calls:
            if call.events:
                yield from self._of_append(call)
            else:
                yield from self._of_reading(call)

    def _of_append(self, call: Call) -> Iterator[str]:
        found = [self._by_token.get(wanted.token) for wanted in call.events]
        if call.is_conflict:
            if any(found):
                yield f"{call} was refused, and is there"
            if call.newest == call.expected:
                yield f"{call} was refused, as expected"
            if self._knows_all(call):
                yield f"{call} was refused, though all of it was there"
            return
        if call.versions:
            yield from self._of_versions(call, found)
        new = [each for each in found if each]
        if not new:
            return
        first = new[0].version
        if [each.version for each in new] != list(range(first, first + len(new))):
            yield f"{call} is there as {[each.version for each in new]}"
        if {each.stream for each in new} != {call.stream}:
            yield f"{call} is in another stream"
        if call.expected is not None and first != call.expected + 1 and (found[0] or first > self._first[call.stream]):
            yield f"{call} is there from version {first} on"
        gone = first == self._first[call.stream]  # those before its first that is there may have been overwritten
        for wanted, each in zip(call.events, found, strict=True):
            if each and each.id != wanted.id:
                yield f"{call} has the id {each.id}"
            gone = gone and each is None
            if each is None and not gone and not self._was_there(call.stream, wanted.id, new[0]):
                yield f"{call} is there in part"

    def _of_versions(self, call: Call, found: Sequence[Logged | None]) -> Iterator[str]:
        for wanted, version, each in zip(call.events, call.versions, found, strict=True):
            if each and each.version != version:
                yield f"{call} answered {version}, and is {each.version}"
            held = self._by_version.get((call.stream, version))
            if version >= self._end.get(call.stream, 0):
                yield f"{call} answered {version}, which is not there"
            elif not each and held and (wanted.id is None or held.id != wanted.id):
                yield f"{call} answered {version}, which is another's"
            elif not held and version >= self._first[call.stream]:
                yield f"{call} answered {version}, which is a hole"

    def _knows_all(self, call: Call) -> bool:
        """Had the stream all of its ids by the version at which it was refused?"""
        assert call.newest is not None
        return all(
            any(
                event.version <= call.newest and call.newest - event.version < self.remembers
                for event in self._with_id(call.stream, wanted.id)
            )
            for wanted in call.events
        )

    def _was_there(self, stream: str, id: str | None, event: Logged) -> bool:
        """Is it of an id that was there when an event came, or may have been among those that are overwritten?"""
        earlier = any(each.position < event.position for each in self._with_id(stream, id))
        return id is not None and (earlier or self._first[stream] > 0)

    def _with_id(self, stream: str, id: str | None) -> Iterable[Logged]:
        if not hasattr(self, "_by_id"):
            self._by_id: dict[tuple[str, str | None], list[Logged]] = {}
            for event in self.log:
                self._by_id.setdefault((event.stream, event.id), []).append(event)
        return self._by_id.get((stream, id), ()) if id is not None else ()

    def _of_reading(self, call: Call) -> Iterator[str]:
        for version, token in call.saw.items():
            held = self._by_version.get((call.stream, version))
            if held and held.token != token:
                yield f"{call} saw {token} as version {version}, which is {held.token}"
        if call.saw and self.remembers == math.inf and len(call.saw) != max(call.saw) + 1 - min(call.saw):
            yield f"{call} left a version out"
        if call.newest is not None and call.newest >= self._end.get(call.stream, 0):
            yield f"{call} saw version {call.newest}, which is not there"

    # -- all calls together

    def _of_moments(self) -> Iterator[str]:
        bounds: dict[tuple[str, int], _Bounds] = {key: _Bounds() for key in self._by_version}

        def narrow(stream: str, version: int, least: float, most: float) -> None:
            if (stream, version) in bounds:
                bounds[stream, version].narrow(least, most)

        for call in self.calls:
            for wanted in call.events:
                event = self._by_token.get(wanted.token)
                if event:
                    narrow(event.stream, event.version, call.begun, call.ended)
            for version in call.versions:
                narrow(call.stream, version, 0, call.ended)
            if call.newest is not None:  # it was the newest at some moment of the call
                narrow(call.stream, call.newest, 0, call.ended)
                narrow(call.stream, call.newest + 1, call.begun, math.inf)
        moment = 0.0
        for event in self.log:
            found = bounds[event.stream, event.version]
            moment = max(moment, found.least)
            if moment > found.most:
                yield f"{event} came at {moment} at the earliest, and was there at {found.most}"
                return
