"""One store, watched: a row of the overview, all there is to say of it, and the history of its rate."""

import itertools
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

from shmstore import _core
from shmstore.errors import ShmStoreError
from shmstore.events.store import EventStore
from shmstore.http.dashboard.handles import Attached
from shmstore.http.dashboard.values import milliseconds, rounded
from shmstore.records.schema import Schema
from shmstore.streams.store import StreamStore
from shmstore.survey.processes import ProcessMeter

HISTORY_S: Final = 600
_FROM_TIMES_S: Final = 300
_FRESH_NS: Final = 2_500_000_000  # a coordinator samples each second
_NUMBERS: Final = range(_core.INT8, _core.FLOAT64 + 1)


def fields_of(schema: Schema) -> dict[str, Any]:
    """By which field records are labelled, which hold numbers, and whether they have a time."""
    texts = [each.name for kind in (_core.KEY, _core.TEXT) for each in schema.fields if each.kind == kind]
    values = [each.name for each in schema.fields if each.kind in _NUMBERS]
    return {"label": next(iter(texts), None), "values": values, "time": schema.time_field is not None}


class Watched:
    """A store that is looked at about once a second. Rates are those since the look before, None at the first."""

    def __init__(self, store: Attached) -> None:
        self.store = store
        self.row: dict[str, Any] = {}
        self._meter = ProcessMeter()
        self._before: tuple[float, int, int] | None = None
        self._parts_before: tuple[float, list[int]] | None = None
        self._rates: deque[tuple[int, float]] = deque(maxlen=HISTORY_S)

    def look(self, now_s: float, now_ms: int) -> dict[str, Any]:
        """The row of now: what it holds, how fast that grows, who is attached, what was lost."""
        store, places = self.store, self.store.processes()
        row: dict[str, Any] = {
            "alive": sum(place.state == "alive" for place in places),
            "dead": sum(place.state == "dead" for place in places),
            "coordinator": store.core.coordinator_alive(),
            "capacity": store.core.plan().capacity,
            **dict.fromkeys(("skipped", "voided", "lapped"), 0),
        }
        appended = discarded = 0
        if isinstance(store, EventStore):
            totals = store.core.totals()
            appended = sum(_appended(each) for each in totals)
            records = sum(each.length for each in totals)
            discarded = max(0, appended - records)
            row |= {"kind": "events", "count": records, "lapped": store.core.lapped}
            row |= {what: sum(getattr(each, what) for each in totals) for what in ("skipped", "voided")}
        elif isinstance(store, StreamStore):
            room = store.core.streams_room()
            appended = room.tickets
            row |= {"kind": "streams", "count": room.events, "streams": room.streams, "names": room.names}
        else:
            cells = store.core.metrics_room()
            row |= {"kind": "metrics", "count": cells.series, "used": cells.used, "capacity": cells.nodes}
            row |= {"refused": cells.refused}
        filled = row.get("used", row["count"])
        row |= {"fill": rounded(filled / row["capacity"] if row["capacity"] else 0.0, 4), "appended": appended}
        row |= self._rate(now_s, now_ms, appended, discarded)
        self.row = row
        return row

    def _rate(self, now_s: float, now_ms: int, appended: int, discarded: int) -> dict[str, Any]:
        before, self._before = self._before, (now_s, appended, discarded)
        if before is None or now_s <= before[0]:
            return {"rate": None, "discardedRate": None}
        passed_s = now_s - before[0]
        rate = max(0, appended - before[1]) / passed_s
        self._rates.append((now_ms, round(rate, 1)))
        return {"rate": rounded(rate, 1), "discardedRate": rounded(max(0, discarded - before[2]) / passed_s, 1)}

    def detail(self, now_s: float) -> dict[str, Any]:
        """All of it: the row, its processes, and the partitions of a store of records."""
        found: dict[str, Any] = {**self.row, "processes": [_process(each) for each in self._meter.look(self._places())]}
        if isinstance(self.store, EventStore):
            statistics = self.store.statistics
            found |= {
                "fields": fields_of(self.store.schema),
                "kept": statistics.newest_kept,
                "newest": min(self.store.capacity, statistics.total_appended),
                "discarded": statistics.total_discarded,
                "partitions": self._partitions(now_s),
            }
        elif isinstance(self.store, StreamStore):
            found |= {"dataBytes": self.store.data_bytes}
        return found

    def _places(self) -> list[_core.Place]:
        return self.store.processes()

    def _partitions(self, now_s: float) -> list[dict[str, Any]]:
        totals, slots = self.store.core.totals(), self.store.core.plan().slots
        appended = [_appended(each) for each in totals]
        before, self._parts_before = self._parts_before, (now_s, appended)
        passed_s = now_s - before[0] if before is not None else 0.0
        earlier = before[1] if before is not None else appended
        return [
            {
                "fill": rounded(each.length / slots, 4),
                "records": each.length,
                "rate": rounded((now - then) / passed_s, 1) if passed_s > 0 else None,
                "inFlight": each.in_flight,
                "skipped": each.skipped,
                "voided": each.voided,
            }
            for each, now, then in zip(totals, appended, earlier, strict=True)
        ]

    def history(self) -> list[tuple[int, float]]:
        """Times in ms and rates, second by second: the coordinator's where one is at work, else our own looks, and
        what the times of the records tell of before.
        """
        samples = self.store.core.history(HISTORY_S + 1) if isinstance(self.store, EventStore) else []
        if len(samples) > 1 and time.time_ns() - samples[-1].time_ns < _FRESH_NS:
            steps = ((a, b, (b.time_ns - a.time_ns) / 1e9) for a, b in itertools.pairwise(samples))
            return [(b.time_ns // 10**6, round(max(0, b.appended - a.appended) / s, 1)) for a, b, s in steps if s > 0]
        own = list(self._rates)
        earlier: list[tuple[int, float]] = []
        with suppress(ShmStoreError):
            earlier = self._from_times()
        until_ms = own[0][0] - 1000 if own else 1 << 62
        return [point for point in earlier if point[0] < until_ms] + own

    def _from_times(self) -> list[tuple[int, float]]:
        """How many records of each second of the last minutes are there; not of those of which some are gone."""
        if not isinstance(self.store, EventStore) or self.store.schema.time_field is None:
            return []
        now = time.time_ns() // 10**9
        since_s = now - _FROM_TIMES_S
        complete = self.store.complete_since
        if complete is not None:
            since_s = max(since_s, int(complete.timestamp()) + 1)
        table = self.store.windows(every="1s", since=since_s * 10**9, until=now * 10**9) if since_s < now else None
        if table is None or not len(table):
            return []
        counts = dict(zip((start // 10**9 for start in table["start"]), table["count"], strict=True))
        return [((second + 1) * 1000, float(counts.get(second, 0))) for second in range(min(counts), now)]


def _appended(each: _core.Totals) -> int:
    return each.tail - each.skipped - each.voided - each.in_flight


def _process(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "place": row["place"],
        "pid": row["pid"],
        "name": row["name"],
        "state": row["state"],
        "cpu": rounded(row["cpu"], 1),
        "memory": row["memory"],
        "appended": row["appended"],
        "rate": rounded(row["appended_per_second"], 1),
        "lapped": row["lapped"],
        "last": milliseconds(row["last_append"]),
        "since": milliseconds(row["entered"]),
    }
