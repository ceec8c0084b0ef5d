"""Windows: the same question about every stretch of time, side by side or overlapping."""

import math
from collections.abc import Sequence
from datetime import timedelta, tzinfo
from typing import NamedTuple

from shmstore import _core
from shmstore.arguments.calendars import CALENDAR_UNITS, CalendarUnit, checked_zone, edges, is_calendar_unit
from shmstore.arguments.checks import length_ns, refused, whole_number
from shmstore.arguments.moments import text_ns
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption
from shmstore.questions.groups import ordered_table, summary_columns
from shmstore.questions.source import FieldValue, Scope, Value, group_index
from shmstore.reading.selection import require_time
from shmstore.tables.column import Column
from shmstore.tables.table import Table

_LENGTH = "a timedelta, a text such as '1m' or '250ms', or an int of ns"
_CLOCK_NS, _LEAST_INT_NS = 10**18, 10**6  # times from 2001 on are those of a clock, whose windows are hardly as short
_FIGURES = _core.TALLY_SUM | _core.TALLY_BOUNDS
_MOST_OVERLAPPING = 10_000  # windows that a record is in
_ATTEMPTS = 5
_EARLIEST_NS, _LATEST_NS = _core.KIND_RANGES[_core.TIMESTAMP]  # a window that begins before is cut


class Windows(NamedTuple):
    """Windows that have a record: their labels (None without groups), the ns at which each begins, its count, and the
    tallies of each value.
    """

    labels: list[FieldValue] | None
    starts: list[int]
    counts: list[int]
    tallies: list[_core.TallyColumns]


def windows(
    scope: Scope,
    value: Value | None,
    every: timedelta | int | str,
    period: timedelta | int | str | None,
    zone: tzinfo | str | None,
    by: str | None,
) -> Table:
    """Answer `Questions.windows`."""
    require_time(scope.schema, "windows")
    group = None if by is None else group_index(scope.schema, by)
    values = () if value is None else (value,)
    if is_calendar_unit(every):
        found = _of_a_calendar(scope, values, every, period, zone, group)
    else:
        found = _of_a_length(scope, values, every, period, zone, group)
    answers = [Column("count", "integer", found.counts)]
    if value is not None:
        answers = summary_columns(scope, value, found.counts, found.tallies[0])
    time = Column("start", "timestamp", found.starts)
    if by is None or found.labels is None:
        return ordered_table([time], answers)
    return ordered_table([Column(by, scope.field_kind(by), found.labels), time], answers)


def _of_a_length(
    scope: Scope,
    values: Sequence[Value],
    every: timedelta | int | str,
    period: timedelta | int | str | None,
    zone: tzinfo | str | None,
    group: int | None,
) -> Windows:
    """Windows of one length, at multiples of another since the Unix epoch."""
    every_ns = _checked("every", every)
    period_ns = every_ns if period is None else _checked("period", period)
    if zone is not None:
        raise InvalidOption(
            f"zone is for units of the calendar, and every is {shown(every)}, which is as long everywhere; give every "
            f"as one of {', '.join(CALENDAR_UNITS)}, or leave zone out"
        )
    if period_ns > _MOST_OVERLAPPING * every_ns:
        raise InvalidOption(
            f"period is {shown(period)} and every is {shown(every)}, so that each record is in more than "
            f"{_MOST_OVERLAPPING:,} windows; give a longer every"
        )
    if period_ns == every_ns:
        labels, panes, counts, tallies = scope.window_tallies(values, _FIGURES, pane_ns=every_ns, by=group)
    else:
        pane_ns = math.gcd(every_ns, period_ns)
        labels, panes, counts, tallies = scope.window_tallies(
            values, _FIGURES, pane_ns=pane_ns, every_ns=every_ns, period_ns=period_ns, by=group
        )
    starts = [max(_EARLIEST_NS, pane * every_ns) for pane in panes]
    if length_ns("every", every) is None and every_ns < _LEAST_INT_NS and max(starts, default=0) >= _CLOCK_NS:
        _require_text(every)
    return Windows(labels, starts, counts, tallies)


def _of_a_calendar(
    scope: Scope,
    values: Sequence[Value],
    every: CalendarUnit,
    period: timedelta | int | str | None,
    zone: tzinfo | str | None,
    group: int | None,
) -> Windows:
    """Windows of days, weeks, months and so on of a time zone."""
    if period is not None:
        raise InvalidOption(
            f"period is {shown(period)}, and windows of a calendar are as long as every, {every!r}; leave period out, "
            "or give every as a length of time"
        )
    checked, scope = checked_zone(zone), scope.until_now()
    first_ns, last_ns = _LATEST_NS, _EARLIEST_NS
    for attempt in range(_ATTEMPTS):
        if bounds := scope.time_bounds():
            first_ns, last_ns = min(first_ns, bounds[0]), max(last_ns, bounds[1])
        if first_ns > last_ns:
            return Windows([], [], [], [_core.TallyColumns([], [], [], [])])
        margin_ns = (last_ns - first_ns) * attempt if attempt < _ATTEMPTS - 1 else 1 << 64
        starts = edges(every, checked, max(_EARLIEST_NS, first_ns - margin_ns), min(_LATEST_NS, last_ns + margin_ns))
        labels, panes, counts, tallies = scope.window_tallies(values, _FIGURES, edges=starts, by=group)
        last = len(starts) - (1 if starts[-1] == _LATEST_NS else 2)
        if all(0 <= pane <= last for pane in panes):
            break  # else records came to lie outside, for the ring moved on between the two looks
    return Windows(labels, [starts[min(pane, len(starts) - 2)] for pane in panes], counts, tallies)


def _require_text(every: timedelta | int | str) -> None:
    """A plain int that is likely meant in seconds. Raises InvalidOption."""
    if not isinstance(every, str):
        raise InvalidOption(
            f"every is {shown(every)}, and an int counts nanoseconds; give '{shown(every)}s' or "
            f"timedelta(seconds={shown(every)}) for seconds, '{shown(every)}ns' when nanoseconds are meant"
        )


def _checked(name: str, length: timedelta | int | str) -> int:
    """A length of time in ns. Raises InvalidOption."""
    ns = text_ns(length) if isinstance(length, str) else length_ns(name, length)
    if ns is None:
        units = f", or a unit of the calendar ({', '.join(CALENDAR_UNITS)})" if name == "every" else ""
        ns = whole_number(name, length, _LENGTH + units)
    if not 0 < ns < 1 << 62:
        raise refused(name, length, "a length of time of more than 0 and at most 146 years")
    return ns
