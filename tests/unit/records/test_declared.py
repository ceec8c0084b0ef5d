"""Declared elsewhere: records that other classes and modules declare, their defaults, the names of their values."""

import dataclasses
import importlib.util
from collections import namedtuple
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

import shmstore
from shmstore import NOW, Key, Record, Timestamp
from shmstore.errors import FieldTypeError, InvalidSchema
from shmstore.records.schema import Schema

counted: list[int] = []


def next_number() -> int:
    counted.append(len(counted))
    return counted[-1]


@dataclasses.dataclass
class WithDefaults:
    key: Key
    at: Timestamp = 0
    seen: Timestamp = NOW
    value: float = 1.5
    number: int = dataclasses.field(default_factory=next_number)


class TupleWithDefaults(NamedTuple):
    key: Key
    at: Timestamp = 0
    seen: Timestamp = NOW
    value: float = 1.5
    number: int = 7


class A(Record):
    x: float
    y: float


class B(Record):
    y: float
    x: float


Point = namedtuple("Point", "y x")
Other = namedtuple("Other", "width height")


@pytest.mark.parametrize("declared", [WithDefaults, TupleWithDefaults])
def test_what_is_left_out_is_what_the_declaration_says(name: str, declared: Any) -> None:
    counted.clear()
    with shmstore.create(name, declared, capacity=100, partitions=1) as store:
        appender, short = store.appender("key", "value", "at"), store.appender("key")
        ways = [
            lambda: store.append(key="a"),
            lambda: store.append(key="a", partition=0),
            lambda: store.append({"key": "a"}),
            lambda: store.append_many([{"key": "a"}]),
            lambda: store.append_many({"key": ["a"]}),
            lambda: appender("a"),
            lambda: short("a"),
        ]
        for number, way in enumerate(ways):
            way()
            record = list(store.snapshot())[-1]
            assert (record.key, record.at, record.value) == ("a", 0, 1.5)
            assert record.number == (7 if declared is TupleWithDefaults else number)
            assert record.seen > 1.7e18
        appender("a", 2.5)
        appender("a", 2.5, 9)
        store.append(key="a", number=3, at=5)
        store.append_many({"key": ["a", "b", "c"], "seen": [1, 2, 3]})
        found = [(record.value, record.at) for record in store.snapshot()][len(ways) :]
        assert found == [(2.5, 0), (2.5, 9), (1.5, 5), *[(1.5, 0)] * 3]
        numbers = store.snapshot().values("number")[-3:]
        assert numbers == ([7] * 3 if declared is TupleWithDefaults else counted[-3:] == numbers and numbers)


def test_a_default_that_does_not_fit_is_refused_when_it_is_used(name: str) -> None:
    @dataclasses.dataclass
    class Wrong:
        key: Key
        value: float = "much"  # type: ignore[assignment]

    with shmstore.create(name, Wrong, capacity=10, partitions=1) as store:
        for append in (
            lambda: store.append(key="new"),
            lambda: store.append({"key": "new"}),
            lambda: store.append_many({"key": ["new"]}),
            lambda: store.appender("key")("new"),
        ):
            with pytest.raises(FieldTypeError, match=r"'value'.*expected a float, found 'much'"):
                append()
        assert store.keys() == []
        store.append(key="new", value=1.0)


@pytest.mark.parametrize("record", [B(x=1.0, y=2.0), Point(x=1.0, y=2.0), A(1.0, 2.0), (1.0, 2.0)])
def test_values_with_names_are_stored_by_name(name: str, record: Any) -> None:
    with shmstore.create(name, A, capacity=10, partitions=1) as store:
        store.append(record)
        store.append_many([record, (1.0, 2.0), record])
        assert [tuple(each) for each in store.snapshot()] == [(1.0, 2.0)] * 4


def test_values_with_other_names_are_refused(name: str) -> None:
    with shmstore.create(name, A, capacity=10, partitions=1) as store:
        for append in (
            lambda: store.append(Other(5.0, 6.0)),
            lambda: store.append_many([A(1.0, 2.0), Other(5.0, 6.0)]),
        ):
            with pytest.raises(FieldTypeError, match="A has no field 'width'; its fields are x, y"):
                append()
        assert len(store) == 0


PLUGIN = """
from dataclasses import dataclass
from typing import NamedTuple
from shmstore import Key, Record, Text

Name = Text[40]

@dataclass
class Data:
    key: Key
    name: Text[40]

class Named(NamedTuple):
    key: Key
    name: Text[40]

class Written(Record):
    key: Key
    name: "Name"

class Hinted(NamedTuple):
    key: "Key"
    name: "Name"
    def shout(self): return self.name.upper()

Lost = NamedTuple("Lost", [("key", "Unheard")])
"""


@pytest.fixture
def plugin(tmp_path: Path) -> ModuleType:
    """A module that `sys.modules` does not know, as programs load plugins."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    spec = importlib.util.spec_from_file_location("a_plugin", tmp_path / "plugin.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["Data", "Named", "Written"])
def test_a_module_need_not_be_registered(name: str, plugin: ModuleType, kind: str) -> None:
    with shmstore.create(name, getattr(plugin, kind), capacity=10) as store:
        store.append(key="k", name="n")
        assert [(record.key, record.name) for record in store.snapshot()] == [("k", "n")]


def test_texts_of_such_a_module_are_looked_up_where_its_functions_live(plugin: ModuleType) -> None:
    assert Schema.of(plugin.Hinted).names == ("key", "name")
    with pytest.raises(InvalidSchema, match="'Unheard' cannot be resolved"):
        Schema.of(plugin.Lost)
