"""The command line of tools/prove: run the tests or take what they noted, print the page, and say what holds."""

import argparse
import os
import random
import shlex
import sys
import tempfile
import time
from pathlib import Path

from command_line import FAILURE, OK, Failed, guard
from prove.machine import machine
from prove.page import page, verdict
from prove.run import run
from prove.scorecard import Scorecard, read
from shmstore.arguments import units

PAGE = Path("tests/PROOF.md")


def main() -> int:
    """Print the page and return 0 when every promise holds."""
    args, arguments = _parser().parse_known_args()
    return guard("tools/prove", lambda _: _prove(args, arguments))


def _prove(args: argparse.Namespace, arguments: list[str]) -> int:
    begun = time.monotonic()
    scorecard = _noted(args.scorecard) if args.scorecard else _run(args.seed, arguments)
    command = ["tools/prove", "--seed", str(args.seed), *arguments]
    facts = {
        "command": "tools/prove --from FILE" if args.scorecard else shlex.join(command),
        "seed": str(args.seed),
        **({} if args.scorecard else {"seconds": f"{time.monotonic() - begun:.0f}"}),
        **machine(),
    }
    text = page(scorecard, facts)
    print(text)
    if args.to != "-":
        Path(args.to).write_text(text)
    print(verdict(scorecard))
    return OK if scorecard.holds else FAILURE


def _run(seed: int, arguments: list[str]) -> Scorecard:
    with tempfile.NamedTemporaryFile(prefix="shmstore-scorecard-") as file:
        path = Path(file.name)
        if failures := run(path, seed, arguments):
            print(failures, file=sys.stderr)
        return read(path)


def _noted(path: str) -> Scorecard:
    try:
        scorecard = read(Path(path))
    except (OSError, ValueError) as error:
        raise Failed(str(error)) from error
    if not scorecard.seconds:
        raise Failed(f"{path} holds no test's end; expected what SHMSTORE_SCORECARD={path} tools/test leaves there")
    return scorecard


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/prove",
        description="Run the tests that show what is promised, and print what they got on one page. "
        "Exit status 0: every promise holds; 1: one does not, or was not shown, or a test failed. "
        "All other arguments are passed on to pytest.",
    )
    seed = int(os.environ.get("SHMSTORE_SEED") or random.randrange(2**32))
    add = parser.add_argument
    add("--seed", type=units.whole, default=seed, metavar="N", help="repeats a run (default: random)")
    noted = "run nothing: the tests were run with SHMSTORE_SCORECARD=FILE"
    add("--from", dest="scorecard", metavar="FILE", help=noted)
    add("--to", default=str(PAGE), metavar="FILE", help=f"where to write the page; - nowhere (default: {PAGE})")
    return parser


if __name__ == "__main__":
    sys.exit(main())
