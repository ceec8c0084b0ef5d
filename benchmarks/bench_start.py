"""How long does a program take to start that imports shmstore, and a tool that prints its help?"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from time import perf_counter_ns

from harness import medians, pin
from report import Row, at_most, main

ROUNDS = 30
STARTS = {
    "bare": "pass",
    "usual": "import asyncio, multiprocessing.shared_memory",
    "import": "import shmstore",
    "help": "from shmstore.cli.inspect import main; main(['--help'])",
}


def milliseconds(code: str, environment: dict[str, str]) -> float:
    """From the start of a new interpreter to the end of it."""
    start = perf_counter_ns()
    subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, check=True)
    return (perf_counter_ns() - start) / 1e6


def rows(smoke: bool) -> Iterator[Row]:
    pin(0)
    with tempfile.TemporaryDirectory() as compiled:
        # A program is compiled once and started often, so the round that does not count writes the compiled files.
        environment = os.environ | {"PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        starts = {name: partial(milliseconds, code, environment) for name, code in STARTS.items()}
        ms = medians(1 if smoke else ROUNDS, starts)
    note = f"against asyncio and shared_memory; the interpreter alone takes {ms['bare']:.0f} ms"
    yield Row("import shmstore", ms["import"], "ms", ms["usual"], at_most(1.1), note)
    yield Row("shmstore-inspect --help", ms["help"], "ms", ms["usual"], at_most(1.5), note)


if __name__ == "__main__":
    main(rows)
