"""Windows: the same question about every stretch of time, side by side or overlapping."""

import math
from datetime import timedelta

from shmstore import numbers
from shmstore.arguments import length_ns, refused, whole_number
from shmstore.column import Column
from shmstore.errors import InvalidOption
from shmstore.groups import ordered_table, summary_columns
from shmstore.numbers import Tallies
from shmstore.scope import Scope, Value, group_index
from shmstore.selection import require_time
from shmstore.shown import shown
from shmstore.table import Table

_MOST_OVERLAPPING = 10_000  # windows that a record is in
_EARLIEST_NS = -(1 << 63)  # that a Timestamp can be; a window that begins before is cut


def windows(
    scope: Scope, value: Value | None, every: timedelta | int, period: timedelta | int | None, by: str | None
) -> Table:
    """Answer `Questions.windows`."""
    require_time(scope.schema, "windows")
    every_ns = _checked("every", every)
    period_ns = every_ns if period is None else _checked("period", period)
    if period_ns > _MOST_OVERLAPPING * every_ns:
        raise InvalidOption(
            f"period is {shown(period)} and every is {shown(every)}, so that each record is in more than "
            f"{_MOST_OVERLAPPING:,} windows; give a longer every"
        )
    grouping = {"pane_ns": math.gcd(every_ns, period_ns), "every_ns": every_ns, "period_ns": period_ns}
    if period_ns == every_ns:
        grouping = {"pane_ns": every_ns}
    if by is not None:
        grouping["by"] = group_index(scope.schema, by)
    values = () if value is None else (value,)
    labels, panes, counts, tallies = scope.tally(values, numbers.SUM | numbers.BOUNDS, **grouping)
    starts = Column("start", "timestamp", [max(_EARLIEST_NS, pane * every_ns) for pane in panes])
    answers = [Column("count", "integer", counts)]
    if value is not None:
        answers = summary_columns(scope, value, counts, Tallies(*tallies[0]))
    return ordered_table([starts] if by is None else [Column(by, scope.field_kind(by), labels), starts], answers)


def _checked(name: str, length: timedelta | int) -> int:
    """A length of time in ns. Raises InvalidOption."""
    ns = length_ns(name, length)
    if ns is None:
        ns = whole_number(name, length, "a timedelta, or an int of ns")
    if not 0 < ns < 1 << 62:
        raise refused(name, length, "a length of time of more than 0 and at most 146 years")
    return ns
