"""The command line of tools/stress: run it, show how it goes, and say at the end what did not hold."""

import argparse
import os
import random
import secrets
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import shmstore
from command_line import FAILURE, OK, guard, raise_noted, show_progress, within
from shmstore import EventStore
from shmstore.arguments import units
from stress.ending import wrong_at_rest
from stress.event import KEYS, PARTITIONS, Event
from stress.faults import digest, faults
from stress.http import disturb_servers
from stress.processes import Processes
from stress.shared import PLANTS, Shared, Word
from stress.streams import disturb_streams
from stress.workers import kill_workers
from tests.helpers.points import points

_PROCESSES, _CAPACITY = within(units.whole, 5, 200), within(units.whole, 1000, 10**9)
_KILL_RATE, _KILLS = within(float, 0, 200, " kills a second"), within(units.whole, 1, 10**6)
_CALLS = within(units.whole, 1000, 10**9)
_REQUESTS = within(units.whole, 1000, 10**9)

_READERS, _COORDINATORS = 2, 2
_SPARE_PLACES = 16  # of processes that died and are not repaired yet
_LIVES_A_SECOND = 20  # of one writer's place, at most, beside those that are killed
_TURN_S, _LINE_S = 0.002, 1.0


def main() -> int:
    """Run it, print what was found, and return 0 when everything held."""
    args = _parser().parse_args()
    stress = _stress
    for chosen, other in ((args.gunicorn, _stress_workers), (args.streams, _stress_streams), (args.http, _stress_http)):
        stress = other if chosen else stress
    return guard("tools/stress", lambda end: stress(args, end))


def _stress_workers(args: argparse.Namespace, end: ExitStack) -> int:
    return _verdict(kill_workers(args.gunicorn, end), f"--gunicorn {args.gunicorn}")


def _stress_streams(args: argparse.Namespace, end: ExitStack) -> int:
    return _verdict(disturb_streams(args.streams, args.seed, end), f"--streams {args.streams} --seed {args.seed}")


def _stress_http(args: argparse.Namespace, end: ExitStack) -> int:
    return _verdict(disturb_servers(args.http, args.seed, end), f"--http {args.http} --seed {args.seed}")


def _stress(args: argparse.Namespace, end: ExitStack) -> int:
    roles = _roles(args.processes)
    name = f"stress-{os.getpid()}-{secrets.token_hex(2)}"
    told = digest(args.seed, args.kill_rate, roles, args.seconds)
    print(f"tools/stress {_words(args)}\nstore {name}, {sum(roles.values())} processes, faults {told}", flush=True)
    store = shmstore.create(
        name,
        Event,
        capacity=args.capacity,
        partitions=PARTITIONS,
        partition_by="explicit",
        layout=args.layout,
        keys=4 * KEYS,
        processes=args.processes + _COORDINATORS + _SPARE_PLACES,
    )
    end.callback(shmstore.unlink, name)
    end.enter_context(store)
    wrong = _run(args, roles, store, end)
    end.close()
    wrong += [f"{path} is left behind" for path in Path("/dev/shm").glob(f"*{name}*")]
    return _verdict(wrong, _words(args))


def _verdict(wrong: list[str], words: str) -> int:
    """Say what did not hold in a run that was asked for in these words."""
    for each in wrong:
        print(f"WRONG  {each}")
    print(f"{len(wrong)} things did NOT hold. To repeat it: tools/stress {words}" if wrong else "Everything held.")
    return FAILURE if wrong else OK


def _run(args: argparse.Namespace, roles: dict[str, int], store: EventStore[Any], end: ExitStack) -> list[str]:
    lives = int(args.seconds * (roles["writer"] * _LIVES_A_SECOND * (1 + 2 * args.points) + 2 * args.kill_rate)) + 1000
    batch = max(3, min(64, args.capacity // PARTITIONS // (8 * roles["writer"])))
    preloaded = end.enter_context(points().attach(store.name)) if args.points else None
    shared = Shared(store, lives, args.seed, roles["reader"], batch, args.plant, preloaded)
    processes = Processes(shared, roles)
    end.callback(processes.kill)
    begun_s, line_s = time.monotonic(), _LINE_S
    wrong: list[str] = []
    ahead = faults(args.seed, args.kill_rate, roles)
    fault = next(ahead, None)
    while (now_s := time.monotonic() - begun_s) < args.seconds and not (wrong or processes.wrong):
        while fault is not None and fault.at_s <= now_s:
            processes.do(fault)
            fault = next(ahead, None)
        raise_noted()
        processes.look_around()
        if now_s >= line_s:
            line_s += _LINE_S
            wrong += store.check()
            show_progress(_progress(now_s, shared, processes), sys.stdout)
        time.sleep(_TURN_S)
    processes.end()
    if preloaded is not None:
        preloaded.close()  # it has a place of its own
    store._core.reap()
    processes.read_out()
    wrong += [*processes.wrong, *wrong_at_rest(shared)]
    show_progress("", sys.stdout)
    for line in _figures(time.monotonic() - begun_s, shared, processes):
        print(line)
    return wrong


def _progress(now_s: float, shared: Shared, processes: Processes) -> str:
    appended = shared.store.statistics.total_appended
    return (
        f"{now_s:7.1f} s  appended {units.count(appended):>13}  read {units.count(shared.read()):>13}  "
        f"killed {processes.killed.total():>6}  frozen {processes.frozen.total():>6}  "
        f"lives {sum(processes.lives.values()):>7}  snapshots {shared.words[Word.SNAPSHOTS]:>8}"
    )


def _figures(took_s: float, shared: Shared, processes: Processes) -> list[str]:
    statistics, words = shared.store.statistics, shared.words
    appended = statistics.total_appended

    def counted(counter: dict[str, int]) -> str:
        return ", ".join(f"{units.count(number)} {role}s" for role, number in counter.items()) or "nobody"

    return [
        f"appended    {units.count(appended)} records, {units.rate(appended / took_s)}; "
        f"{units.count(statistics.voided)} tickets voided, {units.count(statistics.skipped)} skipped",
        f"read        {units.count(shared.read())} records by {shared.readers} readers, each one checked",
        f"copied      {units.count(words[Word.COPIED])} records in {units.count(words[Word.SNAPSHOTS])} snapshots, "
        f"each one checked; cleared or purged {units.count(words[Word.CLEARED])} times",
        f"killed      {counted(processes.killed)}",
        f"frozen      {counted(processes.frozen)}",
        f"lived       {counted(processes.lives)}; attached {units.count(words[Word.ATTACHED])} times; "
        f"{units.count(sum(map(bool, shared.store.keys())))} keys",
    ]


def _roles(processes: int) -> dict[str, int]:
    observers = max(1, (processes - _READERS) // 4)
    return {
        "writer": processes - _READERS - observers,
        "reader": _READERS,
        "observer": observers,
        "coordinator": _COORDINATORS,
    }


def _words(args: argparse.Namespace) -> str:
    """What was asked for, to be given again."""
    more = " --points" * args.points + (f" --plant {args.plant}" if args.plant else "")
    return (
        f"--seconds {args.seconds:g} --processes {args.processes} --seed {args.seed} --kill-rate {args.kill_rate:g} "
        f"--layout {args.layout} --capacity {args.capacity}{more}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/stress",
        description="Writers, readers and coordinators of one store are killed and frozen at random, and every record "
        "and every ticket is accounted for. Exit status 0: everything held; 1: something did not.",
    )
    add = parser.add_argument
    add("--seconds", type=units.seconds, default=60.0, metavar="S", help="how long (default: 60; 10m, 2h are read too)")
    add("--processes", type=_PROCESSES, default=8, metavar="N", help="how many processes use the store (default: 8)")
    add("--seed", type=units.whole, default=random.randrange(2**32), metavar="N", help="repeats what is done to whom")
    add("--kill-rate", type=_KILL_RATE, default=10.0, metavar="R", help="kills of writers a second (default: 10)")
    add("--layout", choices=("rows", "columns"), default="rows", help="of the records (default: rows)")
    add("--capacity", type=_CAPACITY, default=8000, metavar="N", help="of the store, in records (default: 8000)")
    add("--points", action="store_true", help="let every second writer die at a named point of a core built for that")
    add("--plant", choices=PLANTS, help="let a writer make this mistake; it must be found and the exit status be 1")
    add("--gunicorn", type=_KILLS, metavar="N", help="kill so many workers of a gunicorn that share metrics, instead")
    add("--streams", type=_CALLS, metavar="N", help="let processes make so many calls to streams, instead")
    add("--http", type=_REQUESTS, metavar="N", help="send so many requests to servers of the service, instead")
    return parser


if __name__ == "__main__":
    sys.exit(main())
