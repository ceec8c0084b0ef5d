"""Public names: public classes, and pickles of them, name the package as their module, wherever they are written."""

import sys
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from types import FunctionType, ModuleType
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])

PACKAGE = "shmstore"

# What pickles of version 0.1 name, by module, and where it is now.
_EARLIER = {
    "column": {"TypedColumn": "tables.column:TypedColumn"},
    "detached": {"Detached": "reading.detached:Detached"},
    "expression": {"Expression": ":Expression"},
    "fields": {"Marker": "records.fields:Marker"},
    "gap": {"Gap": ":Gap", "GapReason": ":GapReason"},
    "numbers": {"Summary": ":Summary"},
    "record": {"generated": "records.record:generated"},
    "schema": {"Schema": ":Schema", "_made_by_name": ":Schema._made_by_name"},
    "series": {"Point": ":Series._Point", "Series": ":Series"},
    "snapshot": {"_of_detached": ":Snapshot._unpickled"},
    "statistics": {"PartitionStatistics": ":PartitionStatistics", "Statistics": ":Statistics"},
    "store": {"_attach_again": ":EventStore._unpickled"},
    "table": {"Table": ":Table", "_row_of": ":Table._row_unpickled"},
}


def public(thing: T, inside: type | None = None) -> T:
    """A function, or a class and its methods, that says the package as its module.

    With `inside`, it is an attribute of that class, with a _ before its name: pickles find it, and users do not see it.
    """
    thing.__module__ = PACKAGE
    for member in vars(thing).values() if isinstance(thing, type) else ():
        method = getattr(member, "__func__", member)
        if isinstance(method, FunctionType):
            method.__module__ = PACKAGE
    if inside is not None:
        thing.__qualname__ = f"{inside.__qualname__}._{thing.__name__}"
        setattr(inside, f"_{thing.__name__}", thing)
    return thing


class _Earlier(ModuleType):
    """Stands for a module that is gone, for whoever unpickles what it wrote."""

    def __getattr__(self, name: str) -> Any:
        _, _, module = self.__name__.partition(".")
        if name not in _EARLIER[module]:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        room, _, path = _EARLIER[module][name].partition(":")
        return attrgetter(path)(import_module(f"{PACKAGE}.{room}".rstrip(".")))


# Not as attributes of the package: there, `series` is a function.
sys.modules.update({f"{PACKAGE}.{name}": _Earlier(f"{PACKAGE}.{name}") for name in _EARLIER})
