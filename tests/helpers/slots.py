"""Slot words rewritten by hand: the states in which writers that stall or die leave a store, without any of them."""

import os
import struct
from enum import IntEnum
from typing import Any

from shmstore import EventStore, _core


class State(IntEnum):
    """States of a slot word, as in core/ring.h."""

    WRITING = 1
    PUBLISHED = 2
    STALLED = 3
    SKIPPED = 4
    VOID = 5
    PREPARED = 6  # which nobody writes: a sign of damage


def set_state(store: EventStore[Any], ticket: int, state: State, partition: int = 0) -> None:
    """Put the slot of a ticket into a state, held by this process if the state has an owner."""
    plan = store._core.plan()
    place = next(place for place in store.processes() if place.pid == os.getpid())
    owner = place.place | (place.generation & 0x1FF) << 12
    held = state in (State.WRITING, State.STALLED)
    word = (ticket // plan.slots + 1) << 24 | (owner if held else 0) << 3 | state
    # The words come first in a partition, one after the other; in rows each stands before its record.
    in_rows = store._core.header().options["layout"] == _core.LAYOUT_ROWS
    stride = 8 + plan.record_bytes if in_rows else 8
    first = region(store, "slots")[0] + _partition_bytes(store) * partition
    struct.pack_into("Q", store._segment.buffer, first + stride * (ticket % plan.slots), word)


def _partition_bytes(store: EventStore[Any]) -> int:
    """The plan of many such partitions says how large one is, to a whole line: it is filled up to a page only once."""
    header, slots, many = store._core.header(), store._core.plan().slots, 128
    options = {**header.options, "capacity": many * slots, "partitions": many}
    [size] = [size for name, _, size in _core.plan(header.fields, options).regions if name == "slots"]
    return size // many // 64 * 64


def region(store: EventStore[Any], name: str) -> tuple[int, int]:
    """Where a region of the segment begins, and how many bytes it has."""
    [(offset, size)] = [(offset, size) for found, offset, size in store._core.plan().regions if found == name]
    return offset, size
