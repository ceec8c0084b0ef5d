"""`processes`: who is attached to a store, to streams or to metrics, and how much each does."""

import argparse
import time

from shmstore.cli.exits import OK
from shmstore.cli.meter import COLUMNS_OF, PROCESS_COLUMNS
from shmstore.cli.render import Output
from shmstore.events.store import EventStore
from shmstore.survey.processes import ProcessMeter
from shmstore.survey.segments import look_at_any

HELP = "list the processes attached to a store"
EXAMPLES = ("processes orders", "processes orders --json | jq .pid")

_BETWEEN_LOOKS_S = 0.25  # rates and CPU need two


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store, streams or metrics")


def run(args: argparse.Namespace, out: Output) -> int:
    """List the places of the process table that are not free; those attached for reading only have none."""
    with look_at_any(args.name) as store:
        meter = ProcessMeter()
        if meter.look(store.processes()):
            time.sleep(_BETWEEN_LOOKS_S)
        rows = meter.look(store.processes())
        columns = PROCESS_COLUMNS if isinstance(store, EventStore) else COLUMNS_OF[store.kind]
    rows = [{key: row[key] for key, *_ in columns} for row in rows]
    out.rows(columns, rows, f"no process is attached to {args.name!r} for writing")
    return OK
