"""Runs the tests that note figures, two processes side by side if they can be kept apart, and shows how far they are.

Each has a /dev/shm of its own: some tests shrink segments, and the kernel ends whoever looks at a segment that shrinks.
Without the right to give each its own (root has it) there is only one process.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from command_line import Failed, raise_noted, show_progress

SIDE_BY_SIDE = 2
APART = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh")
NO_TESTS = 5  # pytest's exit status when another run had claimed them all
GRACE_S = 20.0

_LOOK_S, _LINE_S = 0.5, 15.0

Process = subprocess.Popen[bytes]


def run(scorecard: Path, seed: int, arguments: Sequence[str]) -> str:
    """Run the tests, which note what they show in `scorecard`. Returns what pytest said of failures.

    Raises Failed when a run ends in another way than with its tests passed or failed.
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
        runs = [end.enter_context(_started(command, environment, output)) for output in outputs]
        _watch(runs, scorecard)
        failures = []
        for process, output in zip(runs, outputs, strict=True):
            output.seek(0)
            said = output.read()
            if process.returncode not in (0, 1, NO_TESTS):
                raise Failed(f"{said}\na run of the tests ended with status {process.returncode}; see above")
            failures += [said] if process.returncode else []
        return "\n".join(failures)


@contextmanager
def _started(command: Sequence[str], environment: dict[str, str], output: IO[str]) -> Iterator[Process]:
    """One pytest; when the `with` block is left early it is interrupted, so that its tests clean up."""
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        process.kill()
        process.wait()


def _can_be_kept_apart() -> bool:
    try:
        return subprocess.run([*APART, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _watch(runs: Sequence[Process], scorecard: Path) -> None:
    """Wait for all; tell now and then how far they are."""
    begun, said_s = time.monotonic(), 0.0
    while any(process.poll() is None for process in runs):
        time.sleep(_LOOK_S)
        raise_noted()
        passed_s = time.monotonic() - begun
        if sys.stderr.isatty() or passed_s - said_s > _LINE_S:
            said_s = passed_s
            ended = scorecard.read_text().count('"outcome"')
            show_progress(f"{passed_s:5.0f} s  {ended} tests have ended", sys.stderr)
    show_progress("", sys.stderr)
