"""Records, and the rows of other tables, printed as they come: one form for every verb that lists some."""

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo
from itertools import islice
from typing import Any, NamedTuple

from shmstore import _core
from shmstore.arguments import units
from shmstore.cli.render import Column, Mode, Output
from shmstore.records.schema import Schema
from shmstore.tables.table import Table

_BATCH_ROWS = 1000
_LEFT_KINDS = frozenset({_core.BOOL, _core.TEXT, _core.BYTES, _core.TIMESTAMP, _core.KEY})
_NUMBERS = ("integer", "real")


class Shown(NamedTuple):
    """What is shown of each row: the value at `place`, called `name`; numbers to the right."""

    place: int
    name: str
    is_time: bool
    right: bool
    text: Callable[[Any], str]


def shown_fields(schema: Schema, names: Sequence[str] = ()) -> list[Shown]:
    """The named fields of a store's records, all of them when none is named. Raises FieldError for an unknown one."""
    places = [schema.index(name) for name in names] or range(len(schema.fields))
    fields = ((place, schema.fields[place]) for place in places)
    return [
        Shown(place, field.name, field.kind == _core.TIMESTAMP, field.kind not in _LEFT_KINDS, _text)
        for place, field in fields
    ]


def shown_columns(table: Table, by: str | None) -> list[Shown]:
    """All columns of the answer to a question by group, by window or both.

    The first one of an answer by group names the groups: such numbers are ids and codes, written as records have them.
    """
    figures = 0 if by is None else 1
    return [
        Shown(
            place,
            name,
            kind == "timestamp",
            kind in _NUMBERS,
            units.number if kind in _NUMBERS and place >= figures else _text,
        )
        for place, (name, kind) in enumerate(zip(table.names, table.kinds, strict=True))
    ]


class Printer:
    """Prints rows as they come, aligned with those before them; times in UTC, or with the offset of a zone."""

    def __init__(self, shown: Sequence[Shown], out: Output, zone: tzinfo | None = None) -> None:
        self._out = out
        self._zone = zone
        self._shown = shown
        self._columns = [Column(each.name, each.name, each.text, right=each.right) for each in shown]
        self._widths: dict[str, int] = {}
        self._titled = False

    def print(self, rows: Iterable[Sequence[Any]]) -> int:
        """Print these rows, the titles before the first. Returns how many there were."""
        remaining = iter(rows)
        printed = 0
        while batch := [self._row(values) for values in islice(remaining, _BATCH_ROWS)]:
            if self._out.mode is Mode.JSON:
                for row in batch:
                    self._out.object(row)
            else:
                lines = self._out.table(self._columns, batch, titles=not self._titled, widths=self._widths)
                self._out.write(lines)
                self._titled = True
            printed += len(batch)
        return printed

    def _row(self, values: Sequence[Any]) -> dict[str, Any]:
        """A row by name. A time is its text here: 0 is a time too, and not `never`, as it is to `units.Time`."""
        return {
            name: units.iso(values[place], self._zone) if is_time and values[place] is not None else values[place]
            for place, name, is_time, *_ in self._shown
        }


def _text(value: Any) -> str:
    return value.hex(" ") if isinstance(value, bytes) else str(value)
