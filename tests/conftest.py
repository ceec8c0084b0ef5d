"""What holds around every test: a limit of time, nothing left in /dev/shm, no process left.

Fixtures `name`, `seed`, and `scorecard` for what a test has shown.

A test that leaks fails, and what it leaked is removed, so that the next test starts clean. Other programs, and other
runs of these tests, may use /dev/shm meanwhile: what may be theirs is not touched, and only told at the end of the run.
"""

import ctypes
import faulthandler
import json
import os
import random
import re
import secrets
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
import pytest

from tests.helpers import programs
from tests.helpers.effort import FULL
from tests.helpers.wheels import sdist as sdist
from tests.helpers.wheels import wheel as wheel

SHM = Path("/dev/shm")
RUN = os.getpid()
LIMIT_S = 120.0
REPEAT_S = 10.0  # clean-up that hangs as well is interrupted again
GRACE_S = 3.0  # for processes that are about to end by themselves

PR_SET_CHILD_SUBREAPER = 36
NAMES_AT_START = pytest.StashKey[set[str]]()
OF_A_RUN = re.compile(r"shmstore-test-(\d+)-")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Adopt orphaned grandchildren, so that they are seen as left; remove names of runs that were killed.

    Ctrl-C means what it means at a terminal, also to the programs that tests start: whoever runs the tests in the
    background may have them ignore it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for name in os.listdir(SHM):
        run = OF_A_RUN.search(name)
        if run and not psutil.pid_exists(int(run[1])):
            (SHM / name).unlink(missing_ok=True)
    session.config.stash[NAMES_AT_START] = set(os.listdir(SHM))
    note(full=FULL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was not run for want of a program, and of new names in /dev/shm that bear no run's number: another
    program's, or of a test without `name`.
    """
    skipped = [report.longrepr for report in terminalreporter.stats.get("skipped", ())]
    for line in programs.untried(reason[2] for reason in skipped if isinstance(reason, tuple)):
        terminalreporter.write_line(line)
    before = config.stash[NAMES_AT_START]
    if new := sorted(name for name in os.listdir(SHM) if name not in before and not OF_A_RUN.search(name)):
        terminalreporter.write_line(f"new in {SHM}, of unknown origin: {', '.join(new)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Fail a test that takes too long; faulthandler_timeout in pyproject.toml is for one that no signal interrupts."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        faulthandler.dump_traceback()
        pytest.fail(f"the test took longer than {LIMIT_S:.0f} s; the stacks of its threads are in the captured stderr")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, REPEAT_S)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def is_service(process: psutil.Process) -> bool:
    """Whether multiprocessing starts it once and keeps it: a resource tracker, or a fork server (not its workers)."""
    command = " ".join(process.cmdline())
    return "multiprocessing.resource_tracker" in command or (
        "multiprocessing.forkserver" in command and process.ppid() == RUN
    )


def processes() -> set[psutil.Process]:
    """All living descendants of this process but the services of multiprocessing."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if not is_service(process):
                found.add(process)
        except psutil.NoSuchProcess:
            pass  # it has ended, waited for or not
    return found


def is_ours(name: str) -> bool:
    """Whether a name in /dev/shm is surely this run's: it bears our number, or none and is mapped in this process."""
    run = OF_A_RUN.search(name)
    return int(run[1]) == RUN if run else f" {SHM / name}\n" in Path("/proc/self/maps").read_text()


def stop_processes(before: set[psutil.Process]) -> list[str]:
    """Kill the processes that are new and do not end by themselves. Returns them in words."""
    _, left = psutil.wait_procs(processes() - before, GRACE_S)
    words = []
    for process in left:
        with suppress(psutil.NoSuchProcess), process.oneshot():  # it may end at last
            words.append(f"process {process.pid} ({' '.join(process.cmdline()) or process.name()}, {process.status()})")
            process.kill()
    psutil.wait_procs(left, GRACE_S)
    return words


def remove_names(before: set[str]) -> list[str]:
    """Remove the names in /dev/shm that are new and ours. Returns them in words."""
    left = sorted(name for name in set(os.listdir(SHM)) - before if is_ours(name))
    for name in left:
        (SHM / name).unlink(missing_ok=True)
    return [f"{SHM / name}" for name in left]


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail when the body leaves a process or a name in /dev/shm behind; remove both."""
    names_before, processes_before = set(os.listdir(SHM)), processes()
    yield
    if os.getpid() != RUN:
        os._exit(1)  # a forked child that left its test; the rest of the run is its parent's
    left = stop_processes(processes_before) + remove_names(names_before)
    if left:
        pytest.fail("left behind, now removed: " + ", ".join(left))


@pytest.fixture(autouse=True)
def nothing_left_by_the_test() -> Iterator[None]:
    with nothing_left():
        yield


@pytest.fixture(autouse=True, scope="session")
def nothing_left_by_the_run() -> Iterator[None]:
    """For what fixtures of modules leave."""
    with nothing_left():
        yield


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other store has. It, and every name that begins with it, is removed after the test."""
    name = f"shmstore-test-{RUN}-{secrets.token_hex(3)}"
    yield name
    for path in SHM.glob(f"*{name}*"):
        path.unlink(missing_ok=True)


@pytest.fixture
def seed() -> int:
    """A random number to seed a test with; SHMSTORE_SEED gives a chosen one. pytest shows it when the test fails."""
    seed = int(os.environ.get("SHMSTORE_SEED") or random.randrange(2**32))
    print(f"SHMSTORE_SEED={seed} repeats this run")
    return seed


def note(**line: object) -> None:
    """Append a line of JSON to the file that SHMSTORE_SCORECARD names, if it does; tools/prove reads it."""
    if path := os.environ.get("SHMSTORE_SCORECARD"):
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note how each test ended: a figure counts only if its test passed."""
    if report.when == "call" or report.outcome != "passed":
        reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
        note(test=report.nodeid, outcome=report.outcome, seconds=round(report.duration, 3), reason=reason)


@pytest.fixture
def scorecard(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`scorecard(row, **figures)` notes the figures that a test got for a row of the promises in tests/PROOF.md."""
    began = time.monotonic()

    def score(row: int, **figures: int | float | str) -> None:
        note(row=row, test=request.node.nodeid, seconds=round(time.monotonic() - began, 3), figures=figures)

    return score
