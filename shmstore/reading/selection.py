"""Which part of a store a call is about: its partitions, and a half-open window [since, until) of its timestamps."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Generic, TypedDict, TypeVar

from shmstore import _core
from shmstore.arguments import moments
from shmstore.arguments.checks import called, number_but_no_bool, refused
from shmstore.arguments.moments import Unclear
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption
from shmstore.expressions.expression import Expression
from shmstore.records.schema import Schema

R = TypeVar("R")

Moment = timedelta | datetime | int | str
"""A point in time: a timedelta is that long ago, a datetime must be aware, an int counts ns since the Unix epoch.

A text is how long ago, as "90s", "10m" or "1h30m", or a date or time in ISO 8601, as "2025-03-05T10:20:00Z"; one
without a zone is in the local zone of this process. A length of time is counted back from the clock of this machine
(`time.time_ns`) when the question is put, whatever the timestamps of the records are."""

_EXPECTED = (
    "a timedelta (that long ago), a text such as '10m' (that long ago) or '2025-03-05T10:20:00Z', an aware datetime, "
    "or an int (ns since the Unix epoch)"
)

_EARLIEST_NS, _LATEST_NS = _core.KIND_RANGES[_core.TIMESTAMP]
_CLOCK_NS = 10**18  # a clock says so from 2001 on
_YEAR_NS = 366 * 86_400 * 10**9
_CLOCK_UNITS = {"seconds": 9, "milliseconds": 6, "microseconds": 3}  # the power of ten of ns


class Selection(TypedDict, Generic[R], total=False):
    """What every snapshot, query and aggregate accepts; an argument that is left out means all.

    `since` and `until` bound the records' timestamps: since <= timestamp < until; each is a Moment. `where` is an
    expression, as field("value") > 100, or a Python callable that says of each record whether it counts (the slowest
    way to choose: a Python call for each record). `partition` is one partition's number."""

    since: Moment | None
    until: Moment | None
    where: Expression | Callable[[R], object] | None
    partition: int | None


def nanoseconds(moment: Moment, name: str, now_ns: int, oldest_ns: Callable[[], int | None] | None = None) -> int:
    """A moment in ns since the Unix epoch, clamped to 64 bits. `name` is the argument's, for the error.

    `oldest_ns` tells the time of the store's oldest record, which is asked when an int may be meant in another unit.
    Raises InvalidOption for such an int, a datetime without zone, a negative timedelta, a text that is not a time, and
    anything else that is not a moment.
    """
    try:
        if isinstance(moment, str):
            ns: int | float | None = moments.written_ns(moment, now_ns)
        elif (length := moments.length_ns(moment)) is not None:
            if length < 0:
                raise Unclear("says how long ago: give 0 or more, or a datetime")
            ns = now_ns - length
        elif (ns := moments.moment_ns(moment)) is None:
            ns = number_but_no_bool(moment)
            if isinstance(ns, int) and oldest_ns is not None:
                _require_nanoseconds(ns, now_ns, oldest_ns)
    except Unclear as error:
        raise InvalidOption(f"{name} is {shown(moment)}, which {error}") from error
    if not isinstance(ns, int):
        seconds = "; time.time() counts seconds, time.time_ns() nanoseconds" if isinstance(ns, float) else ""
        raise refused(name, moment, f"{_EXPECTED}, not {_type(moment)}{seconds}")
    return max(_EARLIEST_NS, min(_LATEST_NS, ns))


def _require_nanoseconds(ns: int, now_ns: int, oldest_ns: Callable[[], int | None]) -> None:
    """Raise Unclear for an int that counts other units than nanoseconds, by all appearances.

    In nanoseconds it would be so near to 1970 that, with every record of this century, it would choose all or nothing;
    in seconds, milliseconds or microseconds it would be a time up to now, or a usual length. 0 and its neighbours pass:
    they are common ways to say "from the beginning".
    """
    if not 1 < abs(ns) <= (now_ns + _YEAR_NS) // 1000:
        return
    oldest = oldest_ns()
    if oldest is None or oldest < _CLOCK_NS:
        return
    meant = "for a time give a datetime, for so long ago a timedelta or a text such as '10m'"
    for unit, power in _CLOCK_UNITS.items():
        if _CLOCK_NS <= (time_ns := ns * 10**power) <= now_ns + _YEAR_NS:
            meant = f"in {unit} it would be {as_datetime(time_ns).isoformat()}: give a datetime, or {ns} * 10**{power}"
    raise Unclear(
        f"counts nanoseconds since the Unix epoch, so it is {as_datetime(ns).isoformat()}, and the oldest record is of "
        f"{as_datetime(oldest).isoformat()}; {meant}; None means no bound"
    )


def is_time(value: Any) -> bool:
    """Whether it is a moment or a length of time, not a number; also one that is not exact."""
    try:
        if isinstance(value, str):
            return moments.is_written(value)
        return moments.length_ns(value) is not None or moments.moment_ns(value) is not None
    except Unclear:
        return True


def as_datetime(time_ns: int) -> datetime:
    """Nanoseconds since the Unix epoch as a datetime in UTC, cut to its microseconds."""
    return moments.UNIX_EPOCH + timedelta(microseconds=time_ns // 1000)


def window(
    schema: Schema, since: Moment | None, until: Moment | None, oldest_ns: Callable[[], int | None] | None = None
) -> tuple[int | None, int | None]:
    """The bounds of a window in ns since the Unix epoch; None stays None, "no bound".

    `oldest_ns` is that of `nanoseconds`. Raises InvalidOption when a bound is not a moment, when since lies after
    until, or when the records have no Timestamp.
    """
    if since is None and until is None:
        return None, None
    require_time(schema, "a window")
    now_ns = time.time_ns()
    since_ns = None if since is None else nanoseconds(since, "since", now_ns, oldest_ns)
    until_ns = None if until is None else nanoseconds(until, "until", now_ns, oldest_ns)
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise InvalidOption(
            f"since ({shown(since)}) lies after until ({shown(until)}); a window is [since, until), so swap them"
        )
    return since_ns, until_ns


def condition(
    where: Expression | Callable[[R], object] | None,
) -> tuple[Expression | None, Callable[[R], object] | None]:
    """`where` as an expression for the core, or as a callable for Python: (expression, None) or (None, callable).

    Raises InvalidOption for anything else.
    """
    if where is None or isinstance(where, Expression):
        return where, None
    expected = "an expression, as field('value') > 100, or a callable that says of a record whether it counts"
    if callable(where):
        return None, called("where", where, expected)
    raise InvalidOption(f"where is {shown(where)} ({_type(where)}); expected {expected}")


def require_time(schema: Schema, purpose: str) -> int:
    """The index of the Timestamp field. Raises InvalidOption, which says what needs one, when there is none."""
    if schema.time_field is None:
        raise InvalidOption(
            f"{purpose} needs a Timestamp field, and these records have none ({', '.join(schema.names)}); declare one, "
            "as in `timestamp: Timestamp`"
        )
    return schema.time_field


def one_partition(partition: int | None, count: int) -> list[int] | None:
    """The partitions that `partition=` chooses out of `count`: None for all.

    Raises InvalidOption when there is no such partition.
    """
    if partition is None:
        return None
    number = number_but_no_bool(partition)
    if not isinstance(number, int) or not 0 <= number < count:
        raise InvalidOption(f"partition is {shown(partition)}; this store has partitions 0 to {count - 1}")
    return [number]


def _type(value: object) -> str:
    return type(value).__name__
