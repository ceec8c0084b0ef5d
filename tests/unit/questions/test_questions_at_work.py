"""While a question runs: others append, Ctrl-C is heard, memory stays as it is; and damage is told, never answered."""

import gc
import os
import re
import signal
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shmstore
from shmstore import DamagedSegment, EventStore, InvalidOption, Key, Record, StoreClosed, Text, Timestamp, field
from tests.helpers.processes import eventually
from tests.helpers.slots import State, set_state

RECORDS = 400_000
PROMPT_S = 2.0  # what takes some hundredths of a second on a quiet machine

Ask = Callable[[EventStore[Any]], object]


class Reading(Record):
    sensor: Key
    note: Text[8]
    number: int
    value: float
    timestamp: Timestamp


@pytest.fixture(scope="module")
def filled() -> Iterator[EventStore[Reading]]:
    """Many records, each with a number and a time of its own."""
    name = f"shmstore-test-{os.getpid()}-filled"
    numbers = np.arange(RECORDS, dtype=np.int64)
    with shmstore.create(name, Reading, capacity=RECORDS, partitions=1, layout="columns") as store:
        key = store.key("s")
        store.append_many(
            {
                "sensor": np.full(RECORDS, key, np.uint32),
                "note": [f"{number % 100_000}" for number in range(RECORDS)],
                "number": numbers * 7919 % 1_000_003,
                "value": numbers.astype(float),
                "timestamp": numbers,
            }
        )
        yield store
        shmstore.unlink(name)


LONG: dict[str, Ask] = {
    "windows": lambda store: store.windows("value", every=1, period=10_000, until=50_000),
    "distinct": lambda store: [store.distinct("number") for _ in range(50)],
    "quantiles": lambda store: [store.quantiles("number", [0.1, 0.5, 0.9]) for _ in range(50)],
    "totals": lambda store: [store.variance(field("value") * 2 + 1) for _ in range(1000)],
    "groups": lambda store: [store.group_by("timestamp").quantile("value", 0.5) for _ in range(10)],
    "a query": lambda store: [sum(1 for _ in store.query()) for _ in range(50)],
    "a callable": lambda store: [store.count(where=lambda record: record.value > 1) for _ in range(50)],
}


@pytest.mark.parametrize("which", LONG)
def test_ctrl_c_ends_a_long_question_and_the_store_works_on(filled: EventStore[Reading], which: str) -> None:
    pressed: list[float] = []

    def press() -> None:
        time.sleep(0.1)
        pressed.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press)
    gc.collect()
    gc.disable()  # an interrupt amid the callback of a weak reference would be lost
    try:
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                LONG[which](filled)
        late = time.monotonic() - pressed[0]
    finally:
        gc.enable()
    presser.join()
    assert late < PROMPT_S, f"it was heard after {late:.1f} s"
    assert filled.count() == RECORDS
    assert filled.check() == []


def test_other_threads_append_while_one_asks(filled: EventStore[Reading], name: str) -> None:
    with shmstore.create(name, Reading, capacity=100, partitions=1) as other:
        done, appended = threading.Event(), []

        def append() -> None:
            while not done.is_set():
                appended.append(other.append(sensor="s", note="", number=1, value=1.0))

        thread = threading.Thread(target=append)
        thread.start()
        assert eventually(lambda: appended)
        before = len(appended)
        filled.windows("value", every=1, period=10_000, until=2000)
        meanwhile = len(appended) - before
        done.set()
        thread.join()
    assert meanwhile > 1000, "the question kept the interpreter to itself"


def test_threads_that_ask_at_once_get_the_same_answers(filled: EventStore[Reading]) -> None:
    expected = (filled.summary("number"), filled.distinct("note"), filled.quantile("number", 0.5))
    found: list[Any] = []

    def ask() -> None:
        for _ in range(5):
            found.append((filled.summary("number"), filled.distinct("note"), filled.quantile("number", 0.5)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 20


def test_a_store_that_is_closed_amid_a_question_answers_or_says_so(filled: EventStore[Reading]) -> None:
    for _ in range(10):
        handle = shmstore.attach(filled.name, Reading)
        closer = threading.Thread(target=handle.close)
        answers: list[object] = []
        with pytest.raises(StoreClosed):
            while True:
                answers.append(handle.distinct("number"))
                if len(answers) == 1:
                    closer.start()
        closer.join()
        assert set(answers) == {RECORDS}


def anonymous_bytes() -> int:
    """The private memory of this process that is no file: what tracemalloc does not see of C is in it."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.summary("number"),
        lambda store: store.variance("number"),
        lambda store: store.quantiles("number", [0.1, 0.5, 0.9]),
        lambda store: store.distinct("number"),
        lambda store: store.distinct("note"),
        lambda store: store.first("note", where=field("value") > 5),
        lambda store: store.group_by("sensor").summary("value"),
        lambda store: store.windows("value", every=f"{RECORDS // 4}ns"),
        lambda store: store.count(where=field("note").startswith("1")),
    ],
)
def test_an_answer_takes_the_same_memory_of_however_many_records(
    filled: EventStore[Reading], name: str, ask: Ask
) -> None:
    with shmstore.create(name, Reading, capacity=10, partitions=1) as small:
        small.append(sensor="s", note="1", number=1, value=9.0)
        ask(small)  # what any question takes once
    most, before, done = [0], anonymous_bytes(), threading.Event()

    def watch() -> None:
        while not done.wait(0.0005):
            most[0] = max(most[0], anonymous_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    ended_s = time.monotonic() + 0.1
    while time.monotonic() < ended_s:
        ask(filled)
    done.set()
    watcher.join()
    assert most[0] - before < 3 << 20, "the records take 16 MB"


DAMAGED: dict[str, Ask] = {
    "count": lambda store: store.count(),
    "summary": lambda store: store.summary("value"),
    "variance": lambda store: store.variance("value"),
    "quantile": lambda store: store.quantile("value", 0.5),
    "first": lambda store: store.first("note"),
    "distinct": lambda store: store.distinct("number"),
    "groups": lambda store: store.group_by("note").sum("value"),
    "windows": lambda store: store.windows(every=1),
    "snapshot": lambda store: store.snapshot(),
    "query": lambda store: list(store.query()),
    "the newest": lambda store: list(store.query(order="newest")),
    "a callable": lambda store: store.count(where=lambda record: True),
    "a fold": lambda store: store.aggregate(0, lambda total, record: total + 1),
}


@pytest.mark.parametrize("which", DAMAGED)
@pytest.mark.parametrize("ticket", [0, 300, 699])
def test_a_damaged_store_gives_an_error_and_never_a_wrong_number(name: str, which: str, ticket: int) -> None:
    with shmstore.create(name, Reading, capacity=1000, partitions=1) as store:
        store.append_many([Reading("s", f"{number % 7}", number, number / 2, number) for number in range(700)])
        set_state(store, ticket, State.PREPARED)
        for _ in range(3):
            with pytest.raises(DamagedSegment):
                DAMAGED[which](store)


@pytest.mark.parametrize("by", [{"every": 10**9}, None])
@pytest.mark.parametrize("keys", [16, 5000])
def test_a_key_that_nobody_has_is_damage(name: str, by: dict[str, int] | None, keys: int) -> None:
    with shmstore.create(name, Reading, capacity=512, partitions=1, layout="columns", keys=keys) as store:
        store.append_many([Reading("s", "", number, number / 2, number) for number in range(300)])
        offset = next(offset for region, offset, _ in store._core.plan().regions if region == "slots")
        store._segment.buffer[offset + 512 * 8 : offset + 512 * 8 + 4] = (
            b"\xff\xff\xff\x0f"  # the first, behind all words
        )
        with pytest.raises(DamagedSegment):
            if by:
                store.windows(by="sensor", **by)
            else:
                store.group_by("sensor").count()


class Number(Record):
    number: int


@contextmanager
def everything_overwritten(store: EventStore[Number], after_s: float) -> Iterator[list[int]]:
    """After a moment, in the middle of a question, all records are replaced by others once."""
    hits: list[int] = []

    def overwrite(*_: object) -> None:
        store.append_many({"number": array("q", range(RECORDS, 2 * RECORDS))})
        hits.append(1)

    before = signal.signal(signal.SIGALRM, overwrite)
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        yield hits
        eventually(lambda: bool(hits))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("question", ["quantile", "distinct"])
def test_what_takes_several_passes_begins_anew_when_records_go_between_them(name: str, question: str) -> None:
    met = 0
    with shmstore.create(name, Number, capacity=RECORDS, partitions=1) as store:
        for step in range(12):
            store.append_many({"number": array("q", range(RECORDS))})
            with everything_overwritten(store, 0.0003 * (step + 1)) as hits:
                answer = store.quantile("number", 0.5) if question == "quantile" else store.distinct("number")
                met += len(hits)
            old = (RECORDS - 1) / 2
            assert answer in ((old, RECORDS + old) if question == "quantile" else (RECORDS,)), step
        shmstore.unlink(name)
    assert met > 0, "no question was met in its middle"


def test_a_position_beyond_64_bits_is_no_record(name: str) -> None:
    with shmstore.create(name, Number, capacity=4, partitions=1) as store:
        store.append(number=7)
        assert [store.read_at(position) for position in (0, 2**64 - 1, 2**64, 2**128)] == [(7,), None, None, None]
        shmstore.unlink(name)


def test_windows_that_would_take_minutes_are_refused(filled: EventStore[Reading]) -> None:
    with pytest.raises(InvalidOption, match="would take minutes"):
        filled.windows(every=1, period=10_000)
