"""Registries: which collectors an exposition shows, and that no two of them have one name."""

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from shmstore.metrics.families import Metric

_SUFFIXES: Final = {
    "counter": ("_total", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}

ENDINGS: Final = ("", *sorted({suffix for suffixes in _SUFFIXES.values() for suffix in suffixes}))


def sample_names(name: str, kind: str) -> list[str]:
    """What the samples of a family may be called, and the family itself."""
    return [name + suffix for suffix in ("", *_SUFFIXES.get(kind, ()))]


class Collector(Protocol):
    """Whatever yields families when it is asked."""

    def collect(self) -> Iterable[Metric]: ...


class DuplicateTimeseries(ValueError):
    """Two collectors of one registry have a name in common."""

    def __init__(self, duplicates: set[str]) -> None:
        super().__init__(f"Duplicated timeseries in CollectorRegistry: {duplicates}")
        self.duplicates = duplicates


class _Lock:
    """One for all registries; a forked child has one of its own, whoever held it in the parent."""

    held = threading.RLock()

    @classmethod
    def renew(cls) -> None:
        cls.held = threading.RLock()


os.register_at_fork(after_in_child=_Lock.renew)


class _NoCollector:
    def collect(self) -> Iterable[Metric]:
        return ()


class CollectorRegistry:
    """Collectors by the names of their samples."""

    def __init__(
        self,
        auto_describe: bool = False,
        target_info: Mapping[str, str] | None = None,
        support_collectors_without_names: bool = False,
    ) -> None:
        self._collector_to_names: dict[Any, list[str]] = {}
        self._names_to_collectors: dict[str, Any] = {}
        self._auto_describe = auto_describe
        self._target_info: Mapping[str, str] | None = {}
        self._takes_nameless = support_collectors_without_names
        self._nameless: list[Any] = []
        self.set_target_info(target_info)

    def register(self, collector: Any) -> None:
        """Add a collector; raises DuplicateTimeseries, a ValueError, when a name is taken."""
        names = self._names_of(collector)
        with _Lock.held:
            if duplicates := self._names_to_collectors.keys() & set(names):
                raise DuplicateTimeseries(duplicates)
            self._names_to_collectors.update(dict.fromkeys(names, collector))
            self._collector_to_names[collector] = names
            if self._takes_nameless and not names:
                self._nameless.append(collector)

    def unregister(self, collector: Any) -> None:
        """Take a collector out; raises KeyError when it is not there."""
        with _Lock.held:
            for name in self._collector_to_names.pop(collector):
                del self._names_to_collectors[name]
            if collector in self._nameless:
                self._nameless.remove(collector)

    def has(self, collector: Any) -> bool:
        """Whether a collector is in it."""
        with _Lock.held:
            return collector in self._collector_to_names

    def has_any(self, names: Iterable[str]) -> bool:
        """Whether a collector has one of these names."""
        with _Lock.held:
            return not self._names_to_collectors.keys().isdisjoint(names)

    def _names_of(self, collector: Any) -> list[str]:
        describe = getattr(collector, "describe", None) or (collector.collect if self._auto_describe else None)
        families = describe() if describe else ()
        return [name for family in families for name in sample_names(family.name, family.type)]

    def collectors(self) -> list[Any]:
        """In the order in which they were registered; what the target is comes first."""
        with _Lock.held:
            target = [_Target(self._target_info)] if self._target_info else []
            return [*target, *self._collector_to_names]

    def collect(self) -> Iterator[Metric]:
        """The families of all collectors."""
        for collector in self.collectors():
            yield from collector.collect()

    def restricted_registry(self, names: Iterable[str]) -> "RestrictedRegistry":
        """What collects only samples of these names."""
        return RestrictedRegistry(names, self)

    def collectors_of(self, names: set[str]) -> list[Any]:
        """The collectors that have one of these names, and those that have none at all."""
        with _Lock.held:
            found = {id(c): c for name, c in self._names_to_collectors.items() if name in names}
            target = [_Target(self._target_info)] if self._target_info and "target_info" in names else []
            nameless = {id(c): c for c in self._nameless}
            order = {id(c) for c in self._collector_to_names}
        return [*target, *(c for at, c in {**nameless, **found}.items() if at in order)]

    def set_target_info(self, labels: Mapping[str, str] | None) -> None:
        """Say what is measured, as labels of the metric ``target_info``."""
        with _Lock.held:
            if labels:
                if not self._target_info and "target_info" in self._names_to_collectors:
                    raise ValueError("CollectorRegistry already contains a target_info metric")
                self._names_to_collectors["target_info"] = _NoCollector()
            elif self._target_info:
                self._names_to_collectors.pop("target_info", None)
            self._target_info = labels

    def get_target_info(self) -> Mapping[str, str] | None:
        with _Lock.held:
            return self._target_info

    def get_sample_value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """The value of one sample, or None; for tests."""
        for family in self.collect():
            for sample in family.samples:
                if sample.name == name and sample.labels == (labels or {}):
                    return sample.value
        return None


class _Target:
    """What is measured, as a collector."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels

    def collect(self) -> Iterable[Metric]:
        family = Metric("target", "Target metadata", "info")
        family.add_sample("target_info", dict(self._labels), 1)
        return [family]


class RestrictedRegistry:
    """A registry of which only samples of some names are collected."""

    def __init__(self, names: Iterable[str], registry: CollectorRegistry) -> None:
        self.names = set(names)
        self.registry = registry

    def collect(self) -> Iterator[Metric]:
        for collector in self.registry.collectors_of(self.names):
            for family in collector.collect():
                if samples := [sample for sample in family.samples if sample.name in self.names]:
                    restricted = Metric(family.name, family.documentation, family.type)
                    restricted.samples = samples
                    yield restricted


REGISTRY = CollectorRegistry(auto_describe=True)
