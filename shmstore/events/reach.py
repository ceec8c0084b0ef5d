"""How far back a store reaches: since when nothing was discarded, and how many of the newest records are kept."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from shmstore import _core

_LOOKS: Final = 8  # at a partition whose oldest record is overwritten meanwhile
_TICKETS: Final = 256  # of records that were never published, passed over in one look


def complete_since_ns(core: _core.Store, time_name: str, partitions: Iterable[int] | None = None) -> int | None:
    """From this time on (ns since the Unix epoch) these partitions have every record; None when nothing was discarded.

    It is the latest of the oldest timestamps of all partitions that have discarded anything; now, where one of them has
    nothing left. It cannot take account of records that are appended out of the order of their timestamps.
    """
    count = len(core.totals())
    times = (_oldest_ns(core, partition, time_name) for partition in partitions or range(count))
    return max((time_ns for time_ns in times if time_ns is not None), default=None)


def _oldest_ns(core: _core.Store, partition: int, time_name: str) -> int | None:
    for _ in range(_LOOKS):
        totals = core.totals()[partition]
        if not totals.oldest:
            return None
        for ticket in range(totals.oldest, min(totals.tail, totals.oldest + _TICKETS)):
            record = core.read_at(partition, ticket)
            if record is not None:
                time_ns: int = getattr(record, time_name)
                return time_ns
    return time.time_ns()


def newest_kept(capacity: int, appended: Sequence[int], lengths: Sequence[int]) -> int:
    """How many of the newest `capacity` records are kept, when each partition goes on getting its share of the appends.

    Exact as long as no more than `capacity` were appended.
    """
    total = sum(appended)
    window = min(capacity, total)
    if not window:
        return 0
    shares = zip(appended, lengths, strict=True)
    return sum(min(length, round(window * part / total)) for part, length in shares)
