"""A writer's life: it attaches or inherits a handle, enters its key, appends in every way, and ends in any way."""

import time
from random import Random
from typing import Any

import numpy as np

import shmstore
from shmstore import EventStore
from stress.event import PARTITIONS, event, key_of
from stress.shared import CALM, Shared, Word
from tests.helpers.points import points
from tests.helpers.proofs import proof_columns

_OF_APPENDING = ("before claim", "claimed", "tail moved", "payload written")
_POINTS = (*_OF_APPENDING, "settle begun", "skip marked", "key reserved", "entering", "entered", "left")
_MOST_ARRIVALS = 3000
_FEWEST_APPENDS, _MOST_APPENDS = 100, 20_000


def write(shared: Shared, writer: int) -> None:
    """Append until this life, or at the latest the run, is over."""
    dice = shared.dice("writer", writer)
    inherits = dice.random() < 0.5
    if shared.is_doomed(writer):
        store = _doomed(shared, dice)
    else:
        store = shared.store if inherits else shmstore.attach(shared.store.name)
    shared.add(Word.ATTACHED)
    if shared.plant and writer == 0:
        _plant(shared, store, writer)
    for _ in range(dice.randrange(_FEWEST_APPENDS, _MOST_APPENDS)):
        if shared.words[Word.ENDS]:
            break
        _append(shared, store, writer, dice)
    if dice.random() < 0.5:
        store.close()  # otherwise it ends like a dead one, and is repaired


def _doomed(shared: Shared, dice: Random) -> EventStore[Any]:
    """A handle with which the process dies in the middle of an operation."""
    assert shared.preloaded is not None
    point = dice.choice(_POINTS)
    points().arm(point, dice.randrange(1, _MOST_ARRIVALS) if point in _OF_APPENDING else 1)
    return shared.preloaded


def _append(shared: Shared, store: EventStore[Any], writer: int, dice: Random) -> None:
    ledger, partition, way = shared.ledger, dice.randrange(PARTITIONS), dice.random()
    count = dice.randint(2, shared.batch)
    if partition == CALM and not shared.calm_has_room(store):
        partition = dice.randrange(1, PARTITIONS)
    source = writer * PARTITIONS + partition
    if way < 0.8:
        number = ledger.begin(source)
        position = store.append(event(source, number), partition=partition)
        ledger.acknowledge(source, number, position=position)
        return
    first = ledger.begin(source, count)
    if way < 0.9:
        store.append_many([event(source, number) for number in range(first, first + count)], partition=partition)
    else:
        store.append_many(_columns(store, source, first, count), partition=partition)
    ledger.acknowledge(source, first, count)


def _columns(store: EventStore[Any], source: int, first: int, count: int) -> dict[str, Any]:
    return {
        **proof_columns(source, first, count),
        "key": np.full(count, store.key(key_of(source // PARTITIONS)), np.uint32),
        "at": np.full(count, time.time_ns(), np.int64),
    }


def _plant(shared: Shared, store: EventStore[Any], writer: int) -> None:
    """Make one mistake that must be found."""
    source = writer * PARTITIONS + CALM
    number = shared.ledger.begin(source, 2)
    whole, following = event(source, number), event(source, number + 1)
    if shared.plant != "lost":
        store.append(whole, partition=CALM)
    match shared.plant:
        case "torn":
            store.append((*following[:5], b"of another", *following[6:]), partition=CALM)
        case "doubled":
            store.append(whole, partition=CALM)
        case "foreign":
            store.append(following, partition=CALM + 1)
        case "lost":
            store.append(following, partition=CALM)
    shared.ledger.acknowledge(source, number, 2)
    shared.words[Word.PLANTED] = 1
