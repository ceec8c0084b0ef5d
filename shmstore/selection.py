"""Which part of a store a call is about: its partitions, and a half-open window [since, until) of its timestamps."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypedDict, TypeVar

from shmstore.errors import InvalidOption
from shmstore.expression import Expression
from shmstore.schema import Schema

R = TypeVar("R")

Moment = timedelta | datetime | int
"""A point in time: a timedelta is that long ago, a datetime must be aware, an int counts ns since the Unix epoch."""

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
    if isinstance(moment, timedelta):
        if moment < timedelta(0):
            raise InvalidOption(f"{name} is {moment!r}; a timedelta says how long ago: give 0 or more, or a datetime")
        ns = now_ns - length_ns(moment)
    elif isinstance(moment, datetime):
        if moment.utcoffset() is None:
            raise InvalidOption(
                f"{name} is {moment!r}, which has no time zone; add one, as in datetime.now(timezone.utc)"
            )
        ns = length_ns(moment - _UNIX_EPOCH)
    elif isinstance(moment, int) and not isinstance(moment, bool):
        ns = moment
    else:
        raise InvalidOption(
            f"{name} is {moment!r} ({type(moment).__name__}); expected a timedelta (that long ago), an aware datetime, "
            "or an int (ns since the Unix epoch)"
        )
    return max(_EARLIEST_NS, min(_LATEST_NS, ns))


def as_datetime(time_ns: int) -> datetime:
    """Nanoseconds since the Unix epoch as a datetime in UTC, cut to its microseconds."""
    return _UNIX_EPOCH + timedelta(microseconds=time_ns // 1000)


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
        raise InvalidOption(f"since ({since!r}) lies after until ({until!r}); a window is [since, until), so swap them")
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
        f"where is {where!r} ({type(where).__name__}); expected an expression, as field('value') > 100, or a callable "
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
    if not isinstance(partition, int) or isinstance(partition, bool) or not 0 <= partition < count:
        raise InvalidOption(f"partition is {partition!r}; this store has partitions 0 to {count - 1}")
    return [partition]


def length_ns(length: timedelta) -> int:
    """A length of time in ns."""
    # Not total_seconds(): a float loses the microseconds of today's dates.
    return (length.days * 86400 + length.seconds) * 10**9 + length.microseconds * 1000
