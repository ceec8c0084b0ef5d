"""What Python says of itself: its version, and what its garbage collector has done in all processes."""

import atexit
import gc
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any, ClassVar, Final

from shmstore.errors import ShmStoreError
from shmstore.metrics.families import CounterMetricFamily, GaugeMetricFamily, Metric
from shmstore.metrics.instruments import Counter
from shmstore.metrics.memory import memory
from shmstore.metrics.registry import REGISTRY, CollectorRegistry
from shmstore.public import PACKAGE

_COUNTED: Final = {
    "collected": ("python_gc_objects_collected", "Objects collected during gc"),
    "uncollectable": ("python_gc_objects_uncollectable", "Uncollectable objects found during GC"),
    "collections": ("python_gc_collections", "Number of times this generation was collected"),
}


class PlatformCollector:
    """The family ``python_info``: which Python this is."""

    def __init__(self, registry: CollectorRegistry | None = REGISTRY, platform: Any = None) -> None:
        self._platform = platform
        self._family: GaugeMetricFamily | None = None
        if registry is not None:
            registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The family without its sample."""
        return [GaugeMetricFamily("python_info", "Python platform information")]

    def collect(self) -> Iterable[Metric]:
        """The family, whose one sample has all in its labels."""
        if self._family is None:
            info = self._info()
            self._family = GaugeMetricFamily("python_info", "Python platform information", labels=list(info))
            self._family.add_metric(list(info.values()), 1)
        return [self._family]

    def _info(self) -> dict[str, str]:
        platform = self._platform
        if platform is None:
            import platform  # only whoever shows it pays for it
        major, minor, patchlevel = platform.python_version_tuple()
        return {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "major": major,
            "minor": minor,
            "patchlevel": patchlevel,
        }


class GCCollector:
    """The families ``python_gc_...``: what the garbage collectors of all processes have done, also of the dead.

    Each process tells of itself alone: when it is scraped, and when it ends.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The families without samples."""
        return _families({})

    def collect(self) -> Iterable[Metric]:
        """The families, with a sample for each generation of objects."""
        return _families(_counts())


class _Told:
    """What of this process is in the counters already, or was its parent's."""

    counts: ClassVar[list[dict[str, int]]] = [{}, {}, {}]  # replaced, never changed

    @classmethod
    def renew(cls) -> None:
        cls.counts = gc.get_stats()


os.register_at_fork(after_in_child=_Told.renew)


@cache
def _counters() -> dict[str, Counter]:
    """No registry has them, so that one collector has all three."""
    return {key: Counter(name, text, ["generation"], registry=None) for key, (name, text) in _COUNTED.items()}


def _tell() -> None:
    """Add to the shared counters what is new."""
    with memory.lock:
        counters = _counters()
        while True:
            told, now = _Told.counts, gc.get_stats()
            if _Told.counts is told:  # else a signal handler has told meanwhile
                _Told.counts = now
                break
        for number, (stats, before) in enumerate(zip(now, told, strict=True)):
            for key, counter in counters.items():
                if more := stats[key] - before.get(key, 0):
                    counter.labels(str(number)).inc(more)


def _counts() -> dict[str, list[float]]:
    """By what is counted, for each generation; empty where there is no room for them."""
    if memory.store is None:
        stats = gc.get_stats()
        return {key: [float(stat[key]) for stat in stats] for key in _COUNTED}
    try:
        _tell()
        generations = [str(number) for number in range(len(_Told.counts))]
        return {key: [counter.labels(n)._value.get() for n in generations] for key, counter in _counters().items()}
    except ShmStoreError:
        return {}


def _families(counts: dict[str, list[float]]) -> list[Metric]:
    families: list[Metric] = []
    for key, (name, text) in _COUNTED.items():
        family = CounterMetricFamily(name, text, labels=["generation"])
        for number, value in enumerate(counts.get(key, ())):
            family.add_metric([str(number)], value)
        families.append(family)
    return families


def _say_farewell() -> None:
    """At the end of a process: what its collector has done since it was asked."""
    if memory.store is None or not any(isinstance(found, GCCollector) for found in REGISTRY.collectors()):
        return
    with suppress(ShmStoreError):
        _tell()


GC_COLLECTOR = GCCollector()
PLATFORM_COLLECTOR = PlatformCollector()
"""Of the default registry."""

atexit.register(_say_farewell)
for _class in (GCCollector, PlatformCollector):
    _class.__module__ = f"{PACKAGE}.metrics"
