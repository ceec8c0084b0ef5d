"""Metrics that are unregistered, declared anew or late are in nobody's way, and count into none of others."""

import gc
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from shmstore import metrics
from shmstore.metrics.memory import memory
from tests.helpers.processes import Child

Action = Callable[[], None]


def child(action: Action) -> Child:
    """A process of its own that shows nothing but what it declares."""

    def run() -> int:
        for collector in (metrics.PROCESS_COLLECTOR, metrics.GC_COLLECTOR, metrics.PLATFORM_COLLECTOR):
            metrics.REGISTRY.unregister(collector)
        gc.collect()  # instruments of other tests would move as well
        action()
        return 0

    return Child(run)


def alone(action: Action) -> None:
    with child(action) as process:
        assert process.wait() == 0


def shown(beginning: str) -> list[str]:
    """The lines of a scrape that begin so, and the types, without when anything began."""
    lines = metrics.generate_latest().decode().splitlines()
    kept = [line.removeprefix("# TYPE ") for line in lines if "_created" not in line and "# HELP" not in line]
    return [line for line in kept if line.startswith(beginning)]


def test_an_unregistered_metric_is_in_nobodys_way(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("m", "M")
        counter.inc(5)
        metrics.REGISTRY.unregister(counter)
        metrics.Gauge("m_total", "M", multiprocess_mode="sum").set(3)
        metrics.configure(name, series=100)
        counter.inc()  # which nobody sees
        assert shown("m") == ["m_total gauge", "m_total 3.0"]

    alone(action)


@pytest.mark.parametrize("other", [metrics.Counter, metrics.Summary])
def test_a_registry_of_ones_own_shows_what_is_in_it(name: str, other: Any) -> None:
    def action() -> None:
        registry = metrics.CollectorRegistry()
        before = other("m", "M", registry=registry)
        registry.unregister(before)
        (before.inc if other is metrics.Counter else before.observe)(5)
        counter = metrics.Counter("m", "M", registry=registry)
        counter.inc()
        metrics.configure(name, series=100)
        assert registry.get_sample_value("m_total") == 1
        counter.inc()
        assert registry.get_sample_value("m_total") == 2

    alone(action)


def full() -> metrics.Counter:
    """A counter that takes all room that there is."""
    counter = metrics.Counter("f", "F", ["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(memory.home.counts()[0]):
            counter.labels(str(number))
    return counter


@pytest.mark.parametrize(
    ("late", "other", "lines"),
    [
        (
            lambda: metrics.Counter("x", "X"),
            lambda: metrics.Summary("x", "X").observe(1.5),
            ["x summary", "x_count 1.0", "x_sum 1.5"],
        ),
        (
            lambda: metrics.Gauge("x_total", "X", multiprocess_mode="sum"),
            lambda: metrics.Counter("x", "X").inc(),
            ["x_total counter", "x_total 1.0"],
        ),
    ],
)
def test_a_metric_that_finds_room_late_counts_into_none_of_others(
    name: str, late: Callable[[], Any], other: Callable[[], Any], lines: list[str]
) -> None:
    def action() -> None:
        metrics.configure(name, series=1, processes=4)
        filling = full()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            metric = late()
        metric.inc()
        for number in range(20):
            filling.remove(str(number))
        alone_here(other)
        with pytest.warns(RuntimeWarning, match="it counts into nothing"):
            metric.inc(7)
        before = memory.home.counts()[2]
        metric.inc(7)
        assert memory.home.counts()[2] == before + 1 and shown("x") == lines

    def alone_here(declare: Callable[[], Any]) -> None:
        def run() -> int:
            for collector in metrics.REGISTRY.collectors():
                metrics.REGISTRY.unregister(collector)
            declare()
            return 0

        with Child(run) as process:
            assert process.wait() == 0

    alone(action)


def test_a_metric_whose_declaration_is_gone_declares_it_again(name: str) -> None:
    """Whoever is refused for a clash of names may have found a declaration that another had just made."""

    def action() -> None:
        metrics.configure(name, series=100)
        counter = metrics.Counter("m", "M", ["a"])
        number, word, _ = memory.home.find(b"m") or pytest.fail("it is declared")
        memory.home.remove(number, word)
        metrics.Counter("n", "N", ["b"]).labels("1").inc()  # takes the number
        counter.labels("1").inc()
        assert shown("m") == ["m_total counter", 'm_total{a="1"} 1.0']
        assert shown("n") == ["n_total counter", 'n_total{b="1"} 1.0']

    alone(action)


def test_what_clashes_is_named_with_the_segment_that_can_be_removed(name: str) -> None:
    def first() -> None:
        metrics.configure(name, series=100)
        metrics.Counter("m", "M", ["a"])
        metrics.Gauge("g", "G", multiprocess_mode="max")

    def second() -> None:
        metrics.configure(name, series=100)
        remedy = rf"or, if the program was changed, remove the segment \(shmstore-inspect rm {name}\)"
        with pytest.raises(ValueError, match=f"samples named 'm_total', and so has the counter 'm', .* {remedy}"):
            metrics.Gauge("m_total", "G")
        with pytest.raises(ValueError, match=f"declared already, with multiprocess_mode 'max', not 'sum': .* {remedy}"):
            metrics.Gauge("g", "G", multiprocess_mode="sum")

    def late() -> None:
        metrics.Gauge("g", "G", multiprocess_mode="sum")
        with pytest.raises(ValueError, match=rf"'max', not 'sum': .*shmstore-inspect rm {name}\)"):
            metrics.configure(name, series=100)

    for action in (first, second, late):
        alone(action)


def test_declaring_looks_through_no_series_of_others(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=100)
        metrics.Counter("first", "F")
        looks = []

        def profile(frame: Any, event: str, called: Any) -> None:
            if event == "c_call" and called.__name__ == "series":
                looks.append(called)

        sys.setprofile(profile)
        metrics.Counter("second", "S")
        sys.setprofile(None)
        assert not looks

    alone(action)
