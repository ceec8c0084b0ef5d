"""The figures that a plot shows, asked of a store: one for each group, or one for each group and window of time."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from shmstore.arguments import units
from shmstore.arguments.calendars import CALENDAR_UNITS, CalendarUnit, checked_zone, edges, is_calendar_unit
from shmstore.arguments.moments import text_ns
from shmstore.cli import question
from shmstore.cli.charts.axis import round_length
from shmstore.errors import InvalidOption
from shmstore.events.store import EventStore
from shmstore.reading.selection import Selection, require_time

_MOST_POINTS = 10_000
_FEWEST_POINTS = 10


class Asked(NamedTuple):
    """The figure `what`, one of `question.FIGURES`, of the field `value`; of the `limit` greatest groups by the field
    `by`, or of all records when that is None.
    """

    value: str | None
    what: str
    by: str | None
    limit: int
    chosen: Selection[Any]


class Curves(NamedTuple):
    """Figures over time: for each group, which is None when there is but one, those of the windows at `starts`, each of
    which is `every` long.
    """

    groups: list[Any]
    every: str
    starts: Sequence[int]
    end_ns: int
    figures: dict[tuple[Any, int], Any]
    missing: int | None

    def points(self, group: Any) -> tuple[tuple[int, Any], ...]:
        """The figures of a group, each with the start of its window in ns since the Unix epoch."""
        return tuple((start, self.figures.get((group, start), self.missing)) for start in self.starts)


def by_group(store: EventStore[Any], asked: Asked) -> tuple[list[tuple[Any, Any]], int]:
    """Groups with their figures, the greatest figure first, and how many groups there are in all."""
    groups = store.group_by(str(asked.by), **asked.chosen)
    table = groups.count() if asked.value is None else groups.summary(asked.value)
    figure = question.column(table, asked.what, asked.value)
    shown = table.top(asked.limit, figure)
    return list(zip(shown.values(table.names[0]), shown.values(figure), strict=True)), len(table)


def over_time(
    store: EventStore[Any], asked: Asked, every: str | None, zone: tzinfo | None, most: int
) -> tuple[Curves, int]:
    """The figures of the groups with most records, and how many groups there are in all.

    A window is `every` long, or is such a unit of a zone's calendar; when that is None it is as long as it takes for at
    most `most` of them, when `most` is at least 10. Raises InvalidOption when there would be too many.
    """
    time_field = store.schema.fields[require_time(store.schema, "a plot over time")].name
    groups: list[Any] = [None]
    all_groups = 1
    if asked.by is not None:
        counted = store.group_by(asked.by, **asked.chosen).count()
        groups, all_groups = counted.top(asked.limit).values(counted.names[0]), len(counted)
    unit = every if is_calendar_unit(every) else None
    every_ns = 0 if unit else _fitting_ns(store, asked, time_field, most) if every is None else text_ns(every) or 0
    table = store.windows(asked.value, every=unit or f"{every_ns}ns", zone=zone, by=asked.by, **asked.chosen)
    figure = table.names.index(question.column(table, asked.what, asked.value))
    first = 0 if asked.by is None else 1  # the column of the windows' starts; the group is before it
    figures = {(row[0] if first else None, row[first]): row[figure] for row in table.iter_rows()}
    found = table.values(table.names[first])
    *starts, end_ns = [0] if not found else _days(found, unit, zone) if unit else _steps(found, every_ns)
    # A window without a record is not in the table; that it has none is a figure too when records are counted or added.
    missing = 0 if asked.what in ("count", "sum") else None
    return Curves(groups, unit or units.length(every_ns), starts, end_ns, figures, missing), all_groups


def _fitting_ns(store: EventStore[Any], asked: Asked, time_field: str, most: int) -> int:
    first_ns, last_ns = store.min(time_field, **asked.chosen), store.max(time_field, **asked.chosen)
    span_ns = 0 if first_ns is None or last_ns is None else int(last_ns - first_ns)
    # One point less: the first window begins before the first record.
    return round_length(span_ns // (max(most, _FEWEST_POINTS) - 1))


def _steps(found: Sequence[int], every_ns: int) -> Sequence[int]:
    """The starts of all windows from the first that there is to the last, in ns, and the end of the last."""
    first_ns, last_ns = min(found), max(found)
    points = (last_ns - first_ns) // every_ns + 1
    if points > _MOST_POINTS:
        raise _too_many(units.length(every_ns), points, units.length(round_length(every_ns * points // _MOST_POINTS)))
    return range(first_ns, last_ns + every_ns + 1, every_ns)


def _days(found: Sequence[int], unit: CalendarUnit, zone: tzinfo | None) -> Sequence[int]:
    """The same for units of a calendar."""
    first_ns, last_ns, zone = min(found), max(found), checked_zone(zone)
    starts = edges(unit, zone, first_ns, last_ns)
    if len(starts) - 1 > _MOST_POINTS:
        longer = CALENDAR_UNITS[CALENDAR_UNITS.index(unit) + 1 :]
        fitting = next(each for each in longer if len(edges(each, zone, first_ns, last_ns)) - 1 <= _MOST_POINTS)
        raise _too_many(unit, len(starts) - 1, fitting)
    return starts


def _too_many(every: str, points: int, fitting: str) -> InvalidOption:
    return InvalidOption(
        f"--every {every} makes {units.count(points)} points, {units.count(_MOST_POINTS)} at most; give {fitting} or "
        "more, or leave it out"
    )
