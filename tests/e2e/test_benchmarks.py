"""Every benchmark runs, at its small size, says what it should in the form it should, and cleans up when interrupted.

How fast anything is, is not asserted here: `tools/bench` measures that.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import shmstore

ROOT = Path(__file__).parents[2]
BENCHMARKS = sorted((ROOT / "benchmarks").glob("bench_*.py"))
LIMIT_S = 30.0
# The copy of shmstore that is tested here is the one that is measured.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1])}
KEYS = {"question", "bar", "ours", "baseline", "ratio", "unit", "note", "holds"}


@contextmanager
def benchmark(path: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, path, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def output_of(path: Path, *arguments: str) -> str:
    """What a benchmark prints when it succeeds; it may warn of a busy machine, and say nothing else beside."""
    with benchmark(path, *arguments) as process:
        output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    assert [line for line in errors.splitlines() if not line.startswith("warning: ")] == []
    return output


def names_of(process: "subprocess.Popen[str]") -> list[str]:
    return [path.name for path in Path("/dev/shm").glob(f"shmstore-bench-{process.pid}-*")]


def check_row(row: dict[str, object]) -> None:
    assert set(row) == KEYS
    assert isinstance(row["question"], str) and row["question"]
    assert isinstance(row["unit"], str) and row["unit"]
    assert isinstance(row["note"], str)
    assert isinstance(row["ours"], float) and row["ours"] > 0
    if row["baseline"] is None:  # a bar in a unit of its own
        assert row["ratio"] is None and row["bar"]
    else:
        assert isinstance(row["baseline"], float) and row["baseline"] > 0
        assert row["ratio"] in (row["ours"] / row["baseline"], row["baseline"] / row["ours"])
    if row["bar"] is None:
        assert row["holds"] is None
    else:
        assert isinstance(row["bar"], str) and row["bar"][0] in "≤≥"
        assert isinstance(row["holds"], bool)


def test_there_is_a_benchmark_for_each_question() -> None:
    questions = "append bulk contention coordinator dashboard export follow latency layout live memory metrics"
    questions += " questions service service_follow snapshot start statistics stream_follow streams today windows"
    assert [path.stem.removeprefix("bench_") for path in BENCHMARKS] == questions.split()


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_prints_one_object_a_line(path: Path) -> None:
    rows = [json.loads(line) for line in output_of(path, "--smoke", "--json").splitlines()]
    for row in rows:
        check_row(row)
    assert any(row["bar"] for row in rows) or path.stem == "bench_layout"  # which the default layout was chosen by
    assert len({row["question"] for row in rows}) == len(rows)


def test_without_json_it_prints_the_machine_and_a_table() -> None:
    machine, empty, titles, *rows = output_of(ROOT / "benchmarks" / "bench_append.py", "--smoke").splitlines()
    assert f"{os.cpu_count()} CPUs" in machine and "Python" in machine and empty == ""
    assert titles.split() == ["question", "ours", "baseline", "unit", "ratio", "bar", "holds", "note"]
    ratio, bar = titles.index("ratio"), titles.index("bar")
    assert rows and all(float(row[ratio:bar].split()[0]) > 0 for row in rows)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["contention", "service", "statistics"])
def test_an_interrupted_benchmark_leaves_nothing(name: str, number: signal.Signals) -> None:
    with benchmark(ROOT / "benchmarks" / f"bench_{name}.py") as process:
        deadline = time.monotonic() + LIMIT_S
        while not names_of(process):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.3)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + number
    assert (output, errors) == ("", "")
    assert names_of(process) == []
