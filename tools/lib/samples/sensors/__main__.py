"""The sample's command line: starts the sensors, asks while they write, saves snapshots, and compares at the end."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import shmstore
from command_line import FAILURE, OK, Failed, come_true, guard, within
from samples.sensors.saved import load, save, summary
from samples.sensors.sensor import Reading
from shmstore import EventStore
from shmstore.arguments import units
from shmstore.cli.render import Column, Output

PROGRAM = "tools/samples/sensors"
PROCESSES, SENSORS_EACH = 3, 4

_PATIENCE_S = 30.0
_SECONDS = within(float, 0, 86_400, " s")
_CAPACITY = 100_000
_COLUMNS = (
    Column("sensor", "sensor"),
    *(Column(key, key, units.count, right=True) for key in ("count", "mean", "p50", "p99", "max")),
)


def main() -> int:
    """Run it, and return 0 when what was saved is what was there."""
    args = _parser().parse_args()
    return guard(PROGRAM, lambda end: _sample(args, end))


def _sample(args: argparse.Namespace, end: ExitStack) -> int:
    out = Output()
    folder = end.enter_context(tempfile.TemporaryDirectory(prefix="shmstore-sensors-"))
    path = Path(args.file or Path(folder, "readings.pickle"))
    readings = shmstore.create(args.name, Reading, capacity=_CAPACITY)
    end.enter_context(readings)
    end.callback(lambda: readings.unlinked or shmstore.unlink(readings.name))
    with suppress(FileNotFoundError):
        restored = readings.append_many(load(path))
        out.write([f"{restored:,} readings of an earlier run, out of {path}"])
    began = datetime.now(UTC)
    sensors = [_start(readings.name, number * SENSORS_EACH, end) for number in range(PROCESSES)]
    each = PROCESSES * SENSORS_EACH
    come_true(lambda: len(readings.group_by("sensor", since=began).count()) == each or _are_dead(sensors), _PATIENCE_S)
    over_s = time.monotonic() + args.seconds
    is_over = False
    while not is_over:
        come_true(lambda: _are_dead(sensors), min(args.every, max(0.0, over_s - time.monotonic())))
        is_over = time.monotonic() >= over_s
        snapshot = readings.snapshot()
        save(snapshot, path)
        out.write([*out.table(_COLUMNS, _rows(readings)), f"{len(snapshot):,} readings saved", ""])
    return _compare(path, summary(snapshot), out)


def _start(store: str, first: int, end: ExitStack) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "samples.sensors.sensor", store, str(first), str(SENSORS_EACH)]
    process = subprocess.Popen(command, process_group=0)
    end.callback(process.wait)
    end.callback(process.kill)  # in the middle of a reading, perhaps: the store does not mind
    return process


def _rows(readings: "EventStore[Reading]") -> list[dict[str, object]]:
    """Each sensor in the last 5 s, asked while all of them write."""
    recent = readings.group_by("sensor", since=timedelta(seconds=5))
    found = {row["sensor"]: row for row in recent.summary("celsius").to_dicts()}
    for quantile in (0.5, 0.99):
        for row in recent.quantile("celsius", quantile).to_dicts():
            found.get(row["sensor"], {})[f"p{quantile * 100:.0f}"] = round(row["quantile"], 2)
    return [{**row, "mean": round(row["mean"], 2), "max": round(row["max"], 2)} for _, row in sorted(found.items())]


def _are_dead(sensors: list["subprocess.Popen[bytes]"]) -> bool:
    """Raises Failed when one is."""
    if any(process.poll() is not None for process in sensors):
        raise Failed("a process of sensors has died; above is what it said")
    return False


def _compare(path: Path, expected: dict[str, object], out: Output) -> int:
    """Let another program read the file."""
    command = [sys.executable, "-m", "samples.sensors.saved", str(path)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise Failed(f"{path} could not be read: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    is_right = found == expected
    out.write([f"{'ok   ' if is_right else 'WRONG'}  another program finds {found} in the file"])
    return OK if is_right else FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Processes write what sensors measure, and are asked meanwhile; "
        "snapshots are saved, and read at the next start and by another program. "
        "Exit status 0: the file holds what was there; 1: it does not, or something failed.",
    )
    add = parser.add_argument
    add("--seconds", type=_SECONDS, default=5.0, help="how long (default: 5)")
    add("--every", type=_SECONDS, default=1.0, metavar="SECONDS", help="how often a snapshot is saved (default: 1)")
    add("--file", help="where, and what is read at the start when it is there (default: one that is removed)")
    add("--name", default="readings", help="the name of the store (default: readings)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
