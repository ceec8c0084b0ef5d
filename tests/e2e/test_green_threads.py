"""Green threads: while one waits for a cursor's descriptor, the others of its thread go on."""

import subprocess
import sys

import pytest

import shmstore
from shmstore import Record

pytest.importorskip("gevent")

PROGRAM = """
import sys
import gevent.monkey
if sys.argv[2] == "patched":
    gevent.monkey.patch_all()
import gevent
from gevent.socket import wait_read
import shmstore

store = shmstore.attach(sys.argv[1])
cursor = store.cursor()
turns = 0

def others():
    global turns
    while True:
        gevent.sleep(0.001)
        turns += 1

def reads(count):
    values = []
    while len(values) < count:
        wait_read(cursor.fileno())
        values += [record.value for record in cursor.read()]
    return values

def until_closed():
    wait_read(cursor.fileno())
    try:
        cursor.read()
    except shmstore.StoreClosed:
        return "told"

gevent.spawn(others)
waiting = gevent.spawn(reads, 2)
while turns < 5:  # the others go on, and nothing was appended yet
    gevent.sleep(0.001)
assert not waiting.ready()
store.append(value=1.0)
print("appended", flush=True)
waiting.join(20)
assert waiting.value == [1.0, 2.0], waiting.value  # the second is of another process
for name in ("one", "other"):
    try:
        wait_read(cursor.fileno(), timeout=0.01)
    except TimeoutError:
        print("nothing new for", name)
waiting = gevent.spawn(until_closed)
before = turns
while turns < before + 5:
    gevent.sleep(0.001)
cursor.close()
waiting.join(20)
assert waiting.value == "told"
"""


class Point(Record):
    value: float


@pytest.mark.parametrize("patched", ["patched", "plain"])
def test_greenlets_go_on_while_one_waits_for_a_cursor(name: str, patched: str) -> None:
    with shmstore.create(name, Point, capacity=10, partitions=1) as store:
        program = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PROGRAM, name, patched],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        first = program.stdout.readline()
        store.append(value=2.0)
        out, err = program.communicate(timeout=30)
        assert (first, out, err, program.returncode) == (
            "appended\n",
            "nothing new for one\nnothing new for other\n",
            "",
            0,
        )
