"""The demo's command line, its result in writing, and its clean-up, however it ends."""

import argparse
import os
import sys
from contextlib import ExitStack, nullcontext

import shmstore
from command_line import FAILURE, OK, guard, within
from demo.account import Account
from demo.board import MOST_WRITERS, Board
from demo.faulty import ERRORS
from demo.measurement import CAPACITY, HAMMER_METRICS, PARTITIONS, Measurement
from demo.plan import Plan
from demo.view import View
from demo.workers import Workers
from shmstore.arguments import units
from shmstore.cli.render import Column, Output, Tone

_SECONDS = within(units.seconds, 1, 86400, " seconds")
_PROCESSES = within(units.whole, 2, MOST_WRITERS - 3)  # numbers from 1 on; a second hammer and a faulty writer
_OTHER_PROCESSES = 16  # places in the process table beside the writers'

_PARTITION_COLUMNS = tuple(
    Column(key, key, units.count, right=True)
    for key in ("partition", "tickets", "read", "lapped", "voided", "skipped", "unexplained")
)
_WRITER_COLUMNS = (
    Column("number", "writer", right=True),
    Column("role", "role"),
    Column("pid", "pid", right=True),
    *(Column(key, key, units.count, right=True) for key in ("acknowledged", "read", "missing", "unacknowledged")),
)


def main() -> int:
    """Run it, print the account, and return 0 when it balances."""
    args = _parser().parse_args()
    return guard("tools/demo", lambda end: _demo(args, end))


def _demo(args: argparse.Namespace, end: ExitStack) -> int:
    out, places = Output(), args.processes + _OTHER_PROCESSES
    store = shmstore.create(args.name, Measurement, capacity=CAPACITY, partitions=PARTITIONS, processes=places)
    end.enter_context(store)
    end.callback(lambda: store.unlinked or shmstore.unlink(store.name))
    for metric in HAMMER_METRICS:
        store.key(metric)
    board = Board()
    count, size = units.count(store.capacity), units.size(os.stat(f"/dev/shm/{store.name}").st_size)
    hint = f"look from elsewhere with .venv/bin/shmstore-inspect top {store.name}"
    out.write([f"store {store.name}: the newest {count} records in {PARTITIONS} partitions, {size}; {hint}"])
    workers = Workers(store.name, board)
    end.callback(workers.end)
    with out.live() if out.on_terminal else nullcontext() as show:
        view = View(store, board, out, args.seconds, show)
        plan = Plan(store, board, workers, view)
        plan.run(args.seconds, args.processes, args.plant)
    account = Account(store, board, plan.writers, plan.follower, plan.snapshots)
    code, checked = workers.inspect("check")
    writers = out.table(_WRITER_COLUMNS, account.writers)
    out.write(["", *out.table(_PARTITION_COLUMNS, account.partitions), "", *writers, ""])
    findings = [*account.findings(), (code == 0, f"shmstore-inspect check says: {checked}")]
    for holds, text in findings:
        out.write([f"{out.paint('ok    ', Tone.GOOD) if holds else out.paint('WRONG ', Tone.BAD)}  {text}"])
    out.write(["", *plan.figures(), ""])
    balances = all(holds for holds, _ in findings)
    out.write([out.paint("The account balances.", Tone.GOOD) if balances else "The account does NOT balance."])
    return OK if balances else FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/demo",
        description="Many processes write measurements of this machine into one shared-memory store, others follow and "
        "copy it, one is killed, and at the end everything is accounted for. "
        "Exit status 0: the account balances; 1: it does not, or a process failed.",
    )
    add = parser.add_argument
    add("--seconds", type=_SECONDS, default=10.0, metavar="S", help="how long (default: 10)")
    how_many = "how many write: one hammers, the others sample this machine (default: 4)"
    add("--processes", type=_PROCESSES, default=4, metavar="N", help=how_many)
    add("--name", default="demo", help="the store's name (default: demo)")
    mistake = "let a writer make this mistake; the account must find it and the exit status be 1"
    add("--plant", choices=ERRORS, help=mistake)
    return parser


if __name__ == "__main__":
    sys.exit(main())
