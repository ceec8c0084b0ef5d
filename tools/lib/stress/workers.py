"""Workers of a gunicorn that share metrics are killed under load: every scrape is read, and held against the load."""

import importlib.util
import os
import secrets
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import Failed, show_progress, teller
from shmstore.arguments import units

if TYPE_CHECKING:
    from tests.helpers.killed_workers import Found

_NEEDS = ("gunicorn", "prometheus_client")


def kill_workers(kills: int, end: ExitStack) -> list[str]:
    """Kill so many, one after the other. Returns what did not hold, in words."""
    if missing := [module for module in _NEEDS if importlib.util.find_spec(module) is None]:
        raise Failed(f"{' and '.join(missing)} of the dependency group test is missing")
    from tests.helpers import killed_workers, promtool, served

    name = f"stress-{os.getpid()}-{secrets.token_hex(2)}"
    folder = end.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-"))
    end.callback(lambda: [path.unlink() for path in Path("/dev/shm").glob(f"*{name}*")])
    print(f"metrics {name}, 2 workers of gunicorn, {kills} kills", flush=True)
    hooks = f"from shmstore.gunicorn import *\nshare_metrics({name!r}, unlink=True, series=200, coordinator=True)\n"
    begun_s = time.monotonic()
    with served.Gunicorn(Path(folder), hooks) as server:
        found = killed_workers.kill_workers(server, kills, teller(_progress))
        took_s = time.monotonic() - begun_s
    show_progress("", sys.stdout)
    reader = f"{units.count(found.by_promtool)} of them also by promtool" if found.by_promtool else promtool.MISSING
    print(
        f"killed      {units.count(found.kills)} workers in {took_s:.0f} s\n"
        f"scraped     {units.count(found.scrapes)} times, {found.failed_scrapes} failed; "
        f"each one read by prometheus_client, {reader}\n"
        f"requests    {units.count(found.answered)} answered of {units.count(found.begun)} begun, "
        f"{units.count(found.counted)} counted"
    )
    left = [f"{path} is left behind" for path in Path("/dev/shm").glob(f"*{name}*")]
    return found.wrong + left


def _progress(found: "Found") -> str:
    return f"killed {found.kills:>6}  scraped {found.scrapes:>6}"
