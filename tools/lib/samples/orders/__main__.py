"""The sample's command line: starts the gateways, kills one, starts it again, and prints the account."""

import argparse
import json
import subprocess
import sys
from contextlib import ExitStack

import shmstore
from command_line import FAILURE, OK, Failed, come_true, guard, within
from samples.orders.account import Account, Life
from samples.orders.gateway import LEDGER
from shmstore.arguments import units
from shmstore.cli.render import Column, Output

PROGRAM = "tools/samples/orders"
GATEWAYS = range(4)
VICTIM = 2

_PATIENCE_S = 60.0
_ORDERS = within(units.whole, 50, 100_000)
_COLUMNS = (
    Column("gateway", "gateway", right=True),
    Column("pid", "pid", right=True),
    Column("end", "end"),
    *(Column(key, key, units.count, right=True) for key in ("appended", "repeated", "conflicts", "read")),
)


def main() -> int:
    """Run it, print the account, and return 0 when it balances."""
    args = _parser().parse_args()
    return guard(PROGRAM, lambda end: _sample(args, end))


def _sample(args: argparse.Namespace, end: ExitStack) -> int:
    out = Output()
    streams = shmstore.create_streams(args.name, capacity=4 * len(GATEWAYS) * args.orders, partitions=1)
    end.enter_context(streams)
    end.callback(lambda: streams.unlinked or shmstore.unlink(streams.name))
    ledger = streams[LEDGER]

    def start(gateway: int) -> "subprocess.Popen[str]":
        words = [args.name, gateway, args.orders, *([args.without] if args.without else [])]
        command = [sys.executable, "-m", "samples.orders.gateway", *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", process_group=0)
        end.callback(process.kill)  # which does nothing to one that was waited for
        return process

    running = [(gateway, start(gateway)) for gateway in GATEWAYS]
    victim = running.pop(VICTIM)[1]

    read: list[shmstore.Event] = []

    def has_begun() -> bool:
        read.extend(ledger.read(len(read)))
        booked = [event for event in read if event.metadata["gateway"] == VICTIM]
        return len(booked) * 5 > int(args.orders)

    if not come_true(lambda: victim.poll() is not None or has_begun(), _PATIENCE_S) or victim.poll() is not None:
        raise Failed(f"gateway {VICTIM} could not be killed in the middle; its exit status is {victim.poll()}")
    victim.kill()
    victim.wait()
    out.write([f"SIGKILL to gateway {VICTIM} (pid {victim.pid}), which is started again"])
    running.append((VICTIM, start(VICTIM)))
    lives = [Life(gateway, process.pid, _said(gateway, process)) for gateway, process in running]
    lives.insert(VICTIM, Life(VICTIM, victim.pid, None))
    account = Account(ledger, lives, args.orders)
    findings = [*account.findings(), (streams.check() == [], "every invariant of the segment holds")]
    out.write(["", *out.table(_COLUMNS, account.rows()), ""])
    out.write(f"{'ok   ' if holds else 'WRONG'}  {text}" for holds, text in findings)
    balanced = all(holds for holds, _ in findings)
    out.write(["", "balanced" if balanced else "NOT balanced"])
    return OK if balanced else FAILURE


def _said(gateway: int, process: "subprocess.Popen[str]") -> list[int]:
    """What a gateway says at its end. Raises Failed."""
    if not come_true(lambda: process.poll() is not None, _PATIENCE_S) or process.returncode:
        raise Failed(f"gateway {gateway} (pid {process.pid}) ended with {process.returncode}")
    said, _ = process.communicate()
    return list(json.loads(said))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Four gateways book orders into one stream, each decided by the total that is there and each once; "
        "one of them is killed and starts again. "
        "Exit status 0: the account balances; 1: it does not, or a process failed.",
    )
    add = parser.add_argument
    add("--orders", type=_ORDERS, default=500, metavar="N", help="how many each gateway books (default: 500)")
    add("--name", default="orders-sample", help="the name of the streams (default: orders-sample)")
    mistake = "let the gateways append without ids, or without an expectation; the account must find it"
    add("--without", choices=("ids", "expectation"), help=mistake)
    return parser


if __name__ == "__main__":
    sys.exit(main())
