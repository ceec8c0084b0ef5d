"""The same program on prometheus_client and on ours: the same samples, the same lines."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import prometheus_client
import pytest
from prometheus_client import core as peer_core
from prometheus_client.openmetrics.exposition import generate_latest as peer_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from shmstore import metrics

Program = Callable[[Any, Any], object]


class ours:
    """Our names where prometheus_client has them in two modules."""

    core = metrics


class theirs:
    core = peer_core


def counters(m: Any, r: Any) -> None:
    counter = m.Counter("requests_total", 'All "requests"\nand \\ more', ["method", "route"], registry=r)
    counter.labels("GET", "/").inc()
    counter.labels(method="POST", route='/"a"\n\\').inc(2.5)
    counter.labels("GET", "/").inc(3, exemplar={"trace": "x", "a": "1"})
    m.Counter("alone", "", registry=r)
    total = m.Counter("bytes", "Bytes", namespace="app", subsystem="http", unit="bytes", registry=r)
    total.inc(1e9)
    total.reset()
    total.inc(1e21)


def gauges(m: Any, r: Any) -> None:
    gauge = m.Gauge("temperature", "Degrees", ["room"], unit="celsius", registry=r)
    gauge.labels("hall").set(-3.5)
    gauge.labels("attic").inc(2)
    gauge.labels("attic").dec(0.5)
    for i, value in enumerate((0, -0.0, float("inf"), float("-inf"), float("nan"), 123456789, 1e-9, 1e6, 999999)):
        m.Gauge(f"g{i}", "Values", registry=r, multiprocess_mode="mostrecent").set(value)
    m.Gauge("asked", "A function", registry=r).set_function(lambda: 12)


def histograms(m: Any, r: Any) -> None:
    histogram = m.Histogram("latency_seconds", "Latency", ["a"], registry=r)
    for i in range(100):
        histogram.labels(str(i % 3)).observe(i / 8, {"i": str(i)} if i % 5 else None)
    m.Histogram("signed", "Buckets below zero", buckets=(-1, 0, 1), registry=r).observe(-3)
    m.Histogram("empty", "Nothing", buckets=["1", 2.5], registry=r)
    m.Summary("size", "Sizes", registry=r).observe(7)
    m.Summary("sizes", "Sizes", ["a"], registry=r).labels("x").observe(0.1)


def states(m: Any, r: Any) -> None:
    phase = m.Enum("phase", "Phase", ["host"], states=["up", 'do"wn'], registry=r)
    phase.labels("a").state('do"wn')
    phase.labels("b")
    m.Enum("only", "Phase", states=["one"], registry=r)
    build = m.Info("build", "Build", registry=r)
    build.info({"version": "1", "by": "me"})
    build.info({"version": "2", "by": 'the "other"'})
    hosts = m.Info("hosts", "Hosts", ["zone"], registry=r)
    hosts.labels("x").info({"a": "1"})
    hosts.labels("y")


def removals(m: Any, r: Any) -> None:
    counter = m.Counter("c", "C", ["a", "b"], registry=r)
    for a in "123":
        for b in "45":
            counter.labels(a, b).inc()
    counter.remove("1", "4")
    counter.remove_by_labels({"a": "2"})
    counter.labels("2", "5").inc(9)
    gone = m.Gauge("g", "G", ["a"], registry=r)
    gone.labels("1").set(1)
    gone.clear()
    unregistered = m.Counter("u", "U", registry=r)
    r.unregister(unregistered)


def names(m: Any, r: Any) -> None:
    m.Counter("with.dots", "Any text is a name", ["label.name", "grün"], registry=r).labels("1", "ü").inc()
    m.Gauge("1st", "Begins with a digit", registry=r).set(1)


def collectors(m: Any, r: Any) -> None:
    core = ours.core if m is metrics else theirs.core
    about = core.Exemplar({"t": "1"}, 3.0, 12.5)

    class Custom:
        def collect(self) -> Any:
            yield core.GaugeMetricFamily("cg", 'A "gauge"\n', value=7)
            family = core.CounterMetricFamily("cc_total", "C", labels=["z", "a"], created=None)
            family.add_metric(["1", "2"], 3, created=5, exemplar=about)
            family.add_metric(["x", "y"], 1, timestamp=core.Timestamp(12, 5))
            yield family
            yield core.SummaryMetricFamily("cs", "S", count_value=3, sum_value=2.5)
            yield core.HistogramMetricFamily("ch", "H", buckets=[("1.0", 2, about), ("+Inf", 4)], sum_value=9)
            yield core.GaugeHistogramMetricFamily("cgh", "GH", buckets=[("1.0", 2), ("+Inf", 4)], gsum_value=9)
            yield core.InfoMetricFamily("ci", "I", value={"b": "1", "a": "2"})
            yield core.StateSetMetricFamily("cst", "ST", value={"b": True, "a": False})
            yield core.UnknownMetricFamily("cu", "U", value=1)
            yield core.Metric("plain", "P", "gauge", "seconds")

    m.Counter("before", "B", registry=r).inc()
    r.register(Custom())
    m.Counter("after", "A", registry=r).inc()
    r.set_target_info({"service": "x", "a": "b"})


PROGRAMS = [counters, gauges, histograms, states, removals, names, collectors]


def both(program: Program) -> tuple[Any, Any]:
    registries = metrics.CollectorRegistry(), prometheus_client.CollectorRegistry()
    program(metrics, registries[0])
    program(prometheus_client, registries[1])
    return registries


def alike(text: bytes) -> list[str]:
    """Lines with labels in one order and without what the clock says."""
    lines = re.sub(r"(_created(?:\{.*\})? )\S+|( # \{.*\} \S+) 1[0-9]{9}\.?\d*$", r"\1\2", text.decode(), flags=re.M)
    return [re.sub(r"\{([^#]*)\}", _sorted_labels, line, count=1) for line in lines.split("\n")]


def _sorted_labels(found: re.Match[str]) -> str:
    return "{" + ",".join(sorted(re.findall(r'[^=,]+="(?:[^"\\]|\\.)*"', found[1]))) + "}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_both_write_the_same_lines(program: Program) -> None:
    mine, peer = both(program)
    assert alike(metrics.generate_latest(mine)) == alike(prometheus_client.generate_latest(peer))
    assert alike(metrics.generate_latest(mine, openmetrics=True)) == alike(peer_openmetrics(peer))


@pytest.mark.parametrize("program", PROGRAMS)
def test_both_collect_the_same_samples(program: Program) -> None:
    def shown(registry: Any) -> list[Any]:
        found = []
        for family in registry.collect():
            samples = sorted(
                (
                    *(sample.name, sorted(sample.labels.items())),
                    "" if sample.name.endswith("_created") else repr(float(sample.value)),
                    *(
                        float(sample.timestamp or 0),
                        sample.exemplar and (dict(sample.exemplar.labels), sample.exemplar.value),
                    ),
                )
                for sample in family.samples
            )
            found.append((family.name, family.documentation, family.type, family.unit, samples))
        return found

    mine, peer = both(program)
    assert shown(mine) == shown(peer)


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_we_write_can_be_read_by_the_parsers_of_prometheus_client(program: Program) -> None:
    mine, _ = both(program)
    assert list(parse(metrics.generate_latest(mine).decode()))
    if program is not histograms:  # of buckets below zero the parser wants a sum, which the format forbids
        assert list(parse_openmetrics(metrics.generate_latest(mine, openmetrics=True).decode()))


def test_colons_stay_in_names_and_quotes_in_exemplars_are_escaped() -> None:
    registry = metrics.CollectorRegistry()
    metrics.Counter("a:b", "C", registry=registry).inc(1, {"t": 'x"y\\'})
    assert b"\na:b_total 1.0\n" in metrics.generate_latest(registry)
    assert b'\na:b_total 1.0 # {t="x\\"y\\\\"} 1.0 ' in metrics.generate_latest(registry, openmetrics=True)
    (family,) = registry.collect()
    assert family.name == "a:b"
    assert family.samples[0].exemplar is not None and family.samples[0].exemplar.labels == {"t": 'x"y\\'}


@pytest.mark.parametrize(
    "wanted", [["c_total"], ["h_count", "h_bucket"], ["g", "c_created"], ["none"], ["target_info"]]
)
def test_both_restrict_a_registry_to_the_same_samples(wanted: list[str]) -> None:
    def program(m: Any, r: Any) -> None:
        m.Counter("c", "C", registry=r).inc()
        m.Histogram("h", "H", registry=r).observe(1)
        m.Gauge("g", "G", registry=r).set(2)
        r.set_target_info({"a": "b"})

    mine, peer = (registry.restricted_registry(wanted) for registry in both(program))
    shown = [
        sorted(
            (s.name, str(s.labels), "" if s.name.endswith("_created") else s.value)
            for f in r.collect()
            for s in f.samples
        )
        for r in (mine, peer)
    ]
    assert shown[0] == shown[1]
    assert sorted(alike(metrics.generate_latest(mine))) == sorted(alike(prometheus_client.generate_latest(peer)))


def test_created_lines_are_left_out_where_that_is_asked_for() -> None:
    registry = metrics.CollectorRegistry()
    metrics.Counter("c", "C", registry=registry).inc()
    assert b"c_created" in metrics.generate_latest(registry)
    metrics.disable_created_metrics()
    try:
        metrics.Summary("s", "S", registry=registry).observe(1)
        assert b"_created" not in metrics.generate_latest(registry)
        assert b"_created" not in metrics.generate_latest(registry, openmetrics=True)
        assert [s.name for family in registry.collect() for s in family.samples] == ["c_total", "s_count", "s_sum"]
    finally:
        metrics.enable_created_metrics()
    assert b"s_created" in metrics.generate_latest(registry)


@pytest.mark.parametrize("library", [metrics, prometheus_client])
def test_of_a_generator_only_the_making_is_seen(library: Any) -> None:
    registry = library.CollectorRegistry()
    fails, busy = library.Counter("fails", "F", registry=registry), library.Gauge("busy", "B", registry=registry)
    seconds = library.Summary("seconds", "S", registry=registry)
    names = ("fails_total", "busy", "seconds_count")

    @fails.count_exceptions()
    @busy.track_inprogress()
    @seconds.time()
    def numbers() -> Iterator[list[float | None]]:
        yield [registry.get_sample_value(name) for name in names]
        raise KeyError

    generator = numbers()
    assert next(generator) == [0, 0, 1]
    with pytest.raises(KeyError):
        next(generator)
    assert registry.get_sample_value("fails_total") == 0
