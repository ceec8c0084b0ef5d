"""Bad requests, and bytes that are none, to real servers of the service, beside clients that must not notice."""

import importlib.util
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import Failed, show_progress, teller
from shmstore.arguments import units

if TYPE_CHECKING:
    from tests.helpers.hostile_clients import Found


def disturb_servers(requests: int, seed: int, end: ExitStack) -> list[str]:
    """Send so many, to one server after the other. Returns what did not hold, in words."""
    if importlib.util.find_spec("gunicorn") is None:
        raise Failed("gunicorn of the dependency group test is missing")
    from tests.helpers.hostile_clients import SERVERS, attack, target

    name = f"stress-{os.getpid()}-{secrets.token_hex(2)}"
    folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix=f"{name}-")))
    end.callback(lambda: [path.unlink() for path in Path("/dev/shm").glob(f"*{name}*")])
    print(f"service {name}, {units.count(requests)} requests to {' and '.join(SERVERS)}", flush=True)
    wrong: list[str] = []
    for kind in SERVERS:
        own = folder / kind
        own.mkdir()
        begun_s = time.monotonic()
        with target(kind, f"{name}-{kind}", own) as server:
            found = attack(server, -(-requests // len(SERVERS)), f"{seed}", teller(_progress(kind)))
        show_progress("", sys.stdout)
        print(
            f"{kind:<15} {units.count(found.requests)} requests in {time.monotonic() - begun_s:.0f} s; "
            f"{units.count(found.answered)} answers, {units.count(found.refused)} of them refusals, "
            f"{found.failed} failures; {units.count(found.acknowledged)} appends beside them, each there once; "
            f"grown by {found.descriptors_grown} descriptors, {found.threads_grown} threads, "
            f"{units.size(found.growth_bytes)}",
            flush=True,
        )
        wrong += [f"{kind}: {what}" for what in found.wrong]
    return wrong


def _progress(kind: str) -> "Callable[[Found], str]":
    return lambda found: f"{kind:<15} requests {units.count(found.requests):>12}"
