"""Slot words rewritten by hand: the states in which writers that stall or die leave a store, without any of them."""

import os
import struct
from enum import IntEnum
from typing import Any

from shmstore import EventStore


class State(IntEnum):
    """States of a slot word, as in core/ring.h."""

    WRITING = 1
    PUBLISHED = 2
    STALLED = 3
    SKIPPED = 4
    VOID = 5


def set_state(store: EventStore[Any], ticket: int, state: State) -> None:
    """Put the slot of a ticket into a state, held by this process if the state has an owner.

    The store must have one partition in columns: then its slot words come first, one after the other.
    """
    plan = store._core.plan()
    assert store.partitions == 1
    (place,) = (place for place in store.processes() if place.pid == os.getpid())
    owner = place.place | (place.generation & 0x1FF) << 12
    held = state in (State.WRITING, State.STALLED)
    word = (ticket // plan.slots + 1) << 24 | (owner if held else 0) << 3 | state
    (offset,) = (offset for region, offset, _ in plan.regions if region == "slots")
    struct.pack_into("Q", store._segment.buffer, offset + 8 * (ticket % plan.slots), word)
