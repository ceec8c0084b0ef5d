"""Pickled and copied: what a program holds of a store comes back right, or an error says what to send instead."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, NotPicklable, Record, ShmStoreError, field
from tests.helpers.calls import Event, Stage, staged

WAYS: dict[str, Callable[[Any], Any]] = {
    **{
        f"pickle, protocol {number}": lambda thing, number=number: pickle.loads(pickle.dumps(thing, number))
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}

LIVE: dict[str, tuple[Callable[[Stage], Any], str]] = {
    "query": (lambda stage: stage.store.query(where=field("number") > 0), r"its snapshot\(\)"),
    "values of a series": (lambda stage: stage.series.values("a"), r"its snapshot\(\)"),
    "group_by": (lambda stage: stage.store.group_by("key"), r"the table"),
    "group of a series": (lambda stage: stage.series.group(), r"the table"),
    "cursor": (lambda stage: stage.store.cursor(), r"cursor\.positions"),
    "iterator of a cursor": (lambda stage: iter(stage.store.cursor()), r"cursor\.positions"),
    "async iterator of a cursor": (lambda stage: aiter(stage.store.cursor()), r"cursor\.positions"),
    "iterator of a snapshot": (lambda stage: iter(stage.snapshot), "a list"),
    "rows of a snapshot": (lambda stage: stage.snapshot.iter_rows(), "a list"),
    "appender": (lambda stage: stage.store.appender("key", "number", "value"), "send the store itself"),
    "append": (lambda stage: stage.store.append, "send the store itself"),
    "add": (lambda stage: stage.series.add, "send the store itself"),
    "coordinator": (lambda stage: shmstore.Coordinator(stage.store), "send the store"),
    "mapped memory": (lambda stage: stage.store._segment, "send the name"),
    "inside of a store": (lambda stage: stage.store._core, "send the store itself"),
    "inside of a snapshot": (lambda stage: stage.snapshot._columns, "send the snapshot itself"),
    "inside of an expression": (lambda stage: stage.store._scope().program(), "send the expression itself"),
}
UNCHANGING = ("query", "values of a series", "group_by", "group of a series")
METHODS = ("append", "add", "appender")  # a copy of which is, to Python, the method itself

ANSWERS: dict[str, Callable[[Stage], Any]] = {
    "table": lambda stage: stage.table,
    "row of a table": lambda stage: stage.table[0],
    "windows": lambda stage: stage.store.windows("value", every="1h"),
    "summary": lambda stage: stage.store.summary("value"),
    "record": lambda stage: stage.snapshot[0],
    "statistics": lambda stage: stage.store.statistics.total_appended,
    "schema": lambda stage: stage.store.schema,
    "expression": lambda stage: repr(field("number") > 0),
}


@pytest.fixture
def stage(name: str) -> Iterator[Stage]:
    with staged(name) as stage:
        yield stage


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", LIVE)
def test_what_lives_in_one_process_says_what_to_send_instead(stage: Stage, what: str, way: str) -> None:
    make, instead = LIVE[what]
    thing = make(stage)
    if "copy" in way and what in (*UNCHANGING, *METHODS):
        assert WAYS[way](thing) is thing
        return
    with pytest.raises(NotPicklable, match=f"lives in this process alone and cannot be pickled or copied; .*{instead}"):
        WAYS[way](thing)


def test_that_error_is_a_type_error_and_one_of_ours(stage: Stage) -> None:
    for error in (TypeError, ShmStoreError):
        with pytest.raises(error):
            pickle.dumps([stage.store.cursor()])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ANSWERS)
def test_answers_come_back_equal(stage: Stage, what: str, way: str) -> None:
    answer = ANSWERS[what](stage)
    assert WAYS[way](answer) == answer


@pytest.mark.parametrize("way", WAYS)
def test_stores_series_snapshots_and_builders_come_back_as_such(stage: Stage, way: str) -> None:
    assert WAYS[way](stage.snapshot).rows() == stage.snapshot.rows()
    with WAYS[way](stage.store) as store, WAYS[way](stage.series) as series:
        assert (store.store_id, len(store)) == (stage.store.store_id, 2)
        assert series.sum() == stage.series.sum()
    builder = EventStore.of(Event).with_capacity(20).with_partitions(2)
    with WAYS[way](builder).create(f"{stage.name}-new") as made:
        assert (made.capacity, made.partitions) == (20, 2)


def test_a_cursor_goes_on_elsewhere_from_the_positions_that_were_sent(stage: Stage) -> None:
    cursor = stage.store.cursor()
    (first,) = cursor.read(1)
    sent = pickle.dumps((stage.store, cursor.positions))
    store, positions = pickle.loads(sent)
    with store:
        records: list[Record] = store.cursor(start=positions).read()
    assert [first, *records] == list(stage.snapshot)
