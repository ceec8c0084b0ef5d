"""`./tools/demo` as people run it: its account balances, it can fail, and it leaves nothing behind however it ends."""

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

import shmstore

DEMO = str(Path(__file__).resolve().parents[2] / "tools" / "demo")
SHM = Path("/dev/shm")
LIMIT_S = 60.0


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([DEMO, *arguments], capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextmanager
def running_demo(name: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A demo that has begun to write."""
    with subprocess.Popen(
        [DEMO, "--name", name, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            assert any("one hammers" in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def command(process: psutil.Process) -> str:
    """Its command line; empty when it has just ended."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def worker(process: "subprocess.Popen[str]", role: str) -> psutil.Process:
    (found,) = (child for child in psutil.Process(process.pid).children() if f"demo.{role}" in command(child))
    return found


def test_the_account_balances(name: str) -> None:
    done = demo("--name", name, "--seconds", "3", "--processes", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("The account balances.\n") and "WRONG" not in done.stdout
    assert re.search(r"SIGKILL -> hammer \(pid \d+\) after [\d,]+ appends", done.stdout)
    assert "the coordinator repaired it" in done.stdout and "every invariant holds" in done.stdout
    assert not (SHM / name).exists()


def test_records_that_the_follower_was_too_slow_for_are_in_the_account(name: str) -> None:
    with running_demo(name, "--seconds", "6") as process, shmstore.attach(name, read_only=True) as store:
        follower = worker(process, "follower")
        follower.suspend()
        deadline_s = time.monotonic() + 2.5  # the hammer is killed at 3 s
        while time.monotonic() < deadline_s and store.statistics.total_appended < 3 * store.capacity:
            time.sleep(0.05)
        lapped = store.statistics.total_appended >= 3 * store.capacity
        follower.resume()
        output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    if lapped:
        assert re.search(r"\+ [1-9][\d,]* lapped", output) and "which lie in gaps" in output


@pytest.mark.parametrize("error", ["torn", "lost", "repeated"])
def test_a_planted_error_is_found(name: str, error: str) -> None:
    done = demo("--name", name, "--seconds", "1", "--plant", error)
    assert done.returncode == 1 and "WRONG" in done.stdout
    assert done.stdout.endswith("The account does NOT balance.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_nothing_is_left(name: str, number: signal.Signals) -> None:
    with running_demo(name) as process:
        workers = psutil.Process(process.pid).children()
        process.send_signal(number)
        _, messages = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, messages) == (128 + number, "tools/demo: interrupted; nothing is left behind\n")
    assert len(workers) >= 7 and not any(each.is_running() for each in workers)
    assert not (SHM / name).exists()


def test_a_worker_that_dies_unasked_fails_it(name: str) -> None:
    with running_demo(name) as process:
        worker(process, "follower").kill()
        _, messages = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1 and "the follower (pid" in messages and "Traceback" not in messages
    assert not (SHM / name).exists()


def test_workers_do_not_outlive_it(name: str) -> None:
    with running_demo(name) as process:
        workers = [each for each in psutil.Process(process.pid).children() if "coordinator" not in command(each)]
        process.kill()
        _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    shmstore.unlink(name)  # which also ends the coordinator


def test_a_terminal_gets_a_live_view_and_is_given_back(name: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    command = [DEMO, "--name", name, "--seconds", "1"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(ours, 65536):
                seen += data
        assert process.wait(LIMIT_S) == 0, seen.decode()
    os.close(ours)
    view, _, after = seen.partition(b"\x1b[?1049l")
    assert view.count(b"\x1b[H") > 3 and "█".encode() in view and b"hammer.py" in view
    assert b"SIGKILL" in view and b"The account balances." in after


def test_a_name_that_is_taken_is_left_alone(name: str) -> None:
    (SHM / name).write_bytes(b"not ours")
    done = demo("--name", name)
    assert (done.returncode, done.stdout) == (1, "") and "exists already" in done.stderr
    assert (SHM / name).read_bytes() == b"not ours"


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds", "soon"], ["--processes", "1"], ["orders"]])
def test_wrong_usage(arguments: list[str]) -> None:
    done = demo(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr
