"""Questions about a segment that was damaged: the right answer, or DamagedSegment, and never a wrong number.

What a question believes without looking at records, summaries of blocks, may be scribbled over at any time: that costs
time and changes no answer. What it cannot do without, tails, slot words and keys, shows that it was damaged.
"""

import random
import struct
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

import shmstore
from shmstore import DamagedSegment, EventStore, Key, Record, Text, Timestamp, UInt16, field
from tests.helpers.mutants import Region, edges, flips, stamps, swaps
from tests.helpers.processes import Child
from tests.helpers.questions import questions
from tests.helpers.segments import may_fork
from tests.helpers.watched import Watched, watch

BLOCK, SUMMARY_BYTES = 256, 40
SLOTS = 3 * BLOCK + 88
SCRIBBLES = 150  # of each layout
ASKED = 3  # who asks leaves a mark, then summaries, then believes them

Layout = Literal["rows", "columns"]
both_layouts = pytest.mark.parametrize("layout", ["rows", "columns"])


class Reading(Record):
    gateway: Key
    note: Text[9]
    value: float
    short: UInt16
    at: Timestamp


def reading(number: int) -> Reading:
    return Reading(f"gw-{number // 100 % 3}", f"n-{number % 7}", number / 4, number % 1000, number * 10**7)


Make = Callable[[Layout, int, int], EventStore[Reading]]


@pytest.fixture
def make(name: str) -> Iterator[Make]:
    """Stores of so many slots, with so many records appended, in one partition."""
    made: list[EventStore[Reading]] = []

    def make(layout: Layout, slots: int, appended: int) -> EventStore[Reading]:
        store = shmstore.create(f"{name}-{len(made)}", Reading, capacity=slots, partitions=1, layout=layout)
        made.append(store)
        store.append_many([reading(number) for number in range(appended)])
        return store

    yield make
    for store in made:
        store.close()
        shmstore.unlink(store.name)


def region(store: EventStore[Any], name: str) -> Region:
    ((first, size),) = [(first, size) for region, first, size in store._core.plan().regions if region == name]
    return Region(name, first, first + size)


def word_offset(store: EventStore[Any], slot: int) -> int:
    """Where the slot word of a store of one partition lies."""
    rows = store._header.options["layout"] == shmstore._core.LAYOUT_ROWS
    return region(store, "slots").first + slot * (8 + store._core.plan().record_bytes if rows else 8)


# Summaries.


def answers(store: EventStore[Reading]) -> list[Any]:
    """Of what summaries can tell, as a whole and by pieces."""
    return [
        store.count(),
        store.count(where=field("gateway") == "gw-1"),
        store.count(where=field("short").between(100, 700), since=10**9),
        store.summary("value"),
        store.summary("short", where=field("value") >= 90),
        store.summary("at"),
        store.max("value", until=reading(SLOTS).at),
        store.variance("value"),
        store.group_by("gateway").summary("value").to_dicts(),
        store.windows("short", every=timedelta(seconds=2)).to_dicts(),
    ]


def transplants(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Whole summaries in each other's place."""
    first, count = regions["summaries"].first, (regions["summaries"].end - regions["summaries"].first) // SUMMARY_BYTES
    a, b = (first + SUMMARY_BYTES * dice.randrange(count) for _ in range(2))
    data[a : a + SUMMARY_BYTES] = data[b : b + SUMMARY_BYTES]
    return ""


@both_layouts
def test_scribbled_summaries_change_no_answer(
    make: Make, layout: Layout, seed: int, scorecard: Callable[..., None]
) -> None:
    store, dice = make(layout, SLOTS, SLOTS + 40), random.Random(seed)
    regions = {"summaries": region(store, "summaries")}
    place = slice(*regions["summaries"][1:])
    for _ in range(ASKED):
        answers(store)
    older = bytes(store._segment.buffer[place])
    store.append_many([reading(number) for number in range(SLOTS + 40, 2 * SLOTS + 300)])
    store.summaries = False
    expected = answers(store)
    store.summaries = True
    for _ in range(ASKED):
        assert answers(store) == expected
    sound = bytes(store._segment.buffer[place])
    assert sound != older and len(sound.strip(b"\0")) > SUMMARY_BYTES
    for _ in range(SCRIBBLES):
        store._segment.buffer[place] = dice.choice((sound, sound, older))
        for _ in range(dice.choice((0, 1, 1, 5))):
            dice.choice((flips, edges, swaps, stamps, transplants))(dice, store._segment.buffer, regions)
        with shmstore.attach(store.name, read_only=dice.random() < 0.5) as newcomer:
            assert answers(newcomer) == expected
        assert answers(store) == expected
    scorecard(15, scribbled_summaries=SCRIBBLES, wrong_answers=0)


# What a question cannot do without.

DAMAGED_WORDS = {
    "never used": 0,
    "of a lap before": 1 << 24 | 2,
    "published, yet held": 2 << 24 | 5 << 3 | 2,
    "of an unknown state": 2 << 24 | 6,
    "empty, of this lap": 2 << 24,
}


@both_layouts
@pytest.mark.parametrize("word", DAMAGED_WORDS.values(), ids=[what.replace(" ", "_") for what in DAMAGED_WORDS])
def test_a_damaged_slot_word_ends_every_question(make: Make, layout: Layout, word: int) -> None:
    store = make(layout, SLOTS, SLOTS + 300)
    struct.pack_into("Q", store._segment.buffer, word_offset(store, 7), word)
    for ask in questions(store).values():
        with pytest.raises(DamagedSegment):
            ask(store)


@both_layouts
def test_a_key_that_nobody_has_ends_groups_and_texts_and_is_no_key_of_others(make: Make, layout: Layout) -> None:
    store = make(layout, SLOTS, 300)
    plan = store._core.plan()
    place = word_offset(store, 7) + 8 if layout == "rows" else word_offset(store, SLOTS) + 4 * 7
    assert struct.unpack_from("I", store._segment.buffer, place) == (0,) and plan.slots == SLOTS
    struct.pack_into("I", store._segment.buffer, place, 10**6)
    assert store.count() == 300 and store.sum("short") == sum(reading(number).short for number in range(300))
    assert store.count(where=field("gateway") == "gw-0") == 99
    asks: list[Callable[[], object]] = [
        lambda: store.group_by("gateway").count(),
        lambda: store.group_by("gateway").distinct("note"),
        lambda: store.windows(every=10**9, by="gateway"),
    ]
    for ask in asks:
        with pytest.raises(DamagedSegment):
            ask()
    # A record that names no key costs itself: it has none.
    assert store.first("gateway", where=field("short") == 7) is None
    assert [reading.gateway for reading in store.query(where=field("short") == 7)][:1] == [None]
    assert store._core.check() != []


@pytest.mark.parametrize("slots", [7, 1500, 3000, 5000])
@may_fork
def test_a_tail_of_noise_ends_or_answers_every_question_within_a_second(make: Make, tmp_path: Path, slots: int) -> None:
    stores = [make(layout, slots, slots * 3 // 2) for layout in ("rows", "columns")]

    def life(watched: Watched) -> Callable[[], None]:
        def life() -> None:
            watched.restrict()
            for store in stores:
                for times, tail in enumerate(
                    [None] * ASKED + [b"\xff" * 8, b"\xfe" + b"\xff" * 7, b"\xff" * 7 + b"\x7f"]
                ):
                    if tail:
                        first = region(store, "partitions").first
                        store._segment.buffer[first : first + 8] = tail
                    for what, ask in questions(store).items():
                        watched.do(times, what, lambda: ask(store), DamagedSegment)  # noqa: B023

        return life

    watched = Watched(stores[0].name, tmp_path)
    watch({watched: Child(life(watched))}, lambda _: None)
    assert watched.reports() == []
    assert watched.operations == 2 * 6 * len(questions(stores[0]))
