"""Public names: what classes, functions, errors and pickles say about where they come from, also those of before."""

import contextlib
import inspect
import pickle
import pickletools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

import shmstore
from shmstore import Key, Record, Schema, Text, Timestamp, _core, errors
from shmstore.records.fields import Marker
from tests.helpers.earlier import earlier

# `_core` is no room: it is compiled, and stays where it is.
STAYING = {"shmstore", "shmstore.errors", "shmstore._core"}
PUBLIC = {name: getattr(shmstore, name) for name in shmstore.__all__}


@dataclass(kw_only=True)
class Named:
    value: float
    note: Text[8] = field(default="none")  # type: ignore[valid-type]


class Point(Record):
    key: Key
    value: float


def modules_named(sent: bytes) -> set[str]:
    """The modules of this package that a pickle names."""
    texts = [
        argument.split()[0]
        for _, argument, _ in pickletools.genops(sent)
        if isinstance(argument, str) and argument.strip()
    ]
    return {text for text in texts if text.split(".")[0] == "shmstore"}


@pytest.mark.parametrize(
    "name", [name for name, thing in PUBLIC.items() if inspect.isclass(thing) or inspect.isfunction(thing)]
)
def test_a_public_name_says_the_package_as_its_module(name: str) -> None:
    thing = PUBLIC[name]
    is_error = inspect.isclass(thing) and issubclass(thing, Exception)
    assert (thing.__module__, thing.__qualname__) == ("shmstore.errors" if is_error else "shmstore", name)
    assert getattr(errors if is_error else shmstore, name) is thing


def test_every_error_says_the_module_of_errors() -> None:
    found = [thing for thing in vars(errors).values() if inspect.isclass(thing)]
    assert found and {thing.__module__ for thing in found} == {"shmstore.errors"}


def test_a_generated_record_says_the_package_as_its_module() -> None:
    made = Schema.of([("value", 10, 0)]).record_type
    assert made.__module__ == "shmstore"
    assert pickle.loads(pickle.dumps(made)) is made


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("marker", [Key, Key[16], Text, Text[4], shmstore.Int8, Timestamp, Marker(_core.INT8)])
def test_a_marker_is_pickled_by_its_public_name(marker: Any, protocol: int) -> None:
    sent = pickle.dumps(marker, protocol)
    assert pickle.loads(sent) == marker
    assert modules_named(sent) <= STAYING


@pytest.fixture
def things(name: str) -> Iterator[dict[str, Any]]:
    with shmstore.series(name, 8, partitions=1) as series:
        series.add("a", 1.5, 40)
        with shmstore.attach(name) as plain:
            snapshot, table = plain.snapshot(), plain.group_by("key").sum("value")
            yield {
                "handle": plain,
                "declared handle": series.store,
                "series": series,
                "point": series.latest("a"),
                "snapshot": snapshot,
                "record": snapshot[0],
                "points": series.snapshot(),
                "table": table,
                "row": table[0],
                "summary": plain.summary("value"),
                "statistics": plain.statistics,
                "gap": shmstore.Gap(0, 1, 2, shmstore.GapReason.LAPPED),
                "column": shmstore.Column("a", "integer", [1]),
                "schema": plain.schema,
                "schema made by name": Schema.of(Named),
                "expression": shmstore.field("value") > 3,
                "markers": (Key, Key[16], Text, Text[4], shmstore.Int8),
                "builder": shmstore.EventStore.of(Record).with_capacity(4),
                "functions": (shmstore.create, shmstore.series, shmstore.field, shmstore.EventStore.of),
                "errors": (errors.FieldError("a", "b"), errors.StoreNotFound("c")),
            }


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_pickle_names_a_room(things: dict[str, Any], protocol: int) -> None:
    for what, thing in things.items():
        sent = pickle.dumps(thing, protocol)
        with contextlib.ExitStack() as cleanup:
            received = pickle.loads(sent)
            if hasattr(received, "close"):
                cleanup.callback(received.close)
            assert type(received) is type(thing), what
        assert modules_named(sent) <= STAYING, what


def test_a_handle_that_was_pickled_before_the_rooms_still_attaches(name: str) -> None:
    with shmstore.create(name, Point, capacity=4) as store:
        store.append(key="a", value=1.5)
        with pickle.loads(earlier("handle", name, store.store_id)) as other:
            assert [record.value for record in other.query()] == [1.5]
        with pytest.raises(errors.StoreNotFound, match="another one has its name now"):
            pickle.loads(earlier("handle", name, bytes(16)))


def test_a_series_that_was_pickled_before_the_rooms_still_attaches(name: str) -> None:
    with shmstore.series(name, 4) as series:
        series.add("a", 1.5)
        with pickle.loads(earlier("series", name, series.store.store_id)) as other:
            assert type(other) is shmstore.Series
            assert other.sum("a") == 1.5
            assert other.latest("a") == series.latest("a")
    assert inspect.isfunction(shmstore.series)


def test_a_snapshot_that_was_pickled_before_the_rooms_still_has_its_records() -> None:
    snapshot = pickle.loads(earlier("snapshot"))
    assert type(snapshot) is shmstore.Snapshot
    assert snapshot.rows() == [
        ("gw-1", "o-1", 12.5, 1_700_000_000 * 10**9),
        ("gw-2", "o-2", 0.5, 1_700_000_001 * 10**9),
    ]
    assert snapshot.complete


def test_a_table_that_was_pickled_before_the_rooms_is_the_same() -> None:
    assert pickle.loads(earlier("table")).to_dicts() == [
        {"gateway": "gw-1", "sum": 12.5},
        {"gateway": "gw-2", "sum": 0.5},
    ]


def test_a_pickle_from_before_the_rooms_is_the_first_thing_a_process_does_with_the_package() -> None:
    code = f"import pickle; print(len(pickle.loads({earlier('snapshot')!r})))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "2\n"


def test_a_module_of_before_the_rooms_has_nothing_but_what_was_pickled() -> None:
    with pytest.raises(AttributeError, match=r"module 'shmstore.store' has no attribute 'names'"):
        _ = sys.modules["shmstore.store"].names
