"""`tail`: the newest records of a store, and those to come."""

import argparse
from typing import Any

from shmstore.arguments import units
from shmstore.cli.exits import OK
from shmstore.cli.records import Printer, shown_fields
from shmstore.cli.render import Output
from shmstore.cli.survey import look
from shmstore.errors import DamagedSegment, StoreUnlinked
from shmstore.events.store import EventStore
from shmstore.reading.selection import one_partition

HELP = "print the newest records, and with -f those that follow"
EXAMPLES = ("tail orders -n 20", "tail orders -f --json | jq .value")

_BATCH_RECORDS = 1000


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new records until interrupted")
    parser.add_argument(
        "-n", "--lines", type=units.whole, default=10, metavar="N", help="how many records (default: 10)"
    )
    parser.add_argument(
        "--partition", type=int, metavar="P", help="only this partition (default: all, merged by timestamp)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Print the newest records, then follow from exactly where they end."""
    with look(args.name) as store:
        printer = Printer(shown_fields(store.schema), out)
        records, positions = _newest(store, args.lines, args.partition)
        printer.print(records)
        if args.follow:
            _follow(store, positions, printer, out)
    return OK


def _newest(store: EventStore[Any], wanted: int, partition: int | None) -> tuple[list[Any], list[int]]:
    """The newest records, oldest first, and the positions at which a cursor goes on."""
    totals = store.core.totals()
    records: list[Any] = []
    positions: list[int] = []
    for number in one_partition(partition, len(totals)) or range(len(totals)):
        ticket = max(totals[number].oldest, totals[number].tail - wanted)
        with store.cursor(start=[ticket * len(totals) + number]) as cursor:
            records += cursor.read(wanted)
            positions += cursor.positions
    time_field = store.schema.time_field
    if time_field is not None:
        records.sort(key=lambda record: record[time_field])
    return records[max(0, len(records) - wanted) :], positions


def _follow(store: EventStore[Any], positions: list[int], printer: Printer, out: Output) -> None:
    with store.cursor(start=positions) as cursor:
        reported = 0
        try:
            while cursor.wait():
                try:
                    printer.print(cursor.read(_BATCH_RECORDS))
                except DamagedSegment as error:  # the cursor has passed that ticket: the others are shown
                    out.message(str(error))
                if cursor.lost > reported:
                    out.message(f"{units.count(cursor.lost - reported)} tickets were not to be had: {cursor.gaps[-1]}")
                    reported = cursor.lost
        except StoreUnlinked:
            out.message(f"store {store.name!r} was unlinked")
