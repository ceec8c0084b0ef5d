"""`check`: whether a segment's invariants hold."""

import argparse

from shmstore.cli.exits import OK, UNHEALTHY
from shmstore.cli.render import Column, Mode, Output, Tone
from shmstore.errors import DamagedSegment
from shmstore.survey.segments import look_at_any

HELP = "verify that a store's invariants hold (exit code 5 when not)"
EXAMPLES = ("check orders", "check orders && echo sound")

_COLUMNS = (Column("name", "name"), Column("finding", "finding", tone=lambda _: Tone.BAD))


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store, streams or metrics")


def run(args: argparse.Namespace, out: Output) -> int:
    """Report each invariant that does not hold; a header that is damaged is one of them."""
    try:
        with look_at_any(args.name) as store:
            findings = store.check()
    except DamagedSegment as error:
        findings = [str(error)]
    if out.mode is Mode.JSON:
        out.object({"name": args.name, "healthy": not findings, "findings": findings})
    elif findings:
        out.write(out.table(_COLUMNS, [{"name": args.name, "finding": finding} for finding in findings]))
    elif out.mode is Mode.PEOPLE:
        out.write([f"{args.name}: {out.paint('every invariant holds', Tone.GOOD)}"])
    return UNHEALTHY if findings else OK
