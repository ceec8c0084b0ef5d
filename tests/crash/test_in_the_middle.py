"""Every function of the core, disturbed in its middle: by a close, or by a fork whose child closes.

Python code runs in the middle of a function where it allocates (a finalizer), where it calls (an iterator, a
record's class, a number's method), where it looks at signals, and where it lets other threads run. Each function is
called again and again, and disturbed at the first such place, at the second, and so on, until it ends before. Bytes
that are not mapped any more would end the process by a signal.
"""

import gc
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import length_hint
from types import FrameType
from typing import Any, overload

import pytest

import shmstore
from shmstore import EventStore, Key, NotPicklable, Record, StoreClosed, Text, Timestamp, WrongKind, _core
from tests.helpers.processes import Child, shared_numbers
from tests.helpers.segments import may_fork

pytestmark = may_fork

RECORDS = 12
PLACES = 24  # at most so many places of a function are tried in each way
DELAYS_S = (1e-6, 20e-6, 60e-6, 200e-6)  # of a signal, and of another thread
ROUNDS = 40  # calls beside another thread

FIELDS = [("gateway", _core.KEY, 64), ("value", _core.FLOAT64, 0), ("at", _core.TIMESTAMP, 0), ("note", _core.TEXT, 8)]


class Reading(Record):
    gateway: Key
    value: float
    at: Timestamp
    note: Text[8]


class Values(Sequence[Any]):
    """A sequence whose every answer is Python code."""

    def __init__(self, *values: object) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        return self._values[at]


def rows() -> Iterator[Reading]:
    for number in range(4):
        yield Reading(f"gw-{number % 2}", number, number, "well")


def program(values: tuple[int, ...] = (1,)) -> _core.Program:
    return _core.Program(FIELDS, [("range", 0, 1, 0, (0.0, 1e9))], values, "0 <= value <= 1e9")


@dataclass
class Target:
    """A handle with all that is made of it."""

    handle: EventStore[Reading]
    children: list[int] = field(default_factory=list)
    is_child: bool = False

    def __post_init__(self) -> None:
        self.core = self.handle._core
        self.cursor = self.core.cursor([(0, 0), (1, 0)])
        self.columns = self.core.snapshot()
        self.appender = self.core.appender(("gateway", "value", "note"))
        self.program = program()
        self.fd = os.dup(self.handle._segment.fd)

    def buffer(self) -> memoryview:
        """An export of the bytes; while it lives they stay mapped, so only who needs it has it."""
        try:
            return self.handle._segment.buffer[:]
        except ValueError:  # closed between the two
            raise StoreClosed from None

    def store(self) -> _core.Store:
        def describe() -> tuple[int, int, int, str]:
            return os.getpid(), 1, 1, "one more"

        return _core.Store(self.buffer(), fd=self.fd, path="", writable=True, describe=describe)

    def call_all_back(self) -> None:
        self.core.set_on_discarded(lambda record: None)
        self.core.set_on_capacity_reached(lambda: None)
        self.core.append_rows([Reading("gw-1", 1, 1, "")] * RECORDS)


def formatted(target: Target) -> bytearray:
    options = target.core.header().options
    segment = bytearray(_core.plan(FIELDS, options).size)
    _core.format(segment, FIELDS, options, store_id=bytes(16), created_ns=1)
    return segment


class Number(float):
    """A number that asks Python for its value."""

    def __float__(self) -> float:
        return 2.5


def follow(cursor: _core.Cursor) -> None:
    """A step of `async for`, by hand."""

    async def later(_turn: bool) -> None:
        raise StopAsyncIteration

    async def take() -> None:
        async for _ in cursor.following(later):
            break

    with suppress(StopIteration):
        take().send(None)


def refuse_room(room: Callable[[], object]) -> None:
    with pytest.raises(WrongKind):
        room()


def refuse_pickling(what: object) -> None:
    with pytest.raises(NotPicklable):
        what.__reduce__()


Call = Callable[[Target], object]

CALLS: dict[str, Call] = {
    "Store.__new__": lambda s: s.store().close(),
    "Store.set_record_type": lambda s: s.core.set_record_type(Reading, None, None),
    "Store.append": lambda s: (
        s.call_all_back(),
        s.core.append(Reading("new", 1, 1, "")),
        s.core.append(gateway="gw-1", value=2, note=""),
    ),
    "Store.appender": lambda s: s.core.appender(Values("gateway", "value", "note")),
    "Store.append_rows": lambda s: (s.call_all_back(), s.core.append_rows(rows())),
    "Store.append_columns": lambda s: (
        s.call_all_back(),
        s.core.append_columns(
            {
                "gateway": Values("gw-1", "other"),
                "value": Values(1.5, 2),
                "at": Values(1, None),
                "note": Values("", "x"),
            }
        ),
    ),
    "Store.append_arrow": lambda s: s.core.append_arrow(s.handle.snapshot().__arrow_c_stream__()),
    "Store.set_on_discarded": lambda s: s.core.set_on_discarded(print),
    "Store.set_on_capacity_reached": lambda s: s.core.set_on_capacity_reached(print),
    "Store.key": lambda s: s.core.key("another"),
    "Store.key_text": lambda s: s.core.key_text(0),
    "Store.keys": lambda s: s.core.keys(),
    "Store.snapshot": lambda s: s.core.snapshot(Values(1, 0), s.program, Values(99, 99)),
    "Store.read": lambda s: s.core.read(0, 0, 99, s.program, True),
    "Store.ranges": lambda s: s.core.ranges(),
    "Store.tally": lambda s: s.core.tally(s.program, Values(3), partitions=Values(0, 1)),
    "Store.group_tallies": lambda s: s.core.group_tallies(s.program, Values(3), 0, partitions=Values(0, 1)),
    "Store.window_tallies": lambda s: s.core.window_tallies(
        s.program, Values(3), by=0, pane_ns=10, partitions=Values(0, 1)
    ),
    "Store.edge": lambda s: s.core.edge(program(()), 1, True, partitions=Values(0, 1)),
    "Store.group_edges": lambda s: s.core.group_edges(program(()), 1, True, 0, partitions=Values(0, 1)),
    "Store.quantiles": lambda s: s.core.quantiles(s.program, Values(0.5, 0.9), partitions=Values(0, 1)),
    "Store.group_quantiles": lambda s: s.core.group_quantiles(s.program, Values(0.5), 0, partitions=Values(0, 1)),
    "Store.distinct": lambda s: s.core.distinct(program(()), 1, partitions=Values(0, 1)),
    "Store.group_distinct": lambda s: s.core.group_distinct(program(()), 1, 0, partitions=Values(0, 1)),
    "Store.cursor": lambda s: s.core.cursor(Values(Values(0, 1), Values(1, 1))),
    "Store.read_at": lambda s: s.core.read_at(0, 3),
    "Store.clear": lambda s: s.core.clear(),
    "Store.purge": lambda s: s.core.purge(3),
    "Store.header": lambda s: s.core.header(),
    "Store.plan": lambda s: s.core.plan(),
    "Store.totals": lambda s: s.core.totals(),
    "Store.metrics_room": lambda s: refuse_room(s.core.metrics_room),
    "Store.streams_room": lambda s: refuse_room(s.core.streams_room),
    "Store.places": lambda s: s.core.places(),
    "Store.check": lambda s: s.core.check(),
    "Store.enter": lambda s: s.core.enter(),
    "Store.reap": lambda s: s.core.reap(),
    "Store.lock_coordinator": lambda s: s.core.lock_coordinator(),
    "Store.unlock_coordinator": lambda s: (s.core.lock_coordinator(), s.core.unlock_coordinator()),
    "Store.coordinator_alive": lambda s: s.core.coordinator_alive(),
    "Store.sample": lambda s: s.core.lock_coordinator() and s.core.sample(1),
    "Store.history": lambda s: s.core.lock_coordinator() and [s.core.sample(1), s.core.history()],
    "Store.close": lambda s: s.core.close(),
    "Store.closed": lambda s: s.core.closed,
    "Store.lapped": lambda s: s.core.lapped,
    "Store.unlinked": lambda s: s.core.unlinked,
    "Cursor.read": lambda s: s.cursor.read(99),
    "Cursor.read_plain": lambda s: s.cursor.read_plain(99),
    "Cursor.drain_gaps": lambda s: (s.cursor.read(1), s.cursor.drain_gaps()),
    "Cursor.positions": lambda s: s.cursor.positions(),
    "Cursor.lag": lambda s: s.cursor.lag(),
    "Cursor.lost": lambda s: s.cursor.lost(),
    "Cursor.wait": lambda s: (s.cursor.read(99), s.cursor.wait(0.001)),
    "Cursor.__iter__": lambda s: iter(s.cursor),
    "Cursor.__next__": lambda s: next(s.cursor, None),
    "Cursor.following": lambda s: follow(s.cursor),
    "Cursor.fileno": lambda s: s.cursor.fileno(),
    "Cursor.close": lambda s: (s.cursor.fileno(), s.cursor.close()),
    "Cursor.closed": lambda s: s.cursor.closed,
    "Appender": lambda s: s.appender("yet another", Number(2.5), ""),
    "Columns.__iter__": lambda s: iter(s.columns),
    "Columns.__len__": lambda s: len(s.columns),
    "Columns.__getitem__": lambda s: s.columns[0],
    "Columns.iter_plain": lambda s: list(s.columns.iter_plain()),
    "Columns.rows": lambda s: s.columns.rows(),
    "Columns.column": lambda s: bytes(s.columns.column(1)),
    "Columns.values": lambda s: s.columns.values(0),
    "Columns.dictionary": lambda s: s.columns.dictionary(0),
    "Columns.ragged": lambda s: s.columns.ragged(3),
    "Columns.take": lambda s: s.columns.take(Values(1, 0)),
    "Columns.keep": lambda s: s.columns.keep(bytes(len(s.columns))),
    "Columns.keys": lambda s: s.columns.keys(),
    "Columns.order_by": lambda s: s.columns.order_by(1),
    "Columns.tally": lambda s: s.columns.tally(s.program, Values(3)),
    "Columns.group_tallies": lambda s: s.columns.group_tallies(s.program, Values(3), 0),
    "Columns.window_tallies": lambda s: s.columns.window_tallies(s.program, Values(3), pane_ns=10),
    "Columns.edge": lambda s: s.columns.edge(program(()), 1, True),
    "Columns.group_edges": lambda s: s.columns.group_edges(program(()), 1, True, 0),
    "Columns.quantiles": lambda s: s.columns.quantiles(s.program, Values(0.5)),
    "Columns.group_quantiles": lambda s: s.columns.group_quantiles(s.program, Values(0.5), 0),
    "Columns.distinct": lambda s: s.columns.distinct(program(()), 0),
    "Columns.group_distinct": lambda s: s.columns.group_distinct(program(()), 1, 0),
    "Columns.gaps": lambda s: s.columns.gaps(),
    "Rows.__iter__": lambda s: iter(iter(s.columns)),
    "Rows.__next__": lambda s: list(s.columns),
    "Rows.__length_hint__": lambda s: length_hint(iter(s.columns)),
    "Rows.row": lambda s: [rows.row for rows in [_core.rows([s.columns], None)] for _ in rows],
    "Program.__new__": lambda s: program(),
    "Program.matches": lambda s: s.program.matches(s.columns),
    "Program.values": lambda s: s.program.values(s.columns, 0),
    "plan": lambda s: _core.plan(Values(*FIELDS), s.core.header().options),
    "format": lambda s: formatted(s),
    "read_header": lambda s: _core.read_header(s.buffer()),
    "mark_unlinked": lambda s: _core.mark_unlinked(formatted(s)),
    "arrow_schema": lambda s: s.handle.snapshot().__arrow_c_schema__(),
    "arrow_array": lambda s: s.handle.snapshot().__arrow_c_array__(),
    "arrow_stream": lambda s: s.handle.snapshot().__arrow_c_stream__(),
    "pack_bits": lambda s: _core.pack_bits(s.columns.column(1).cast("B")),
    "rows": lambda s: list(_core.rows((s.core.snapshot() for _ in range(3)), bool, 99)),
    "pack_rows": lambda s: s.handle.snapshot().structured(),
    "Store.__reduce__": lambda s: refuse_pickling(s.core),
    "Cursor.__reduce__": lambda s: refuse_pickling(s.cursor),
    "Columns.__reduce__": lambda s: refuse_pickling(s.columns),
    "Rows.__reduce__": lambda s: refuse_pickling(iter(s.columns)),
    "Program.__reduce__": lambda s: refuse_pickling(s.program),
}


def functions_of_the_core(target: Target) -> set[str]:
    """All that Python can call in the core, by type."""
    column = target.columns.column(1).obj
    types = [_core.Store, _core.Cursor, _core.Columns, _core.Program, type(iter(target.columns)), type(column)]
    found = {
        f"{kind.__name__}.{name}"
        for kind in types
        for name in vars(kind)
        if name not in ("__doc__", "__module__") and not (name == "__new__" and kind.__name__ == "Column")
    }
    functions = {name for name, it in vars(_core).items() if type(it) is type(_core.plan)}
    return found | functions | {type(target.appender.__self__).__name__}


# -- how a function is disturbed


def close(target: Target) -> None:
    target.handle.close()


def fork(target: Target) -> None:
    """In the child, what was running when it was made goes on as well."""
    child = os.fork()
    if child:
        target.children.append(child)
    else:
        target.children.clear()
        target.is_child = True
        target.handle.close()


Disturb = Callable[[], None]
Way = Callable[[Callable[[], object], int, Disturb], bool]


def by_what_runs(call: Callable[[], object], place: int, disturb: Disturb) -> bool:
    """At so many calls and returns, as another thread or a signal handler might. False: it has fewer."""
    seen = 0

    def look(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal seen
        seen += 1
        if seen == place:
            sys.setprofile(None)
            disturb()

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return seen >= place


def by_a_finalizer(call: Callable[[], object], place: int, disturb: Disturb) -> bool:
    """When so many objects were made, in a collection of garbage."""
    done = False

    class Garbage:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal done
            if not done:
                done = True
                disturb()

    gc.collect()
    gc.disable()
    thresholds = gc.get_threshold()
    Garbage()
    gc.set_threshold(place + 10)
    gc.enable()
    try:
        call()
    finally:
        gc.disable()
        gc.set_threshold(*thresholds)
        found, done = done, True
    return found


def by_a_signal(call: Callable[[], object], place: int, disturb: Disturb) -> bool:
    signal.signal(signal.SIGALRM, lambda *_: disturb())
    signal.setitimer(signal.ITIMER_REAL, DELAYS_S[place - 1])
    try:
        call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    return True


def by_a_thread(call: Callable[[], object], place: int, disturb: Disturb) -> bool:
    def run() -> None:
        time.sleep(DELAYS_S[place - 1])
        disturb()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for _ in range(ROUNDS):
            call()
    finally:
        thread.join()
    return True


WAYS: tuple[tuple[Way, Callable[[Target], None], int], ...] = (
    (by_what_runs, close, PLACES),
    (by_what_runs, fork, PLACES),
    (by_a_finalizer, close, PLACES),
    (by_a_finalizer, fork, PLACES),
    (by_a_signal, close, len(DELAYS_S)),
    (by_a_signal, fork, len(DELAYS_S)),
    (by_a_thread, close, len(DELAYS_S)),  # in the child of another thread, nothing of this one goes on
)


def attempt(name: str, call: Call, way: Way, place: int, act: Callable[[Target], None], count: memoryview) -> bool:
    """Call it once, disturbed. Returns whether there may be more places."""
    target = Target(shmstore.attach(name))
    more = True

    def disturb() -> None:
        count[0] += 1
        act(target)

    try:
        with suppress(StoreClosed):
            more = way(lambda: call(target), place, disturb)
        if target.is_child:
            os._exit(0)
        target.handle.close()
        os.close(target.fd)
        assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in target.children] == [0] * len(
            target.children
        )
    except BaseException:
        if target.is_child:
            traceback.print_exc()
            os._exit(1)
        raise
    return more


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=RECORDS, partitions=2, keys=16, processes=8) as store:
        store.append_many([(f"gw-{number % 3}", number, number, "fine") for number in range(RECORDS * 3 // 2)])
        yield store
        shmstore.unlink(name)


def test_the_child_of_a_callback_appends_in_its_own_name(store: EventStore[Reading]) -> None:
    def life() -> None:
        target = Target(shmstore.attach(store.name))

        def discarded(_record: Reading) -> None:
            if not target.children and not target.is_child:
                child = os.fork()
                target.is_child = not child
                target.children += [child] * bool(child)

        target.core.set_on_discarded(discarded)
        assert target.core.append_rows([Reading("gw-1", number, number, "") for number in range(RECORDS)]) == RECORDS
        appended = sum(place.appended for place in target.handle.processes() if place.pid == os.getpid())
        if target.is_child:
            os._exit(0 if appended == RECORDS - 1 else 1)
        assert appended == RECORDS
        assert os.waitstatus_to_exitcode(os.waitpid(target.children[0], 0)[1]) == 0

    assert Child(life).wait() == 0
    assert sum(totals.tail for totals in store._core.totals()) == RECORDS * 3 // 2 + 2 * RECORDS - 1


def test_every_function_has_a_case(store: EventStore[Reading]) -> None:
    assert functions_of_the_core(Target(store)) == CALLS.keys()


@pytest.mark.parametrize("function", CALLS)
def test_a_disturbed_function_ends_in_order(
    store: EventStore[Reading], function: str, scorecard: Callable[..., None]
) -> None:
    count = shared_numbers(1)

    def life() -> None:
        sys.setswitchinterval(1e-5)
        gc.freeze()  # what the tests have made so far is not looked at each time
        for way, act, places in WAYS:
            for place in range(1, places + 1):
                if not attempt(store.name, CALLS[function], way, place, act, count):
                    break

    assert Child(life).wait() == 0
    assert store.check() == []
    assert len(store.processes()) == 1
    scorecard(29, functions=1, disturbances=count[0])
