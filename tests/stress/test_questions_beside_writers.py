"""Questions asked while others append at full speed, lap, and die: every answer is about records that were there.

In a partition with one writer each record says its ticket. So an answer can be held to what may be its reason: it
counts every ticket that was readable from its beginning to its end, none that was not, and each with its own value.
"""

import random
import signal
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import pytest

import shmstore
from shmstore import EventStore, Int32, Key, Record, Timestamp, field
from tests.helpers.processes import Child, eventually, shared_numbers
from tests.helpers.slots import region

SLOTS = 20_000  # of a partition: blocks of 512, the last one shorter
CHUNK = 64  # tickets
STEADY = ("first", "second")  # partitions 0 and 1: one writer each
MORTAL = 2  # the partition whose writers are killed
SECONDS = 6.0


class Count(Record):
    writer: Key
    number: int  # the ticket
    chunk: Int32  # number // CHUNK
    half: float  # number / 2
    timestamp: Timestamp  # number * 1000


def columns(writer: str, first: int, count: int) -> dict[str, Any]:
    numbers = range(first, first + count)
    return {
        "writer": [writer] * count,
        "number": array("q", numbers),
        "chunk": array("i", (number // CHUNK for number in numbers)),
        "half": array("d", (number / 2 for number in numbers)),
        "timestamp": array("q", (number * 1000 for number in numbers)),
    }


@pytest.fixture(params=["rows", "columns"])
def store(request: pytest.FixtureRequest, name: str) -> Iterator[EventStore[Count]]:
    layout: Literal["rows", "columns"] = request.param
    with shmstore.create(
        name, Count, capacity=3 * SLOTS, partitions=3, partition_by="explicit", layout=layout, processes=16
    ) as store:
        yield store
        shmstore.unlink(name)


def write(name: str, writer: str, partition: int, seed: int, ends: memoryview) -> None:
    """Append in bursts, at full speed and with pauses in which old blocks can be summarised, until told to end."""
    dice = random.Random(f"{seed}/{partition}")
    with shmstore.attach(name) as store:
        number = 0
        while not ends[0]:
            burst = dice.choice([1, 50, 300, 2000])
            store.append_many(columns(writer, number, burst), partition=partition)
            number += burst
            if dice.random() < 0.1:
                time.sleep(dice.random() * 0.01)


class Writers:
    """One writer of each steady partition, and one of MORTAL that `disturb` stops for a while, or replaces."""

    def __init__(self, store: EventStore[Count], seed: int) -> None:
        self._ends = shared_numbers(1)
        self._begin = lambda writer, partition, seed: Child(
            lambda: write(store.name, writer, partition, seed, self._ends)
        )
        self._seed = seed
        self._dice = random.Random(seed)
        self._steady = [self._begin(writer, partition, seed) for partition, writer in enumerate(STEADY)]
        self._mortal = self._begin("mortal", MORTAL, seed)

    def disturb(self) -> None:
        if self._dice.random() < 0.3:
            self._mortal.send(signal.SIGSTOP)
            time.sleep(0.02)
            self._mortal.send(signal.SIGCONT)
            return
        self._mortal.kill()
        self._seed += 1
        self._mortal = self._begin("mortal", MORTAL, self._seed)

    def end(self) -> None:
        self._ends[0] = 1
        assert [writer.wait() for writer in [*self._steady, self._mortal]] == [0, 0, 0]

    def kill(self) -> None:
        for writer in [*self._steady, self._mortal]:
            writer.kill()


@contextmanager
def writing(store: EventStore[Count], seed: int) -> Iterator[Writers]:
    writers = Writers(store, seed)
    try:
        assert eventually(lambda: all(totals.tail > SLOTS for totals in store._core.totals()))
        yield writers
        writers.end()
    finally:
        writers.kill()
    store._core.reap()
    assert store.check() == []
    assert any(bytes(summaries(store))), "no block was summarised"


def summaries(store: EventStore[Any]) -> memoryview:
    """The bytes of all block summaries."""
    offset, size = region(store, "summaries")
    return store._segment.buffer[offset : offset + size]


def added(tickets: range) -> int:
    return (tickets.start + tickets.stop - 1) * len(tickets) // 2


class Seen(NamedTuple):
    """The tickets of a partition that a question may be about, and those among them that it must be about.

    It may have begun at `first` (the oldest before); it ended before one of [earliest_end, latest_end]. What lies below
    `lost` may have been overwritten before it was read.
    """

    first: int
    lost: int
    earliest_end: int
    latest_end: int

    def explains(self, count: int, total: int, low: int | None, high: int | None) -> bool:
        """Whether there is such a set of tickets with this count, sum, least and greatest."""
        if not count or low is None or high is None:
            return self.lost >= self.earliest_end and not count and not total and low is None and high is None
        if low < self.first or high >= self.latest_end or (high + 1 < self.earliest_end and high >= self.lost):
            return False
        # Everything from `lost` on is there; of what is older, any `rest` tickets from low to lost.
        sure = range(max(self.lost, self.first), high + 1)
        rest, above = count - len(sure), min(self.lost, high + 1)
        if not 0 <= rest <= max(0, above - low) or (rest == 0 and low != sure.start):
            return False
        least, most = added(range(low, low + rest)), added(range(above - rest, above))
        return least <= total - added(sure) <= most

    def within(self, first: int, end: int) -> "Seen":
        """The same of a question about tickets [first, end) alone."""

        def cut(ticket: int) -> int:
            return max(first, min(end, ticket))

        return Seen(*map(cut, self))


def asked(store: EventStore[Count], ask: Callable[[], Any], partition: int) -> tuple[Any, Seen]:
    """An answer, and what it may be about."""
    before = store._core.totals()[partition]
    answer = ask()
    after = store._core.totals()[partition]
    # The one writer may be writing the last ticket still, or have claimed the slot of the next.
    return answer, Seen(before.oldest, max(0, after.tail + 1 - SLOTS), before.tail - 1, after.tail)


def look_at_totals(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    found, seen = asked(store, lambda: store.summary("number", partition=partition), partition)
    assert seen.explains(found.count, found.sum, found.min, found.max), f"{found} of {seen}"
    assert not found.count or found.mean == found.sum / found.count


def look_at_halves(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    """Sums of floats; these have no rounding."""
    found, seen = asked(store, lambda: store.summary("half", partition=partition), partition)
    doubled = [half if half is None else int(half * 2) for half in (found.sum, found.min, found.max)]
    assert seen.explains(found.count, *doubled), f"{found} of {seen}"


def look_at_a_window(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    tail = store._core.totals()[partition].tail
    first, end = sorted(max(0, tail - dice.randrange(-200, SLOTS + 500)) for _ in range(2))
    selection: dict[str, Any] = dice.choice(
        [
            {"since": first * 1000, "until": end * 1000},
            {"where": field("number").between(first, end - 1)},
            {"where": (field("half") * 2 >= first) & (field("timestamp") < end * 1000)},
        ]
    )
    found, seen = asked(store, lambda: store.summary("number", partition=partition, **selection), partition)
    assert seen.within(first, end).explains(found.count, found.sum, found.min, found.max), f"{found} of {seen}"


def look_at_chunks(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    """Each chunk by itself: as a group, or as a window of time."""
    since = max(0, store._core.totals()[partition].tail - dice.randrange(2 * SLOTS))

    def ask() -> Any:
        if dice.random() < 0.5:
            return store.group_by("chunk", partition=partition, since=since * 1000).summary("number")
        return store.windows("number", every=CHUNK * 1000, partition=partition, since=since * 1000)

    table, seen = asked(store, ask, partition)
    seen = seen.within(since, seen.latest_end)
    chunks = {first // (1 if table.names[0] == "chunk" else CHUNK * 1000): answers for first, *answers in table}
    for chunk in {*chunks, *range(seen.lost // CHUNK, seen.earliest_end // CHUNK)}:
        count, total, _, low, high = chunks.get(chunk, (0, 0, None, None, None))
        part = seen.within(chunk * CHUNK, (chunk + 1) * CHUNK)
        assert part.explains(count, total, low, high), f"chunk {chunk}: {count, total, low, high} of {seen}"


def look_at_writers(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    """All partitions in one question, told apart by their keys."""
    table, seen = asked(store, lambda: store.group_by("writer").summary("number"), partition)
    found = {writer: answers for writer, *answers in table}
    count, total, _, low, high = found.get(STEADY[partition], (0, 0, None, None, None))
    assert seen.explains(count, total, low, high), f"{count, total, low, high} of {seen}"


def look_at_records(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    ask: Callable[[], Any] = dice.choice(
        [
            lambda: list(store.query(partition=partition)),
            lambda: list(store.query(partition=partition, order="newest"))[::-1],
            lambda: list(store.snapshot(partition=partition)),
            lambda: list(store.query(partition=partition, where=lambda record: record.number >= 0)),
        ]
    )
    records, seen = asked(store, ask, partition)
    numbers = [record.number for record in records]
    assert numbers == sorted(set(numbers)), "a ticket is there twice, or out of order"
    for number, record in zip(numbers, records, strict=True):
        right = (STEADY[partition], number, number // CHUNK, number / 2, number * 1000)
        assert tuple(record) == right, f"a torn record: {record}"
    assert seen.explains(len(numbers), sum(numbers), min(numbers, default=None), max(numbers, default=None))


def look_at_quantiles(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    q = dice.random()
    found, seen = asked(store, lambda: store.quantile("number", q, partition=partition), partition)
    if found is None:
        assert seen.lost >= seen.earliest_end
        return
    if seen.lost <= seen.first:  # nothing was overwritten meanwhile
        least = seen.first + q * (seen.earliest_end - 1 - seen.first)
        assert least - 1e-6 <= found <= seen.first + q * (seen.latest_end - 1 - seen.first) + 1e-6, f"{found} of {seen}"
    assert seen.first <= found < seen.latest_end


def look_at_edges(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    first, seen = asked(store, lambda: store.first("number", partition=partition), partition)
    assert first is None or seen.first <= first <= max(seen.lost, seen.first)
    last, seen = asked(store, lambda: store.last("number", partition=partition), partition)
    assert last is None or seen.earliest_end - 1 <= last < seen.latest_end or last < seen.lost
    count, seen = asked(store, lambda: store.distinct("number", partition=partition), partition)
    assert max(0, seen.earliest_end - max(seen.lost, seen.first)) <= count <= seen.latest_end - seen.first


def look_for_torn_records(store: EventStore[Count], dice: random.Random, partition: int) -> None:
    """Of all partitions, also where writers are killed."""
    torn = (field("half") * 2 != field("number")) | (field("timestamp") != field("number") * 1000)
    assert store.count(where=torn | (field("chunk") != field("number") // CHUNK)) == 0
    assert not any(store.summary(field("number") - field("half") * 2)[1:])
    assert store.count(partition=MORTAL) <= SLOTS


QUICK_LOOKS = [
    look_at_totals,
    look_at_halves,
    look_at_a_window,
    look_at_writers,
    look_at_quantiles,
    look_at_edges,
    look_for_torn_records,
]
LOOKS = [*QUICK_LOOKS * 5, look_at_chunks, look_at_chunks, look_at_records]


def ask_for(store: EventStore[Count], seed: object, seconds: float, meanwhile: Callable[[], None]) -> int:
    """Ask and ask, with summaries and without; `meanwhile` ten times a second. Returns how many questions."""
    dice = random.Random(f"{seed}")
    asked, ends_s, due_s = 0, time.monotonic() + seconds, 0.0
    while time.monotonic() < ends_s:
        look = dice.choice(LOOKS)
        for store.summaries in (True, True, True, False):
            look(store, dice, dice.randrange(len(STEADY)))
        asked += 4
        if time.monotonic() > due_s:
            meanwhile()
            due_s = time.monotonic() + 0.1
    return asked


def test_every_answer_is_about_records_that_were_there(store: EventStore[Count], seed: int) -> None:
    with writing(store, seed) as writers:
        asked = ask_for(store, seed, SECONDS, writers.disturb)
    print(f"{asked} questions while {store.statistics.total_appended:,} were appended")
    assert store.statistics.total_appended > 20 * store.capacity, "the writers did not lap"


def test_whoever_is_killed_while_it_asks_spoils_no_answer(store: EventStore[Count], seed: int) -> None:
    """It may die amid the words of a summary."""

    def ask_until_killed() -> None:
        with shmstore.attach(store.name) as handle:
            ask_for(handle, seed, 1000, lambda: None)

    askers = [Child(ask_until_killed)]

    def kill() -> None:
        assert not askers[-1].is_over(), "it got a wrong answer"
        askers[-1].kill()
        askers.append(Child(ask_until_killed))

    with writing(store, seed):
        try:
            ask_for(store, -seed, SECONDS, kill)
        finally:
            askers[-1].kill()
    print(f"{len(askers)} were killed")
    assert len(askers) > 5


def test_summaries_that_are_scribbled_over_spoil_no_answer(store: EventStore[Count], seed: int) -> None:
    ends = shared_numbers(1)

    def scribble() -> None:
        dice = random.Random(seed)
        words = summaries(store).cast("Q")
        while not ends[0]:
            place, other = dice.randrange(len(words)), dice.randrange(len(words) // 5)
            words[place] = dice.choice([0, 1, words[place] + 1 & 2**64 - 1, dice.randrange(2**64)])
            block = dice.randrange(len(words) // 5)
            words[5 * block : 5 * block + 5] = words[5 * other : 5 * other + 5]  # of another block, lap or field

    with Child(scribble) as scribbler, writing(store, seed):
        ask_for(store, seed, SECONDS / 2, lambda: None)
        ends[0] = 1
        assert scribbler.wait() == 0
        ask_for(store, seed, SECONDS / 2, lambda: None)
