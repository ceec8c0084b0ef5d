"""A cursor that is read in the middle of its own reading: by a signal handler, a finalizer, or another thread."""

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise, repeat
from types import FrameType
from typing import Any, ClassVar

import pytest

import shmstore
from shmstore import EventStore, InvalidOption, _core
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork

pytestmark = may_fork

RECORDS = 700  # more than twice what is copied ahead
SOME = 300  # more than once
LISTS = 200  # more than the interpreter keeps for the next ones
PLACES = 12  # where a finalizer may run in one read
PATIENCE_S = 10.0

_kill = ctypes.PyDLL(None).kill  # unlike os.kill, it leaves it to others to hear the signal


def nothing() -> None:
    pass


@dataclass
class Number:
    """Its class does as it is told to."""

    begins: ClassVar[Callable[[], object]] = staticmethod(nothing)
    ends: ClassVar[Callable[[], object]] = staticmethod(nothing)
    number: int

    def __post_init__(self) -> None:
        Number.begins()

    def __del__(self) -> None:
        Number.ends()


class Struck(Exception):
    """What a signal handler, or a record's class, raises."""


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Number]]:
    with shmstore.create(name, Number, capacity=RECORDS, partitions=1) as store:
        store.append_many({"number": range(RECORDS)})
        yield store
        shmstore.unlink(name)


@contextmanager
def told(*, begins: Callable[[], object] = nothing, ends: Callable[[], object] = nothing) -> Iterator[None]:
    Number.begins, Number.ends = staticmethod(begins), staticmethod(ends)
    try:
        yield
    finally:
        Number.begins, Number.ends = staticmethod(nothing), staticmethod(nothing)


@contextmanager
def handled(handler: Callable[[], object]) -> Iterator[None]:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        handler()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def strike() -> None:
    raise Struck


def raises_at(count: int) -> Callable[[], None]:
    """Something that raises once: when it is called so often."""
    calls = iter([False] * (count - 1) + [True])
    return lambda: strike() if next(calls, False) else None


def steps(count: int, struck: int) -> Iterator[int]:
    """So many steps without any Python code, at one of which a signal arrives: only C code can hear it."""
    signals = [signal.SIGUSR1 if step == struck else 0 for step in range(count)]
    return map(_kill, repeat(os.getpid()), signals)


def read_when_struck(cursor: _core.Cursor, count: int) -> list[tuple[int]]:
    """What one read gives when a signal arrives in it; as tuples, whose class is no Python code."""
    return next(zip(steps(1, 0), map(cursor.read_plain, [count]), strict=True))[1]


def numbers(records: list[Any]) -> list[int]:
    return [record[0] if isinstance(record, tuple) else record.number for record in records]


def test_a_handler_that_takes_what_comes_next_costs_the_reader_nothing(name: str) -> None:
    class Plain(shmstore.Record):
        number: int

    with shmstore.create(name, Plain, capacity=RECORDS, partitions=1) as store:
        store.append_many({"number": range(RECORDS)})
        cursor = store.cursor()
        got: list[Any] = []
        with handled(lambda: got.append(next(cursor._core))):
            got += [record for _, record in list(zip(steps(SOME, 100), cursor._core, strict=False))]
        shmstore.unlink(name)
    assert sorted(numbers(got)) == list(range(SOME + 1))


def test_a_finalizer_in_the_middle_of_a_read_takes_nothing_from_it(store: EventStore[Number]) -> None:
    def read_on(place: int) -> list[Any]:
        cursor, got = store.cursor()._core, []

        class Garbage:
            def __init__(self) -> None:
                self.itself = self

            def __del__(self) -> None:
                if cursor.lag():
                    with suppress(InvalidOption):
                        got.append(next(cursor))

        with handled(strike), pytest.raises(Struck):
            read_when_struck(cursor, 20)
        kept: list[list[int]] = [[] for _ in range(LISTS)]
        gc.collect()
        thresholds = gc.get_threshold()
        Garbage()
        gc.set_threshold(place)
        try:
            some = cursor.read(5)
        finally:
            gc.set_threshold(*thresholds)
        del kept
        return got + some + cursor.read(RECORDS)

    def life() -> None:
        gc.freeze()  # what the tests have made so far is not looked at each time
        for place in range(1, PLACES):
            assert sorted(numbers(read_on(place))) == list(range(RECORDS))

    assert Child(life).wait() == 0


def test_a_record_that_reads_on_as_it_goes_finds_the_cursor_in_order(store: EventStore[Number]) -> None:
    def life() -> None:
        cursor, got = store.cursor()._core, []

        def read_on() -> None:
            Number.ends = staticmethod(nothing)
            Number.begins = staticmethod(raises_at(3))
            with pytest.raises(Struck):
                cursor.read(RECORDS)
            got.append(next(cursor).number)

        with told(begins=raises_at(5)), pytest.raises(Struck):
            cursor.read(RECORDS)
        with told(ends=read_on):
            for _ in range(4):  # those that were made before it was raised
                got.append(next(cursor).number)
        got.extend(numbers(cursor.read(RECORDS)))
        assert got[:3] == [0, 1, 2] and sorted(got) == list(range(RECORDS))
        assert cursor.positions() == [(0, RECORDS)]

    assert Child(life).wait() == 0


def test_a_thread_that_reads_while_a_handler_runs_has_the_cursor_to_itself(store: EventStore[Number]) -> None:
    cursor, got = store.cursor()._core, []
    reads, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        reads.set()
        assert goes_on.wait(PATIENCE_S)

    def handle() -> None:
        thread.start()
        assert reads.wait(PATIENCE_S)

    thread = threading.Thread(target=lambda: got.extend(cursor.read(RECORDS)))
    with told(begins=wait), handled(handle):
        assert read_when_struck(cursor, 4) == []
        with pytest.raises(InvalidOption, match="in the middle of a read"):
            cursor.read_plain(RECORDS)
        with pytest.raises(InvalidOption, match="in the middle of a read"):
            next(cursor)
        goes_on.set()
        thread.join()
    assert numbers(got) == list(range(RECORDS))
    assert cursor.positions() == [(0, RECORDS)]


@pytest.mark.parametrize("fails", [False, True])
def test_gaps_that_are_met_while_others_are_told_are_told_once(store: EventStore[Number], fails: bool) -> None:
    """Also when there is no memory to tell all of them."""
    testcapi = pytest.importorskip("_testcapi")
    if fails and sys.version_info >= (3, 12):
        pytest.skip("since 3.12 the collector runs between two instructions of Python, never in the middle of a call")
    cursor = store.cursor()._core

    def clear_and_read() -> None:
        store.append(number=0)
        cursor.read_plain(1)
        store.append(number=0)
        store.clear()
        cursor.read_plain(1)

    def life() -> None:
        inner: list[_core.Gap] = []
        outer: list[_core.Gap] = []
        disturbed = False

        class Garbage:
            def __init__(self) -> None:
                self.itself = self

            def __del__(self) -> None:
                nonlocal disturbed
                disturbed = True
                clear_and_read()
                inner.extend(cursor.drain_gaps())
                clear_and_read()
                if fails:
                    testcapi.set_nomemory(1, 2)

        for _ in range(100):
            clear_and_read()
        gc.collect()
        thresholds = gc.get_threshold()
        Garbage()
        gc.set_threshold(20)
        try:
            outer = cursor.drain_gaps()
        except MemoryError:
            assert fails
        finally:
            testcapi.remove_mem_hooks()
            gc.set_threshold(*thresholds)
        told = sorted(inner + outer + cursor.drain_gaps())
        assert disturbed and bool(outer) != fails
        assert sum(gap.end - gap.first for gap in told) == cursor.lost()
        assert all(first.end <= second.first for first, second in pairwise(told))

    assert Child(life).wait() == 0
