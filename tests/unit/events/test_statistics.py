"""Statistics: totals and losses of a real store, and the rate under a clock and a core of our own."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import shmstore
from shmstore import EventStore, Record, Schema, Timestamp, _core
from shmstore.events.statistics import Meter
from tests.helpers.slots import State, set_state

SECOND_NS = 10**9
NOW_NS = 1_700_000_000 * SECOND_NS


class Tick(Record):
    number: int
    timestamp: Timestamp


class Untimed(Record):
    number: int


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Tick]]:
    with shmstore.create(name, Tick, capacity=10, partitions=2, partition_by="explicit") as store:
        yield store


def test_nothing_was_done_yet(store: EventStore[Tick]) -> None:
    statistics = store.statistics
    assert (statistics.total_appended, statistics.total_discarded, statistics.length) == (0, 0, 0)
    assert (statistics.skipped, statistics.voided, statistics.lapped) == (0, 0, 0)
    assert statistics.last_append_time is None
    assert statistics.appends_per_second == 0.0


def test_totals_and_partitions(store: EventStore[Tick]) -> None:
    for number in range(9):
        store.append(number=number, partition=0)
    store.append(number=9, partition=1)
    statistics = store.statistics
    assert (statistics.total_appended, statistics.total_discarded, statistics.length) == (10, 4, 6)
    assert [(part.partition, part.appended, part.discarded, part.length) for part in statistics.partitions] == [
        (0, 9, 4, 5),
        (1, 1, 0, 1),
    ]


def test_cleared_records_count_as_discarded(store: EventStore[Tick]) -> None:
    store.append(number=1, partition=0)
    store.clear()
    assert (store.statistics.total_appended, store.statistics.total_discarded) == (1, 1)


def test_a_record_in_flight_is_neither_appended_nor_discarded(name: str) -> None:
    with shmstore.create(name, Untimed, capacity=8, partitions=1, layout="columns") as store:
        store.append_many({"number": range(5)})
        set_state(store, 3, State.WRITING)
        statistics = store.statistics
        assert statistics.partitions[0].in_flight == 1
        assert (statistics.total_appended, statistics.total_discarded, statistics.length) == (4, 0, 4)


def test_processes_tell_who_appended(store: EventStore[Tick]) -> None:
    store.append(number=1, partition=0)
    (place,) = store.statistics.processes
    assert (place.pid, place.appended) == (os.getpid(), 1)


def test_a_lapped_reader_shows(store: EventStore[Tick]) -> None:
    cursor = store.cursor()
    for number in range(8):
        store.append(number=number, partition=0)
    cursor.read()
    assert store.statistics.lapped == 3


def test_the_last_append_is_now(store: EventStore[Tick]) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    store.append(number=1, partition=0)
    last = store.statistics.last_append_time
    assert last is not None and last.tzinfo is UTC
    assert before <= last <= datetime.now(UTC)


def test_the_last_append_outlives_who_made_it(store: EventStore[Tick]) -> None:
    child = os.fork()
    if child == 0:
        store.append(number=1, partition=1)
        store.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    last = store.statistics.last_append_time
    assert last is not None and datetime.now(UTC) - last < timedelta(minutes=1)


def test_records_of_the_future_do_not_tell_the_last_append(store: EventStore[Tick]) -> None:
    with shmstore.attach(store.name, Tick) as other:
        other.append(number=1, partition=0, timestamp=2**62)
    last = store.statistics.last_append_time
    assert last is None or last <= datetime.now(UTC)


def test_statistics_of_records_that_are_no_tuples(name: str) -> None:
    from dataclasses import make_dataclass

    declared = make_dataclass("Tock", [("number", int), ("timestamp", Timestamp)])
    declared.__module__ = __name__
    with shmstore.create(name, declared, capacity=4) as store:
        store.append(number=1)
        assert store.statistics.appends_per_second == 1.0
        assert store.statistics.last_append_time is not None


# -- the rate


class Core:
    """A core that says what the test tells it."""

    lapped = 0

    def __init__(self, times_ns: list[int], slots: int = 100) -> None:
        self.times_ns = times_ns  # of the retained records of its one partition
        self.slots = slots
        self.tail = len(times_ns)
        self.samples: list[_core.Sample] = []

    def plan(self) -> _core.Plan:
        return _core.Plan(0, self.slots, self.slots, 0, [])

    def totals(self) -> list[_core.Totals]:
        return [_core.Totals(self.tail, self.tail - len(self.times_ns), len(self.times_ns), 0, 0, 0)]

    def places(self) -> list[_core.Place]:
        return []

    def history(self, count: int) -> list[_core.Sample]:
        return self.samples[-count:]

    def count(self, partition: int, since_ns: int, until_ns: int) -> int:
        return sum(since_ns <= time_ns < until_ns for time_ns in self.times_ns)

    def read_at(self, partition: int, ticket: int) -> Tick | None:
        row = ticket - (self.tail - len(self.times_ns))
        return Tick(0, self.times_ns[row]) if 0 <= row < len(self.times_ns) else None


class Clock:
    def __init__(self) -> None:
        self.ns = NOW_NS

    def __call__(self) -> int:
        return self.ns


def sample(age_s: float, appended: int) -> _core.Sample:
    return _core.Sample(0, NOW_NS - int(age_s * SECOND_NS), appended, 0, 0, 0, 0, 0, 0)


def meter(core: Core, record: type[Record] = Tick, clock: Clock | None = None) -> Meter:
    return Meter(core, Schema.of(record), core.count, clock or Clock())


def test_a_fresh_history_tells_the_rate() -> None:
    core = Core([])
    core.samples = [sample(9, 5), sample(2, 100), sample(1, 350)]
    assert meter(core).read().appends_per_second == 250.0


@pytest.mark.parametrize(
    "samples", [[], [sample(1, 5)], [sample(4, 0), sample(3, 100)], [sample(60, 0), sample(1, 100)]]
)
def test_an_old_or_broken_history_does_not(samples: list[_core.Sample]) -> None:
    core = Core([NOW_NS - SECOND_NS // 2] * 7)
    core.samples = samples
    assert meter(core).read().appends_per_second == 7.0


def test_two_looks_tell_the_rate() -> None:
    core, clock = Core([]), Clock()
    watched = meter(core, Untimed, clock)
    assert watched.read().appends_per_second is None, "nothing to go by yet"
    core.tail = 30
    clock.ns += SECOND_NS // 2
    assert watched.read().appends_per_second == 60.0
    core.tail = 31
    clock.ns += 2 * SECOND_NS
    assert watched.read().appends_per_second == 0.5


def test_looks_too_close_or_too_far_apart_do_not() -> None:
    core, clock = Core([]), Clock()
    watched = meter(core, Untimed, clock)
    watched.read()
    clock.ns += SECOND_NS // 10
    core.tail = 10
    assert watched.read().appends_per_second is None
    clock.ns += 61 * SECOND_NS
    assert watched.read().appends_per_second is None


def test_hasty_looks_do_not_push_the_earlier_one_away() -> None:
    core, clock = Core([]), Clock()
    watched = meter(core, Untimed, clock)
    watched.read()
    rates = []
    for _ in range(4):
        clock.ns += SECOND_NS // 10
        core.tail += 10
        rates.append(watched.read().appends_per_second)
    assert rates == [None, 100.0, None, 100.0]


def test_a_clock_set_back_gives_no_rate() -> None:
    core, clock = Core([]), Clock()
    watched = meter(core, Untimed, clock)
    watched.read()
    clock.ns -= 3600 * SECOND_NS
    assert watched.read().appends_per_second is None


def test_timestamps_of_the_last_second_tell_the_rate() -> None:
    core = Core([NOW_NS - age_ms * 10**6 for age_ms in (5000, 1500, 900, 500, 1)])
    assert meter(core).read().appends_per_second == 3.0


def test_a_full_ring_that_reaches_back_less_than_a_second_is_measured_by_how_far_it_does() -> None:
    times_ns = [NOW_NS - (100 - number) * 10**6 for number in range(100)]  # one a millisecond
    core = Core(times_ns, slots=100)
    core.tail = 5000
    assert meter(core).read().appends_per_second == pytest.approx(1000, rel=0.02)


def test_a_ring_of_one_slot_tells_no_rate_of_its_own() -> None:
    core = Core([NOW_NS - 1], slots=1)
    core.tail = 5000
    assert meter(core).read().appends_per_second == 0.0


def test_a_store_just_cleared_is_not_taken_for_a_fast_one() -> None:
    core = Core([NOW_NS - 10], slots=100)
    core.tail = 5000
    assert meter(core).read().appends_per_second == 1.0
