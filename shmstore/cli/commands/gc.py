"""`gc`: remove stores that nobody can use, the damaged ones, and on request all that nobody uses."""

import argparse
from typing import Any

from shmstore.arguments import units
from shmstore.cli.exits import FAILURE, OK
from shmstore.cli.render import Column, Output, Tone
from shmstore.errors import DamagedSegment, ShmStoreError, StoreNotFound
from shmstore.segments.segment import SegmentInfo, list_segments, unlink
from shmstore.survey.segments import brief, in_use

HELP = "remove damaged stores that nobody is attached to (without --yes it only lists them)"
EXAMPLES = ("gc", "gc --all-unused --yes orders payments")

_COLUMNS = (
    Column("name", "name"),
    Column("size", "size", units.size, right=True),
    Column("created", "created", units.when),
    Column("reason", "reason"),
    Column("outcome", "outcome", tone=lambda outcome: Tone.GOOD if outcome == "removed" else None),
)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("names", nargs="*", metavar="name", help="only these stores (default: every store)")
    parser.add_argument(
        "--all-unused", action="store_true", help="also remove sound stores that no process is attached to for writing"
    )
    parser.add_argument("--yes", action="store_true", help="do remove them; without it nothing is changed")


def run(args: argparse.Namespace, out: Output) -> int:
    """List what would go, or make it go."""
    rows = []
    failed = False
    for info in list_segments():
        if args.names and info.name not in args.names:
            continue
        try:
            reason = _reason(info, all_unused=args.all_unused)
            if reason is None:
                continue
            outcome = "would be removed"
            if args.yes:
                unlink(info.name)
                outcome = "removed"
        except StoreNotFound:
            continue
        except ShmStoreError as error:
            failed = True
            out.message(str(error))
            reason, outcome = "", brief(error)
        rows.append(_row(info, reason, outcome))
    more = "" if args.all_unused else "; --all-unused looks at sound stores too"
    out.rows(_COLUMNS, rows, f"nothing to remove{more}")
    if rows and not args.yes:
        out.message("nothing was changed; --yes removes these")
    return FAILURE if failed else OK


def _reason(info: SegmentInfo, *, all_unused: bool) -> str | None:
    """Why a segment may go, None when it must stay."""
    damaged = isinstance(info.error, DamagedSegment)
    if not (damaged or all_unused) or in_use(info.name):
        return None
    return "damaged, nobody attached" if damaged else "nobody attached"


def _row(info: SegmentInfo, reason: str, outcome: str) -> dict[str, Any]:
    created = units.Time(info.created_ns)
    return {"name": info.name, "size": info.size, "created": created, "reason": reason, "outcome": outcome}
