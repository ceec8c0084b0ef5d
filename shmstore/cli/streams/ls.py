"""`streams ls`: every stream of a store, one line each."""

import argparse

from shmstore.cli.exits import OK
from shmstore.cli.render import Output
from shmstore.cli.streams import state
from shmstore.cli.survey import look_at_streams

HELP = "list the streams of a store: versions, what can be read, what is kept"
EXAMPLES = ("streams ls orders-ledger", "streams ls orders-ledger --prefix gateway/ --json")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store of streams")
    parser.add_argument("--prefix", default="", metavar="TEXT", help="only those whose names begin with this")


def run(args: argparse.Namespace, out: Output) -> int:
    """List them in the order of their first appends."""
    with look_at_streams(args.name) as streams:
        rows = [state.of(streams[name]) for name in streams.names(args.prefix)]
    out.rows(
        state.COLUMNS, rows, f"no streams begin with {args.prefix!r}" if args.prefix else "there are no streams yet"
    )
    return OK
