"""The samples as people run them: their accounts balance, can fail, and leave nothing behind."""

import importlib
import os
import re
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

import shmstore
from shmstore.http.client import EventStoreClient
from tests.helpers.serving import Serving

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


def test_the_client_gets_right_answers(name: str) -> None:
    done = sample("client", "--name", name)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.startswith("500 measurements to http://127.0.0.1:")
    assert done.stdout.count("\nok  ") == 8 and "WRONG" not in done.stdout
    assert not list(SHM.glob(f"{name}*"))


def test_the_client_finds_a_wrong_answer(name: str) -> None:
    with Serving("--name", name, "--capacity", "1000") as serving, EventStoreClient(serving.url) as client:
        client.add("cpu", 99.5, datetime.now(UTC) + timedelta(seconds=30))  # somebody else's
        done = sample("client", "--url", serving.url, "--count", "20")
    assert done.returncode == 1 and done.stdout.count("\nok  ") == 0 and done.stdout.count("\nWRONG") == 8
    with_nobody = sample("client", "--url", serving.url)
    assert with_nobody.returncode == 1 and "did not answer" in with_nobody.stderr


def test_sensors_save_what_they_measure_and_go_on_with_it(name: str, tmp_path: Path) -> None:
    file = tmp_path / "readings.pickle"
    command = ("sensors", "--name", name, "--file", str(file), "--seconds", "1", "--every", "0.5")
    done = sample(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(set(re.findall(r"^sensor-\d+", done.stdout, re.M))) == 12
    (found,) = re.findall(r"^ok     another program finds {'readings': (\d+), 'sensors': 12, ", done.stdout, re.M)
    assert re.findall(r"^([\d,]+) readings saved$", done.stdout, re.M)[-1].replace(",", "") == found
    again = sample(*command)
    assert again.returncode == 0
    assert again.stdout.startswith(f"{int(found):,} readings of an earlier run, out of {file}\n")
    (more,) = re.findall(r"finds {'readings': (\d+)", again.stdout)
    assert int(more) > int(found) and os.listdir(tmp_path) == [file.name] and not (SHM / name).exists()


def test_a_snapshot_is_saved_whole_or_not_at_all(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SAMPLES.parent / "lib"))
    saved = importlib.import_module("samples.sensors.saved")
    file = tmp_path / "readings.pickle"
    with shmstore.series(name, capacity=10) as series:
        series.add("roof", 21.5)
        saved.save(series.store.snapshot(), file)
        series.add("roof", 22.0)
        monkeypatch.setattr(os, "replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            saved.save(series.store.snapshot(), file)
    assert os.listdir(tmp_path) == [file.name] and list(saved.load(file)["value"]) == [21.5]


@pytest.mark.parametrize("which", ["client", "sensors"])
def test_a_signal_ends_a_sample_and_nothing_is_left(name: str, which: str) -> None:
    command = [str(SAMPLES / which), "--name", name, *(["--count", "10000"] if which == "client" else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
        deadline_s = time.monotonic() + LIMIT_S
        while not list(SHM.glob(f"{name}*")) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + signal.SIGINT
    assert messages == f"tools/samples/{which}: interrupted; nothing is left behind\n"
    assert not list(SHM.glob(f"{name}*"))
