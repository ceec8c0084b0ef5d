"""What a store is made as: the options of its creation, and the fields that its users agree on."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Required, TypedDict, TypeVar

from shmstore import _core
from shmstore.arguments import plain_number, refused
from shmstore.errors import InvalidOption, SchemaMismatch
from shmstore.schema import Schema
from shmstore.statistics import Statistics

R = TypeVar("R")

Layout = Literal["rows", "columns"]
Rule = Literal["key", "process", "turn", "explicit"]

DEFAULT_LAYOUT: Layout = "rows"

_LAYOUTS: dict[str, int] = {"rows": _core.LAYOUT_ROWS, "columns": _core.LAYOUT_COLUMNS}
_RULES: dict[str, int] = {
    "key": _core.BY_KEY,
    "process": _core.BY_PROCESS,
    "turn": _core.BY_TURN,
    "explicit": _core.EXPLICIT,
}


class Callbacks(TypedDict, Generic[R], total=False):
    """What a handle calls, in the process and thread where it happens; see `shmstore.create`."""

    on_discarded: Callable[[R], None] | None
    on_capacity_reached: Callable[[], None] | None
    on_statistics: Callable[[Statistics], None] | None


class Attachment(Callbacks[R], total=False):
    """The keyword arguments of `shmstore.attach`."""

    read_only: bool
    populate: bool


class Creation(Callbacks[R], total=False):
    """The keyword arguments of `shmstore.create`."""

    capacity: Required[int]
    partitions: int | None
    layout: Layout
    partition_by: Rule | None
    keys: int
    processes: int
    mode: int
    group: int | str | None


def segment_options(
    schema: Schema,
    *,
    capacity: int,
    partitions: int | None,
    layout: Layout,
    partition_by: Rule | None,
    keys: int,
    processes: int,
) -> _core.Options:
    """The options of `shmstore.create` as a segment keeps them.

    Raises InvalidOption for a word that is none of the choices.
    """
    return _core.Options(
        capacity=capacity,
        partitions=_default_partitions(capacity) if partitions is None else partitions,
        layout=_chosen("layout", layout, _LAYOUTS),
        rule=_rule(schema, partition_by),
        keys=keys,
        processes=processes,
    )


def agreed_schema(name: str, header: _core.Header, record: Any) -> Schema:
    """The schema by which a handle reads a store: that of `record`, or the store's own without one.

    Raises SchemaMismatch.
    """
    found = Schema.of(header.fields)
    if record is None:
        return found
    asked = Schema.of(record)
    if asked != found:
        raise SchemaMismatch(
            f"store {name!r} has other fields than {asked.record_type.__name__}; found:\n{found.describe()}\n"
            f"expected:\n{asked.describe()}\nattach without a record to take the store's fields, or use another name"
        )
    return asked


def _default_partitions(capacity: int) -> int:
    wanted = plain_number(capacity)  # what is none is refused with the other options
    return max(1, min(os.cpu_count() or 1, wanted if isinstance(wanted, int) else 1, _core.MAX_PARTITIONS))


def _rule(schema: Schema, asked: Rule | None) -> int:
    if asked is None:
        return _core.BY_TURN if schema.key_field is None else _core.BY_KEY
    if isinstance(asked, str) and asked == "key" and schema.key_field is None:
        raise InvalidOption(
            f"partition_by is 'key', but no field is a Key ({', '.join(schema.names)}); declare one, or use 'process', "
            "'turn' or 'explicit'"
        )
    return _chosen("partition_by", asked, _RULES)


def _chosen(option: str, value: str, choices: Mapping[str, int]) -> int:
    if not isinstance(value, str) or value not in choices:
        raise refused(option, value, f"one of {', '.join(map(repr, choices))}")
    return choices[value]
