"""Which part of a store a call is about: its partitions, and a half-open window [since, until) of its timestamps."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Generic, TypedDict, TypeVar

from shmstore import moments
from shmstore.arguments import plain_number, refused
from shmstore.errors import InvalidOption
from shmstore.expression import Expression
from shmstore.moments import Unclear
from shmstore.schema import Schema
from shmstore.shown import shown

R = TypeVar("R")

Moment = timedelta | datetime | int
"""A point in time: a timedelta is that long ago, a datetime must be aware, an int counts ns since the Unix epoch."""

_EARLIEST_NS, _LATEST_NS = -(1 << 63), (1 << 63) - 1


class Selection(TypedDict, Generic[R], total=False):
    """What every snapshot, query and aggregate accepts; whatever is left out means all.

    `since` and `until` bound the records' timestamps: since <= timestamp < until. `where` is an expression, as
    field("value") > 100, or a Python callable that says of each record whether it counts (the slowest way to choose: a
    Python call a record). `partition` is one partition's number."""

    since: Moment | None
    until: Moment | None
    where: Expression | Callable[[R], object] | None
    partition: int | None


def nanoseconds(moment: Moment, name: str, now_ns: int) -> int:
    """A moment in ns since the Unix epoch, clamped to 64 bits. `name` is the argument's, for the error.

    Raises InvalidOption for a datetime without zone, a negative timedelta and anything that is not a moment.
    """
    try:
        if (length := moments.length_ns(moment)) is not None:
            if length < 0:
                raise Unclear("says how long ago: give 0 or more, or a datetime")
            ns: int | float | None = now_ns - length
        elif (ns := moments.moment_ns(moment)) is None and not isinstance(moment, bool):
            ns = plain_number(moment)
    except Unclear as error:
        raise InvalidOption(f"{name} is {shown(moment)}, which {error}") from error
    if not isinstance(ns, int):
        raise refused(
            name,
            moment,
            f"a timedelta (that long ago), an aware datetime, or an int (ns since the Unix epoch), not {_type(moment)}",
        )
    return max(_EARLIEST_NS, min(_LATEST_NS, ns))


def is_time(value: Any) -> bool:
    """Whether it is a moment or a length of time, and no number; one that cannot be told exactly is one as well."""
    try:
        return moments.length_ns(value) is not None or moments.moment_ns(value) is not None
    except Unclear:
        return True


def as_datetime(time_ns: int) -> datetime:
    """Nanoseconds since the Unix epoch as a datetime in UTC, cut to its microseconds."""
    return moments.UNIX_EPOCH + timedelta(microseconds=time_ns // 1000)


def window(schema: Schema, since: Moment | None, until: Moment | None) -> tuple[int | None, int | None]:
    """The bounds of a window in ns since the Unix epoch; None stays None, "no bound".

    Raises InvalidOption when a bound is no moment, when since lies after until, or when the records have no Timestamp.
    """
    if since is None and until is None:
        return None, None
    require_time(schema, "a window")
    now_ns = time.time_ns()
    since_ns = None if since is None else nanoseconds(since, "since", now_ns)
    until_ns = None if until is None else nanoseconds(until, "until", now_ns)
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise InvalidOption(
            f"since ({shown(since)}) lies after until ({shown(until)}); a window is [since, until), so swap them"
        )
    return since_ns, until_ns


def condition(
    where: Expression | Callable[[R], object] | None,
) -> tuple[Expression | None, Callable[[R], object] | None]:
    """`where` as what the core works out, and what Python says of each record: at most one of them.

    Raises InvalidOption for what is neither.
    """
    if where is None or isinstance(where, Expression):
        return where, None
    if callable(where):
        return None, where
    raise InvalidOption(
        f"where is {shown(where)} ({_type(where)}); expected an expression, as field('value') > 100, or a callable "
        "that says of a record whether it counts"
    )


def require_time(schema: Schema, purpose: str) -> int:
    """The index of the Timestamp field. Raises InvalidOption, saying what needs it, when there is none."""
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
    number = None if isinstance(partition, bool) else plain_number(partition)
    if not isinstance(number, int) or not 0 <= number < count:
        raise InvalidOption(f"partition is {shown(partition)}; this store has partitions 0 to {count - 1}")
    return [number]


def _type(value: object) -> str:
    return type(value).__name__
