"""What a store has done: totals, loss by cause, and a recent rate rather than one over its whole life."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shmstore import _core
from shmstore.events.reach import newest_kept
from shmstore.public import public
from shmstore.reading.selection import as_datetime
from shmstore.records.schema import Schema

_SECOND_NS = 10**9
# The coordinator samples once a second; a sample older than this means that none is at work.
_FRESH_SAMPLE_NS = 2_500_000_000
# Two looks of one handle are compared when they are far enough apart to mean something and near enough to be recent.
_SHORTEST_LOOK_NS, _LONGEST_LOOK_NS = 200_000_000, 60_000_000_000


@public
@dataclass(frozen=True, slots=True)
class PartitionStatistics:
    """Counts of one partition, in records, since the store was made; `length` is what is readable now."""

    partition: int
    appended: int
    discarded: int
    length: int
    skipped: int
    voided: int
    in_flight: int


@public
@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the store was made, in records unless said otherwise; each was true at some instant of the call.

    total_appended      records published
    total_discarded     of these, how many are not readable any more: overwritten by newer ones, cleared or purged
    appends_per_second  the recent rate; None without a coordinator, an earlier look and a Timestamp to tell it from
    last_append_time    in UTC; None when nothing was appended
    skipped             tickets that passed over the slot of a stalled writer
    voided              tickets whose writer died before publishing
    lapped              tickets that readers attached for writing lost to newer records
    length              records readable now
    partitions          the same, by partition
    processes           the process table: who is attached and how much each appended
    newest_kept         of the newest `capacity` records so many are kept, if each partition goes on getting its share
                        of the appends: less than `capacity` where some partitions get more than others
    """

    total_appended: int
    total_discarded: int
    appends_per_second: float | None
    last_append_time: datetime | None
    skipped: int
    voided: int
    lapped: int
    length: int
    partitions: tuple[PartitionStatistics, ...]
    processes: tuple[_core.Place, ...]
    newest_kept: int

    @property
    def fullest(self) -> PartitionStatistics:
        """The partition with the most records."""
        return max(self.partitions, key=lambda partition: partition.length)

    @property
    def emptiest(self) -> PartitionStatistics:
        """The partition with the fewest records."""
        return min(self.partitions, key=lambda partition: partition.length)


class Meter:
    """Takes the statistics of one store, and remembers an earlier look, from which it tells a rate."""

    __slots__ = ("_clock", "_core", "_count", "_look", "_slots", "_time_name")

    def __init__(
        self,
        core: _core.Store,
        schema: Schema,
        count: Callable[[int, int, int], int],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`count(partition, since_ns, until_ns)` tells how many records a partition has of a window."""
        self._core = core
        self._count = count
        self._time_name = None if schema.time_field is None else schema.names[schema.time_field]
        self._slots = core.plan().slots
        self._clock = clock
        self._look: tuple[int, int] | None = None

    def read(self) -> Statistics:
        """The statistics of now. Raises StoreClosed."""
        totals = self._core.totals()
        places = tuple(self._core.places())
        partitions = tuple(_partition_statistics(number, counts) for number, counts in enumerate(totals))
        appended = sum(partition.appended for partition in partitions)
        length = sum(partition.length for partition in partitions)
        now_ns = self._clock()
        return Statistics(
            total_appended=appended,
            total_discarded=max(0, appended - length),
            appends_per_second=self._rate(totals, appended, now_ns),
            last_append_time=self._last_append_time(totals, places, now_ns),
            skipped=sum(partition.skipped for partition in partitions),
            voided=sum(partition.voided for partition in partitions),
            lapped=self._core.lapped,
            length=length,
            partitions=partitions,
            processes=places,
            newest_kept=newest_kept(
                self._slots * len(partitions),
                [partition.appended for partition in partitions],
                [partition.length for partition in partitions],
            ),
        )

    def _rate(self, totals: list[_core.Totals], appended: int, now_ns: int) -> float | None:
        earlier = self._look
        if earlier is None or not 0 <= now_ns - earlier[0] < _SHORTEST_LOOK_NS:
            self._look = now_ns, appended
        samples = self._core.history(2)
        if len(samples) == 2 and now_ns - samples[1].time_ns < _FRESH_SAMPLE_NS:
            length_ns = samples[1].time_ns - samples[0].time_ns
            if 0 < length_ns < _FRESH_SAMPLE_NS:
                return (samples[1].appended - samples[0].appended) * _SECOND_NS / length_ns
        if earlier is not None and _SHORTEST_LOOK_NS <= now_ns - earlier[0] <= _LONGEST_LOOK_NS:
            return (appended - earlier[1]) * _SECOND_NS / (now_ns - earlier[0])
        if self._time_name is not None:
            return sum(self._partition_rate(number, counts, now_ns) for number, counts in enumerate(totals))
        return None

    def _partition_rate(self, partition: int, counts: _core.Totals, now_ns: int) -> float:
        """Records of the last second, or of the time that the partition reaches back when that is less."""
        since_ns = now_ns - _SECOND_NS
        count = self._count(partition, since_ns, now_ns)
        if count and counts.tail - counts.oldest >= self._slots:
            oldest_ns = self._time_of(partition, counts.oldest)
            if oldest_ns is not None and since_ns < oldest_ns < now_ns:
                return (count - 1) * _SECOND_NS / (now_ns - oldest_ns)
        return float(count)

    def _last_append_time(
        self, totals: list[_core.Totals], places: tuple[_core.Place, ...], now_ns: int
    ) -> datetime | None:
        times_ns = [place.last_append_ns for place in places]
        if self._time_name is not None:
            # Processes that left the table took their counters along. Their records tell the time, unless dated in the
            # future.
            newest = (self._time_of(number, counts.tail - 1) for number, counts in enumerate(totals) if counts.tail)
            times_ns += [time_ns for time_ns in newest if time_ns is not None and time_ns <= now_ns]
        latest_ns = max(times_ns, default=0)
        return as_datetime(latest_ns) if latest_ns > 0 else None

    def _time_of(self, partition: int, ticket: int) -> int | None:
        record = self._core.read_at(partition, ticket)
        return None if record is None or self._time_name is None else getattr(record, self._time_name)


def _partition_statistics(number: int, counts: _core.Totals) -> PartitionStatistics:
    appended = counts.tail - counts.skipped - counts.voided - counts.in_flight
    return PartitionStatistics(
        partition=number,
        appended=appended,
        discarded=max(0, appended - counts.length),
        length=counts.length,
        skipped=counts.skipped,
        voided=counts.voided,
        in_flight=counts.in_flight,
    )
