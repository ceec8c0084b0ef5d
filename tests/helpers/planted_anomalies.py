"""Errors of a log, planted in a true history: each is one that no atomic log makes."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

from tests.helpers.histories import Call, History, Logged

Plant = Callable[[History, random.Random], History | None]
"""Makes a history wrong; None where this one has no place for such an error."""


def _owners(history: History) -> dict[int, Call]:
    return {wanted.token: call for call in history.calls for wanted in call.events}


def _with_call(history: History, old: Call, new: Call) -> History:
    return replace(history, calls=[new if call is old else call for call in history.calls])


def _renumbered(log: list[Logged], stream: str, after: int, by: int) -> list[Logged]:
    return [
        event._replace(version=event.version + by) if event.stream == stream and event.version > after else event
        for event in log
    ]


def an_event_is_lost(history: History, dice: random.Random) -> History | None:
    """Of a call that came back; those behind it have moved up."""
    owners = _owners(history)
    told = [event for event in history.log if owners[event.token].came_back]
    if not told:
        return None
    lost = dice.choice(told)
    log = [event for event in history.log if event is not lost]
    return replace(history, log=_renumbered(log, lost.stream, lost.version, -1))


def a_version_is_missing(history: History, dice: random.Random) -> History | None:
    if len(history.log) < 2:
        return None
    at = dice.randrange(len(history.log))
    event = history.log[at]
    if not any(each.stream == event.stream and each.version > event.version for each in history.log):
        return None
    if not any(each.stream == event.stream and each.version < event.version for each in history.log):
        return None
    return replace(history, log=history.log[:at] + history.log[at + 1 :])


def an_event_is_there_twice(history: History, dice: random.Random) -> History | None:
    if not history.log:
        return None
    event = dice.choice(history.log)
    last = history.log[-1]
    again = event._replace(
        position=last.position + 1, version=1 + max(each.version for each in history.log if each.stream == event.stream)
    )
    return replace(history, log=[*history.log, again])


def an_event_is_of_nobody(history: History, dice: random.Random) -> History | None:
    if not history.log:
        return None
    at = dice.randrange(len(history.log))
    return replace(history, log=[*history.log[:at], history.log[at]._replace(token=-1), *history.log[at + 1 :]])


def _swapped(history: History, first: Logged, second: Logged, *, told: bool) -> History:
    """Two single events in each other's places; `told`: their calls have answered so, too."""
    owners = _owners(history)
    log = [
        second._replace(version=first.version, position=first.position, stream=first.stream)
        if event is first
        else first._replace(version=second.version, position=second.position, stream=second.stream)
        if event is second
        else event
        for event in history.log
    ]
    changed = replace(history, log=log)
    if told:
        one, other = owners[first.token], owners[second.token]
        changed = _with_call(changed, one, replace(one, versions=(second.version,)))
        changed = _with_call(changed, other, replace(other, versions=(first.version,)))
    return changed


def _pair(history: History, dice: random.Random) -> tuple[Logged, Logged] | None:
    """Two events of a stream by single unconditional calls, one of which ended before the other began."""
    owners = _owners(history)
    plain = [
        event
        for event in history.log
        if (call := owners[event.token]).came_back and len(call.events) == 1 and call.expected is None and not event.id
    ]
    for _ in range(20 if len(plain) > 1 else 0):
        one, other = sorted(dice.sample(plain, 2), key=lambda event: event.position)
        if one.stream == other.stream and owners[one.token].ended < owners[other.token].begun:
            return one, other
    return None


def two_events_are_exchanged(history: History, dice: random.Random) -> History | None:
    pair = _pair(history, dice)
    return _swapped(history, *pair, told=False) if pair else None


def a_later_append_comes_before_an_earlier(history: History, dice: random.Random) -> History | None:
    """And both calls have answered so: only the times show it."""
    pair = _pair(history, dice)
    return _swapped(history, *pair, told=True) if pair else None


def _conflicts(history: History) -> list[Call]:
    return [call for call in history.calls if call.is_conflict]


def a_conflict_of_long_ago(history: History, dice: random.Random) -> History | None:
    """It names a version after which another had long been answered."""
    owners, conflicts = _owners(history), _conflicts(history)
    if not conflicts:
        return None
    call = dice.choice(conflicts)
    old = [
        event.version - 1
        for event in history.log
        if event.stream == call.stream and owners[event.token].ended < call.begun and event.version - 1 != call.expected
    ]
    return _with_call(history, call, replace(call, newest=dice.choice(old))) if old else None


def a_conflict_with_what_comes_later(history: History, dice: random.Random) -> History | None:
    owners, conflicts = _owners(history), _conflicts(history)
    if not conflicts:
        return None
    call = dice.choice(conflicts)
    ahead = [
        event.version
        for event in history.log
        if event.stream == call.stream and owners[event.token].begun > call.ended and event.version != call.expected
    ]
    return _with_call(history, call, replace(call, newest=dice.choice(ahead))) if ahead else None


def a_conflict_with_what_was_expected(history: History, dice: random.Random) -> History | None:
    conflicts = _conflicts(history)
    if not conflicts:
        return None
    call = dice.choice(conflicts)
    return _with_call(history, call, replace(call, expected=call.newest))


def a_refused_append_is_there(history: History, dice: random.Random) -> History | None:
    conflicts = _conflicts(history)
    if not (conflicts and history.log):
        return None
    call, at = dice.choice(conflicts), dice.randrange(len(history.log))
    event = history.log[at]._replace(token=call.events[0].token)
    return replace(history, log=[*history.log[:at], event, *history.log[at + 1 :]])


def _appended(history: History, least: int = 1) -> list[Call]:
    """Calls that came back, whose events are all there by their own tokens."""
    there = {event.token for event in history.log}
    return [
        call
        for call in history.calls
        if call.versions and len(call.events) >= least and all(wanted.token in there for wanted in call.events)
    ]


def an_expectation_is_not_kept(history: History, dice: random.Random) -> History | None:
    calls = [call for call in _appended(history) if call.expected is not None]
    if not calls:
        return None
    call = dice.choice(calls)
    assert call.expected is not None
    return _with_call(history, call, replace(call, expected=call.expected + dice.choice((-1, 1))))


def an_append_answers_another_version(history: History, dice: random.Random) -> History | None:
    calls = _appended(history)
    if not calls:
        return None
    call = dice.choice(calls)
    versions = list(call.versions)
    versions[dice.randrange(len(versions))] += dice.choice((-1, 1, 1000))
    return _with_call(history, call, replace(call, versions=versions))


def a_repeat_answers_another_version(history: History, dice: random.Random) -> History | None:
    there = {event.token for event in history.log}
    first = {event.stream: event.version for event in reversed(history.log)}
    calls = [
        call
        for call in history.calls
        if len(call.versions) == 1 and call.events[0].token not in there and call.versions[0] > first[call.stream]
    ]
    if not calls:
        return None
    call = dice.choice(calls)
    return _with_call(history, call, replace(call, versions=(call.versions[0] - 1,)))


def an_id_is_there_twice(history: History, dice: random.Random) -> History | None:
    """Another call asked for the same, while it was remembered, and was given a version of its own."""
    owners = _owners(history)
    known = [event for event in history.log if event.id]
    if not known:
        return None
    one = dice.choice(known)
    near = [
        event
        for event in history.log
        if event.stream == one.stream
        and event.id != one.id
        and len(owners[event.token].events) == 1
        and abs(event.position - one.position) < history.remembers
    ]
    if not near:
        return None
    other = dice.choice(near)
    call = owners[other.token]
    log = [event._replace(id=one.id) if event is other else event for event in history.log]
    return _with_call(replace(history, log=log), call, replace(call, events=[call.events[0]._replace(id=one.id)]))


def a_batch_is_torn(history: History, dice: random.Random) -> History | None:
    """Its last event is missing, and another's has its place."""
    calls = [call for call in _appended(history, 2) if call.events[-1].id is None]
    if not calls:
        return None
    call = dice.choice(calls)
    stranger = Call(call.stream, 0, math.inf, [call.events[-1]._replace(token=-2)])
    log = [event._replace(token=-2) if event.token == call.events[-1].token else event for event in history.log]
    return replace(history, calls=[*history.calls, stranger], log=log)


def another_is_between_those_of_a_batch(history: History, dice: random.Random) -> History | None:
    calls = _appended(history, 2)
    if not calls:
        return None
    call = dice.choice(calls)
    by_token = {event.token: event for event in history.log}
    last = by_token[call.events[-1].token]
    after = [e for e in history.log if e.stream == last.stream and e.version == last.version + 1]
    if not after or after[0].token in {wanted.token for wanted in call.events}:
        return None
    return _swapped(history, last, after[0], told=False)


def _readings(history: History) -> list[Call]:
    return [call for call in history.calls if not call.events]


def a_reading_misses_what_was_answered(history: History, dice: random.Random) -> History | None:
    owners, readings = _owners(history), _readings(history)
    if not readings:
        return None
    call = dice.choice(readings)
    old = [e.version - 1 for e in history.log if e.stream == call.stream and owners[e.token].ended < call.begun]
    return _with_call(history, call, replace(call, newest=dice.choice(old), saw={})) if old else None


def a_reading_sees_ahead(history: History, dice: random.Random) -> History | None:
    owners, readings = _owners(history), _readings(history)
    if not readings:
        return None
    call = dice.choice(readings)
    ahead = [e.version for e in history.log if e.stream == call.stream and owners[e.token].begun > call.ended]
    return _with_call(history, call, replace(call, newest=dice.choice(ahead), saw={})) if ahead else None


def a_reading_sees_another_event(history: History, dice: random.Random) -> History | None:
    there = {(event.stream, event.version) for event in history.log}
    readings = [call for call in _readings(history) if any((call.stream, version) in there for version in call.saw)]
    if not readings:
        return None
    call = dice.choice(readings)
    version = dice.choice([version for version in call.saw if (call.stream, version) in there])
    return _with_call(history, call, replace(call, saw={**call.saw, version: call.saw[version] + 1}))


def streams_come_in_another_order(history: History, dice: random.Random) -> History | None:
    """Two neighbours of different streams have each other's positions, and one was answered before the other began."""
    owners = _owners(history)
    pairs = [
        at
        for at, (one, other) in enumerate(zip(history.log, history.log[1:], strict=False))
        if one.stream != other.stream and owners[one.token].ended < owners[other.token].begun
    ]
    if not pairs:
        return None
    at = dice.choice(pairs)
    one, other = history.log[at], history.log[at + 1]
    changed = [other._replace(position=one.position), one._replace(position=other.position)]
    return replace(history, log=[*history.log[:at], *changed, *history.log[at + 2 :]])


PLANTS: tuple[Plant, ...] = (
    an_event_is_lost,
    a_version_is_missing,
    an_event_is_there_twice,
    an_event_is_of_nobody,
    two_events_are_exchanged,
    a_later_append_comes_before_an_earlier,
    a_conflict_of_long_ago,
    a_conflict_with_what_comes_later,
    a_conflict_with_what_was_expected,
    a_refused_append_is_there,
    an_expectation_is_not_kept,
    an_append_answers_another_version,
    a_repeat_answers_another_version,
    an_id_is_there_twice,
    a_batch_is_torn,
    another_is_between_those_of_a_batch,
    a_reading_misses_what_was_answered,
    a_reading_sees_ahead,
    a_reading_sees_another_event,
    streams_come_in_another_order,
)
