"""`shmstore-inspect metrics` as people run it: the series that a process counts, seen from outside."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore.errors import StoreNotFound
from shmstore.segments import segment
from tests.helpers.segments import path

LIMIT_S = 30.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(shmstore.__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
COUNTING = """
import sys, threading
from shmstore import metrics
metrics.configure(sys.argv[1], series=100, exemplars=10, processes=8)
hits = metrics.Counter("hits", "What was asked for.", ["path"])
hits.labels("/").inc(3)
hits.labels('a "b"\\n\\x1b').inc()
metrics.Gauge("waiting", "Requests that wait.", multiprocess_mode="livesum").set(-2.5)
took = metrics.Histogram("took_seconds", "How long it took.", buckets=(1, 2))
for seconds in (0.5, 1.5, 3):
    took.observe(seconds)
metrics.Summary("size_bytes", "How much it was.").observe(7)
metrics.Enum("state", "What it does.", states=["up", "down"]).state("down")
metrics.Info("build", "What it is.").info({"version": "1"})
other = metrics.Counter("other", "Of a registry of its own.", registry=metrics.CollectorRegistry())
other.inc()
print(metrics.generate_latest().decode(), end="")
print("# ready", flush=True)
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set())).start()
while not done.wait(0.001):
    hits.labels("/busy").inc(5)
"""
OF_PROCESSES = ("process_", "python_")
GC_COUNTS = ("objects_collected", "objects_uncollectable", "collections")


class Reading(shmstore.Record):
    value: float


class Counting:
    """A process at work, and what it answered a scrape before it began to count without end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTING, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=ENVIRONMENT,
        )
        assert self.process.stdout is not None
        self.scraped = list(iter(self.process.stdout.readline, "# ready\n"))


@pytest.fixture
def counting(name: str) -> Iterator[Counting]:
    counting = Counting(name)
    with counting.process:
        yield counting
        counting.process.kill()
    with suppress(StoreNotFound):
        segment.unlink(name)


def inspect(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "shmstore.cli.inspect", "metrics", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, env=ENVIRONMENT)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def objects(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in inspect(*arguments, "--json").stdout.splitlines()]


def test_every_series_is_an_object(counting: Counting) -> None:
    every = [row for row in objects(counting.name) if row["labels"] != {"path": "/busy"}]
    told = [row for row in every if row["metric"].startswith(OF_PROCESSES)]
    rows = [row for row in every if row not in told]
    assert told[0].items() > {"metric": "process_cpu_seconds", "type": "counter", "labels": {"place": "0"}}.items()
    assert {row["metric"] for row in told[1:]} <= {f"python_gc_{what}" for what in GC_COUNTS}
    buckets = {"1.0": 1, "2.0": 2, "+Inf": 3}
    assert rows == [
        {"metric": "hits", "type": "counter", "labels": {"path": "/"}, "value": 3},
        {"metric": "hits", "type": "counter", "labels": {"path": 'a "b"\n\x1b'}, "value": 1},
        {"metric": "waiting", "type": "gauge", "labels": {}, "value": -2.5},
        {"metric": "took_seconds", "type": "histogram", "labels": {}, "value": 3, "buckets": buckets, "sum": 5},
        {"metric": "size_bytes", "type": "summary", "labels": {}, "value": 1, "sum": 7},
        {"metric": "state", "type": "stateset", "labels": {}, "value": "down"},
        {"metric": "build", "type": "info", "labels": {"version": "1"}, "value": 1},
        {"metric": "other", "type": "counter", "labels": {}, "value": 1},
    ]


def test_people_see_a_table_with_nothing_that_a_terminal_obeys(counting: Counting) -> None:
    lines = [line.split() for line in inspect(counting.name).stdout.splitlines()]
    assert lines[0] == ["metric", "type", "labels", "value", "sum"]
    assert ["hits", "counter", "path=a", '"b"\\n\\x1b', "1", "-"] in lines
    assert ["took_seconds", "histogram", "3", "5"] in lines and ["state", "stateset", "down", "-"] in lines


@pytest.mark.parametrize("metric", ["hits", "hits_total"])
def test_one_metric_is_asked_for_by_its_name_or_that_of_a_sample(counting: Counting, metric: str) -> None:
    assert {row["metric"] for row in objects(counting.name, metric)} == {"hits"}
    (line,) = inspect(counting.name, "other", "--prometheus").stdout.splitlines()[2:3]
    assert line == "other_total 1.0"


def test_the_exposition_is_that_of_a_worker(counting: Counting) -> None:
    lines = inspect(counting.name, "--prometheus").stdout.splitlines(keepends=True)
    moving = ('hits_total{path="/busy"}', 'hits_created{path="/busy"}', "shmstore_metrics_nodes_used ")
    custom = tuple(above + name for above in ("# HELP ", "# TYPE ", "") for name in OF_PROCESSES)
    scraped = [line for line in counting.scraped if not line.startswith(moving + custom)]
    assert [line for line in lines if not line.startswith(moving)] == scraped
    assert any(line.startswith('hits_total{path="/busy"}') for line in lines)


def test_top_has_the_fastest_first(counting: Counting) -> None:
    first, second = objects(counting.name, "--top", "2")
    assert first["labels"] == {"path": "/busy"} and first["per_second"] > 100 > second["per_second"] == 0


def test_watch_tells_rates_look_by_look(counting: Counting) -> None:
    rows = objects(counting.name, "hits", "--watch", "0.05", "--count", "3")
    busy = [row for row in rows if row["labels"] == {"path": "/busy"}]
    assert len(rows) == 9 and all(row["per_second"] > 0 for row in busy) and "drawn" not in rows[0]
    assert busy[0]["value"] < busy[1]["value"] < busy[2]["value"] and len({row["time"] for row in rows}) == 3
    frames = inspect(counting.name, "--watch", "0.05", "--count", "2", "--top", "1").stdout.split("\n\n")
    assert frames[0].startswith(counting.name) and frames[-1 - (not frames[-1])][-1] in "▁▂▃▄▅▆▇█"


def test_watch_ends_when_the_segment_is_unlinked(counting: Counting) -> None:
    command = [sys.executable, "-m", "shmstore.cli.inspect", "metrics", counting.name, "--watch", "0.05", "--plain"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT
    ) as watching:
        assert watching.stdout is not None and "\thits\tcounter\t" in watching.stdout.readline()
        segment.unlink(counting.name)
        _, messages = watching.communicate(timeout=LIMIT_S)
    assert (watching.returncode, messages) == (0, f"metrics {counting.name!r} were unlinked\n")


def test_looking_changes_no_byte(counting: Counting) -> None:
    counting.process.kill()
    counting.process.wait()
    before = path(counting.name).read_bytes()
    for arguments in ([], ["hits"], ["--prometheus"], ["--watch", "0.01", "--count", "2"], ["--top", "1"]):
        assert inspect(counting.name, *arguments).returncode == 0
    assert path(counting.name).read_bytes() == before


def test_an_empty_segment_has_no_series(name: str) -> None:
    segment.create(name, (), {"kind": "metrics", "capacity": 10, "exemplars": 0, "processes": 2}).close()
    done = inspect(name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "there are no series yet\n")
    done = inspect(name, "hits")
    assert done.returncode == 2 and f"there is no metric 'hits' in {name!r}; there are: none yet" in done.stderr
    segment.unlink(name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prometheus", "--json"], "leave out"),
        (["--prometheus", "--top", "1"], "leave out"),
        (["--prometheus", "--watch"], "not allowed with"),
        (["--count", "1"], "--count is how many looks --watch takes"),
        (["no_such"], "there is no metric 'no_such'"),
    ],
)
def test_what_cannot_be_is_a_usage_error(counting: Counting, arguments: list[str], said: str) -> None:
    done = inspect(counting.name, *arguments)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_a_store_and_a_missing_name_are_told(name: str) -> None:
    assert inspect(name).returncode == 3
    with shmstore.create(name, Reading, capacity=10):
        done = inspect(name)
        shmstore.unlink(name)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"{name!r} holds records" in done.stderr and f"shmstore-inspect show {name}" in done.stderr
