"""A writer's life: it attaches or inherits, appends in every way, enters its key, and ends in any way it likes."""

import time
from random import Random
from typing import Any

import numpy as np

import shmstore
from ordeal.event import PARTITIONS, event, key_of
from ordeal.stage import CALM, Stage, Word
from shmstore import EventStore
from tests.helpers.points import points
from tests.helpers.proofs import proof_columns

_OF_APPENDING = ("before claim", "claimed", "tail moved", "payload written")
_POINTS = (*_OF_APPENDING, "settle begun", "skip marked", "key reserved", "entering", "entered", "left")
_MOST_ARRIVALS = 3000
_FEWEST_DEEDS, _MOST_DEEDS = 100, 20_000


def write(stage: Stage, writer: int) -> None:
    """Live, until the end of the ordeal at the latest."""
    dice = stage.dice("writer", writer)
    inherits = dice.random() < 0.5
    if stage.is_doomed(writer):
        store = _doomed(stage, dice)
    else:
        store = stage.store if inherits else shmstore.attach(stage.store.name)
    stage.add(Word.ATTACHED)
    if stage.plant and writer == 0:
        _plant(stage, store, writer)
    for _ in range(dice.randrange(_FEWEST_DEEDS, _MOST_DEEDS)):
        if stage.words[Word.ENDS]:
            break
        _append(stage, store, writer, dice)
    if dice.random() < 0.5:
        store.close()  # otherwise it ends like a dead one, and is repaired


def _doomed(stage: Stage, dice: Random) -> EventStore[Any]:
    """A handle with which the process dies in the middle of something."""
    assert stage.preloaded is not None
    point = dice.choice(_POINTS)
    points().arm(point, dice.randrange(1, _MOST_ARRIVALS) if point in _OF_APPENDING else 1)
    return stage.preloaded


def _append(stage: Stage, store: EventStore[Any], writer: int, dice: Random) -> None:
    ledger, partition, way = stage.ledger, dice.randrange(PARTITIONS), dice.random()
    count = dice.randint(2, stage.batch)
    if partition == CALM and not stage.calm_has_room(store):
        partition = dice.randrange(1, PARTITIONS)
    if way < 0.8:
        number = ledger.begin(writer, partition)
        position = store.append(event(writer, partition, number), partition=partition)
        ledger.acknowledge(writer, partition, position=position)
        return
    first = ledger.begin(writer, partition, count)
    if way < 0.9:
        rows = [event(writer, partition, number) for number in range(first, first + count)]
        store.append_many(rows, partition=partition)
    else:
        store.append_many(_columns(store, writer, partition, first, count), partition=partition)
    ledger.acknowledge(writer, partition, count)


def _columns(store: EventStore[Any], writer: int, partition: int, first: int, count: int) -> dict[str, Any]:
    return {
        **proof_columns(writer * PARTITIONS + partition, first, count),
        "key": np.full(count, store.key(key_of(writer)), np.uint32),
        "at": np.full(count, time.time_ns(), np.int64),
    }


def _plant(stage: Stage, store: EventStore[Any], writer: int) -> None:
    """Make one mistake that must be found."""
    number = stage.ledger.begin(writer, CALM, 2)
    whole, following = event(writer, CALM, number), event(writer, CALM, number + 1)
    if stage.plant != "lost":
        store.append(whole, partition=CALM)
    match stage.plant:
        case "torn":
            store.append((*following[:5], b"of another", *following[6:]), partition=CALM)
        case "doubled":
            store.append(whole, partition=CALM)
        case "foreign":
            store.append(following, partition=CALM + 1)
        case "lost":
            store.append(following, partition=CALM)
    stage.ledger.acknowledge(writer, CALM, 2)
    stage.words[Word.PLANTED] = 1
