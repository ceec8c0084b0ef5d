"""Expositions of metrics that several processes share: one answer from any of them, and what the dead left."""

import gc
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from shmstore import metrics
from shmstore.metrics.declaration import MODES
from tests.helpers.processes import Child, eventually, shared_numbers


def alone(action: Callable[[], None]) -> None:
    """Run it in a process of its own, as metrics are configured once a process."""
    gc.collect()  # instruments of other tests would move as well
    with Child(action) as child:
        assert child.wait() == 0


def samples(registry: Any, name: str) -> dict[str, float]:
    """By labels as `a=1,b=2`."""
    return {
        ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


@pytest.fixture
def registry() -> metrics.CollectorRegistry:
    return metrics.CollectorRegistry()


def test_any_process_shows_what_all_have_counted(name: str, registry: metrics.CollectorRegistry) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=registry)
        histogram = metrics.Histogram("h", "H", buckets=(1,), registry=registry)
        metrics.configure(name, series=100)

        def worker() -> None:
            counter.labels("x").inc(2)
            histogram.observe(0.5, {"pid": "worker"})

        for child in [Child(worker) for _ in range(3)]:
            assert child.wait() == 0
        assert samples(registry, "c_total") == {"a=x": 6}
        assert samples(registry, "h_bucket") == {"le=1.0": 3, "le=+Inf": 3}
        assert b'h_bucket{le="1.0"} 3.0 # {pid="worker"} 0.5' in metrics.generate_latest(registry, openmetrics=True)

    alone(action)


@pytest.mark.parametrize("mode", MODES)
def test_gauges_of_living_and_dead_processes_become_one(
    name: str, registry: metrics.CollectorRegistry, mode: Any
) -> None:
    values = {"dead": 8.0, "lives": 4.0, "own": 6.0}

    def action() -> None:
        gauge = metrics.Gauge("g", "G", ["a"], registry=registry, multiprocess_mode=mode)
        metrics.configure(name, series=100)
        gauge.labels("x").set(values["own"])

        def dies() -> None:
            gauge.labels("x").set(values["dead"])
            os.kill(os.getpid(), signal.SIGKILL)

        with Child(dies) as dead:
            dead.wait()
        is_set = shared_numbers(1)

        def lives() -> None:
            gauge.labels("x").set(values["lives"])
            is_set[0] = 1
            signal.pause()

        with Child(lives) as living:
            assert eventually(lambda: is_set[0])
            found = samples(registry, "g")
            of_all = {
                f"a=x,pid={dead.pid}": values["dead"],
                f"a=x,pid={living.pid}": values["lives"],
                f"a=x,pid={os.getpid()}": values["own"],
            }
            of_living = {key: value for key, value in of_all.items() if str(dead.pid) not in key}
            expected = {
                "all": [of_all, of_living],  # whose place was taken since is not shown any more
                "liveall": [of_living],
                "min": [{"a=x": 4}],
                "livemin": [{"a=x": 4}],
                "max": [{"a=x": 8}],
                "livemax": [{"a=x": 6}],
                "sum": [{"a=x": 18}],
                "livesum": [{"a=x": 10}],
                "mostrecent": [{"a=x": 4}],
                "livemostrecent": [{"a=x": 4}],
            }
            assert found in expected[mode]
        assert samples(registry, "g") != {}

    alone(action)


def test_what_the_dead_left_takes_no_more_room_with_each_of_them(
    name: str, registry: metrics.CollectorRegistry
) -> None:
    def action() -> None:
        total = metrics.Gauge("g", "G", registry=registry, multiprocess_mode="sum")
        metrics.configure(name, series=100, processes=4)
        sizes = []
        for _ in range(30):

            def worker() -> None:
                total.inc()
                os.kill(os.getpid(), signal.SIGKILL)

            with Child(worker) as child:
                child.wait()
            sizes.append(len(metrics.generate_latest(registry)))
        assert samples(registry, "g") == {"": 30}
        assert max(sizes) - min(sizes) <= 1

    alone(action)


def test_the_default_registry_shows_what_only_other_processes_have_declared(name: str) -> None:
    def first() -> None:
        metrics.configure(name, series=100)
        metrics.Counter("of_first", "F", ["a"]).labels("1").inc()
        metrics.Counter("of_none", "N", registry=None).inc()
        hidden = metrics.CollectorRegistry()
        metrics.Counter("of_custom", "C", registry=hidden).inc()

    def second() -> None:
        metrics.Counter("of_second", "S").inc()
        metrics.configure(name, series=100)
        text = metrics.generate_latest()
        assert b'\nof_first_total{a="1"} 1.0\n' in text and b"\nof_second_total 1.0\n" in text
        assert b"of_none" not in text and b"of_custom" not in text
        assert b"\nshmstore_metrics_series_refused_total 0.0\n" in text
        assert metrics.generate_latest(openmetrics=True).count(b"# EOF\n") == 1
        one = metrics.generate_latest(metrics.REGISTRY.restricted_registry(["of_first_total"]))
        assert [line for line in one.split(b"\n") if line and not line.startswith(b"#")] == [
            b'of_first_total{a="1"} 1.0'
        ]
        assert b"of_first" not in metrics.generate_latest(metrics.CollectorRegistry())

    alone(first)
    alone(second)


def test_information_and_states_are_those_of_whoever_set_them_last(
    name: str, registry: metrics.CollectorRegistry
) -> None:
    def action() -> None:
        info = metrics.Info("i", "I", ["a"], registry=registry)
        states = metrics.Enum("e", "E", states=["up", "down"], registry=registry)
        info.labels("x").info({"version": "0"})
        metrics.configure(name, series=100)
        info.labels("x").info({"version": "1"})

        def worker() -> None:
            info.labels("x").info({"version": "2", "by": "worker"})
            states.state("down")

        assert Child(worker).wait() == 0
        assert samples(registry, "i_info") == {"a=x,by=worker,version=2": 1}
        assert samples(registry, "e") == {"e=up": 0, "e=down": 1}
        info.labels("x").info({"version": "3"})
        assert samples(registry, "i_info") == {"a=x,version=3": 1}

        def late() -> None:
            metrics.Info("i", "I", ["a"], registry=metrics.CollectorRegistry()).labels("y")
            info.labels("x")

        assert Child(late).wait() == 0
        assert samples(registry, "i_info") == {"a=x,version=3": 1}

    alone(action)


def test_a_function_says_the_value_of_the_process_that_is_asked(name: str, registry: metrics.CollectorRegistry) -> None:
    def action() -> None:
        gauge = metrics.Gauge("g", "G", registry=registry, multiprocess_mode="livesum")
        gauge.set_function(lambda: os.getpid() % 7 + 1)
        metrics.configure(name, series=100)
        assert samples(registry, "g") == {"": os.getpid() % 7 + 1}

    alone(action)


def test_a_scrape_lets_other_threads_run_and_is_whole_while_others_count(
    name: str, registry: metrics.CollectorRegistry
) -> None:
    def action() -> None:
        histogram = metrics.Histogram("h", "H", ["a"], registry=registry)
        metrics.configure(name, series=2000)
        stop = shared_numbers(1)

        def worker() -> None:
            at = 0
            while not stop[0]:
                histogram.labels(str(at % 20)).observe(at % 3)
                at += 1
                if at % 50 == 0:
                    histogram.remove(str(at % 20))

        with Child(worker), Child(worker):
            for _ in range(100):
                counts = samples(registry, "h_count")
                found = {key: value for key, value in samples(registry, "h_bucket").items() if "le=+Inf" in key}
                assert counts.keys() <= {f"a={at}" for at in range(20)}
                for family in registry.collect():
                    by_series: dict[str, dict[str, float]] = {}
                    for sample in family.samples:
                        if sample.labels.get("le", "+Inf") == "+Inf":
                            by_series.setdefault(sample.labels["a"], {})[sample.name] = sample.value
                    assert all(line["h_bucket"] == line["h_count"] for line in by_series.values())
                assert len(found) <= 20
            stop[0] = 1

    alone(action)


def test_a_closed_segment_says_so(name: str, registry: metrics.CollectorRegistry) -> None:
    from shmstore.errors import StoreClosed
    from shmstore.metrics.configure import _Shared

    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=registry)
        gauge = metrics.Gauge("g", "G", registry=registry)
        metrics.configure(name, series=100)
        child = counter.labels("1")
        child.inc()
        assert _Shared.core is not None
        _Shared.core.close()
        calls: list[Callable[[], object]] = [
            *(child.inc, gauge.inc, gauge.dec, lambda: gauge.set(1), lambda: counter.labels("1").inc()),
            *(lambda: counter.labels("2"), child._read, lambda: child._put(1), child._restart),
            *(lambda: metrics.generate_latest(registry), lambda: list(registry.collect())),
            *(lambda: counter.remove("1"), counter.clear, lambda: child.inc(1, {"a": "b"})),
        ]
        for call in calls:
            with pytest.raises(StoreClosed):
                call()

    alone(action)
