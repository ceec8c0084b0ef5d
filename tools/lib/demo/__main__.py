"""The demo's command line, its result in writing, and its end, however that comes."""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import FrameType

import shmstore
from demo.account import Account
from demo.board import MOST_WRITERS, Board
from demo.faulty import ERRORS
from demo.measurement import CAPACITY, HAMMER_METRICS, PARTITIONS, Measurement
from demo.plan import Plan
from demo.view import View
from demo.workers import WorkerFailed, Workers
from shmstore import EventStore
from shmstore.cli import units
from shmstore.cli.render import Column, Output, Tone

OK, FAILURE = 0, 1
_SIGNALED = 128  # plus the signal's number, as a shell has it

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHORTEST_S, _LONGEST_S = 1, 86400
_FEWEST_PROCESSES = 2
_MOST_PROCESSES = MOST_WRITERS - 3  # numbers from 1 on, and the second hammer's and the faulty writer's
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


class Interrupted(BaseException):
    """A signal that ends the demo early; its number is the argument."""


def main() -> int:
    """Run it, print the account, and return 0 when it balances."""
    args = _parser().parse_args()
    out = Output()
    try:
        with ExitStack() as end:
            with _signals_held():
                store = end.enter_context(
                    shmstore.create(
                        args.name,
                        Measurement,
                        capacity=CAPACITY,
                        partitions=PARTITIONS,
                        processes=args.processes + _OTHER_PROCESSES,
                    )
                )
                end.callback(_unlink, store)
                for number in _ENDING:
                    signal.signal(number, _interrupt)
            return _run(args, store, out)
    except (shmstore.ShmStoreError, WorkerFailed) as error:
        return _fail(str(error), FAILURE)
    except BrokenPipeError:  # whoever read along has left, so nobody would see the account
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except Interrupted as interruption:
        return _fail("interrupted; nothing is left behind", _SIGNALED + interruption.args[0])


def _run(args: argparse.Namespace, store: EventStore[Measurement], out: Output) -> int:
    for metric in HAMMER_METRICS:
        store.key(metric)
    board = Board.make()
    size = units.size(os.stat(f"/dev/shm/{store.name}").st_size)
    out.write(
        [
            f"store {store.name}: the newest {units.count(store.capacity)} records in {PARTITIONS} partitions, {size}; "
            f"look from elsewhere with .venv/bin/shmstore-inspect top {store.name}"
        ]
    )
    with Workers(store.name, board) as workers:
        with out.live() if out.on_terminal else nullcontext() as show:
            view = View(store, board, out, args.seconds, show)
            plan = Plan(store, board, workers, view)
            plan.run(args.seconds, args.processes, args.plant)
        account = plan.account()
        code, checked = workers.inspect("check")
    out.write(["", *_written(out, account)])
    findings = [*account.findings(), (code == 0, f"shmstore-inspect check says: {checked}")]
    for holds, text in findings:
        out.write([f"{out.paint('ok    ', Tone.GOOD) if holds else out.paint('WRONG ', Tone.BAD)}  {text}"])
    out.write(["", *plan.figures(), ""])
    balances = all(holds for holds, _ in findings)
    out.write([out.paint("The account balances.", Tone.GOOD) if balances else "The account does NOT balance."])
    return OK if balances else FAILURE


def _written(out: Output, account: Account) -> list[str]:
    writers = [vars(line) | {"role": f"{line.role}{' (killed)' if line.killed else ''}"} for line in account.writers]
    return [*out.table(_PARTITION_COLUMNS, account.partitions), "", *out.table(_WRITER_COLUMNS, writers), ""]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/demo",
        description="Many processes write measurements of this machine into one shared-memory store, others follow and "
        "copy it, one is killed, and at the end everything is accounted for. "
        "Exit status 0: the account balances; 1: it does not, or a process failed.",
    )
    parser.add_argument("--seconds", type=_seconds, default=10.0, metavar="S", help="how long (default: 10)")
    parser.add_argument(
        "--processes",
        type=_processes,
        default=4,
        metavar="N",
        help="how many write: one hammers, the others sample this machine (default: 4)",
    )
    parser.add_argument("--name", default="demo", help="the store's name (default: demo)")
    parser.add_argument(
        "--plant",
        choices=ERRORS,
        help="let a writer make this mistake; the account must find it and the exit status be 1",
    )
    return parser


def _seconds(text: str) -> float:
    value = units.seconds(text)
    if not _SHORTEST_S <= value <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text!r} is out of bounds: give {_SHORTEST_S} to {_LONGEST_S} seconds")
    return value


def _processes(text: str) -> int:
    value = units.whole(text)
    if not _FEWEST_PROCESSES <= value <= _MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text!r} is out of bounds: give {_FEWEST_PROCESSES} to {_MOST_PROCESSES}")
    return value


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)  # once is enough; what is to be cleaned up will be
    raise Interrupted(number)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Between a store's creation and the note that it has to be removed, no signal comes."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unlink(store: EventStore[Measurement]) -> None:
    if not store.unlinked:
        shmstore.unlink(store.name)


def _fail(message: str, code: int) -> int:
    print(f"tools/demo: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
