"""`shmstore-coordinator NAME`: coordinate one store, or stand by, until a signal comes or the store is unlinked."""

import argparse
import logging
import signal
import sys
from collections.abc import Sequence

from shmstore.arguments import units
from shmstore.cli import completion
from shmstore.cli.exits import EXIT_CODES_HELP, OK, guard
from shmstore.coordinator import DEFAULT_TICK_S, Coordinator
from shmstore.survey.segments import open_any

PROGRAM = "shmstore-coordinator"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool on these arguments (those of the process when None) and return its exit code."""
    return guard(PROGRAM, lambda: _run(argv))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the tool; completion scripts and tests read it too."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Coordinate a store: repair what dead processes left, sample rates each second, drop old records. "
        "Of streams and metrics, the dead are repaired and the living counted. "
        "One coordinates at a time; another one stands by and takes over. "
        "Ends on SIGTERM or SIGINT, and when the store is unlinked.",
        epilog=f"example:\n  {PROGRAM} orders --retention 10m\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", help="the store, streams or metrics")
    parser.add_argument(
        "--retention", type=units.span, metavar="TIME", help="purge records older than this, such as 90s, 10m, 1h30m"
    )
    parser.add_argument(
        "--tick",
        type=units.seconds,
        default=DEFAULT_TICK_S,
        metavar="TIME",
        help="time between two looks for dead processes (default: 50ms)",
    )
    parser.add_argument("--quiet", action="store_true", help="say only warnings and errors")
    completion.declare(parser)
    return parser


def _run(argv: Sequence[str] | None) -> int:
    args = build_parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING if args.quiet else logging.INFO,
        format=f"%(asctime)s {PROGRAM}: %(message)s",
    )
    with open_any(args.name, read_only=False) as store:
        coordinator = Coordinator(store, retention=args.retention, tick=args.tick)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: coordinator.stop())
        coordinator.run()
    return OK


if __name__ == "__main__":
    sys.exit(main())
