"""`plan`: how large a store, streams or the segment of metrics would be, before it is made."""

import argparse
import importlib
import inspect
import os
import re
import sys
from typing import Any, get_args

from shmstore import _core
from shmstore.arguments import units
from shmstore.cli.exits import FAILURE, OK
from shmstore.cli.render import Column, Mode, Output, Tone
from shmstore.errors import InvalidOption, InvalidSchema
from shmstore.events.options import Layout, segment_options
from shmstore.events.store import create
from shmstore.records import fields
from shmstore.records.schema import Schema
from shmstore.segments import names
from shmstore.segments.memory import MARGIN_BYTES, least_room
from shmstore.streams.options import segment_options as streams_options
from shmstore.streams.store import create_streams

HELP = (
    "compute the size of a store, of streams or of metrics, before making it (exit code 1 when there is no room for it)"
)
EXAMPLES = (
    "plan --capacity 1_000_000 --fields 'gateway:key,id:text[40],value:float,timestamp:timestamp'",
    "plan --capacity 1_000_000 --record shop.events:Order --partitions 8 --layout columns",
    "plan --streams --capacity 1_000_000 --data-bytes 200",
    "plan --metrics --series 10_000",
)

_DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(create).parameters.items()}
_SERIES, _EXEMPLARS = 10_000, 1_000  # as `metrics.configure` has them, whose import takes long
_OF_STREAMS = {name: parameter.default for name, parameter in inspect.signature(create_streams).parameters.items()}
_OPTIONS = ("capacity", "partitions", "layout", "keys", "data_bytes", "names", "series", "exemplars")
_MARKERS = {kind.marker.lower(): kind.marker for kind in fields.KINDS.values()}
_PLAIN = {"int": "Int64", "float": "Float64"}
_FIELD = re.compile(r"\s*(\w+)\s*:\s*(\w+)\s*(?:\[(\d+)\])?\s*")

_COLUMNS = (
    Column("size", "size", lambda size: f"{units.size(size)} ({units.count(size)} bytes)"),
    Column("capacity", "capacity", units.count),
    Column("series", "series", units.count),
    Column("exemplars", "exemplars", units.count),
    Column("streams", "streams", units.count),
    Column("partitions", "partitions"),
    Column("slots", "slots each", units.count),
    Column("record_bytes", "record", units.size),
    Column("event_bytes", "event", units.size),
    Column("free", f"free in {names.DIRECTORY}", units.size),
    Column("memory", "free memory", units.size),
    Column("memory_of", "memory of"),
    Column("fits", "fits", lambda fits: "yes" if fits else "no", tone=lambda fits: Tone.GOOD if fits else Tone.BAD),
)
_REGION_COLUMNS = (
    Column("region", "region"),
    Column("offset", "offset", units.count, right=True),
    Column("size", "bytes", units.count, right=True),
    Column("share", "share", units.percent, right=True),
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    record = parser.add_mutually_exclusive_group(required=True)
    kinds = ", ".join([*_PLAIN, *_MARKERS])
    record.add_argument(
        "--fields",
        metavar="NAME:TYPE,...",
        help=f"the record's fields; a type is one of {kinds}; text, bytes and key take [most bytes]",
    )
    record.add_argument(
        "--record",
        metavar="MODULE:CLASS",
        help="a record class, as given to create; its module is imported, so its code runs",
    )
    record.add_argument("--streams", action="store_true", help="no records, but streams of events")
    record.add_argument("--metrics", action="store_true", help="no store, but shared metrics")
    parser.add_argument(
        "--capacity", type=units.whole, metavar="N", help="how many of the newest records or events are kept"
    )
    parser.add_argument(
        "--partitions", type=units.whole, metavar="N", help="how many independent rings (default: one a CPU)"
    )
    parser.add_argument(
        "--layout",
        choices=get_args(Layout),
        help="how records lie in memory (default: columns when they are narrow, else rows)",
    )
    for name, meaning, default in (
        ("keys", "different keys", _DEFAULTS["keys"]),
        ("data-bytes", "bytes of data and metadata in each event", _OF_STREAMS["data_bytes"]),
        ("names", "names of streams", _OF_STREAMS["streams"]),
        ("series", "series of metrics: each is a metric with its label values", _SERIES),
        ("exemplars", "exemplars of metrics", _EXEMPLARS),
        ("processes", "processes attached for writing at once", _DEFAULTS["processes"]),
    ):
        help_ = f"room for so many {meaning} (default: {default})"
        parser.add_argument(f"--{name}", type=units.whole, metavar="N", help=help_)


def run(args: argparse.Namespace, out: Output) -> int:
    """Compute the plan and compare it with the room that there is."""
    plan, facts = _of_metrics(args) if args.metrics else _of_streams(args) if args.streams else _of_store(args)
    free = _free()
    room = least_room()
    facts |= {
        "free": free,
        "memory": None if room is None else room.free,
        "memory_of": None if room is None else room.who,
        "fits": plan.size <= free and (room is None or plan.size + MARGIN_BYTES <= room.free),
    }
    regions = [
        {"region": name, "offset": offset, "size": size, "share": size / plan.size}
        for name, offset, size in plan.regions
    ]
    if out.mode is Mode.JSON:
        out.object(facts | {"regions": regions})
    else:
        out.write([*out.facts(_COLUMNS, facts), "", *out.table(_REGION_COLUMNS, regions)])
    return OK if facts["fits"] else FAILURE


def _of_store(args: argparse.Namespace) -> tuple[_core.Plan, dict[str, Any]]:
    _refuse_others(args, "a store", "capacity", "partitions", "layout", "keys")
    _require_capacity(args)
    schema = Schema.of(_class(args.record) if args.record else _fields(args.fields))
    options = segment_options(
        schema,
        capacity=args.capacity,
        partitions=args.partitions,
        layout=args.layout,
        partition_by=None,
        keys=_DEFAULTS["keys"] if args.keys is None else args.keys,
        processes=_processes(args),
    )
    plan = _core.plan(schema.fields, options)
    return plan, {
        "size": plan.size,
        "capacity": plan.capacity,
        "partitions": plan.capacity // plan.slots,
        "slots": plan.slots,
        "record_bytes": plan.record_bytes,
    }


def _of_metrics(args: argparse.Namespace) -> tuple[_core.Plan, dict[str, Any]]:
    _refuse_others(args, "metrics", "series", "exemplars")
    exemplars = _EXEMPLARS if args.exemplars is None else args.exemplars
    options: _core.Options = {
        "kind": "metrics",
        "capacity": _SERIES if args.series is None else args.series,
        "exemplars": exemplars,
        "processes": _processes(args),
    }
    plan = _core.plan((), options)
    return plan, {"size": plan.size, "series": plan.capacity, "exemplars": exemplars}


def _of_streams(args: argparse.Namespace) -> tuple[_core.Plan, dict[str, Any]]:
    _refuse_others(args, "streams", "capacity", "partitions", "data_bytes", "names")
    _require_capacity(args)
    streams = _OF_STREAMS["streams"] if args.names is None else args.names
    options = streams_options(
        capacity=args.capacity,
        partitions=args.partitions,
        data_bytes=_OF_STREAMS["data_bytes"] if args.data_bytes is None else args.data_bytes,
        streams=streams,
        processes=_processes(args),
    )
    plan = _core.plan((), options)
    return plan, {
        "size": plan.size,
        "capacity": plan.capacity,
        "streams": streams,
        "partitions": options["partitions"],
        "slots": plan.slots,
        "event_bytes": plan.record_bytes,
    }


def _require_capacity(args: argparse.Namespace) -> None:
    if args.capacity is None:
        raise InvalidOption("--capacity is missing, on which the size of a store depends; say --capacity 10_000")


def _processes(args: argparse.Namespace) -> int:
    found: int = _DEFAULTS["processes"] if args.processes is None else args.processes
    return found


def _refuse_others(args: argparse.Namespace, what: str, *own: str) -> None:
    """Raises InvalidOption for arguments that are about another kind."""
    others = (name for name in _OPTIONS if name not in own)
    if given := [f"--{name.replace('_', '-')}" for name in others if getattr(args, name) is not None]:
        raise InvalidOption(f"{', '.join(given)} is for another kind of segment than {what}; leave it out")


def _free() -> int:
    try:
        status = os.statvfs(names.DIRECTORY)
    except OSError:  # there is none
        return 0
    return status.f_bavail * status.f_frsize if status.f_blocks else sys.maxsize  # a tmpfs without limit


def _fields(text: str) -> list[_core.FieldSpec]:
    specs = []
    for part in text.split(","):
        match = _FIELD.fullmatch(part)
        if match is None:
            raise InvalidSchema(f"{part!r} is not a field; write NAME:TYPE, for example value:float or id:text[40]")
        name, kind, size = match.groups()
        marker = _PLAIN.get(kind.lower(), _MARKERS.get(kind.lower()))
        if marker is None:
            raise InvalidSchema(
                f"field {name!r} has the type {kind!r}; expected one of {', '.join([*_PLAIN, *_MARKERS])}"
            )
        annotation: Any = getattr(fields, marker)
        specs.append(fields.field_of("--fields", name, annotation[int(size)] if size else annotation))
    return specs


def _class(text: str) -> Any:
    """The class that MODULE:CLASS names, also in a module of the working directory."""
    module, _, name = text.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # importing runs a stranger's code, which can raise anything
        raise InvalidSchema(
            f"{text!r} cannot be imported ({type(error).__name__}: {error}); write MODULE:CLASS"
        ) from None
    return found
