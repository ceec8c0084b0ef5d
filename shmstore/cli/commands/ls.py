"""`ls`: every segment of this machine, one line each."""

import argparse
from typing import Any

from shmstore.cli import units
from shmstore.cli.exits import OK
from shmstore.cli.render import Column, Output, Tone
from shmstore.cli.survey import brief, look_at_any, owner
from shmstore.errors import ShmStoreError
from shmstore.events.store import EventStore
from shmstore.segments.segment import SegmentInfo, list_segments

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
    out.rows(_COLUMNS, [_row(info) for info in list_segments(unreadable=True)], "there are no stores")
    return OK


def _row(info: SegmentInfo) -> dict[str, Any]:
    row = dict.fromkeys(column.key for column in _COLUMNS) | {"name": info.name, "size": info.size}
    row |= {"created": units.Time(info.created_ns), "owner": owner(info.uid), "state": "ok"}
    try:
        if info.error is not None:
            raise info.error
        with look_at_any(info.name) as store:
            if isinstance(store, EventStore):
                row["records"] = len(store)
            elif store.kind == "streams":
                row["streams"] = store.core.streams_room().streams
            else:
                row["series"] = store.core.metrics_room().series
            return row | {
                "kind": store.core.header().options["kind"],
                "capacity": store.core.plan().capacity,
                "alive": sum(place.state == "alive" for place in store.processes()),
                "coordinator": store.core.coordinator_alive(),
            }
    except ShmStoreError as error:
        return row | {"state": brief(error)}
