"""Programs of prometheus_client whose forked workers are killed: in its multiprocess mode, and through the bridge."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as parse

PROGRAM = """
import os, signal, time
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest, multiprocess

MODES = ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent")
requests = Counter("requests_total", "Requests", ["method"])
latency = Histogram("latency_seconds", "Latency", ["route"], buckets=(0.25, 0.5, 1))
size = Summary("size_bytes", "Sizes")
gauges = [Gauge(mode, "Values", ["a"], multiprocess_mode=mode) for mode in MODES]


def work(number):
    for i in range(100):
        requests.labels("GET").inc()
        requests.labels(method="POST").inc(0.5)
        latency.labels("/").observe(i % 6 / 4)
        size.observe(i)
    for gauge in gauges:
        gauge.labels("x").set(number)
        time.sleep(0.001)


work(3)
for number in (5, 2, 4):
    if not (pid := os.fork()):
        work(number)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    multiprocess.mark_process_dead(pid)
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""

KILLED = """
import mmap, os, signal, time
from prometheus_client import Counter, Gauge, Histogram, REGISTRY, generate_latest

WORKERS = 10
requests = Counter("requests_total", "Requests", ["worker"])
latency = Histogram("latency_seconds", "Latency", buckets=(1, 2, 3))
busy = Gauge("busy", "At work", multiprocess_mode="livesum")
returned = memoryview(mmap.mmap(-1, 8 * WORKERS)).cast("Q")  # each number is written as a whole


def work(worker):
    busy.inc()
    for number in range(1, 10**9):
        requests.labels(worker).inc()
        latency.observe(2)
        returned[worker] = number


def kill(worker, pid):
    while not returned[worker]:
        time.sleep(0.001)
    time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    generate_latest(REGISTRY)


living = []
for worker in range(WORKERS):
    if not (pid := os.fork()):
        work(worker)
    living.append((worker, pid))
    if len(living) == 3:
        kill(*living.pop(0))
for worker, pid in living:
    kill(worker, pid)
for worker, number in enumerate(returned):
    print(f'returned{{worker="{worker}"}} {number}')
print(generate_latest(REGISTRY).decode())
"""


def printed(program: str, **environment: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def through_the_bridge(name: str, program: str) -> str:
    return printed(
        f"from shmstore import prometheus_client_bridge\nprometheus_client_bridge.install({name!r})\n{program}"
    )


def samples(text: str) -> Counter[tuple[str, str, float]]:
    return Counter(
        (
            sample.name,
            str(sorted({**sample.labels, **dict.fromkeys(sample.labels.keys() & {"pid"}, "")}.items())),
            value,
        )
        for family in parse(text)
        for sample in family.samples
        for value in [sample.value]
        if not re.search("_created$|^shmstore_", sample.name)
    )


def test_it_shows_what_the_multiprocess_mode_shows(name: str, tmp_path: Path) -> None:
    theirs = samples(printed(PROGRAM, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)))
    ours = samples(through_the_bridge(name, PROGRAM))
    taken_over = Counter(("all", "[('a', 'x'), ('pid', '')]", value) for value in (5.0,))  # shown no longer
    assert len(theirs) > 15 and ours == theirs - taken_over and theirs == ours + taken_over


def test_nothing_that_returned_is_lost_with_a_worker(name: str) -> None:
    found = {(sample, labels): value for sample, labels, value in samples(through_the_bridge(name, KILLED))}
    workers = [labels for sample, labels in found if sample == "returned"]
    assert len(workers) == 10
    for labels in workers:
        assert 0 <= found["requests_total", labels] - found["returned", labels] <= 1
    [infinite] = [value for (sample, labels), value in found.items() if sample.endswith("_bucket") and "Inf" in labels]
    count = found["latency_seconds_count", "[]"]
    assert infinite == count and found["latency_seconds_sum", "[]"] == 2 * count
    assert 0 <= count - sum(found["returned", labels] for labels in workers) <= len(workers)
    assert found["busy", "[]"] == 0
