"""Whether the segments of a machine are in good health: a finding each, with its advice."""

from collections.abc import Collection
from typing import Any, Final

from shmstore.arguments import units
from shmstore.errors import DamagedSegment, ShmStoreError
from shmstore.events.store import EventStore
from shmstore.segments import names
from shmstore.segments.handle import Handle
from shmstore.segments.segment import SegmentInfo, list_segments
from shmstore.survey.machine import Finding, Health
from shmstore.survey.segments import brief, in_use, look_at_any

_SKEWED: Final = 0.75  # less than this part of the newest records is worth a word
_NEARLY_FULL: Final = 0.9
_FULL = "label values that never end take all room: use fewer labels, remove series, or make it with more series="


def of_segments(known: Collection[str] | None = None) -> list[Finding]:
    """What is found of all segments, or of those with these names: first how many there are, then one each."""
    try:
        infos = [info for info in list_segments() if known is None or info.name in known]
    except ShmStoreError as error:
        return [Finding("stores", Health.BAD, "cannot be listed", str(error))]
    total = units.size(sum(info.size for info in infos))
    summary = Finding("stores", Health.OK, f"{len(infos)} in {names.DIRECTORY}, {total}")
    findings = []
    for info in infos:
        try:
            findings.append(_segment(info))
        except ShmStoreError as error:
            findings.append(Finding(_what(info), Health.WARNING, brief(error), str(error)))
    return [summary, *findings]


def _what(info: SegmentInfo) -> str:
    kind = "events" if info.header is None else info.header.options["kind"]
    return f"{'store' if kind == 'events' else kind} {info.name}"


def _segment(info: SegmentInfo) -> Finding:
    what = _what(info)
    if isinstance(info.error, DamagedSegment):
        advice = f"shmstore-inspect show {info.name}; gc removes it when nobody is attached"
        return Finding(what, Health.BAD, f"damaged: {info.error}", advice)
    if info.error is not None:
        return Finding(what, Health.WARNING, brief(info.error), str(info.error))
    with look_at_any(info.name) as store:
        violations = store.check()
        if isinstance(store, EventStore):
            told = _skew(what, store)
        else:
            told = _shortage(what, store) if store.kind == "metrics" else _names_shortage(what, store)
        dead = [place.pid for place in store.processes() if place.state == "dead"]
    if violations:
        advice = f"shmstore-inspect check {info.name} has all; keep a copy for a report"
        return Finding(what, Health.BAD, f"{len(violations)} invariants violated: {violations[0]}", advice)
    if dead:
        advice = f"the next attach repairs them; shmstore-coordinator {info.name} does so at once"
        return Finding(what, Health.WARNING, f"dead processes not yet repaired: {', '.join(map(str, dead))}", advice)
    if told is not None:
        return told
    if not in_use(info.name):
        advice = f"shmstore-inspect rm {info.name}, if nobody needs it any more"
        return Finding(what, Health.WARNING, f"nobody is attached, {units.size(info.size)}", advice)
    return Finding(what, Health.OK, "sound")


def _skew(what: str, store: EventStore[Any]) -> Finding | None:
    """That many of the newest records are not kept, because the partitions are not equally full."""
    statistics = store.statistics
    newest = min(store.capacity, statistics.total_appended)
    if not newest or statistics.newest_kept >= _SKEWED * newest or not statistics.length + statistics.newest_kept:
        return None
    full, empty = statistics.fullest, statistics.emptiest
    found = (
        f"of the newest {units.count(newest)} records {units.count(statistics.newest_kept)} are kept: partition "
        f"{full.partition} has {units.count(full.length)}, partition {empty.partition} {units.count(empty.length)}"
    )
    advice = "keys differ in how often they come: make it with fewer partitions, more capacity or partition_by='turn'"
    return Finding(what, Health.WARNING, found, advice)


def _shortage(what: str, metrics: Handle) -> Finding | None:
    """That series, or updates of them, were refused, or the next ones may be."""
    room = metrics.core.metrics_room()
    used = f"{units.count(room.used)} of {units.count(room.nodes)} nodes are used"
    full = max(0, room.refused - room.too_long - room.placeless)
    told = [
        (f"{units.count(times)} times {found}", advice)
        for times, found, advice in (
            (full, f"there was no room for a series; {used}", _FULL),
            (
                room.too_long,
                "a series or a metric was too long",
                "shorten label values, help texts and lists of buckets",
            ),
            (room.placeless, "a process found no place", "make it with more processes="),
        )
        if times
    ]
    if not told and room.used >= _NEARLY_FULL * room.nodes:
        told = [(used, _FULL)]
    if not told:
        return None
    return Finding(what, Health.WARNING, *("; ".join(parts) for parts in zip(*told, strict=True)))


def _names_shortage(what: str, streams: Handle) -> Finding | None:
    """That the next streams may find no room."""
    names, limit = streams.core.streams_room().names, streams.header.options["streams"]
    if names < _NEARLY_FULL * limit:
        return None
    found = f"{units.count(names)} of {units.count(limit)} names of streams are taken"
    return Finding(what, Health.WARNING, found, "names stay, of deleted streams too: make it with a larger streams=")
