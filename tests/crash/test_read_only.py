"""Who attaches for reading only changes no byte of the segment, as whatever user, and whatever it meets there."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Literal

import pytest

import shmstore
from shmstore import AccessDenied, Coordinator, EventStore, Key, ReadOnlyStore, Record, Timestamp
from tests.helpers.points import points
from tests.helpers.processes import Child, eventually, shared_numbers
from tests.helpers.questions import questions

NOBODY = 65534
RECORDS = 30  # in a partition of 20 slots: the oldest are gone
ASKED = 3  # who may write leaves summaries from the second time on


class Order(Record):
    gateway: Key
    value: float
    timestamp: Timestamp


def us() -> None:
    """Stay who we are."""


def nobody() -> None:
    """Become a user without any right but those that all have."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


@pytest.fixture(params=[us, nobody])
def become(request: pytest.FixtureRequest) -> Callable[[], None]:
    if request.param is nobody and os.geteuid():
        pytest.skip("only root can become another user")
    become: Callable[[], None] = request.param
    return become


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    """A store with everything that a writable handle would repair: a dead claim, a dead place, an open history."""
    with shmstore.create(name, Order, capacity=20, partitions=1, mode=0o644) as store:
        for number in range(RECORDS):
            store.append(gateway=f"gw-{number % 3}", value=number)
        assert store._core.lock_coordinator()
        store._core.sample(time.time_ns())
        with points().attach(name) as preloaded:

            def die() -> None:
                points().arm("payload written")
                preloaded.append(gateway="gw-0", value=-1)

            assert Child(die).wait() < 0
        yield store
        shmstore.unlink(name)


def digest(store: EventStore[Any]) -> str:
    return hashlib.sha256(store._segment.buffer).hexdigest()


def look_at_everything(store: EventStore[Any]) -> None:
    assert [record.value for record in store.snapshot()] == [float(number) for number in range(11, RECORDS)]
    assert [gap.reason for gap in store.snapshot().gaps] == [shmstore.GapReason.VOIDED]
    assert len(store.snapshot(since=timedelta(hours=1), where=lambda record: record.gateway == "gw-1")) > 0
    with store.cursor() as cursor:
        assert len(cursor.read()) == 19 and cursor.lost == 1 and cursor.lag == 0
        assert not cursor.wait(0.01)
    with store.cursor(start=0) as cursor:
        cursor.read()
        assert cursor.lost == 12
    assert (store.count(), store.max("value")) == (19, RECORDS - 1.0)
    for ask in questions(store).values():
        ask(store)
    assert store.read_at(RECORDS - 1) is not None
    assert {place.state for place in store.processes()} == {"alive", "dead"}
    assert store.statistics.processes and store._core.history() and store._core.coordinator_alive()
    assert store.keys() == ["gw-0", "gw-1", "gw-2"] and store.key("gw-1") == 1
    assert store.check() == []
    assert (len(store), store.is_full, store.unlinked) == (19, True, False)


def refuse_everything(store: EventStore[Any]) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: store.append(gateway="gw-0", value=1),
        lambda: store.appender("gateway", "value")("gw-0", 1),
        lambda: store.append_many([("gw-0", 1.0, None)]),
        lambda: store.append_many({"gateway": ["gw-0"], "value": [1.0]}),
        lambda: store.key("new"),
        store.clear,
        lambda: store.purge(older_than=timedelta(0)),
        store._core.reap,
        store._core.enter,
        store._core.lock_coordinator,
        lambda: store._core.sample(0),
        lambda: Coordinator(store),
    ]
    for attempt in attempts:
        with pytest.raises(ReadOnlyStore):
            attempt()
    with pytest.raises(TypeError):
        store._segment.buffer[0] = 0


def test_a_reader_changes_no_byte(
    store: EventStore[Order], become: Callable[[], None], scorecard: Callable[..., None]
) -> None:
    before = digest(store)

    def life() -> None:
        become()
        with shmstore.attach(store.name, read_only=True) as looker:
            look_at_everything(looker)
            refuse_everything(looker)

    assert Child(life).wait() == 0
    assert digest(store) == before
    scorecard(19, looks=1, bytes_changed=0)


@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_a_reader_that_asks_changes_no_byte(
    name: str, layout: Literal["rows", "columns"], become: Callable[[], None], scorecard: Callable[..., None]
) -> None:
    with shmstore.create(name, Order, capacity=1000, partitions=2, layout=layout, mode=0o644) as store:
        store.append_many([(f"gw-{number % 3}", number, number) for number in range(1400)])
        before = digest(store)

        def life() -> None:
            become()
            with shmstore.attach(store.name, read_only=True) as looker:
                ask_everything(looker)

        assert Child(life).wait() == 0
        assert digest(store) == before
        ask_everything(store)
        assert digest(store) != before, "there was nothing to summarise"
        shmstore.unlink(name)
    scorecard(19, looks=1, bytes_changed=0)


def ask_everything(store: EventStore[Order]) -> None:
    for _ in range(ASKED):
        for ask in questions(store).values():
            ask(store)


def test_a_reader_that_stays_sees_what_writers_do(store: EventStore[Order], become: Callable[[], None]) -> None:
    shown = shared_numbers(1)

    def life() -> None:
        become()
        with shmstore.attach(store.name, read_only=True) as looker, looker.cursor("latest") as cursor:
            shown[0] = 1
            assert cursor.wait(20)
            assert [record.gateway for record in cursor.read()] == ["a new key"]

    with Child(life) as child:
        assert eventually(lambda: shown[0])
        store.append(gateway="a new key", value=0)
        assert child.wait() == 0


def test_a_user_without_the_right_to_read_is_refused(name: str) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")

    def life() -> None:
        nobody()
        for read_only in (True, False):
            with pytest.raises(AccessDenied):
                shmstore.attach(name, read_only=read_only)

    with shmstore.create(name, Order, capacity=20) as store:
        before = digest(store)
        assert Child(life).wait() == 0
        assert digest(store) == before
        shmstore.unlink(name)
