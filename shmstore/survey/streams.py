"""A store of streams at work: rates of all and by stream, told by comparing two looks at it."""

import time
from collections import deque
from typing import Any, Final

from shmstore.arguments import units
from shmstore.streams.store import StreamStore
from shmstore.streams.stream import Stream
from shmstore.survey.processes import ProcessMeter

_SPARK_LOOKS: Final = 60


class StreamsLooker:
    """Turns successive looks at a store of streams into rates."""

    def __init__(self, streams: StreamStore) -> None:
        self._streams = streams
        self._meter = ProcessMeter()
        self._known: dict[str, Stream] = {}
        self._versions: dict[str, int] = {}
        self._looked_s: float | None = None
        self._rates: deque[float] = deque(maxlen=_SPARK_LOOKS)

    def look(self) -> dict[str, Any]:
        """The state of now; rates are None at the first look."""
        now_s, names = time.monotonic(), self._streams.names()
        passed_s = now_s - self._looked_s if self._looked_s is not None else 0.0
        for name in names:
            self._known.setdefault(name, self._streams[name])
        versions = {name: stream.version for name, stream in self._known.items()}  # also of those deleted since
        rose = {name: version - self._versions.get(name, -1) for name, version in versions.items()}
        rates = {name: count / passed_s if passed_s else None for name, count in rose.items()}
        rate = sum(rose.values()) / passed_s if passed_s else None
        if rate is not None:
            self._rates.append(rate)
        self._looked_s, self._versions = now_s, versions
        room = self._streams.core.streams_room()
        return {
            "name": self._streams.name,
            "time": units.Time(time.time_ns()),
            "coordinator": self._streams.core.coordinator_alive(),
            "streams": len(names),
            "events": room.events,
            "capacity": self._streams.capacity,
            "appended": sum(versions.values()) + len(versions),
            "appended_per_second": rate,
            "history": {"appended": list(self._rates)},
            "by_stream": [self._row(name, rates[name]) for name in names],
            "processes": self._meter.look(self._streams.processes()),
        }

    def _row(self, name: str, rate: float | None) -> dict[str, Any]:
        seen = self._known[name].state()
        return {
            "stream": name,
            "version": seen.versions - 1,
            "appended_per_second": rate,
            "first_version": seen.first,
            "events": seen.versions - seen.first,
            "discarded": seen.discarded,
        }
