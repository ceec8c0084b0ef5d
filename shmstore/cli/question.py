"""The arguments by which `query` and `plot` choose records, and what they mean."""

import argparse
import time
from datetime import tzinfo
from typing import Any

from shmstore.arguments import units
from shmstore.arguments.calendars import CALENDAR_UNITS, checked_zone, is_calendar_unit
from shmstore.cli.render import Output
from shmstore.errors import InvalidOption
from shmstore.events.store import EventStore
from shmstore.expressions.parse import parse
from shmstore.reading.selection import Selection, nanoseconds
from shmstore.records.schema import Schema
from shmstore.tables.table import Table

FIGURES = ("count", "sum", "mean", "min", "max")
"""What a summary tells of a field, in the order of its columns; without a field there is only the count."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose records."""
    parser.add_argument(
        "--where", metavar="EXPRESSION", help="only records that match, such as \"value > 100 and gateway == 'gw-1'\""
    )
    parser.add_argument(
        "--since", metavar="TIME", help="only records from this time on: 10m is ten minutes ago, or a time in ISO 8601"
    )
    parser.add_argument(
        "--until", metavar="TIME", help="only records before this time; without a zone it is in the local zone"
    )
    parser.add_argument("--partition", type=int, metavar="P", help="only records of this partition (default: all)")


def declare_value(parser: argparse.ArgumentParser, *, value: str, by: str, every: str) -> None:
    """Add the arguments that say what is asked about the records; `value`, `by` and `every` say it in the help."""
    parser.add_argument("--value", metavar="FIELD", help=value)
    parser.add_argument("--by", metavar="FIELD", help=by)
    calendar = f"such as 1s, or {', '.join(CALENDAR_UNITS[:-1])} or {CALENDAR_UNITS[-1]}"
    parser.add_argument("--every", type=units.every, metavar="TIME", help=every.format(calendar))
    parser.add_argument(
        "--zone", metavar="ZONE", help="the time zone of days and months, such as Europe/Berlin (default: UTC)"
    )


def zone(args: argparse.Namespace) -> tzinfo | None:
    """The zone that was asked for, None when none was.

    Raises InvalidOption for one that is not known, and when `--every` is not a unit of the calendar.
    """
    if args.zone is None:
        return None
    if not is_calendar_unit(args.every):
        raise InvalidOption(
            "--zone is whose calendar windows follow; give --every day, or another unit of the calendar, too"
        )
    return checked_zone(args.zone)


def selection(args: argparse.Namespace, schema: Schema) -> Selection[Any]:
    """What the arguments choose; times that are relative are made absolute, so that all that is asked is of one moment.

    Raises InvalidOption for what cannot be read, and for a window that ends before it begins.
    """
    now_ns = time.time_ns()
    chosen: Selection[Any] = {"partition": args.partition}
    bounds = {
        name: nanoseconds(text, f"--{name}", now_ns)
        for name in ("since", "until")
        if (text := getattr(args, name)) is not None
    }
    if len(bounds) == 2 and bounds["since"] > bounds["until"]:
        raise InvalidOption(f"--since {args.since} lies after --until {args.until}; swap them")
    if "since" in bounds:
        chosen["since"] = bounds["since"]
    if "until" in bounds:
        chosen["until"] = bounds["until"]
    if args.where is not None:
        chosen["where"] = parse(args.where, schema.names)
    return chosen


def warn_of_discarded(store: EventStore[Any], chosen: Selection[Any], out: Output) -> None:
    """Say so when the window reaches behind the moment from which on the store has everything."""
    since = chosen.get("since")
    partition = chosen.get("partition")
    if isinstance(since, int) and not store.reaches(since, None if partition is None else [partition]):
        complete = store.complete_since
        begin = f" before {units.iso(int(complete.timestamp() * 1e9))}" if complete else ""
        out.message(f"--since reaches behind what is kept: some records{begin} were discarded, and are not counted")


def column(table: Table, figure: str, value: str | None) -> str:
    """The name of a figure's column in the table of a summary of `value`.

    The figures come last; the field of the groups may have the name of one, so it is the place that counts.
    """
    figures = FIGURES if value is not None else FIGURES[:1]
    return table.names[len(table.names) - len(figures) + figures.index(figure)]
