"""`streams show`: the state of one stream, and its newest events."""

import argparse

from shmstore.arguments import units
from shmstore.cli.exits import OK
from shmstore.cli.render import Mode, Output
from shmstore.cli.streams import state
from shmstore.cli.streams.events import COLUMNS, no_stream, row_of
from shmstore.cli.survey import look_at_streams
from shmstore.errors import InvalidOption, StreamDeleted

HELP = "describe one stream: its versions, what is kept of it, and its newest events"
EXAMPLES = (
    "streams show orders-ledger gateway/orders",
    "streams show orders-ledger gateway/orders --json | jq .version",
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store of streams")
    parser.add_argument("stream", metavar="STREAM", help="the stream")
    parser.add_argument(
        "-n", "--lines", type=units.whole, default=10, metavar="N", help="how many of its events (default: 10)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Show the state, then the newest events, oldest first. Also of a stream that was deleted."""
    with look_at_streams(args.name) as streams:
        stream = streams[args.stream]
        seen = state.facts_of(stream)
        if seen is None:
            raise InvalidOption(no_stream(stream.name, streams.name))
        try:
            newest = list(stream.read(limit=args.lines, backwards=True, missing="report"))[::-1]
        except StreamDeleted:
            newest = []
        rows = [row_of(event, out) for event in newest]
    if out.mode is Mode.JSON:
        out.object(seen | {"newest": rows})
    else:
        out.write(out.facts(state.FACTS, seen))
        if rows:
            out.write(["", *out.table(COLUMNS, rows)])
    return OK
