"""Processes that append to streams are killed and stopped: what each was told must fit one order of all calls."""

import os
import random
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from command_line import raise_noted, show_progress
from shmstore.arguments import units
from tests.helpers.recorded import record

_CALLS = 200_000  # to one store; then another is made, of another size


def disturb_streams(calls: int, seed: int, end: ExitStack) -> list[str]:
    """Make so many calls. Returns what did not hold, in words."""
    dice = random.Random(seed)
    name = f"stress-{os.getpid()}-{secrets.token_hex(2)}"
    folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
    print(f"streams {name}, {units.count(calls)} calls of 4 to 8 processes", flush=True)
    begun_s = time.monotonic()
    made = killed = stopped = stores = 0
    wrong: list[str] = []
    while made < calls and not wrong:
        most = min(_CALLS, calls - made)
        capacity = dice.choice((4 * most, 10_000, 600, 64))
        recording, histories = record(
            name, folder / str(stores), dice, calls=most, capacity=capacity, partitions=dice.choice((1, 2))
        )
        made, stores = made + most, stores + 1
        killed, stopped = killed + recording.killed, stopped + recording.stopped
        wrong = [f"store {stores}: {anomaly}" for history in histories for anomaly in history.anomalies()[:20]]
        wrong += [f"store {stores}: {violation}" for violation in recording.violations]
        raise_noted()
        show_progress(f"calls {units.count(made):>12}  killed {killed:>6}  stopped {stopped:>6}", sys.stdout)
    show_progress("", sys.stdout)
    print(
        f"called      {units.count(made)} times in {time.monotonic() - begun_s:.0f} s, {stores} stores; every answer "
        f"held against one order of all\nkilled      {units.count(killed)} processes; stopped {units.count(stopped)}"
    )
    return wrong + [f"{path} is left behind" for path in Path("/dev/shm").glob(f"*{name}*")]
