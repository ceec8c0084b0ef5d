"""Segments whose bytes somebody changed: a store with some of everything in it, and seeded ways to spoil it.

Mutant `number` of a seed is always the same, so one that made trouble can be made again.
"""

import os
import random
import struct
from collections.abc import Callable
from typing import Literal, NamedTuple

import shmstore
from shmstore import Bytes, Key, Record, Text, Timestamp, UInt16
from tests.helpers.processes import Child
from tests.helpers.questions import questions

HEADER_BYTES = 4272  # as in core/layout.h, with its checksum in the last eight
HEADER_FIXED = 160
PARTITIONS, PROCESSES = 2, 4
SLOTS = 260  # of a partition: a block of 256, and a short one
EDGES = (0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**39, 2**40 - 1, 2**40, 2**62, 2**63 - 1, 2**63)
DOUBLES = (0x7FF0000000000000, 0x7FF8000000000000, 0xFFEFFFFFFFFFFFFF)  # infinity, NaN, the least
_STATES = 8
_MASK = 2**64 - 1

Layout = Literal["rows", "columns"]


class Order(Record):
    """Fields of every way to be copied."""

    gateway: Key[20]
    id: Text[11]
    value: float
    short: UInt16
    flag: bool
    raw: Bytes[5]
    timestamp: Timestamp


class Region(NamedTuple):
    """One part of a segment."""

    name: str
    first: int
    end: int


class Template(NamedTuple):
    """The bytes of a sound store, and where what lies in them."""

    data: bytes
    regions: dict[str, Region]


def template(name: str, layout: Layout) -> Template:
    """A store in use: keys, records of a second lap, samples, a live place and a dead one, a claim of each in one
    partition, and in the other a whole block, which is summarised.
    """
    with shmstore.create(
        name, Order, capacity=PARTITIONS * SLOTS, partitions=PARTITIONS, layout=layout, keys=8, processes=PROCESSES
    ) as store:
        for number in range(PARTITIONS * (SLOTS * 2 - 2)):
            append_one(store, number, number % 2)

        def die() -> None:
            append_one(shmstore.attach(name), 0, 1)

        Child(die).wait()
        for _ in range(3):  # who asks leaves a mark, then summaries
            for ask in questions(store).values():
                ask(store)
        assert store._core.lock_coordinator()
        for second in range(3):
            store._core.sample(second * 10**9)
        store._core.unlock_coordinator()
        plan = store._core.plan()
        regions = {region: Region(region, first, first + size) for region, first, size in plan.regions}
        data = bytearray(store._segment.buffer)
        assert any(data[slice(*regions["summaries"][1:])])
        first = (regions["slots"].first + regions["slots"].end) // 2
        stride = 8 + plan.record_bytes if layout == "rows" else 8
        for slot, place in ((3, 0), (5, 1)):
            (word,) = struct.unpack_from("Q", data, first + slot * stride)
            struct.pack_into("Q", data, first + slot * stride, word & ~0xFFFFFF | (1 << 12 | place) << 3 | 1)
        shmstore.unlink(name)
    return Template(bytes(data), regions)


def append_one(store: "shmstore.EventStore[Order]", number: int, partition: int | None = None) -> int:
    """A record like all of them."""
    record = (f"gw-{number % 5}", f"ö-{number % 30}", number / 2, number % 40, number % 3 == 1, b"\xff\0", None)
    return store.append(record, partition=partition)


def checksum(data: bytes | bytearray) -> int:
    """What stands at the end of a header: FNV-1a of all its bytes before."""
    value = 0xCBF29CE484222325
    for byte in data[: HEADER_BYTES - 8]:
        value = (value ^ byte) * 0x100000001B3 & _MASK
    return value


def mutant(source: Template, seed: int, number: int) -> tuple[str, bytes]:
    """Spoil a store. Returns in a word how, and all bytes of the file."""
    dice = random.Random(f"{seed}/{number}")
    kind = dice.choice(_KINDS)
    data = bytearray(source.data)
    where = kind(dice, data, source.regions)
    return f"{kind.__name__} {where}", bytes(data)


def scribble(dice: random.Random, data: "bytearray | memoryview", regions: dict[str, Region]) -> None:
    """Change bytes behind the header of a segment in use: once, somewhere."""
    kind: Callable[..., str] = dice.choice((flips, edges, edges, slot_words, slot_words, swaps, stamps, forged))
    kind(dice, data, {name: region for name, region in regions.items() if name != "header and board"})


def _any(dice: random.Random, regions: dict[str, Region]) -> Region:
    """Each region as often as any other: the history is nearly all of a small segment."""
    region = dice.choice(list(regions.values()))
    if region.name == "history":
        region = region._replace(end=region.first + 5 * 128)  # the samples that are there
    return region


def _word(dice: random.Random, region: Region) -> int:
    return region.first + dice.randrange((region.end - region.first) // 8) * 8


def flips(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    region = _any(dice, regions)
    for _ in range(dice.choice((1, 1, 2, 8, 64))):
        data[dice.randrange(region.first, region.end)] ^= 1 << dice.randrange(8)
    return f"in {region.name}"


def edges(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Words at the edges of their types, or next to what they were."""
    region = _any(dice, regions)
    for _ in range(dice.choice((1, 1, 2, 4))):
        at, size = _word(dice, region), dice.choice((8, 8, 8, 4, 2))
        old = int.from_bytes(data[at : at + size], "little")
        value = dice.choice((*EDGES, old, ~old, old << 8)) + dice.randrange(-2, 3)
        data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
    return f"in {region.name}"


def tails(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Any word of a partition at an edge: tail, floor, both ledgers, until when to look for voids."""
    first = regions["partitions"].first
    for _ in range(dice.choice((1, 2, 5))):
        at = first + dice.randrange(PARTITIONS) * 256 + dice.choice((0, 0, 128, 136, 144, 152))
        value = dice.choice((*EDGES, 2**64 - SLOTS, SLOTS * 2)) + dice.randrange(-2, 3)
        struct.pack_into("Q", data, at, value % 2**64)
    return "in partitions"


def slot_words(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Words that could be slot words: a lap near the right one, any place, any state."""
    slots = regions["slots"]
    for _ in range(dice.choice((1, 3, 20, 80))):
        lap = dice.choice((0, 1, 2, 3, 3, 3, 4, 5, 2**39, 2**40 - 1))
        owner = dice.randrange(3) << 12 | dice.choice((0, 1, 2, 3, 4, 4095))
        word = lap << 24 | (owner if dice.random() < 0.7 else 0) << 3 | dice.randrange(_STATES)
        struct.pack_into("Q", data, _word(dice, slots), word)
    return "in slots"


def swaps(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Words in each other's place."""
    region = _any(dice, regions)
    for _ in range(dice.choice((1, 4, 30))):
        a, b = _word(dice, region), _word(dice, region)
        data[a : a + 8], data[b : b + 8] = bytes(data[b : b + 8]), bytes(data[a : a + 8])
    return f"in {region.name}"


def stamps(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """A whole region of one byte, or of random ones."""
    region = _any(dice, regions)
    size = region.end - region.first
    fill = dice.choice((b"\0", b"\xff", b"\x01", None))
    data[region.first : region.end] = dice.randbytes(size) if fill is None else fill * size
    return f"on {region.name}"


def forged(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """A summary of any numbers, of the whole block of partition 0, with a right check: then it is believed."""
    for _ in range(dice.choice((1, 1, 5))):
        number, field = dice.choice(tuple(enumerate((0, 2, 3, 4, 6))))  # the fields that hold numbers
        words = [(dice.choice((*EDGES, *DOUBLES)) + dice.randrange(-2, 3)) % 2**64 for _ in range(3)]
        words.append(dice.choice((0, 1, 2**62 - 1, 2**64 - 2**62, 2**64 - 1)))  # the upper half of a sum that Arrow has
        at = regions["summaries"].first + 40 * number
        struct.pack_into("5Q", data, at, *words, summary_check(words, partition=0, block=0, lap=2, field=field))
    return "summary"


def summary_check(words: list[int], partition: int, block: int, lap: int, field: int) -> int:
    """What makes a summary fit, as in core/summary.c."""

    def mix(value: int, word: int) -> int:
        value = (value ^ word) * 0x9FB21C651E98DF25 & _MASK
        return value ^ value >> 32

    about = mix(mix(mix(0, lap), block), partition << 32 | field)
    bounds, total = mix(mix(about, words[0]), words[1]), mix(mix(about ^ _MASK, words[2]), words[3])
    return mix(bounds, total << 32 & _MASK | total >> 32)


def sealed(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Another header with a right checksum, so that only what it says can betray it."""
    for _ in range(dice.choice((1, 1, 2))):
        at = dice.randrange(3, HEADER_FIXED // 4 + 7 * 16) * 4
        size = dice.choice((1, 2, 4, 8))
        old = int.from_bytes(data[at : at + size], "little")
        value = dice.choice((*EDGES, old + 1, old - 1, old * 2, dice.randrange(256))) % (1 << 8 * size)
        data[at : at + size] = value.to_bytes(size, "little")
    struct.pack_into("Q", data, HEADER_BYTES - 8, checksum(data))
    return "header"


def other_versions(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """A newer format, features unknown here, or the other byte order; sealed by whoever made it, or not."""
    at, form, value = dice.choice(
        ((8, "I", 0x04030201), (12, "H", 2), (12, "H", 0), (14, "H", 9), (16, "Q", 1), (24, "Q", 1), (32, "Q", 2**63))
    )
    struct.pack_into(form, data, at, value)
    if dice.random() < 0.7:
        struct.pack_into("Q", data, HEADER_BYTES - 8, checksum(data))
    return f"at {at}"


def cut(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """A file that ends too early, or later than it says; some grew again, and have holes."""
    size = len(data)
    end = dice.choice((0, 7, 8, 9, 4096, HEADER_BYTES - 1, HEADER_BYTES, size - 4096, size - 1, dice.randrange(size)))
    if dice.random() < 0.2:
        data += bytes(4096)
    else:
        del data[end:]
        if dice.random() < 0.3:
            data += bytes(size - end)
    return f"at {end}"


def foreign(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """Something else altogether, perhaps with our first words."""
    kept = dice.choice((0, 0, 8, 12, 40, HEADER_FIXED, HEADER_BYTES))
    size = dice.choice((100, 4096, len(data)))
    data[kept:] = dice.randbytes(max(0, size - kept))
    return f"after {kept} bytes"


_KINDS: tuple[Callable[[random.Random, bytearray, dict[str, Region]], str], ...] = (
    *(flips, edges, edges, tails, slot_words, slot_words, swaps, stamps, forged, sealed, other_versions, cut, foreign),
)


def write_file(name: str, data: bytes) -> None:
    """Give the name to a new file of these bytes: to shrink the old one would end who is just mapping it."""
    path = f"/dev/shm/{name}"
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.replace(f"{path}.new", path)
