"""`streams tail`: the newest events of a stream, or those from a version on, and those to come."""

import argparse
from itertools import takewhile

from shmstore.arguments import units
from shmstore.cli.exits import OK
from shmstore.cli.render import Output
from shmstore.cli.streams.events import EventPrinter, no_stream
from shmstore.cli.survey import look_at_streams
from shmstore.errors import InvalidOption
from shmstore.streams.position import Missed
from shmstore.streams.reading import Reading
from shmstore.streams.store import StreamStore
from shmstore.streams.stream import Stream

HELP = "print the newest events of a stream, or all from a version on, and with -f those that follow"
EXAMPLES = (
    "streams tail orders-ledger gateway/orders -n 20",
    "streams tail orders-ledger gateway/orders -f --from 0 --json",
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store of streams")
    parser.add_argument("stream", metavar="STREAM", help="the stream; with -f it may be one that is not there yet")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with new events until interrupted")
    first = parser.add_mutually_exclusive_group()
    first.add_argument("--from", dest="from_", type=units.whole, metavar="N", help="all events from this version on")
    first.add_argument("-n", "--lines", type=units.whole, default=10, metavar="N", help="how many events (default: 10)")


def run(args: argparse.Namespace, out: Output) -> int:
    """Print what is there, then follow from exactly where that ends."""
    with look_at_streams(args.name) as streams:
        stream, printer = streams[args.stream], EventPrinter(out)
        state = stream.state()
        if not args.follow and not state.versions and not state.closed:
            raise InvalidOption(no_stream(stream.name, streams.name))
        stream.block(0, 0)  # raises StreamDeleted
        end = state.versions
        first = max(state.first, end - args.lines) if args.from_ is None else args.from_
        _print(stream.read(first, missing="report"), end, printer, out)
        if args.follow:
            _follow(streams, stream, max(first, end), printer, out)
    return OK


def _print(reading: Reading, end: int, printer: EventPrinter, out: Output) -> None:
    """Print the events before version `end`, and tell which are missing."""
    printer.print(takewhile(lambda event: event.version < end, reading))
    for gone in reading.missing:
        if gone.start < end:
            _tell(range(gone.start, min(gone.stop, end)), out)


def _tell(gone: range, out: Output) -> None:
    which = f"version {gone[0]} is" if len(gone) == 1 else f"versions {gone[0]} to {gone[-1]} are"
    out.message(f"{which} not there any more")


def _follow(streams: StreamStore, stream: Stream, at: int, printer: EventPrinter, out: Output) -> None:
    with stream.follow(at, missing="report") as follower:
        for found in follower:
            if isinstance(found, Missed):
                _tell(found.numbers, out)
            else:
                printer.print([found])
    out.message(f"streams {streams.name!r} were unlinked")
