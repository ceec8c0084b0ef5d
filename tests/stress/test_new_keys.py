"""Groups by key over a ring that holds next to nothing, while every record has a key that nobody has met before.

What a question began with is gone before it is read, so it begins anew: about records of keys that came meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest

import shmstore
from shmstore import EventStore, Key, Record
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork

pytestmark = may_fork

KEYS = 4000  # up to some such number, groups are numbered as keys are
WRITERS = 2
SECONDS = 1.2


class Reading(Record):
    gateway: Key
    value: float


ASKS: dict[str, Callable[[EventStore[Reading]], list[float]]] = {
    "tally": lambda store: store.group_by("gateway").sum("value").values("sum"),
    "edge": lambda store: store.group_by("gateway").last("value").values("last"),
    "gathered": lambda store: store.group_by("gateway").quantile("value", 0.5).values("quantile"),
}


@pytest.fixture
def stores(name: str) -> Iterator[Iterator[EventStore[Reading]]]:
    made: list[EventStore[Reading]] = []

    def make() -> Iterator[EventStore[Reading]]:
        for number in count():
            made.append(shmstore.create(f"{name}-{number}", Reading, capacity=1, partitions=1, keys=KEYS))
            yield made[-1]

    yield make()
    for store in made:
        shmstore.unlink(store.name)
        store.close()


def write(store: EventStore[Reading]) -> None:
    append = store.appender("gateway", "value")
    for number in range(KEYS):
        append(f"gw-{number}", 2.0)


@pytest.mark.parametrize("ask", ASKS)
def test_a_key_that_came_after_the_question_is_no_damage(stores: Iterator[EventStore[Reading]], ask: str) -> None:
    begun, asked = time.monotonic(), 0
    while time.monotonic() - begun < SECONDS:
        store = next(stores)
        writers = [Child(lambda store=store: write(store)) for _ in range(WRITERS)]  # type: ignore[misc]
        while not all(writer.is_over() for writer in writers):
            assert set(ASKS[ask](store)) <= {2.0}
            asked += 1
        assert [writer.code for writer in writers] == [0] * WRITERS
    assert asked
