"""Processes without number attach, work and end in every way: all places can be used again, and nothing grows."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import shmstore
from shmstore import Int64, Key, Record
from tests.helpers.effort import cases
from tests.helpers.processes import Child, Gate

LIFETIMES = cases(full=500, sample=160)
PROCESSES = 8
APPENDS = 5  # of a lifetime
MOST_GROWTH_BYTES = 200_000

# A small program of its own: the end of its children is a whole end of Python, and its memory is not that of pytest.
MEASURE = """
import gc, json, os, random, signal, sys
import psutil, shmstore

NAME = sys.argv[1]
this = psutil.Process()
measures = []

def measure():
    gc.collect()
    memory = this.memory_full_info()
    measures.append({"fds": this.num_fds(), "threads": this.num_threads(), "rss": memory.rss, "uss": memory.uss})
"""

RESIDENT = f"""{MEASURE}
SEED, LIFETIMES, APPENDS = map(int, sys.argv[2:])
dice = random.Random(SEED)
resident = shmstore.attach(NAME)
cursor = resident.cursor()

def live(end):
    store = resident if dice.random() < 0.5 else shmstore.attach(NAME)
    for number in range(APPENDS):
        store.append(key=f"key {{number}}", number=number)
    store.snapshot()
    if end == "close":
        store.close()
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "exit at once":
        os._exit(0)
    sys.exit(0)

records = 0
for lifetime in range(LIFETIMES):
    children = []
    for end in ("close", "exit", "exit at once", "kill"):
        child = os.fork()
        if not child:
            live(end)
        children.append((child, -signal.SIGKILL if end == "kill" else 0))
    for child, code in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    records += len(cursor.read())
    if dice.random() < 0.3:
        resident._core.reap()
    if lifetime % (LIFETIMES // 5) == 0:
        measure()
measure()
print(json.dumps([records, cursor.lost, measures]))
"""

RETURNING = f"""{MEASURE}
for time in range(1000):
    with shmstore.attach(NAME) as store, store.cursor() as cursor:
        store.append(key="key", number=time)
        store.appender("key", "number")("key", time)
        store.append_many([("key", time)] * 10)
        store.snapshot().to_dicts()
        cursor.read()
        store.statistics
    if time % 200 == 0:
        measure()
measure()
print(json.dumps(measures))
"""


class Note(Record):
    key: Key
    number: Int64


def run(program: str, *arguments: Any) -> Any:
    """Run a Python program and read what it prints as JSON."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return json.loads(ended.stdout)


def test_after_many_lifetimes_every_place_can_be_used_and_nothing_has_grown(
    name: str, seed: int, scorecard: Callable[..., None]
) -> None:
    with shmstore.create(name, Note, capacity=1000, partitions=2, processes=PROCESSES) as store:
        records, lost, measures = run(RESIDENT, name, seed, LIFETIMES // 4, APPENDS)
        print(measures)
        assert (records, lost) == (LIFETIMES * APPENDS, 0)
        first, *_, last = measures[1:]  # the first of all is from before everything was touched
        assert last["fds"] == first["fds"] and last["threads"] == first["threads"]
        assert max(last["rss"] - first["rss"], last["uss"] - first["uss"]) < MOST_GROWTH_BYTES, "lifetimes cost memory"

        store._core.reap()
        assert [place.pid for place in store.processes()] == [os.getpid()]
        gate = Gate()

        def hold() -> None:
            with shmstore.attach(name) as handle:
                handle.append(key="last", number=0)
                gate.wait()

        others = [Child(hold) for _ in range(PROCESSES - 1)]
        gate.open()
        assert [other.wait() for other in others] == [0] * (PROCESSES - 1)
        assert store.check() == []
        assert store.statistics.total_appended == LIFETIMES * APPENDS + PROCESSES - 1
        assert set(store.keys()) - {""} == {*(f"key {number}" for number in range(APPENDS)), "last"}
        growth = max(last["rss"] - first["rss"], last["uss"] - first["uss"])
        scorecard(22, lifetimes=LIFETIMES, places_lost=0, descriptors_grown=0, growth_bytes=growth)
        shmstore.unlink(name)


def test_attaching_and_closing_again_and_again_costs_nothing(name: str) -> None:
    with shmstore.create(name, Note, capacity=1000, partitions=2, processes=3) as store:
        first, *_, last = run(RETURNING, name)[1:]
        assert last["fds"] == first["fds"] and last["threads"] == first["threads"]
        assert max(last["rss"] - first["rss"], last["uss"] - first["uss"]) < MOST_GROWTH_BYTES, "closing leaves memory"
        assert [place.pid for place in store.processes()] == [os.getpid()]
        shmstore.unlink(name)
