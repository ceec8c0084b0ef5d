"""`show`: all that is to be known of one segment, and of a damaged one whatever can still be decoded."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from shmstore.arguments import units
from shmstore.cli.exits import OK, UNHEALTHY, code_of
from shmstore.cli.render import Column, Mode, Output, Tone
from shmstore.cli.survey import partition_columns
from shmstore.errors import ShmStoreError
from shmstore.events.options import LAYOUTS, RULES, word_of
from shmstore.events.statistics import PartitionStatistics
from shmstore.events.store import EventStore
from shmstore.records.fields import KINDS, Marker
from shmstore.segments import names
from shmstore.segments.handle import Handle
from shmstore.segments.refusals import Kind
from shmstore.segments.segment import SegmentInfo
from shmstore.survey.machine import owner_name
from shmstore.survey.segments import find, in_use, look_at_any

HELP = "describe one store (header, schema, partitions, statistics, regions) or the segment of streams or metrics"
EXAMPLES = ("show orders", "show orders --json | jq .statistics")


def _of(counted: dict[str, int]) -> str:
    return f"{units.count(counted['used'])} of {units.count(counted['limit'])}"


_FILE_COLUMNS = (
    Column("name", "name"),
    Column("path", "file"),
    Column("size", "size", lambda size: f"{units.size(size)} ({units.count(size)} bytes)"),
    Column("mode", "mode"),
    Column("owner", "owner"),
    Column("in_use", "in use", lambda used: "yes" if used else "no"),
    Column("created", "created", units.when),
)
_HEADER_COLUMNS = (
    Column("store_id", "store id"),
    Column("abi", "abi"),
    Column("kind", "kind"),
    Column("layout", "layout"),
    Column("partition_by", "partition by"),
    Column("capacity", "capacity", units.count),
    Column("partitions", "partitions", units.count),
    Column("slots", "slots each", units.count),
    Column("record_bytes", "record", units.size),
    Column("event_bytes", "event", units.size),
    Column("data_bytes", "data of an event", units.size),
    Column("keys", "keys", _of),
    Column("processes", "processes", lambda places: f"{places['alive']} alive, room for {places['limit']}"),
    Column(
        "coordinator",
        "coordinator",
        lambda alive: "running" if alive else "none",
        tone=lambda a: Tone.GOOD if a else None,
    ),
)


def _of_at_least(counted: dict[str, int]) -> str:
    return f"{units.count(counted['used'])} of at least {units.count(counted['limit'])}"


_METRICS_COLUMNS = (
    Column("series", "series", _of_at_least),
    Column("declarations", "declarations", units.count),
    Column("nodes", "nodes", _of),
    Column("exemplars", "exemplars", _of),
    Column("refused", "refused", units.count, tone=lambda count: Tone.WARNING if count else None),
)
_STREAMS_COLUMNS = (
    Column("streams", "streams", units.count),
    Column("names", "names", _of),
    Column("events", "events", _of),
    Column("tickets", "tickets", units.count),
)
_TICKET_COLUMNS = (
    Column("oldest", "oldest", units.count, right=True),
    Column("tail", "tail", units.count, right=True),
)
_STATISTICS_COLUMNS = (
    Column("records", "records", units.count),
    Column("appended", "appended", units.count),
    Column("discarded", "discarded", units.count),
    Column("appended_per_second", "rate", units.rate),
    Column("last_append", "last append", lambda time: f"{time.astimezone():%Y-%m-%d %H:%M:%S}"),
    Column("newest_kept", "newest kept", units.count),
    Column("fullest", "fullest partition"),
    Column("emptiest", "emptiest partition"),
    Column("complete_since", "complete since", lambda time: f"{time.astimezone():%Y-%m-%d %H:%M:%S}"),
    Column("skipped", "skipped", units.count),
    Column("voided", "voided", units.count),
    Column("lapped", "lapped", units.count),
)
_FIELD_COLUMNS = (Column("name", "field"), Column("type", "type"), Column("meaning", "holds"))
_REGION_COLUMNS = (
    Column("region", "region"),
    Column("offset", "offset", units.count, right=True),
    Column("size", "bytes", units.count, right=True),
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store, streams or metrics")


def run(args: argparse.Namespace, out: Output) -> int:
    """Show the file, then whatever else can be decoded, then what is wrong."""
    info = find(args.name)
    seen: dict[str, Any] = {} if info is None else {"file": _file(info)}
    problems: list[str] = []
    code = OK
    try:
        with look_at_any(args.name) as store:
            sections = _of_store(store) if isinstance(store, EventStore) else _OF_KIND[store.kind](store)
            _decode(sections, seen, problems)
            problems.extend(store.check())
    except ShmStoreError as error:
        if info is None:
            raise
        problems.append(str(error))
        code = code_of(error)
    seen["problems"] = problems
    if out.mode is Mode.JSON:
        out.object(seen)
    else:
        out.write(_lines(out, seen))
    return code or (UNHEALTHY if problems else OK)


def _of_store(store: EventStore[Any]) -> dict[str, Callable[[], Any]]:
    return {
        "header": lambda: _header(store),
        "fields": lambda: _fields(store),
        "statistics": lambda: _statistics(store),
        "partitions": lambda: _partitions(store),
        "regions": lambda: _regions(store),
    }


def _of_metrics(metrics: Handle) -> dict[str, Callable[[], Any]]:
    return {
        "header": lambda: _common(metrics),
        "metrics": lambda: _room(metrics),
        "regions": lambda: _regions(metrics),
    }


def _of_streams(streams: Handle) -> dict[str, Callable[[], Any]]:
    return {
        "header": lambda: _streams_header(streams),
        "streams": lambda: _streams_room(streams),
        "regions": lambda: _regions(streams),
    }


_OF_KIND: dict[Kind, Callable[[Handle], dict[str, Callable[[], Any]]]] = {
    "metrics": _of_metrics,
    "streams": _of_streams,
}


def _decode(sections: dict[str, Callable[[], Any]], seen: dict[str, Any], problems: list[str]) -> None:
    """Add each section that can be read, a problem for each that cannot: damage must not hide the rest."""
    for name, read in sections.items():
        try:
            seen[name] = read()
        except (ShmStoreError, ValueError, ArithmeticError) as error:
            problems.append(f"{name}: {error}")


def _file(info: SegmentInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "path": names.path_of(info.name),
        "size": info.size,
        "mode": f"{info.mode:04o}",
        "owner": owner_name(info.uid),
        "in_use": in_use(info.name),
        "created": units.Time(info.created_ns),
    }


def _common(segment: EventStore[Any] | Handle) -> dict[str, Any]:
    header = segment.core.header()
    return {
        "store_id": header.store_id.hex(),
        "abi": ".".join(map(str, header.abi)),
        "kind": header.options["kind"],
        "processes": {
            "alive": sum(place.state == "alive" for place in segment.processes()),
            "limit": header.options["processes"],
        },
        "coordinator": segment.core.coordinator_alive(),
    }


def _header(store: EventStore[Any]) -> dict[str, Any]:
    options, plan = store.core.header().options, store.core.plan()
    return _common(store) | {
        "layout": word_of(LAYOUTS, options["layout"]),
        "partition_by": word_of(RULES, options["rule"]),
        "capacity": plan.capacity,
        "partitions": options["partitions"],
        "slots": plan.slots,
        "record_bytes": plan.record_bytes,
        "keys": {"used": len(store.keys()), "limit": options["keys"]},
    }


def _streams_header(streams: Handle) -> dict[str, Any]:
    options, plan = streams.header.options, streams.core.plan()
    return _common(streams) | {
        "capacity": plan.capacity,
        "partitions": options["partitions"],
        "slots": plan.slots,
        "event_bytes": plan.record_bytes,
        "data_bytes": options["data_bytes"],
    }


def _streams_room(streams: Handle) -> dict[str, Any]:
    room = streams.core.streams_room()
    return {
        "streams": room.streams,
        "names": {"used": room.names, "limit": streams.header.options["streams"]},
        "events": {"used": room.events, "limit": streams.core.plan().capacity},
        "tickets": room.tickets,
    }


def _room(metrics: Handle) -> dict[str, Any]:
    options, room = metrics.header.options, metrics.core.metrics_room()
    return {
        "series": {"used": room.series, "limit": options["capacity"]},
        "declarations": room.declarations,
        "nodes": {"used": room.used, "free": room.nodes - room.used, "limit": room.nodes},
        "exemplars": {"used": room.exemplars, "limit": options["exemplars"]},
        "refused": room.refused,
    }


def _fields(store: EventStore[Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.name,
            "type": repr(Marker(field.kind, field.size)),
            "meaning": KINDS[field.kind].meaning.format(field.size),
        }
        for field in store.schema.fields
    ]


def _partition(counts: PartitionStatistics) -> str:
    return f"{counts.partition}: {units.count(counts.length)} records"


def _statistics(store: EventStore[Any]) -> dict[str, Any]:
    statistics = store.statistics
    return {
        "records": statistics.length,
        "appended": statistics.total_appended,
        "discarded": statistics.total_discarded,
        "appended_per_second": statistics.appends_per_second,
        "last_append": statistics.last_append_time,
        "newest_kept": statistics.newest_kept,
        "fullest": _partition(statistics.fullest),
        "emptiest": _partition(statistics.emptiest),
        "complete_since": store.complete_since,
        "skipped": statistics.skipped,
        "voided": statistics.voided,
        "lapped": statistics.lapped,
    }


def _partitions(store: EventStore[Any]) -> list[dict[str, Any]]:
    slots = store.core.plan().slots
    return [
        {
            "partition": number,
            "fill": counts.length / slots,
            "records": counts.length,
            "oldest": counts.oldest,
            "tail": counts.tail,
            "in_flight": counts.in_flight,
            "skipped": counts.skipped,
            "voided": counts.voided,
        }
        for number, counts in enumerate(store.core.totals())
    ]


def _regions(store: EventStore[Any] | Handle) -> list[dict[str, Any]]:
    return [{"region": name, "offset": offset, "size": size} for name, offset, size in store.core.plan().regions]


def _table(out: Output, columns: Sequence[Column], rows: Sequence[dict[str, Any]] | None) -> list[str]:
    """A table, or nothing of what the segment has not: metrics have no fields and no partitions."""
    return out.table(columns, rows) if rows else []


def _lines(out: Output, seen: dict[str, Any]) -> list[str]:
    sections: list[list[str]] = [
        out.facts((*_FILE_COLUMNS, *_HEADER_COLUMNS), seen.get("file", {}) | seen.get("header", {})),
        out.facts(_METRICS_COLUMNS, seen.get("metrics", {})),
        out.facts(_STREAMS_COLUMNS, seen.get("streams", {})),
        _table(out, _FIELD_COLUMNS, seen.get("fields")),
        out.facts(_STATISTICS_COLUMNS, seen.get("statistics", {})),
        _table(out, partition_columns(out, *_TICKET_COLUMNS), seen.get("partitions")),
        _table(out, _REGION_COLUMNS, seen.get("regions")),
        [out.paint(f"problem: {problem}", Tone.BAD) for problem in seen["problems"]],
    ]
    return [line for section in sections if section for line in (*section, "")][:-1]
