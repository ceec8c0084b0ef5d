"""`query`: the records that match, their summary, or that of their groups and time windows."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from shmstore.arguments import units
from shmstore.cli import question
from shmstore.cli.exits import OK
from shmstore.cli.records import Printer, shown_columns, shown_fields
from shmstore.cli.render import Column, Mode, Output
from shmstore.cli.survey import look
from shmstore.errors import InvalidOption
from shmstore.events.store import EventStore
from shmstore.reading.selection import Selection
from shmstore.tables.table import Table

HELP = "list matching records, or summarize them: in all, by group, by time window"
EXAMPLES = (
    "query orders --where \"value > 100 and gateway == 'gw-1'\" --since 10m",
    "query orders gateway value --newest --limit 5 --csv",
    "query orders --value value --by gateway --top 5",
    "query orders --value value --every 1s --since 1m --json",
    "query orders --value value --every day --zone Europe/Berlin",
)

_RECORDS = 20
_ALL = sys.maxsize
_SUMMARY_COLUMNS = tuple(Column(name, name, units.number) for name in question.FIGURES)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store")
    parser.add_argument("fields", nargs="*", metavar="FIELD", help="the fields that are listed (default: all)")
    question.declare(parser)
    question.declare_value(
        parser,
        value="summarize this field: count, sum, mean, min, max",
        by="a row for each value of this field, instead of records",
        every="a row for each window of time, {}",
    )
    parser.add_argument(
        "--period", type=units.lasting, metavar="TIME", help="the length of the windows (default: --every)"
    )
    ranked = parser.add_mutually_exclusive_group()
    ranked.add_argument("--top", type=units.whole, metavar="K", help="only the K rows with the most; see --rank")
    ranked.add_argument("--bottom", type=units.whole, metavar="K", help="only the K rows with the least")
    parser.add_argument(
        "--rank", choices=question.FIGURES, help="what --top and --bottom compare (default: sum, or count)"
    )
    parser.add_argument(
        "--limit",
        type=_limit,
        metavar="N",
        help=f"the newest N records or windows, or all (default for records: {_RECORDS})",
    )
    parser.add_argument("--newest", action="store_true", help="newest records or windows first (default: last)")
    parser.add_argument("--csv", action="store_true", help="comma-separated values, titles first")


def run(args: argparse.Namespace, out: Output) -> int:
    """Ask what the arguments ask for, and print the answer."""
    _refuse_contradictions(args)
    zone = question.zone(args)
    with look(args.name) as store:
        chosen = question.selection(args, store.schema)
        question.warn_of_discarded(store, chosen, out)
        if args.every is not None:
            table = store.windows(args.value, every=args.every, period=args.period, zone=zone, by=args.by, **chosen)
            Printer(shown_columns(table, args.by), out, zone).print(_windows(table, args))
            matching = len(table)
        elif args.by is not None:
            groups = store.group_by(args.by, **chosen)
            table = groups.count() if args.value is None else groups.summary(args.value)
            Printer(shown_columns(table, args.by), out).print(_ranked(table, args).iter_rows())
            matching = len(table)
        elif args.value is not None:
            matching = _print_summary(store, args.value, chosen, out)
        else:
            matching = _print_records(store, args, chosen, out)
    if not matching and out.mode is Mode.PEOPLE:
        out.message("no record matches")
    return OK


def _refuse_contradictions(args: argparse.Namespace) -> None:
    """Raises InvalidOption for arguments that have no meaning together."""
    rows = args.by is not None or args.every is not None
    records = not rows and args.value is None
    ranked = args.top is not None or args.bottom is not None
    for wrong, message in (
        (args.csv and (args.json or args.plain), "--csv, --json and --plain are three ways to write; give one"),
        (args.fields and not records, "fields are for a list of records; --value names the field to summarize"),
        (args.period is not None and args.every is None, "--period is the length of windows; give --every too"),
        (ranked and not rows, "--top and --bottom rank groups or windows; give --by or --every too"),
        (args.rank is not None and not ranked, "--rank says what --top or --bottom compares; give one of them too"),
        (args.rank not in (None, "count") and args.value is None, f"--rank {args.rank} needs --value: the field"),
        (args.newest and (ranked or not (records or args.every)), "--newest is for records and windows by time"),
        (
            args.limit is not None and (ranked or not (records or args.every)),
            "--limit is for records and windows by time",
        ),
    ):
        if wrong:
            raise InvalidOption(message)


def _print_records(store: EventStore[Any], args: argparse.Namespace, chosen: Selection[Any], out: Output) -> int:
    """The newest records that match, in the order of time: the newest last, or first. Returns how many."""
    printer = Printer(shown_fields(store.schema, args.fields), out)
    if args.limit == _ALL:
        every = store.snapshot(order="partition" if store.schema.time_field is None else "time", **chosen)
        return printer.print(reversed(every) if args.newest else every)
    limit = _RECORDS if args.limit is None else args.limit
    found = list(store.query(limit=limit + 1, order="newest", **chosen))
    shown = found[:limit]
    printer.print(shown if args.newest else reversed(shown))
    if len(found) > limit:
        out.message(f"more records match than these {units.count(limit)}; --limit all lists every one")
    return len(found)


def _print_summary(store: EventStore[Any], value: str, chosen: Selection[Any], out: Output) -> int:
    """One line, or row, of figures; there always is one."""
    facts = store.summary(value, **chosen)._asdict()
    if out.mode is Mode.JSON:
        out.object(facts)
    elif out.mode is Mode.CSV:
        out.write(out.table(_SUMMARY_COLUMNS, [facts]))
    else:
        out.write(out.facts(_SUMMARY_COLUMNS, facts))
    return 1


def _windows(table: Table, args: argparse.Namespace) -> Sequence[tuple[Any, ...]]:
    """The windows that were asked for, in the order of time unless they are ranked: the newest last, or first."""
    if args.top is not None or args.bottom is not None:
        return list(_ranked(table, args).iter_rows())
    start = 0 if args.by is None else 1
    rows = sorted(table.iter_rows(), key=lambda row: row[start], reverse=args.newest)
    if args.limit is None:
        return rows
    return rows[: args.limit] if args.newest else rows[max(0, len(rows) - args.limit) :]


def _ranked(table: Table, args: argparse.Namespace) -> Table:
    """The rows with the most or least of what ranks them, when that was asked for."""
    rank = question.column(table, args.rank or ("count" if args.value is None else "sum"), args.value)
    if args.top is not None:
        return table.top(args.top, rank)
    return table if args.bottom is None else table.bottom(args.bottom, rank)


def _limit(text: str) -> int:
    return _ALL if text == "all" else units.whole(text)
