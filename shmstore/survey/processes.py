"""Rates, CPU and memory of a store's processes, told by comparing two looks at its process table."""

import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from shmstore import _core
from shmstore.arguments import units

if TYPE_CHECKING:
    import psutil


class ProcessMeter:
    """Describes processes; CPU and rates are those since its previous look, None at the first one of a process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._namespace = os.stat("/proc/self/ns/pid").st_ino
        self._known: dict[tuple[int, int], psutil.Process] = {}
        self._appended: dict[tuple[int, int], int] = {}
        self._looked_s: float | None = None

    def look(self, places: Iterable[_core.Place]) -> list[dict[str, Any]]:
        """One mapping a place, `cpu` in percent of one core, `memory` in bytes."""
        now_s = self._clock()
        passed_s = now_s - self._looked_s if self._looked_s is not None else 0.0
        self._looked_s = now_s
        rows = []
        appended: dict[tuple[int, int], int] = {}
        for place in places:
            who = (place.place, place.generation)
            appended[who] = place.appended
            earlier = self._appended.get(who)
            cpu, memory = self._load(who, place)
            rows.append(
                {
                    "place": place.place,
                    "pid": place.pid,
                    "name": place.name,
                    "state": place.state,
                    "cpu": cpu,
                    "memory": memory,
                    "appended": place.appended,
                    "appended_per_second": (place.appended - earlier) / passed_s
                    if earlier is not None and passed_s
                    else None,
                    "lapped": place.lapped,
                    "last_append": units.Time(place.last_append_ns),
                    "entered": units.Time(place.entered_ns),
                }
            )
        self._appended = appended
        self._known = {who: process for who, process in self._known.items() if who in appended}
        return rows

    def _load(self, who: tuple[int, int], place: _core.Place) -> tuple[float | None, int | None]:
        # The kernel says that the place's process lives, so its pid is its own; but only in its own pid namespace.
        if place.state != "alive" or place.pid_namespace != self._namespace:
            return None, None
        import psutil  # only whoever looks at processes pays for it

        try:
            process = self._known.get(who)
            if process is None:
                process = self._known[who] = psutil.Process(place.pid)
                process.cpu_percent()
                return None, int(process.memory_info().rss)
            return process.cpu_percent(), int(process.memory_info().rss)
        except psutil.Error:
            return None, None
