"""Series of a metrics segment as rows, one each, and their rates, told by comparing two looks."""

import re
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from shmstore import _core
from shmstore.errors import InvalidOption
from shmstore.segments.handle import Handle

_SPARK_LOOKS = 60
_SAMPLE_SUFFIX = re.compile("_(total|bucket|count|sum|info|created)$")
_RISING = ("counter", "histogram", "summary")

Row = dict[str, Any]


class SeriesMeter:
    """Reads all series of a segment, or of one metric; rates are those since its previous look."""

    def __init__(self, segment: Handle, metric: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises InvalidOption when there is no such metric."""
        self._segment = segment.name
        self._metrics = _core.Metrics(segment.core)
        self._metric = metric
        self._clock = clock
        self._looked_s: float | None = None
        self._totals: dict[tuple[Any, ...], float] = {}
        self._drawn: dict[tuple[Any, ...], deque[float]] = {}
        self._families()

    def exposition(self) -> str:
        """What a process that shares these metrics answers a scrape, as text 0.0.4: its default registry, or one metric
        of any.
        """
        taken = [] if self._metric is None else self._families()
        return self._written(taken, openmetrics=False, others=self._metric is None)

    def rows(self) -> list[Row]:
        """A row for each series: metric, type, labels, value; of a histogram or a summary, the value is how many
        observations there were, and there is their sum as well.
        """
        return _rows(self._written(self._families(), openmetrics=True, others=False))

    def look(self) -> list[Row]:
        """The same, with what rose `per_second` (None at the first look, and of what may fall), and what to draw."""
        now_s, rows = self._clock(), self.rows()
        passed_s = now_s - self._looked_s if self._looked_s is not None else 0.0
        totals, drawn = {}, {}
        for row in rows:
            who = (row["metric"], *row["labels"].items())
            value, before = row["value"], self._totals.get(who)
            rises = row["type"] in _RISING and value is not None
            row["per_second"] = None
            if rises:
                totals[who] = value
                if before is not None and passed_s:
                    # A series that was removed and came again has begun at zero.
                    row["per_second"] = max(0.0, value - before) / passed_s
            point = row["per_second"] if rises else value
            history = drawn[who] = self._drawn.get(who) or deque(maxlen=_SPARK_LOOKS)
            if isinstance(point, float):
                history.append(point)
            row["drawn"] = list(history)
        self._looked_s, self._totals, self._drawn = now_s, totals, drawn
        return rows

    def _families(self) -> list[int]:
        """The numbers of the declarations that are asked for."""
        from shmstore.metrics.declaration import unpacked  # only whoever looks at metrics pays for it

        found, known = [], set()
        for number, _, _, _, text, _ in self._metrics.series(None):
            try:
                declared, _ = unpacked(text, text.index(b"\x01"))
            except ValueError:
                continue  # damaged, or of a later version: it has no lines either
            known.add(declared.name)
            if self._metric is None or declared.name in (self._metric, _SAMPLE_SUFFIX.sub("", self._metric)):
                found.append(number)
        if self._metric is not None and not found:
            names = ", ".join(sorted(known)) or "none yet"
            raise InvalidOption(f"there is no metric {self._metric!r} in {self._segment!r}; there are: {names}")
        return sorted(found)

    def _written(self, families: Sequence[int], *, openmetrics: bool, others: bool) -> str:
        created = not openmetrics  # rows do not say when they began
        text = self._metrics.write(openmetrics, array("I", families), b"", others, None, created)
        return text.decode(errors="replace")


def _rows(exposition: str) -> list[Row]:
    from shmstore.metrics.text import lines

    rows: dict[tuple[Any, ...], Row] = {}
    family = kind = ""
    for line in exposition.split("\n"):
        if line.startswith("# TYPE "):
            family, _, kind = line.removeprefix("# TYPE ").partition(" ")
        for name, labels, value, _ in lines(line):
            bound = labels.pop("le", "") if kind == "histogram" else ""
            state = labels.pop(family, "") if kind == "stateset" else ""
            key = (family, *labels.items())
            row = rows.setdefault(key, {"metric": family, "type": kind, "labels": labels, "value": None})
            suffix = name.removeprefix(family)
            if suffix == "_sum" and kind in _RISING:
                row["sum"] = value
            elif bound:
                row.setdefault("buckets", {})[bound] = value
                row["value"] = value  # the last one has them all
            elif kind != "stateset":
                row["value"] = value
            elif value:
                row["value"] = state
    return list(rows.values())
