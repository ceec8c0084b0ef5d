"""Events as columns of a table: what every event has, and named parts of data that are dicts."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, get_args

from shmstore import _core
from shmstore.arguments import moments
from shmstore.arguments.checks import items_of, refused
from shmstore.arguments.shown import bracketed, near, shown
from shmstore.errors import FieldTypeError, InvalidOption
from shmstore.tables.column import Column
from shmstore.tables.table import Table
from shmstore.tables.text import ColumnKind

FieldKind = Literal["integer", "real", "text", "bool", "timestamp", "json"]
"""What a column of data holds: as of a Table, or "json": text, the JSON of whatever is there."""

EventColumn = Literal["version", "position", "timestamp", "type", "event_id"]
"""What every event has."""

_KINDS: Final[tuple[str, ...]] = get_args(FieldKind)
_KIND_OF: Final[dict[str, ColumnKind]] = {
    "version": "integer",
    "position": "integer",
    "timestamp": "timestamp",
    "type": "text",
    "event_id": "text",
}
DEFAULT: Final[tuple[EventColumn, ...]] = ("version", "timestamp", "type", "event_id")

Fields = Iterable[str] | Mapping[str, FieldKind | None] | None


def table_of(
    events: Iterable[_core.Event], fields: dict[str, FieldKind | None] | None, columns: Sequence[str]
) -> Table:
    """A table of events; `fields` and `columns` as they were checked. Raises FieldTypeError."""
    made: dict[str, list[Any]] = {name: [] for name in columns}
    cells: dict[str, list[Any]] = {name: [] for name in fields or ()}
    for row, event in enumerate(events):
        for name, values in made.items():
            values.append(getattr(event, name))
        data = event.data if isinstance(event.data, dict) else {}
        if fields is None:
            cells.update({name: [None] * row for name in data if name not in cells})
        for name, values in cells.items():
            values.append(data.get(name))
    taken = [Column(name, _KIND_OF[name], values) for name, values in made.items()]
    for name, values in cells.items():
        taken.append(_column(name, (fields or {}).get(name) or _inferred(values), values))
    return Table(taken)


def asked_fields(fields: Fields) -> dict[str, FieldKind | None] | None:
    """Fields by name, with their kinds where those are given. Raises InvalidOption."""
    if fields is None:
        return None
    expected = "names of fields, as ['value'], or kinds by name, as {'value': 'real'}"
    names = items_of(fields)
    if names is None or not all(isinstance(name, str) for name in names):
        raise refused("fields", fields, expected)
    kinds = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(names)
    for name, kind in kinds.items():
        if kind is not None and kind not in _KINDS:
            raise refused(f"the kind of field {name!r}", kind, f"one of {', '.join(_KINDS)}, or None to infer it")
    return kinds


def asked_columns(columns: Iterable[str]) -> list[str]:
    """Names of what every event has, each once. Raises InvalidOption."""
    known = ", ".join(_KIND_OF)
    names = items_of(columns)
    if names is None:
        raise refused("columns", columns, f"some of {known}")
    for name in names:
        if name not in tuple(_KIND_OF):
            raise InvalidOption(
                f"columns has {shown(name)}{bracketed(near(name, _KIND_OF))}; expected some of {known}; what is in the "
                "data is named by fields="
            )
    return list(dict.fromkeys(names))


def _column(name: str, kind: FieldKind, values: list[Any]) -> Column:
    if kind == "json":
        from json import dumps  # only whoever has such a column pays for it

        encode = partial(dumps, ensure_ascii=False, separators=(",", ":"))
        return Column(name, "text", [None if value is None else encode(value) for value in values])
    if kind == "timestamp":
        return Column(name, kind, [_time(name, row, value) for row, value in enumerate(values)])
    return Column(name, kind, values)


def _inferred(values: Sequence[Any]) -> FieldKind:
    """The kind that all values are of; "json" where there is none."""
    types = {type(value) for value in values if value is not None}
    if types <= {str}:
        return "text"
    if types == {bool}:
        return "bool"
    if types == {int}:
        return "integer"
    return "real" if types <= {int, float} and all(map(_is_real, values)) else "json"


def _is_real(value: float | None) -> bool:
    """Whether a float can hold it: an int may have more digits."""
    try:
        float(value or 0)
    except OverflowError:
        return False
    return True


def _time(name: str, row: int, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    time_ns = moments.iso_ns(value)
    if time_ns is None:
        raise FieldTypeError(
            name,
            f"field {name!r} of kind timestamp is {shown(value)} in row {row}; expected ISO 8601, as "
            "'2025-03-05T10:20:00Z', or ns since the Unix epoch",
        )
    return time_ns
