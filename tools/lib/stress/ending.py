"""What must hold when a run has ended: the invariants, the account, and places that can be used again."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import shmstore
from stress.event import KEYS, key_of
from stress.shared import Shared, Word
from tests.helpers.processes import Child, Gate


def wrong_at_rest(shared: Shared) -> Iterator[str]:
    """What does not hold when all other processes have ended and the dead are repaired, in words."""
    store = shared.store
    yield from store.check()
    statistics, totals = store.statistics, store._core.totals()
    tickets = sum(each.tail for each in totals)
    if statistics.total_appended + statistics.skipped + statistics.voided != tickets:
        yield f"{statistics} do not add up to {tickets} tickets"
    if statistics.total_appended != statistics.length + statistics.total_discarded or statistics.length != len(store):
        yield f"{statistics} do not add up: appended is there or discarded"
    if any(each.in_flight for each in totals):
        yield f"somebody still writes, though everybody is gone: {totals}"
    texts = list(filter(None, store.keys()))
    if len(set(texts)) != len(texts) or not set(texts) <= set(map(key_of, range(KEYS))):
        yield f"a key is there twice, or nobody entered it: {texts}"
    if shared.plant and not shared.words[Word.PLANTED]:
        yield "the error that was to be planted was not: its writer was killed before"
    yield from _wrong_places(shared)


def _wrong_places(shared: Shared) -> Iterator[str]:
    """Fill the process table to its last place: a place in which a process died can be used again."""
    store = shared.store
    if (pids := [place.pid for place in store.processes()]) != [os.getpid()]:
        yield f"the process table holds {pids}, but all others are gone"
    others = store._core.header().options["processes"] - 1
    gate = Gate()

    def hold() -> None:
        with shmstore.attach(store.name):
            gate.wait()

    with ExitStack() as children:
        holders = [children.enter_context(Child(hold)) for _ in range(others)]
        gate.open()
        if codes := [holder.wait() for holder in holders if holder.wait()]:
            yield f"{len(codes)} of {others} places cannot be used again"
