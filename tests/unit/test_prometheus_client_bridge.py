"""The bridge: prometheus_client's own classes and functions, on series that all processes share."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import prometheus_client as peer
import pytest
from prometheus_client import multiprocess
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from shmstore import errors, metrics, prometheus_client_bridge
from tests.helpers.processes import Child

Action = Callable[[], None]


def alone(action: Action) -> None:
    """Run it in a process of its own, as the bridge stays once it is installed."""

    def run() -> int:
        gc.collect()  # metrics of other tests are declared for as long as they are there
        action()
        return 0

    with Child(run) as child:
        assert child.wait() == 0


def samples(registry: Any = peer.REGISTRY) -> dict[str, float]:
    families = parse(peer.generate_latest(registry).decode())
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_processes_share_what_they_count(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        counter = peer.Counter("requests_total", "Requests", ["method"])
        histogram = peer.Histogram("latency", "Latency", buckets=(1, 2))
        summary = peer.Summary("size", "Sizes")
        child = counter.labels("GET")
        child.inc()

        def worker() -> None:
            child.inc(2)
            counter.labels(method="POST").inc()
            histogram.observe(1.5)
            histogram.observe(5, {"trace": "x"})
            summary.observe(7)

        alone(worker)
        found = samples()
        assert found['requests_total{"method": "GET"}'] == 3
        assert found['requests_total{"method": "POST"}'] == 1
        assert [found[f'latency_bucket{{"le": "{le}"}}'] for le in ("1.0", "2.0", "+Inf")] == [0, 1, 2]
        assert (found["latency_count{}"], found["latency_sum{}"]) == (2, 6.5)
        assert (found["size_count{}"], found["size_sum{}"]) == (1, 7)
        assert b'latency_bucket{le="+Inf"} 2.0 # {trace="x"} 5.0 ' in openmetrics(peer.REGISTRY)
        assert peer.REGISTRY.get_sample_value("requests_total", {"method": "GET"}) == 3
        assert child._value.get() == 3 and histogram._sum.get() == 6.5  # as many a test reads them

    alone(action)


def test_gauges_follow_their_modes(name: str) -> None:
    modes = ("all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent")

    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        gauges = {mode: peer.Gauge(mode, "G", multiprocess_mode=mode) for mode in modes}  # type: ignore[arg-type]
        for gauge in gauges.values():
            gauge.set(5)

        def worker() -> None:
            for gauge in gauges.values():
                gauge.set(3)

        alone(worker)
        found = samples()
        assert {mode: found[mode + "{}"] for mode in modes if mode + "{}" in found} == {
            "min": 3,
            "livemin": 5,
            "max": 5,
            "livemax": 5,
            "sum": 8,
            "livesum": 5,
            "mostrecent": 3,
            "livemostrecent": 5,
        }
        own = f'{{"pid": "{os.getpid()}"}}'
        assert (found["all" + own], found["liveall" + own]) == (5, 5)
        assert sum(key.startswith("all{") for key in found) == 2  # also of the dead
        assert sum(key.startswith("liveall{") for key in found) == 1

    alone(action)


def test_info_states_and_functions_are_shared(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        info = peer.Info("build", "B")
        state = peer.Enum("state", "S", ["part"], states=["up", "down"])
        asked = peer.Gauge("asked", "A", multiprocess_mode="max")

        def worker() -> None:
            info.info({"version": "2"})
            state.labels("a").state("down")
            asked.set_function(lambda: 12)
            samples()

        alone(worker)
        found = samples()
        assert found['build_info{"version": "2"}'] == 1
        assert found['state{"part": "a", "state": "down"}'] == 1
        assert found['state{"part": "a", "state": "up"}'] == 0
        assert found["asked{}"] == 12

    alone(action)


def test_what_is_removed_is_removed_for_all(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        counter = peer.Counter("c", "C", ["a", "b"])
        for a, b in ("12", "13", "24"):
            counter.labels(a, b).inc(5)
        held = counter.labels("1", "2")
        alone(lambda: counter.remove("1", "2"))
        held.inc()  # counts into nothing, as whoever removed it wanted
        assert set(samples()) >= {'c_total{"a": "1", "b": "3"}', 'c_total{"a": "2", "b": "4"}'}
        assert 'c_total{"a": "1", "b": "2"}' not in samples()
        counter.labels("1", "2").inc()
        assert samples()['c_total{"a": "1", "b": "2"}'] == 1
        counter.remove_by_labels({"a": "1"})
        assert [key for key in samples() if key.startswith("c_total")] == ['c_total{"a": "2", "b": "4"}']
        counter.clear()
        assert [key for key in samples() if key.startswith("c_total")] == []

    alone(action)


def test_helpers_and_children_work_as_they_did(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        counter = peer.Counter("c", "C", ["a"])
        child = counter.labels("x")
        assert counter.labels(a="x") is child and isinstance(child, peer.Counter)
        with pytest.raises(KeyError), child.count_exceptions():
            raise KeyError
        histogram = peer.Histogram("h", "H", ["a"])
        with histogram.labels("x").time():
            pass
        gauge = peer.Gauge("g", "G", multiprocess_mode="sum")
        with gauge.track_inprogress():
            assert samples()["g{}"] == 1
        [family] = child.collect()
        assert [(s.name, s.labels, s.value) for s in family.samples if s.name == "c_total"] == [("c_total", {}, 1)]
        assert samples()['h_count{"a": "x"}'] == 1
        child.reset()
        assert samples()['c_total{"a": "x"}'] == 0

    alone(action)


def test_classes_of_a_program_inherit(name: str) -> None:
    class Doubled(peer.Counter):
        def __init__(self, name: str, documentation: str, labelnames: tuple[str, ...] = (), **more: Any) -> None:
            super().__init__(name, documentation, labelnames, **more)
            self.factor = 2

        def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
            super().inc(self.factor * amount, exemplar)

    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        counter = Doubled("c", "C", ("a",))
        alone(lambda: counter.labels("x").inc(2))
        counter.labels("x").inc()
        assert samples()['c_total{"a": "x"}'] == 6

    alone(action)


def test_a_class_with_values_of_its_own_is_told_of(name: str) -> None:
    class Own(MetricWrapperBase):
        _type = "gauge"

        def _metric_init(self) -> None:
            self.value = 0

        def _child_samples(self) -> list[Any]:
            return []

    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        with pytest.warns(UserWarning, match="Own is a metric of this process alone") as told:
            Own("first", "F", ("a",)).labels("x")
            Own("second", "S")
            peer.Counter("c", "C", ("a",)).labels("x").inc()
        assert len(told) == 1

    alone(action)


def test_children_that_are_refused_or_removed_elsewhere_are_not_kept(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=500)
        counter = peer.Counter("c", "C", ["a"])
        with pytest.warns(RuntimeWarning, match="a series is refused"):
            for number in range(2000):
                counter.labels(str(number)).inc()
        room = sum(key.startswith("c_total") for key in samples())
        assert 500 <= room == len(counter._metrics) < 2000
        alone(counter.clear)
        for number in range(2000, 3000):
            counter.labels(str(number)).inc()
        assert len(counter._metrics) < room + 1000 and sum(key.startswith("c_total") for key in samples()) == 1000

    alone(action)


@pytest.mark.parametrize(
    "call",
    [
        lambda m, r: m.Counter("c", "C", ["a"], registry=r).inc(),
        lambda m, r: m.Counter("c", "C", registry=r).inc(-1),
        lambda m, r: m.Counter("c", "C", registry=r).labels("x"),
        lambda m, r: m.Counter("c", "C", ["a"], registry=r).labels("x", "y"),
        lambda m, r: m.Counter("c", "C", ["a"], registry=r).labels(b="y"),
        lambda m, r: m.Counter("c", "C", ["a"], registry=r).labels("x").labels("y"),
        lambda m, r: m.Counter("c", "C", ["a"], registry=r).remove("x", "y"),
        lambda m, r: m.Counter("c", "C", ["a"], registry=r).remove_by_labels({"b": "x"}),
        lambda m, r: m.Gauge("g", "G", registry=r, multiprocess_mode="mostrecent").inc(),
        lambda m, r: m.Gauge("g", "G", registry=r, multiprocess_mode="latest"),
        lambda m, r: m.Info("i", "I", ["a"], registry=r).labels("x").info({"a": "y"}),
        lambda m, r: m.Histogram("h", "H", registry=r, buckets=(2, 1)),
        lambda m, r: [m.Counter("c", "C", registry=r) for _ in "12"],
    ],
)
def test_errors_are_those_of_prometheus_client(name: str, call: Callable[[Any, Any], object]) -> None:
    def refused() -> tuple[type[BaseException], str]:
        with pytest.raises(Exception) as refusal:
            call(peer, peer.CollectorRegistry())
        return type(refusal.value), str(refusal.value)

    def action() -> None:
        theirs = refused()
        gc.collect()
        prometheus_client_bridge.install(name, series=100)
        assert refused() == theirs

    alone(action)


def test_a_state_that_is_none_is_refused_with_those_that_are(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name)
        states = peer.Enum("e", "E", states=["up", "down"])
        with pytest.raises(ValueError, match="the enum 'e' has no state 'sideways'; its states are 'up', 'down'"):
            states.state("sideways")

    alone(action)


def test_nothing_half_made_remains(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        metrics.Counter("clash", "C")
        with pytest.raises(ValueError, match="clash"):
            peer.Counter("clash", "C")
        assert "clash_total" not in peer.generate_latest(peer.REGISTRY).decode()
        registry = peer.CollectorRegistry()
        peer.Counter("clash", "C", registry=registry).inc()
        assert samples(registry) == {"clash_total{}": 1}
        counter = peer.Counter("again", "C")
        peer.REGISTRY.unregister(counter)
        peer.Counter("again", "C")

    alone(action)


def test_what_other_processes_alone_declare_is_shown(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)

        def worker() -> None:
            peer.Counter("far", 'Of "another"\nprocess', ["a"], unit="seconds").labels('"x"\n\\').inc(3)
            peer.Counter("hidden", "H", registry=peer.CollectorRegistry()).inc()

        alone(worker)
        text = peer.generate_latest(peer.REGISTRY).decode()
        assert '# HELP far_seconds_total Of "another"\\nprocess\n# TYPE far_seconds_total counter\n' in text
        assert 'far_seconds_total{a="\\"x\\"\\n\\\\"} 3.0\n' in text
        assert "shmstore_metrics_series_refused_total 0.0" in text
        assert "hidden" not in text
        assert b"# UNIT far_seconds seconds\n" in openmetrics(peer.REGISTRY)
        assert text.count("# TYPE python_info gauge") == 1  # third-party collectors go on

    alone(action)


def test_programs_that_were_made_for_the_directory_of_files(name: str, tmp_path: Path) -> None:
    def action() -> None:
        imported_before = multiprocess.mark_process_dead
        prometheus_client_bridge.install(name, series=100)
        peer.Counter("c", "C").inc()
        other = peer.Counter("other", "O", registry=None)
        other.inc(2)
        registry = peer.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
        imported_before(os.getpid())  # type: ignore[no-untyped-call]
        found = samples(registry)
        assert (found["c_total{}"], found["other_total{}"]) == (1, 2)

    alone(action)


def test_created_is_shown_unless_it_is_disabled(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        peer.Counter("c", "C").inc()
        assert b"c_created" in peer.generate_latest()
        peer.disable_created_metrics()  # type: ignore[no-untyped-call]
        assert b"c_created" not in peer.generate_latest()

    alone(action)


def test_metrics_that_are_declared_already_are_named(name: str) -> None:
    def action() -> None:
        early = peer.Counter("early", "E")
        with pytest.raises(errors.InvalidCall, match=r"counter:early; import .* first and call install"):
            prometheus_client_bridge.install(name)
        early.inc()
        assert samples()["early_total{}"] == 1
        assert not Path("/dev/shm", name).exists()

    alone(action)


@pytest.mark.parametrize(
    ("declares", "before"),
    [
        ("early = Counter('early', 'E')", "declares them"),
        ("import colorsys; colorsys.early = Counter('early', 'E')", "imports colorsys"),
        ("import colorsys; early = colorsys.early = Counter('early', 'E')", "imports colorsys"),
        ("kept = [Counter('early', 'E')]", "declares them, or imports what does"),
    ],
)
def test_what_is_declared_too_early_is_told_by_where_it_is(name: str, declares: str, before: str) -> None:
    program = (
        "from prometheus_client import Counter\n"
        f"{declares}\n"
        "from shmstore import prometheus_client_bridge\n"
        f"prometheus_client_bridge.install({name!r})"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode and ended.stderr.endswith(f"call install({name!r}) before the program {before}\n")


def test_it_is_installed_once_and_by_one_name(name: str) -> None:
    def action() -> None:
        prometheus_client_bridge.install(name, series=100)
        peer.Counter("c", "C").inc()
        prometheus_client_bridge.install(name, series=100)
        with pytest.raises(errors.InvalidOption, match="configure once"):
            prometheus_client_bridge.install(name + "2")
        assert samples()["c_total{}"] == 1

    alone(action)


def test_without_prometheus_client_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "from shmstore import prometheus_client_bridge\n"
        "prometheus_client_bridge.install('x')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode and "ImportError: the bridge needs prometheus_client" in ended.stderr
    assert "pip install prometheus_client" in ended.stderr
