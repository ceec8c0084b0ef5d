"""A store of records at work: rates of all and by partition, told by comparing two looks at it."""

import itertools
import time
from collections import deque
from typing import Any, Final

from shmstore.arguments import units
from shmstore.events.store import EventStore
from shmstore.survey.processes import ProcessMeter

_SPARK_SECONDS: Final = 60
_FRESH_NS: Final = 2_500_000_000  # a coordinator samples each second


class RecordsLooker:
    """Turns successive looks at a store into rates."""

    def __init__(self, store: EventStore[Any]) -> None:
        self._store = store
        self._meter = ProcessMeter()
        self._own_rates: deque[tuple[float, float]] = deque(maxlen=_SPARK_SECONDS)
        self._before: tuple[float, Any] | None = None

    def look(self) -> dict[str, Any]:
        """The state of now; rates are None at the first look."""
        now_s, now = time.monotonic(), self._store.statistics
        before_s, before = self._before or (now_s, now)
        self._before = now_s, now
        passed_s = now_s - before_s

        def rate(newer: int, older: int) -> float | None:
            return max(0, newer - older) / passed_s if passed_s else None

        appended_rate = rate(now.total_appended, before.total_appended)
        discarded_rate = rate(now.total_discarded, before.total_discarded)
        if appended_rate is not None and discarded_rate is not None:
            self._own_rates.append((appended_rate, discarded_rate))
        slots = self._store.capacity // len(now.partitions)
        return {
            "name": self._store.name,
            "time": units.Time(time.time_ns()),
            "coordinator": self._store.core.coordinator_alive(),
            "records": now.length,
            "capacity": self._store.capacity,
            "newest_kept": now.newest_kept,
            "newest": min(self._store.capacity, now.total_appended),
            "appended": now.total_appended,
            "appended_per_second": appended_rate,
            "discarded": now.total_discarded,
            "discarded_per_second": discarded_rate,
            "skipped": now.skipped,
            "voided": now.voided,
            "lapped": now.lapped,
            "history": self._history(),
            "partitions": [
                {
                    "partition": part.partition,
                    "fill": part.length / slots,
                    "records": part.length,
                    "appended": part.appended,
                    "appended_per_second": rate(part.appended, then.appended),
                    "in_flight": part.in_flight,
                    "skipped": part.skipped,
                    "voided": part.voided,
                }
                for part, then in zip(now.partitions, before.partitions, strict=True)
            ],
            "processes": self._meter.look(now.processes),
        }

    def _history(self) -> dict[str, list[float]]:
        """Rates of the last minute: the coordinator's when it is at work, else those of our own looks."""
        samples = self._store.core.history(_SPARK_SECONDS + 1)
        if len(samples) > 1 and time.time_ns() - samples[-1].time_ns < _FRESH_NS:
            steps = [(a, b, max(b.time_ns - a.time_ns, 1) / 1e9) for a, b in itertools.pairwise(samples)]
            rates = [((b.appended - a.appended) / s, (b.discarded - a.discarded) / s) for a, b, s in steps]
        else:
            rates = list(self._own_rates)
        return {"appended": [max(0.0, a) for a, _ in rates], "discarded": [max(0.0, d) for _, d in rates]}
