"""`./tools/stress` as people run it: all holds, planted errors are found, a seed repeats, nothing is left behind."""

import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

STRESS = str(Path(__file__).resolve().parents[2] / "tools" / "stress")
SHM = Path("/dev/shm")
LIMIT_S = 100.0


def stress(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([STRESS, *arguments], capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False)


def faults_of(output: str) -> str:
    [told] = re.findall(r"faults (\w+)$", output, re.MULTILINE)
    return str(told)


def left_of(output: str) -> list[Path]:
    """What its store has left."""
    [name] = re.findall(r"^store (\S+),", output, re.MULTILINE)
    return list(SHM.glob(f"*{name}*"))


@pytest.mark.parametrize("options", [["--layout", "rows"], ["--layout", "columns", "--points"]])
def test_everything_holds_while_processes_are_killed_and_frozen(options: list[str], seed: int) -> None:
    arguments = ["--seconds", "3", "--seed", str(seed), "--kill-rate", "20", "--capacity", "2000", *options]
    done = stress(*arguments, "--processes", "6")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("Everything held.\n") and "WRONG" not in done.stdout
    assert re.search(r"killed +.*\d writers", done.stdout) and re.search(r"frozen +.*\d writers", done.stdout)
    assert left_of(done.stdout) == []


def test_the_seed_repeats_what_is_done_to_whom() -> None:
    first, same, other = (
        faults_of(stress("--seconds", "1", "--kill-rate", "0.5", "--processes", "5", "--seed", seed).stdout)
        for seed in ("1", "1", "2")
    )
    assert first == same != other


def test_metrics_hold_while_workers_of_gunicorn_are_killed() -> None:
    done = stress("--gunicorn", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("Everything held.\n")
    assert (
        re.search(r"^killed +3 workers", done.stdout, re.MULTILINE) and "scraped     6 times, 0 failed" in done.stdout
    )
    [name] = re.findall(r"^metrics (\S+),", done.stdout)
    assert list(SHM.glob(f"*{name}*")) == []


def test_streams_hold_while_processes_are_killed() -> None:
    done = stress("--streams", "3000", "--seed", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("Everything held.\n")
    assert re.search(r"^called +3,000 times", done.stdout, re.MULTILINE)
    [name] = re.findall(r"^streams (\S+),", done.stdout)
    assert list(SHM.glob(f"*{name}*")) == []


def test_servers_hold_while_anything_is_sent_to_them() -> None:
    done = stress("--http", "1000", "--seed", "3")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.endswith("Everything held.\n")
    for server in ("shmstore-serve", "gunicorn"):
        assert re.search(rf"^{server} +5\d\d requests.* 0 failures;", done.stdout, re.MULTILINE)
    [name] = re.findall(r"^service (\S+),", done.stdout)
    assert list(SHM.glob(f"*{name}*")) == []


@pytest.mark.parametrize("error", ["torn", "lost", "doubled", "foreign"])
def test_a_planted_error_is_found(error: str) -> None:
    done = stress("--seconds", "10", "--kill-rate", "0", "--processes", "5", "--plant", error)
    assert done.returncode == 1 and "WRONG" in done.stderr, done.stdout
    assert re.search(r"did NOT hold\. To repeat it: tools/stress .*--seed \d+", done.stdout)


def test_a_signal_ends_it_and_nothing_is_left() -> None:
    with subprocess.Popen([STRESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        output = process.stdout.readline() + process.stdout.readline()
        assert "appended" in process.stdout.readline()
        others = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, messages) == (
        128 + signal.SIGTERM,
        "tools/stress: interrupted; nothing is left behind\n",
    )
    assert len(others) >= 8 and not psutil.wait_procs(others, timeout=10)[1]
    assert left_of(output) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seconds", "soon"],
        ["--processes", "1"],
        ["--kill-rate", "-1"],
        ["--layout", "heap"],
        ["--capacity", "1"],
        ["--gunicorn", "0"],
        ["--streams", "0"],
        ["--http", "0"],
    ],
)
def test_wrong_usage(arguments: list[str]) -> None:
    done = stress(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr
