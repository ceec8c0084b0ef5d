"""`top` of a store of streams: rates of all and by stream, room, processes."""

import time
from collections import deque
from typing import Any

from shmstore.cli import units
from shmstore.cli.meter import COLUMNS_OF, ProcessMeter
from shmstore.cli.render import Column, Output, Tone
from shmstore.cli.streams import state
from shmstore.streams.store import StreamStore
from shmstore.streams.stream import Stream

_SPARK_LOOKS = 60
_LEAST_STREAMS = 4  # are shown, however many processes there are
_COLUMNS = (
    state.STREAM,
    state.VERSION,
    Column("appended_per_second", "rate", units.rate, right=True),
    state.FIRST,
    state.EVENTS,
    state.DISCARDED,
)
PLAIN_COLUMNS = tuple(Column(key, key) for key in ("time", "streams", "events", "appended", "appended_per_second"))


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


def frame(out: Output, seen: dict[str, Any]) -> list[str]:
    """What people see of a look."""
    coordinator = out.paint("coordinated", Tone.GOOD) if seen["coordinator"] else "no coordinator"
    processes = out.table(COLUMNS_OF["streams"], seen["processes"])
    above = [f"{seen['name']}  {units.when(seen['time'])}  {coordinator}", "", *_totals(out, seen), ""]
    below = ["", *(processes if seen["processes"] else ["no process is attached for writing"])]
    return [*above, *_by_stream(out, seen["by_stream"], out.room - len(above) - len(below)), *below]


def _totals(out: Output, seen: dict[str, Any]) -> list[str]:
    fill = seen["events"] / seen["capacity"]
    columns = (Column("what", ""), Column("total", "", right=True), Column("rate", "", right=True), Column("drawn", ""))
    rows: list[dict[str, Any]] = [
        {"what": "streams", "total": units.count(seen["streams"]), "rate": "", "drawn": ""},
        {
            "what": "events",
            "total": units.count(seen["events"]),
            "rate": units.percent(fill),
            "drawn": out.bar(fill, 30),
        },
        {
            "what": "appended",
            "total": units.count(seen["appended"]),
            "rate": units.rate(seen["appended_per_second"]),
            "drawn": out.spark(seen["history"]["appended"], 30),
        },
    ]
    return out.table(columns, rows, titles=False)


def _by_stream(out: Output, rows: list[dict[str, Any]], room: int) -> list[str]:
    """On a terminal, the busiest for which there is room, in the order of their first appends."""
    shown = rows
    if out.on_terminal and len(rows) + 1 > room:
        ranked = sorted(rows, key=lambda row: -(row["appended_per_second"] or 0))
        busiest = {
            row["stream"] for row in ranked[: max(_LEAST_STREAMS, room - 2)]
        }  # a line is of titles, one of others
        shown = [row for row in rows if row["stream"] in busiest]
    lines = out.table(_COLUMNS, shown) if shown else ["there are no streams yet"]
    if len(shown) < len(rows):
        lines.append(out.paint(f"… {len(rows) - len(shown)} more streams, less busy", Tone.FAINT))
    return lines
