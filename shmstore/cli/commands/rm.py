"""`rm`: remove stores by name."""

import argparse

from shmstore.cli.exits import FAILURE, OK, code_of
from shmstore.cli.render import Mode, Output
from shmstore.errors import ShmStoreError
from shmstore.segments.segment import unlink
from shmstore.survey.segments import in_use

HELP = "remove stores by name"
EXAMPLES = ("rm orders", "rm --force orders payments")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("names", nargs="+", metavar="name", help="the stores")
    parser.add_argument(
        "--force",
        action="store_true",
        help="also remove stores that processes are attached to; those may go on reading",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Remove each; one that cannot be removed does not keep the others. The exit code is that of the first failure."""
    code = OK
    for name in args.names:
        try:
            if not args.force and in_use(name):
                out.message(f"store {name!r} is in use, it stays; stop its processes first, or give --force")
                code = code or FAILURE
                continue
            unlink(name)
        except ShmStoreError as error:
            out.message(str(error))
            code = code or code_of(error)
        else:
            if out.mode is Mode.JSON:
                out.object({"name": name, "removed": True})
            else:
                out.write([f"removed {name}" if out.mode is Mode.PEOPLE else name])
    return code
