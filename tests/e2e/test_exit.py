"""The end of a process: what is appended there, by whatever runs then, arrives, and no place is left taken."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

import shmstore
from shmstore import EventStore, Key, Record, Text

LIMIT_S = 60.0


class Line(Record):
    level: Key
    text: Text[100]  # type: ignore[valid-type]


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Line]]:
    with shmstore.create(name, Line, capacity=200_000, partitions=1) as store:
        yield store


def last_words(store: EventStore[Line], after: str, before: str = "") -> list[str]:
    """The texts appended by a process that ended by itself, without a word and without a trace.

    It runs `before`, then imports the package and attaches, then runs `after`; `say` appends a text.
    """
    source = f"""
import threading, time
def say(text):
    store.append(level="last", text=text)
{before}
import shmstore
store = shmstore.attach({store.name!r})
{after}
"""
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=LIMIT_S)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert {place.pid for place in store.processes()} == {os.getpid()}, "a place is left"
    assert store.check() == []
    return [line.text for line in store.snapshot()]


AFTER = {
    "an exit handler": "import atexit; atexit.register(say, 'here')",
    "logging.shutdown": """
import logging, logging.handlers
class ToStore(logging.Handler):
    def emit(self, record):
        say(record.getMessage())
logging.getLogger().addHandler(logging.handlers.MemoryHandler(1000, target=ToStore()))
logging.warning('here')
""",
    "a finalizer of weakref": "import weakref; weakref.finalize(say, say, 'here')",
    "a thread that ends late": """
def late():
    threading.main_thread().join()
    say('here')
threading.Thread(target=late).start()
""",
    "an object that lives as long as its module": """
class Last:
    def __del__(self, append=store.append):
        append(level='last', text='here')
last = Last()
""",
}
BEFORE = {
    "an exit handler that is older than the package": "import atexit; atexit.register(say, 'here')",
    "a finalizer of multiprocessing": """
import multiprocessing.util
multiprocessing.util.Finalize(None, say, args=('here',), exitpriority=1)
""",
}


@pytest.mark.parametrize("ending", [*AFTER, *BEFORE])
def test_what_is_appended_at_the_end_of_a_process_arrives(store: EventStore[Line], ending: str) -> None:
    assert last_words(store, AFTER.get(ending, ""), BEFORE.get(ending, "")) == ["here"]


def test_a_thread_that_waits_for_news_keeps_no_place(store: EventStore[Line]) -> None:
    waiting = """
cursor = store.cursor("latest")
threading.Thread(target=cursor.wait, daemon=True).start()
time.sleep(0.2)
say('here')
"""
    assert last_words(store, waiting) == ["here"]


def test_a_thread_in_the_middle_of_a_batch_ends_as_if_it_were_killed(store: EventStore[Line]) -> None:
    """It may go on until the kernel ends it; until then its place is its own, and afterwards others settle it."""
    batches = """
rows = [("batch", "one of many")] * 100_000
def append_for_ever():
    while True:
        store.append_many(rows)
threading.Thread(target=append_for_ever, daemon=True).start()
while not len(store):
    time.sleep(0.001)
time.sleep(0.05)
"""
    source = f"import threading, time, shmstore\nstore = shmstore.attach({store.name!r})\n{batches}"
    for _ in range(5):
        subprocess.run([sys.executable, "-c", source], check=True, timeout=LIMIT_S)
        store._core.reap()
        assert {place.pid for place in store.processes()} == {os.getpid()}
        assert store.check() == []
        assert {line.text for line in store.snapshot()} == {"one of many"}
        store.clear()
