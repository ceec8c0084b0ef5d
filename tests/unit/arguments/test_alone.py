"""Pickled and copied: what a program holds of a store comes back right, or an error says what to send instead."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import shmstore
from shmstore import EventStore, NotPicklable, Record, ShmStoreError, field
from tests.helpers.calls import Event, Examples, examples

WAYS: dict[str, Callable[[Any], Any]] = {
    **{
        f"pickle, protocol {number}": lambda thing, number=number: pickle.loads(pickle.dumps(thing, number))
        for number in range(pickle.HIGHEST_PROTOCOL + 1)
    },
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}

LIVE: dict[str, tuple[Callable[[Examples], Any], str]] = {
    "query": (lambda given: given.store.query(where=field("number") > 0), r"its snapshot\(\)"),
    "values of a series": (lambda given: given.series.values("a"), r"its snapshot\(\)"),
    "group_by": (lambda given: given.store.group_by("key"), r"the table"),
    "group of a series": (lambda given: given.series.group(), r"the table"),
    "cursor": (lambda given: given.store.cursor(), r"cursor\.positions"),
    "iterator of a cursor": (lambda given: iter(given.store.cursor()), r"cursor\.positions"),
    "async iterator of a cursor": (lambda given: aiter(given.store.cursor()), r"cursor\.positions"),
    "iterator of a snapshot": (lambda given: iter(given.snapshot), "a list"),
    "rows of a snapshot": (lambda given: given.snapshot.iter_rows(), "a list"),
    "appender": (lambda given: given.store.appender("key", "number", "value"), "send the store itself"),
    "append": (lambda given: given.store.append, "send the store itself"),
    "add": (lambda given: given.series.add, "send the store itself"),
    "coordinator": (lambda given: shmstore.Coordinator(given.store), "send the store"),
    "mapped memory": (lambda given: given.store._segment, "send the name"),
    "inside of a store": (lambda given: given.store._core, "send the store itself"),
    "inside of a snapshot": (lambda given: given.snapshot._columns, "send the snapshot itself"),
    "inside of an expression": (lambda given: given.store._scope().program(), "send the expression itself"),
}
UNCHANGING = ("query", "values of a series", "group_by", "group of a series")
METHODS = ("append", "add", "appender")  # a copy of which is, to Python, the method itself

ANSWERS: dict[str, Callable[[Examples], Any]] = {
    "table": lambda given: given.table,
    "row of a table": lambda given: given.table[0],
    "windows": lambda given: given.store.windows("value", every="1h"),
    "summary": lambda given: given.store.summary("value"),
    "record": lambda given: given.snapshot[0],
    "statistics": lambda given: given.store.statistics.total_appended,
    "schema": lambda given: given.store.schema,
    "expression": lambda given: repr(field("number") > 0),
}


@pytest.fixture
def given(name: str) -> Iterator[Examples]:
    with examples(name) as given:
        yield given


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", LIVE)
def test_what_lives_in_one_process_says_what_to_send_instead(given: Examples, what: str, way: str) -> None:
    make, instead = LIVE[what]
    thing = make(given)
    if "copy" in way and what in (*UNCHANGING, *METHODS):
        assert WAYS[way](thing) is thing
        return
    with pytest.raises(NotPicklable, match=f"lives in this process alone and cannot be pickled or copied; .*{instead}"):
        WAYS[way](thing)


def test_that_error_is_a_type_error_and_one_of_ours(given: Examples) -> None:
    for error in (TypeError, ShmStoreError):
        with pytest.raises(error):
            pickle.dumps([given.store.cursor()])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ANSWERS)
def test_answers_come_back_equal(given: Examples, what: str, way: str) -> None:
    answer = ANSWERS[what](given)
    assert WAYS[way](answer) == answer


@pytest.mark.parametrize("way", WAYS)
def test_stores_series_snapshots_and_builders_come_back_as_such(given: Examples, way: str) -> None:
    assert WAYS[way](given.snapshot).rows() == given.snapshot.rows()
    with WAYS[way](given.store) as store, WAYS[way](given.series) as series:
        assert (store.store_id, len(store)) == (given.store.store_id, 2)
        assert series.sum() == given.series.sum()
    builder = EventStore.of(Event).with_capacity(20).with_partitions(2)
    with WAYS[way](builder).create(f"{given.name}-new") as made:
        assert (made.capacity, made.partitions) == (20, 2)


def test_a_cursor_goes_on_elsewhere_from_the_positions_that_were_sent(given: Examples) -> None:
    cursor = given.store.cursor()
    (first,) = cursor.read(1)
    sent = pickle.dumps((given.store, cursor.positions))
    store, positions = pickle.loads(sent)
    with store:
        records: list[Record] = store.cursor(start=positions).read()
    assert [first, *records] == list(given.snapshot)
