"""Expositions: all samples of a registry as text 0.0.4 or OpenMetrics 1.0.0.

What instruments have is written in C, in one pass over the series of all processes; only what custom collectors yield
is written here.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Final

from shmstore.metrics.families import Exemplar, Metric, Sample
from shmstore.metrics.instrument import Instrument
from shmstore.metrics.memory import memory
from shmstore.metrics.registry import REGISTRY, Collector, CollectorRegistry, RestrictedRegistry
from shmstore.metrics.text import escaped_help, label_text, number_text, plain_name
from shmstore.public import PACKAGE

CONTENT_TYPE_PLAIN_0_0_4: Final = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPE_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CONTENT_TYPE_LATEST: Final = CONTENT_TYPE_PLAIN_0_0_4
"""Of what `generate_latest` returns unless OpenMetrics is asked for."""

_OLD_KINDS: Final = {"info": "gauge", "stateset": "gauge", "gaugehistogram": "histogram", "unknown": "untyped"}
_OLD_SUFFIXES: Final = {"counter": "_total", "info": "_info"}
_APART: Final = ("_created", "_gcount", "_gsum")  # in text 0.0.4 gauges of their own
_UNDERSCORES: Final = "underscores"
_EOF: Final = b"# EOF\n"


def generate_latest(
    registry: Collector = REGISTRY, escaping: str = _UNDERSCORES, *, openmetrics: bool = False
) -> bytes:
    """All samples of a registry; of the default one also what other processes alone have declared.

    escaping      how names are written that these formats do not have: only "underscores" is there
    openmetrics   OpenMetrics 1.0.0 instead of text 0.0.4

    Raises ValueError for another escaping.
    """
    if escaping != _UNDERSCORES:
        raise ValueError(f"escaping is {escaping!r}; names are escaped by {_UNDERSCORES!r} alone")
    names: set[str] | None = None
    collectors: list[Any] = [registry]
    of = registry.registry if isinstance(registry, RestrictedRegistry) else registry
    if isinstance(registry, RestrictedRegistry):
        names = registry.names
        collectors = registry.registry.collectors_of(names)
    elif isinstance(registry, CollectorRegistry):
        collectors = registry.collectors()
    parts = []
    for are_instruments, found in groupby(collectors, _is_instrument):
        if are_instruments:
            parts.append(memory.write(list(found), openmetrics, names))
        else:
            families = (family for collector in found for family in collector.collect())
            parts += [
                _family_text(family, openmetrics).encode(errors="replace") for family in _restricted(families, names)
            ]
    if of is REGISTRY and memory.is_shared:
        parts.append(memory.write_others(openmetrics, names))
    return b"".join([*parts, _EOF] if openmetrics else parts)


def _is_instrument(collector: Any) -> bool:
    return isinstance(collector, Instrument) and type(collector).collect is Instrument.collect


def _restricted(families: Iterable[Metric], names: set[str] | None) -> Iterator[Metric]:
    """Of each family the samples of these names; without any, nothing of it."""
    if names is None:
        yield from families
        return
    for family in families:
        if samples := [sample for sample in family.samples if sample.name in names]:
            restricted = Metric(family.name, family.documentation, family.type)
            restricted.samples = samples
            yield restricted


def _family_text(family: Metric, openmetrics: bool) -> str:
    return "".join(_lines(family) if openmetrics else _old_lines(family))


def _old_lines(family: Metric) -> Iterable[str]:
    kind = _OLD_KINDS.get(family.type, family.type)
    yield from _above(family.name + _OLD_SUFFIXES.get(family.type, ""), kind, escaped_help(family.documentation))
    apart: dict[str, list[str]] = {}
    for sample in family.samples:
        when = "" if sample.timestamp is None else f" {int(float(sample.timestamp) * 1000)}"
        line = f"{_name_and_labels(sample)} {number_text(sample.value)}{when}\n"
        suffix = next((suffix for suffix in _APART if sample.name == family.name + suffix), None)
        if suffix is None:
            yield line
        else:
            apart.setdefault(suffix, []).append(line)
    for suffix, lines in sorted(apart.items()):
        yield from _above(family.name + suffix, "gauge", escaped_help(family.documentation))
        yield from lines


def _lines(family: Metric) -> Iterable[str]:
    yield from _above(family.name, family.type, _escaped(family.documentation))
    if family.unit:
        yield f"# UNIT {plain_name(family.name, colons=True)} {family.unit}\n"
    for sample in family.samples:
        when = "" if sample.timestamp is None else f" {sample.timestamp}"
        about = "" if sample.exemplar is None else _exemplar_text(family, sample, sample.exemplar)
        yield f"{_name_and_labels(sample)} {number_text(sample.value)}{when}{about}\n"


def _above(name: str, kind: str, documentation: str) -> tuple[str, str]:
    plain = plain_name(name, colons=True)
    return f"# HELP {plain} {documentation}\n", f"# TYPE {plain} {kind}\n"


def _escaped(documentation: str) -> str:
    return escaped_help(documentation).replace('"', r"\"")


def _name_and_labels(sample: Sample) -> str:
    labels = f"{{{_sorted_labels(sample.labels)}}}" if sample.labels else ""
    return plain_name(sample.name, colons=True) + labels


def _sorted_labels(labels: Mapping[str, str]) -> str:
    return label_text(sorted(labels.items()))


def _exemplar_text(family: Metric, sample: Sample, exemplar: Exemplar) -> str:
    is_bucket = family.type in ("histogram", "gaugehistogram") and sample.name.endswith("_bucket")
    if not is_bucket and not (family.type == "counter" and sample.name.endswith("_total")):
        raise ValueError(f"Metric {family.name} has exemplars, but is not a histogram bucket or counter")
    when = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{_sorted_labels(exemplar.labels)}}} {number_text(exemplar.value)}{when}"


generate_latest.__module__ = f"{PACKAGE}.metrics"
