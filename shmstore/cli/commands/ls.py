"""`ls`: every segment of this machine, one line each."""

import argparse

from shmstore.arguments import units
from shmstore.cli.exits import OK
from shmstore.cli.render import Column, Output, Tone
from shmstore.segments.segment import list_segments
from shmstore.survey.inventory import described

HELP = "list the stores, streams and metrics of this machine"
EXAMPLES = ("ls", "ls --json | jq -r 'select(.alive == 0) | .name'")

_COLUMNS = (
    Column("name", "name"),
    Column("kind", "kind"),
    Column("size", "size", units.size, right=True),
    Column("records", "records", units.count, right=True),
    Column("series", "series", units.count, right=True),
    Column("streams", "streams", units.count, right=True),
    Column("capacity", "capacity", units.count, right=True),
    Column("alive", "alive", right=True),
    Column("coordinator", "coordinator", lambda alive: "yes" if alive else "no"),
    Column("created", "created", units.when),
    Column("owner", "owner"),
    Column("state", "state", tone=lambda state: Tone.GOOD if state == "ok" else Tone.BAD),
)


def declare(_parser: argparse.ArgumentParser) -> None:
    """This verb has no arguments of its own."""


def run(_args: argparse.Namespace, out: Output) -> int:
    """List what `list_segments` finds; those that are damaged, or that this user may not read, are no error."""
    out.rows(_COLUMNS, [described(info) for info in list_segments(unreadable=True)], "there are no stores")
    return OK
