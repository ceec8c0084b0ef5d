"""What a store is made as: the options of its creation, and the fields that its users agree on."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Required, TypedDict, TypeVar

from shmstore import _core
from shmstore.arguments.checks import refused
from shmstore.errors import InvalidOption, SchemaMismatch
from shmstore.events.statistics import Statistics
from shmstore.records.schema import Schema
from shmstore.segments.sizes import default_partitions

R = TypeVar("R")

Layout = Literal["rows", "columns"]
Rule = Literal["key", "process", "turn", "explicit"]

# Up to so many fields and bytes, records lie in columns unless `layout` says otherwise. What benchmarks/bench_layout.py
# found: by columns, as a multiple of what it is by rows; times, but for the last, which is a rate (AMD EPYC, two CPUs).
#
#   record                            append           snapshot  window  groups  two writers
#   3 fields, 20 bytes                1.04 (+9 ns)     0.78      0.62    0.58    1.02
#   5 fields, 36 bytes                1.08 (+19 ns)
#   8 fields, 60 bytes                1.09 (+22 ns)    0.71      0.37    0.33    0.92
#   16 fields, 124 bytes              1.22 (+79 ns)    0.59      0.29    0.22    0.79
#   32 fields, 252 bytes              1.24 (+117 ns)   0.36      0.34    0.24    0.81
#   4 fields, one a text of 30 bytes  1.07 (+16 ns)
#   4 fields, one a text of 62 bytes  1.26 (+70 ns)    0.66      0.33    0.28    0.91
#
# An append touches a cache line for each field, or one for each 64 bytes of a row. Up to here it costs at most a tenth
# more by columns; whoever has wider records says whether appends or questions count.
_WORD_BYTES = 8
_MOST_FIELDS_IN_COLUMNS, _MOST_BYTES_IN_COLUMNS = 8, 64

# What the words of the options are to the core.
LAYOUTS: dict[str, int] = {"rows": _core.LAYOUT_ROWS, "columns": _core.LAYOUT_COLUMNS}
RULES: dict[str, int] = {
    "key": _core.BY_KEY,
    "process": _core.BY_PROCESS,
    "turn": _core.BY_TURN,
    "explicit": _core.EXPLICIT,
}

_COMPARED = ("capacity", "partitions", "layout", "partition_by", "keys", "processes")
_SIZES = {"keys": 1, "processes": 1}


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
    layout: Layout | None
    partition_by: Rule | None
    keys: int
    processes: int
    mode: int
    group: int | str | None


class Opening(Creation[R], total=False):
    """The keyword arguments of `shmstore.open`."""

    strict: bool


def segment_options(
    schema: Schema,
    *,
    capacity: int,
    partitions: int | None,
    layout: Layout | None,
    partition_by: Rule | None,
    keys: int,
    processes: int,
) -> _core.Options:
    """The options of `shmstore.create` as a segment keeps them.

    Raises InvalidOption for a word that is not one of the choices.
    """
    return _core.Options(
        capacity=capacity,
        partitions=default_partitions(capacity) if partitions is None else partitions,
        layout=_chosen("layout", suitable_layout(schema) if layout is None else layout, LAYOUTS),
        rule=_rule(schema, partition_by),
        keys=keys,
        processes=processes,
    )


def suitable_layout(schema: Schema) -> Layout:
    """How records of these fields lie by default: narrow ones in columns, wide ones in rows."""
    sizes = [spec.size if spec.kind in (_core.TEXT, _core.BYTES) else _WORD_BYTES for spec in schema.fields]
    is_narrow = len(sizes) <= _MOST_FIELDS_IN_COLUMNS and sum(sizes) <= _MOST_BYTES_IN_COLUMNS
    return "columns" if is_narrow else "rows"


def agreed_schema(name: str, header: _core.Header, record: Any) -> Schema:
    """The schema by which a handle reads a store: that of `record`, or the store's own without one.

    Raises SchemaMismatch.
    """
    found = Schema.of(header.fields)
    if record is None:
        return found
    asked = Schema.of(record)
    if asked != found:
        from difflib import ndiff  # only whoever is refused pays for it

        lines = ndiff(found.describe(beside=asked).splitlines(), asked.describe(beside=found).splitlines())
        marked = "\n".join(line for line in lines if line[0] != "?")
        raise SchemaMismatch(
            f"store {name!r} has other fields than {asked.record_type.__name__}; found (-) and expected (+):\n"
            f"{marked}\nattach without a record to take the store's fields, put a version into the name ({name}-2), or "
            f"remove the store if nobody needs it (shmstore-inspect rm {name})"
        )
    return asked


def differences(plan: _core.Plan, found: _core.Options, schema: Schema, asked: Mapping[str, Any]) -> list[str]:
    """How the options of a store differ from what is asked for: "capacity is 1000, not 2000", and so on.

    Only options that are given count, and a capacity is compared as it is rounded up. Raises InvalidOption.
    """
    said = {name: value for name, value in asked.items() if name in _COMPARED and value is not None}
    everything: dict[str, Any] = dict.fromkeys(_COMPARED) | _SIZES | {"capacity": plan.capacity} | said
    wanted = segment_options(schema, **everything)
    _core.plan(schema.fields, wanted)  # refuses what creation would refuse
    partitions = found["partitions"] if said.get("partitions") is None else wanted["partitions"]
    rounded = -(-int(wanted["capacity"]) // partitions) * partitions
    pairs: dict[str, tuple[Any, Any]] = {
        "capacity": (plan.capacity, rounded),
        "partitions": (found["partitions"], wanted["partitions"]),
        "layout": (word_of(LAYOUTS, found["layout"]), word_of(LAYOUTS, wanted["layout"])),
        "partition_by": (word_of(RULES, found["rule"]), word_of(RULES, wanted["rule"])),
        "keys": (found["keys"], wanted["keys"]),
        "processes": (found["processes"], wanted["processes"]),
    }
    return [
        f"{name} is {has!r}, not {said[name]!r}" for name, (has, asks) in pairs.items() if name in said and has != asks
    ]


def word_of(choices: Mapping[str, int], number: int) -> str:
    """The word for a number of LAYOUTS or RULES."""
    return next(word for word, known in choices.items() if known == number)


def _rule(schema: Schema, asked: Rule | None) -> int:
    if asked is None:
        return _core.BY_TURN if schema.key_field is None else _core.BY_KEY
    if isinstance(asked, str) and asked == "key" and schema.key_field is None:
        raise InvalidOption(
            f"partition_by is 'key', but no field is a Key ({', '.join(schema.names)}); declare one, or use 'process', "
            "'turn' or 'explicit'"
        )
    return _chosen("partition_by", asked, RULES)


def _chosen(option: str, value: str, choices: Mapping[str, int]) -> int:
    if not isinstance(value, str) or value not in choices:
        raise refused(option, value, f"one of {', '.join(map(repr, choices))}")
    return choices[value]
