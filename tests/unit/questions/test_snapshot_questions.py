"""Snapshots answer what their store answers about the same records, also in another process and when it is gone."""

import math
import pickle
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, Key, Record, Snapshot, Timestamp, field
from shmstore.errors import FieldError, FieldTypeError, InvalidCall, InvalidOption

SECOND_NS = 10**9
BEGIN_NS = 1_700_000_000 * SECOND_NS


class Trade(Record):
    gateway: Key
    price: float
    quantity: int
    timestamp: Timestamp


Asked = EventStore[Trade] | Snapshot[Trade]
NOTIONAL = field("price") * field("quantity")

QUESTIONS: dict[str, Callable[..., Any]] = {
    "count": lambda asked, **chosen: asked.count(**chosen),
    "sum": lambda asked, **chosen: asked.sum("quantity", **chosen),
    "mean": lambda asked, **chosen: asked.mean(NOTIONAL, **chosen),
    "min": lambda asked, **chosen: asked.min("price", **chosen),
    "max": lambda asked, **chosen: asked.max(NOTIONAL, **chosen),
    "summary": lambda asked, **chosen: asked.summary("price", **chosen),
    "variance": lambda asked, **chosen: asked.variance("quantity", **chosen),
    "stddev": lambda asked, **chosen: asked.stddev("quantity", 0, **chosen),
    "quantile": lambda asked, **chosen: asked.quantile("price", 0.9, **chosen),
    "quantiles": lambda asked, **chosen: asked.quantiles(NOTIONAL, [0, 0.25, 0.5, 1], **chosen),
    "first": lambda asked, **chosen: asked.first("gateway", **chosen),
    "last": lambda asked, **chosen: asked.last("price", **chosen),
    "distinct": lambda asked, **chosen: asked.distinct("gateway", **chosen),
    "aggregate": lambda asked, **chosen: asked.aggregate((), lambda so_far, one: (*so_far, one), **chosen),
    "groups": lambda asked, **chosen: asked.group_by("gateway", **chosen).summary(NOTIONAL),
    "groups of another kind": lambda asked, **chosen: asked.group_by("quantity", **chosen).distinct("gateway"),
    "windows": lambda asked, **chosen: asked.windows("price", every="7s", **chosen),
    "windows of groups": lambda asked, **chosen: asked.windows(
        "price", every="5s", period="20s", by="gateway", **chosen
    ),
    "days": lambda asked, **chosen: asked.windows("quantity", every="day", zone="Europe/Berlin", **chosen),
}

SELECTIONS: dict[str, dict[str, Any]] = {
    "all": {},
    "an expression": {"where": field("price") > 50},
    "a key": {"where": field("gateway") == "gw-1"},
    "a key that is none": {"where": field("gateway") == "nowhere"},
    "a callable": {"where": lambda trade: trade.quantity % 3 == 0},
    "a window": {"since": BEGIN_NS + 30 * SECOND_NS, "until": BEGIN_NS + 70 * SECOND_NS},
    "a window and a callable": {"since": BEGIN_NS + 30 * SECOND_NS, "where": lambda trade: trade.price < 50},
    "nothing": {"until": BEGIN_NS},
}


@pytest.fixture
def trades(name: str) -> Iterator[EventStore[Trade]]:
    """Two partitions, more records than they keep."""
    with shmstore.create(name, Trade, capacity=80, partitions=2, partition_by="turn") as store:
        for number in range(100):
            store.append(Trade(f"gw-{number % 3}", number * 37 % 101 / 1.0, number % 11, BEGIN_NS + number * SECOND_NS))
        yield store


def test_a_snapshot_answers_as_its_store(trades: EventStore[Trade]) -> None:
    snapshot = trades.snapshot()
    asked: list[Asked] = [trades, snapshot, pickle.loads(pickle.dumps(snapshot))]
    for question, ask in QUESTIONS.items():
        for selection, chosen in SELECTIONS.items():
            expected, *answers = (ask(one, **chosen) for one in asked)
            assert answers == [expected, expected], f"{question} about {selection}"


def test_a_snapshot_answers_when_its_store_is_gone(name: str) -> None:
    with shmstore.create(name, Trade, capacity=4) as store:
        store.append(Trade("gw-1", 2.5, 4, BEGIN_NS))
        snapshot = store.snapshot()
    shmstore.unlink(name)
    assert (snapshot.sum(NOTIONAL), snapshot.count(where=field("gateway") == "gw-1")) == (10.0, 1)


def test_a_snapshot_of_some_records_answers_about_those(trades: EventStore[Trade]) -> None:
    cheap = field("price") < 50
    whole, by_time = trades.snapshot(), trades.snapshot(order="time")
    for some in (trades.snapshot(where=cheap), whole.where(cheap), by_time.where(cheap)):
        assert some.summary("quantity") == trades.summary("quantity", where=cheap)
        assert some[:5].sum("quantity") == sum(record.quantity for record in some[:5])
        assert some.count(where=cheap) == len(some) and some.count(where=~cheap) == 0


def test_a_snapshot_of_nothing_answers_as_an_empty_store(trades: EventStore[Trade]) -> None:
    empty = trades.snapshot()[:0]
    assert (empty.count(), empty.sum("price"), empty.mean("price"), empty.quantile("price", 0.5)) == (0, 0, None, None)
    assert len(empty.group_by("gateway").count()) == len(empty.windows(every="1s")) == 0


def test_a_snapshot_refuses_what_a_store_refuses_and_partitions(trades: EventStore[Trade]) -> None:
    snapshot = trades.snapshot()
    with pytest.raises(InvalidOption, match=r"partition is 0, and a snapshot .*snapshot\(partition=...\)"):
        snapshot.count(partition=0)
    with pytest.raises(FieldError, match="no field 'nothing'"):
        snapshot.sum("nothing")
    with pytest.raises(FieldTypeError):
        snapshot.sum("gateway")
    with pytest.raises(InvalidOption, match="in seconds it would be"):
        snapshot.count(since=1_700_000_000)
    with pytest.raises(InvalidOption, match="lies after until"):
        snapshot.count(since=BEGIN_NS + 1, until=BEGIN_NS)
    with pytest.raises(InvalidCall, match="filter= is called where= here"):
        snapshot.count(filter=field("price") > 1)  # type: ignore[call-arg]


def test_records_without_a_time_are_not_chosen_by_time(name: str) -> None:
    class Bare(Record):
        value: float

    with shmstore.create(name, Bare, capacity=4, partitions=1) as store:
        store.append(value=math.inf)
        snapshot = store.snapshot()
    assert snapshot.max("value") == math.inf
    with pytest.raises(InvalidOption, match="a window needs a Timestamp field"):
        snapshot.count(since=timedelta(seconds=1))
