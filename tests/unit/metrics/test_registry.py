"""Registries refuse two collectors of one name, and find samples; side by side with prometheus_client."""

import os
import threading
from typing import Any

import prometheus_client
import pytest

from shmstore import metrics
from tests.helpers.processes import Child

LIBRARIES = [pytest.param(metrics, id="shmstore"), pytest.param(prometheus_client, id="prometheus_client")]


class Custom:
    """A collector that says what it has only when it is asked."""

    def __init__(self, library: Any, *names: str) -> None:
        self.library = library
        self.names = names

    def collect(self) -> Any:
        return [self.library.Metric(name, name, "gauge") for name in self.names]


@pytest.mark.parametrize("library", LIBRARIES)
def test_names_are_taken_once(library: Any) -> None:
    registry = library.CollectorRegistry()
    counter = library.Counter("a", "A", registry=registry)
    for name in ("a", "a_total", "a_created"):
        with pytest.raises(ValueError, match="Duplicated timeseries in CollectorRegistry"):
            library.Gauge(name, "A", registry=registry)
    library.Gauge("a_sum", "A", registry=registry)
    registry.unregister(counter)
    library.Gauge("a_total", "A", registry=registry)
    with pytest.raises(KeyError):
        registry.unregister(counter)


@pytest.mark.parametrize("library", LIBRARIES)
def test_custom_collectors_are_asked_for_their_names_only_where_that_is_wanted(library: Any) -> None:
    plain, described = library.CollectorRegistry(), library.CollectorRegistry(auto_describe=True)
    for registry in (plain, described):
        registry.register(Custom(library, "x"))
    plain.register(Custom(library, "x"))
    with pytest.raises(ValueError):
        described.register(Custom(library, "x"))


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_the_target_is_has_a_name_of_its_own(library: Any) -> None:
    registry = library.CollectorRegistry(target_info={"a": "b"})
    assert registry.get_target_info() == {"a": "b"}
    assert registry.get_sample_value("target_info", {"a": "b"}) == 1
    with pytest.raises(ValueError):
        library.Gauge("target_info", "T", registry=registry)
    registry.set_target_info(None)
    library.Gauge("target_info", "T", registry=registry)
    with pytest.raises(ValueError, match="already contains a target_info metric"):
        registry.set_target_info({"a": "b"})


@pytest.mark.parametrize("library", LIBRARIES)
def test_sample_values_are_found_by_name_and_labels(library: Any) -> None:
    registry = library.CollectorRegistry()
    counter = library.Counter("c", "C", ["a", "b"], registry=registry)
    counter.labels("1", '2"').inc(3)
    assert registry.get_sample_value("c_total", {"b": '2"', "a": "1"}) == 3
    assert registry.get_sample_value("c_total", {"a": "1"}) is None
    assert registry.get_sample_value("c_total") is None


@pytest.mark.parametrize("library", LIBRARIES)
def test_collectors_without_names_are_in_each_restriction_where_that_is_wanted(library: Any) -> None:
    class Filled(Custom):
        def collect(self) -> Any:
            family = library.Metric("x", "X", "gauge")
            family.add_sample("x", {}, 1)
            return [family]

    for supports, count in ((False, 0), (True, 1)):
        registry = library.CollectorRegistry(support_collectors_without_names=supports)
        registry.register(Filled(library))
        assert len(list(registry.restricted_registry(["x"]).collect())) == count


def test_a_forked_child_takes_the_lock_that_a_thread_of_its_parent_held() -> None:
    registry = metrics.CollectorRegistry()
    inside, done = threading.Event(), threading.Event()

    class Slow:
        def __hash__(self) -> int:
            if threading.current_thread() is thread:
                inside.set()
                done.wait(10)
            return 1

        def collect(self) -> Any:
            return []

    thread = threading.Thread(target=lambda: registry.register(Slow()))
    thread.start()
    inside.wait(10)

    def child() -> None:
        metrics.Counter("c", "C", registry=registry).inc()
        os._exit(0)

    with Child(child) as forked:
        assert forked.wait() == 0
    done.set()
    thread.join()
