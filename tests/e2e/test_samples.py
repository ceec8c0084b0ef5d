"""The samples as people run them: their accounts balance, can fail, and leave nothing behind."""

import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

import shmstore

SAMPLES = Path(__file__).resolve().parents[2] / "tools" / "samples"
SHM = Path("/dev/shm")
LIMIT_S = 60.0


def sample(which: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(SAMPLES / which), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_orders_balance(name: str) -> None:
    done = sample("orders", "--name", name, "--orders", "200")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("\nbalanced\n") and "WRONG" not in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r" *\d+ +\d+ +(done|SIGKILL) ", line)]
    killed, again = (row for row in rows if row[0] == "2")
    assert len(rows) == 5 and killed[2:6] == ["SIGKILL", "-", "-", "-"]
    assert int(killed[6]) + int(again[6]) == 200 and int(again[4]) == int(killed[6]) + 20
    assert all(row[3] == row[6] for row in rows if row[2] == "done")
    assert not (SHM / name).exists()


@pytest.mark.parametrize("without", ["ids", "expectation"])
def test_orders_that_go_wrong_are_found(name: str, without: str) -> None:
    done = sample("orders", "--name", name, "--without", without)
    assert done.returncode == 1 and "WRONG" in done.stdout and done.stdout.endswith("\nNOT balanced\n")
    assert not (SHM / name).exists()


def test_a_signal_ends_orders_and_nothing_is_left(name: str) -> None:
    with subprocess.Popen(
        [str(SAMPLES / "orders"), "--name", name, "--orders", "20000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        deadline_s = time.monotonic() + LIMIT_S
        while not (SHM / name).exists() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        with shmstore.attach_streams(name, read_only=True) as streams:
            while streams["gateway/orders"].version < 10 and time.monotonic() < deadline_s:
                time.sleep(0.05)
        gateways = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert messages == "tools/samples/orders: interrupted; nothing is left behind\n"
    _, alive = psutil.wait_procs(gateways, timeout=10)
    assert len(gateways) == 4 and not alive and not (SHM / name).exists()
