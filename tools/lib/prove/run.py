"""Runs the tests that note figures, two processes side by side if they can be kept apart, and shows how far they are.

Each has a /dev/shm of its own: there are tests that shrink segments, and who just looks at one that shrinks is ended by
the kernel. Without the right to give them one (root has it) there is but one process.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

SIDE_BY_SIDE = 2
APART = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh")
NO_TESTS = 5  # pytest's exit status when another run had claimed them all
GRACE_S = 20.0

_LOOK_S, _LINE_S = 0.5, 15.0


class Broken(Exception):
    """A run of the tests did not come to its end."""


def run(scorecard: Path, seed: int, arguments: Sequence[str]) -> str:
    """Run the tests, which note what they show in `scorecard`. Returns what pytest said of failures.

    Raises Broken when a run ends in another way than with its tests passed or failed.
    """
    with ExitStack() as end, tempfile.TemporaryDirectory(prefix="shmstore-proof-") as claims:
        environment = {
            **os.environ,
            "SHMSTORE_SCORECARD": str(scorecard),
            "SHMSTORE_SEED": str(seed),
            "SHMSTORE_FULL": "1",
            "SHMSTORE_PROVE_CLAIMS": claims,
        }
        command = [sys.executable, "-m", "pytest", "-p", "prove.share", "-p", "no:cacheprovider", "--quiet", *arguments]
        apart = _can_be_kept_apart()
        if apart:
            command = [*APART, *command]
        outputs = [end.enter_context(tempfile.TemporaryFile("w+")) for _ in range(SIDE_BY_SIDE if apart else 1)]
        runs = [end.enter_context(_Run(command, environment, output)) for output in outputs]
        _watch(runs, scorecard)
        said = [_text(output) for output in outputs]
        for each, output in zip(runs, said, strict=True):
            if each.process.returncode not in (0, 1, NO_TESTS):
                raise Broken(f"{output}\na run of the tests ended with status {each.process.returncode}; see above")
        return "\n".join(output for each, output in zip(runs, said, strict=True) if each.process.returncode == 1)


class _Run:
    """One pytest; when its `with` block is left early it is interrupted, so that its tests clean up."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], output: IO[str]) -> None:
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(2)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE_S)
        self.process.kill()
        self.process.wait()


def _can_be_kept_apart() -> bool:
    try:
        return subprocess.run([*APART, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _watch(runs: Sequence[_Run], scorecard: Path) -> None:
    """Wait for all; tell now and then how far they are."""
    terminal, begun, said_s = sys.stderr.isatty(), time.monotonic(), 0.0
    while any(run.process.poll() is None for run in runs):
        time.sleep(_LOOK_S)
        passed_s = time.monotonic() - begun
        if terminal or passed_s - said_s > _LINE_S:
            said_s = passed_s
            ended = scorecard.read_text().count('"outcome"')
            line = f"{passed_s:5.0f} s  {ended} tests have ended"
            print(f"\r{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)
    if terminal:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()
