"""A handle that is closed in the middle of its own question, by what the question calls: an answer, or StoreClosed.

Arguments may be objects of any class, whose methods may do anything; conditions may be any callable, and records come
from any iterator. Each is tried in a process of its own: bytes that are not mapped any more would end it by a signal.
"""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, FieldTypeError, Key, Record, StoreClosed, Timestamp, _core
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork

pytestmark = may_fork

RECORDS = 600
OPENED = 20  # files, more than a handle has descriptors


class Reading(Record):
    gateway: Key
    value: float
    at: Timestamp


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=RECORDS, partitions=2) as store:
        store.append_many([(f"gw-{number % 3}", number, number) for number in range(RECORDS * 3 // 2)])
        yield store
        shmstore.unlink(name)


ROWS = [Reading("gw-1", number, number) for number in range(20)]


class Closer:
    """A number, and a sequence of one number, that closes a store as soon as anyone wants to know it."""

    def __init__(self, store: EventStore[Any], number: int = 0) -> None:
        self._store, self._number = store, number

    def __index__(self) -> int:
        self._store.close()
        return self._number

    def __float__(self) -> float:
        return float(self.__index__())

    def __bool__(self) -> bool:
        return bool(self.__index__())

    def __len__(self) -> int:
        return 2

    def __getitem__(self, item: int) -> int:
        if item >= 2:
            raise IndexError
        return self.__index__()

    def __iter__(self) -> Iterator[int]:
        yield self.__index__()


def program(values: tuple[int, ...] = ()) -> _core.Program:
    fields = [("gateway", _core.KEY, 64), ("value", _core.FLOAT64, 0), ("at", _core.TIMESTAMP, 0)]
    return _core.Program(fields, [("range", 0, 1, 0, (0.0, 1e9))], values, "0 <= value <= 1e9")


Attempt = Callable[[_core.Store, Any], object]

ATTEMPTS: dict[str, Attempt] = {
    "snapshot of a partition": lambda core, closer: core.snapshot([closer]),
    "snapshot of partitions": lambda core, closer: core.snapshot(closer),
    "snapshot to ends": lambda core, closer: core.snapshot([1, 0], program(), closer),
    "read of a partition": lambda core, closer: core.read(closer, 0, 2**63, program(), True),
    "read at a ticket": lambda core, closer: core.read_at(closer, RECORDS // 3),
    "tally of a partition": lambda core, closer: core.tally(program((1,)), [3], partitions=[0, closer]),
    "tally to ends": lambda core, closer: core.tally(program((1,)), [3], ends=closer),
    "tally of flags": lambda core, closer: core.tally(program((1, 2)), closer),
    "tally by a field": lambda core, closer: core.group_tallies(program((1,)), [1], closer),
    "tally by time": lambda core, closer: core.window_tallies(program((1,)), [1], pane_ns=closer, edges=bytes(8)),
    "tally with summaries": lambda core, closer: core.tally(program((1,)), [1], summaries=closer),
    "edge of a field": lambda core, closer: core.edge(program(), closer, True),
    "edge, the latest": lambda core, closer: core.edge(program(), 1, closer),
    "edge of groups": lambda core, closer: core.group_edges(program(), 1, True, 0, partitions=closer),
    "a quantile": lambda core, closer: core.quantiles(program((1,)), [closer]),
    "quantiles": lambda core, closer: core.quantiles(program((1,)), closer),
    "quantiles of groups": lambda core, closer: core.group_quantiles(program((1,)), [0.5], 0, ends=closer),
    "distinct": lambda core, closer: core.distinct(program(), closer),
    "distinct of groups": lambda core, closer: core.group_distinct(program(), 1, 0, partitions=closer),
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=[what.replace(" ", "_") for what in ATTEMPTS])
def test_an_argument_that_closes_the_store_ends_in_order(store: EventStore[Reading], attempt: Attempt) -> None:
    def life() -> int:
        handle = shmstore.attach(store.name)
        closer = Closer(handle)
        with suppress(StoreClosed):
            attempt(handle._core, closer)
        with pytest.raises(StoreClosed):
            handle.count()
        return 0

    assert Child(life).wait() == 0
    assert store.count() == RECORDS


def calls_back(store: EventStore[Reading], where: Callable[[Reading], object]) -> list[Callable[[], object]]:
    return [
        lambda: store.count(where=where),
        lambda: store.summary("value", where=where),
        lambda: store.quantile("value", 0.5, where=where),
        lambda: store.group_by("gateway", where=where).distinct("at"),
        lambda: store.last("gateway", where=where),
        lambda: store.windows("value", every="100ns", by="gateway", where=where),
        lambda: list(store.query(where=where)),
        lambda: store.snapshot(where=where),
        lambda: store.aggregate(0, lambda total, record: total + bool(where(record))),
        lambda: store.append_many(record for record in ROWS if where(record)),
        lambda: store.append_many({"gateway": ["gw-1"] * 20, "value": (where(row) for row in ROWS), "at": range(20)}),
    ]


@pytest.mark.parametrize("call", range(11))
def test_a_callable_that_closes_the_store_closes_nobody_elses_file(store: EventStore[Reading], call: int) -> None:
    def life() -> int:
        handle = shmstore.attach(store.name)
        handle._core.enter()
        opened: list[int] = []
        calls = count()

        def where(record: Reading) -> bool:
            if next(calls) == 10:
                handle.close()
                opened.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(OPENED))
            return record.value > 1

        with suppress(StoreClosed):
            calls_back(handle, where)[call]()
        assert len(opened) == OPENED
        for descriptor in opened:
            assert os.path.samestat(os.fstat(descriptor), os.stat("/dev/null"))
        return 0

    assert Child(life).wait() == 0
    assert len(store.processes()) == 1


@pytest.mark.parametrize("way", ["value", "old default", "appender"])
def test_a_default_that_was_taken_away_is_not_made_up(store: EventStore[Reading], way: str) -> None:
    core = shmstore.attach(store.name)._core

    def append(at: Any) -> None:
        core.append(gateway="gw-1", at=at)

    class Taking:
        def __index__(self) -> int:
            core.set_record_type(None)
            return 1

    class Last(float):
        def __del__(self) -> None:
            with suppress(FieldTypeError):
                append(1)

    core.set_record_type(None, None, None, (..., Last(1.5), ...))
    appender = core.appender(("gateway", "at", "value"))
    append(1)
    appender("gw-1", 1)
    before = sum(totals.tail for totals in core.totals())
    with suppress(FieldTypeError):
        if way == "value":
            append(Taking())
        else:
            core.set_record_type(None)
        if way == "appender":
            appender("gw-1", 1)
    assert sum(totals.tail for totals in core.totals()) == before


def test_a_list_of_records_is_seen_by_nobody_before_it_is_full(store: EventStore[Reading]) -> None:
    def life() -> None:
        core = shmstore.attach(store.name)._core

        def make(*values: Any) -> tuple[Any, ...]:
            if values[1] == RECORDS - 1:
                assert all(list(each) for each in gc.get_objects() if type(each) is list and len(each) == RECORDS)
            return values

        core.set_record_type(None, make)
        assert len(core.snapshot().rows()) == RECORDS

    assert Child(life).wait() == 0


def test_what_makes_records_may_be_replaced_while_it_works(store: EventStore[Reading]) -> None:
    def life() -> None:
        core = shmstore.attach(store.name)._core
        filled: list[bytes] = []

        def replaced(values: Any) -> Any:
            core.set_record_type(None)
            filled.extend(b"\xff" * number for number in range(40, 400))  # where its memory was
            return values

        core.set_record_type(None, lru_cache(lambda *values: replaced(values)))
        assert core.snapshot().rows(0, 1) == core.snapshot().rows(0, 1, plain=True)
        core.set_record_type(None, None, lru_cache(replaced))
        core.append(("gw-1", 1.5, 1), partition=0)
        core.set_record_type(None, None, lru_cache(replaced))
        with pytest.raises(FieldTypeError):
            core.append((1,), partition=0)

    assert Child(life).wait() == 0


@pytest.mark.parametrize("way", ["append", "appender"])
def test_a_default_that_takes_all_defaults_away_ends_in_order(store: EventStore[Reading], way: str) -> None:
    def life() -> None:
        core = shmstore.attach(store.name)._core

        class Default:
            def __call__(self) -> float:
                core.set_record_type(None)
                return 1.5

        core.set_record_type(None, None, None, (..., Default(), ...))
        appender = core.appender(("gateway",))

        def append() -> int:
            return appender("gw-1") if way == "appender" else core.append(gateway="gw-1")

        assert append() >= 0
        with pytest.raises(FieldTypeError, match="field 'value': it "):
            append()

    assert Child(life).wait() == 0
