"""Process and platform metrics: sums over all processes, CPU seconds that never fall, and who sees whom."""

import gc
import os
import random
import time
from collections.abc import Callable, Iterable

import psutil
import pytest

from shmstore import metrics
from shmstore.errors import SeriesTableFull
from shmstore.metrics import runtime
from shmstore.metrics.families import Metric
from tests.helpers.namespaces import in_pid_namespace, needs_namespaces
from tests.helpers.processes import Child, eventually, shared_numbers

CPU = "process_cpu_seconds_total"
PROCESS = {
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_cpu_seconds",
    "process_open_fds",
    "process_max_fds",
}
GC = {"python_gc_objects_collected", "python_gc_objects_uncollectable", "python_gc_collections"}


def alone(action: Callable[[], None]) -> None:
    """Run it in a process of its own, as metrics are configured once a process."""
    with Child(action) as child:
        assert child.wait() == 0


def value_of(name: str, **labels: str) -> float:
    value = metrics.REGISTRY.get_sample_value(name, labels)
    assert value is not None, name
    return value


def use_cpu(seconds: float) -> None:
    limit = time.process_time() + seconds
    while time.process_time() < limit:
        pass


def by_pid(families: Iterable[Metric], name: str) -> dict[str, float]:
    return {s.labels["pid"]: s.value for family in families for s in family.samples if s.name == name}


def test_the_default_registry_has_what_those_of_prometheus_client_have() -> None:
    client = pytest.importorskip("prometheus_client")
    theirs = [client.PROCESS_COLLECTOR, client.PLATFORM_COLLECTOR, client.GC_COLLECTOR]
    ours = [metrics.PROCESS_COLLECTOR, metrics.PLATFORM_COLLECTOR, metrics.GC_COLLECTOR]
    for their, our in zip(theirs, ours, strict=True):
        expected, found = ({f.name: f for f in collector.collect()} for collector in (their, our))
        assert found.keys() == expected.keys()
        for name, family in expected.items():
            assert (found[name].type, found[name].documentation) == (family.type, family.documentation)
            labels, own = ([(s.name, s.labels) for s in f.samples] for f in (family, found[name]))
            assert labels == own
    text = metrics.generate_latest().decode()
    assert all(f"# TYPE {name} gauge" in text for name in PROCESS - {"process_cpu_seconds"})
    assert f"# TYPE {CPU} counter" in text
    assert "# TYPE process_cpu_seconds counter" in metrics.generate_latest(openmetrics=True).decode()
    assert metrics.generate_latest(metrics.REGISTRY.restricted_registry([CPU])).decode().count("\n") == 3


def test_they_are_unregistered_and_registered_by_name() -> None:
    def action() -> None:
        for collector in (metrics.PROCESS_COLLECTOR, metrics.PLATFORM_COLLECTOR, metrics.GC_COLLECTOR):
            metrics.REGISTRY.unregister(collector)
        text = metrics.generate_latest()
        assert b"process_" not in text and b"python_" not in text
        again = metrics.ProcessCollector()
        assert value_of(CPU) >= 0
        with pytest.raises(metrics.DuplicateTimeseries):
            metrics.ProcessCollector()
        metrics.REGISTRY.unregister(again)
        registry = metrics.CollectorRegistry()
        metrics.ProcessCollector("shop", pid=os.getppid, registry=registry)
        found = {family.name: family.samples[0].value for family in registry.collect()}
        assert found.keys() == {f"shop_{name}" for name in PROCESS}
        started = psutil.Process(os.getppid()).create_time()
        assert abs(found["shop_process_start_time_seconds"] - started) < 60
        gone = metrics.ProcessCollector(pid=lambda: 2**22 + 1, registry=None)
        assert list(gone.collect()) == []

    alone(action)


def test_sums_are_over_the_living_and_cpu_seconds_over_all(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=100)
        numbers = shared_numbers(3)

        def worker(at: int) -> None:
            use_cpu(0.3)
            metrics.generate_latest()
            numbers[at] = 1
            time.sleep(600)

        with Child(lambda: worker(0)) as first, Child(lambda: worker(1)) as second:
            assert eventually(lambda: numbers[0] and numbers[1])
            processes = [psutil.Process(pid) for pid in (os.getpid(), first.pid, second.pid)]
            resident = sum(process.memory_info().rss for process in processes)
            assert 0.5 * resident < value_of("process_resident_memory_bytes") < 2 * resident
            virtual = sum(process.memory_info().vms for process in processes)
            assert 0.5 * virtual < value_of("process_virtual_memory_bytes") < 2 * virtual
            assert value_of("process_open_fds") == sum(process.num_fds() for process in processes)
            soft, _ = processes[0].rlimit(psutil.RLIMIT_NOFILE)
            assert value_of("process_max_fds") == 3 * soft
            first_start = min(process.create_time() for process in processes)
            assert abs(value_of("process_start_time_seconds") - first_start) < 60
            one_by_one = list(metrics.ProcessCollector(registry=None, per_worker=True).collect())
            cpu_s = by_pid(one_by_one, CPU)
            assert cpu_s.keys() == {str(process.pid) for process in processes}
            assert all(cpu_s[str(child.pid)] >= 0.25 for child in (first, second))
            assert by_pid(one_by_one, "process_open_fds").keys() == cpu_s.keys()
            before = value_of(CPU)
            assert before >= sum(cpu_s.values()) - 1e-6
            first.kill()
            second.kill()
        assert value_of(CPU) >= before
        assert value_of("process_max_fds") == soft

    alone(action)


def test_cpu_seconds_never_fall_whoever_is_killed(name: str, seed: int) -> None:
    moments = random.Random(seed)

    def action() -> None:
        metrics.configure(name, series=100)
        value_of(CPU)
        shown = shared_numbers(4)  # of the two that look: how often, and how often it had fallen

        def look(at: int) -> None:
            last = 0.0
            while True:
                now = value_of(CPU)
                shown[at + 2] += now < last
                shown[at] += 1
                last = now

        def burn() -> None:
            value_of(CPU)
            use_cpu(600)

        with Child(lambda: look(0)), Child(lambda: look(1)):
            assert eventually(lambda: shown[0] and shown[1])
            last = value_of(CPU)
            for _ in range(20):
                with Child(burn) as child:
                    time.sleep(moments.uniform(0, 0.1))
                    now = value_of(CPU)
                    assert now >= last
                    child.kill()
                last = value_of(CPU)
                assert last >= now
        assert shown[2] == shown[3] == 0

    alone(action)


def test_what_a_process_has_used_is_counted_once_whoever_looks(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=100)
        before = value_of(CPU)
        done = shared_numbers(1)

        def worker() -> None:
            use_cpu(0.5)
            for _ in range(5):
                value_of(CPU)
            done[0] = 1
            time.sleep(600)

        with Child(worker) as child:
            assert eventually(lambda: done[0])
            for _ in range(5):
                value_of(CPU)
            used_s = sum(psutil.Process(child.pid).cpu_times()[:2])
            own_s = sum(psutil.Process().cpu_times()[:2])
            child.kill()
        counted_s = value_of(CPU) - before
        assert used_s - 0.05 <= counted_s <= used_s + own_s + 0.05

    alone(action)


def test_the_collections_of_the_dead_stay(name: str) -> None:
    def action() -> None:
        gc.disable()
        metrics.configure(name, series=100)

        def collections() -> float:
            return value_of("python_gc_collections_total", generation="2")

        before = collections()

        def worker() -> None:
            for _ in range(7):
                gc.collect()
            collections()
            os.kill(os.getpid(), 9)

        for _ in range(3):
            assert Child(worker).wait() == -9
        assert collections() == before + 21
        gc.collect()
        assert collections() == before + 22

    alone(action)


@needs_namespaces
def test_of_a_process_in_another_pid_namespace_there_is_what_it_has_told(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=100)
        before = value_of(CPU)
        own_s = sum(psutil.Process().cpu_times()[:2])
        soft = value_of("process_max_fds")
        told = shared_numbers(1)

        def elsewhere() -> None:
            use_cpu(0.5)
            value_of(CPU)
            assert value_of("process_max_fds") == soft  # it sees itself alone
            told[0] = 1
            time.sleep(600)

        with in_pid_namespace(elsewhere) as child:
            assert eventually(lambda: told[0] or child.is_over()) and told[0]
            assert value_of("process_max_fds") == soft
            used_s = sum(psutil.Process().cpu_times()[:2]) - own_s
            assert 0.45 <= value_of(CPU) - before <= 0.5 + used_s + 2

    alone(action)


def test_a_full_table_leaves_out_what_has_no_room_and_shows_the_rest(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=1, processes=4, strict=True)
        many = metrics.Gauge("many", "M", ["n"], multiprocess_mode="mostrecent")
        with pytest.raises(SeriesTableFull):
            for number in range(10_000):
                many.labels(str(number)).set(1)
        assert metrics.REGISTRY.get_sample_value(CPU) is None
        assert value_of("process_open_fds") > 0
        assert b"process_max_fds" in metrics.generate_latest()

    alone(action)


def test_a_signal_handler_that_scrapes_amid_a_scrape_counts_collections_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def action() -> None:
        metrics.configure(name, series=100)
        metrics.generate_latest()
        stats, collections, calls = gc.get_stats(), 0, 0

        def interrupted() -> list[dict[str, int]]:
            nonlocal calls, collections
            calls += 1
            seen = collections
            if calls == 1:  # between the look at what is told and what is new
                collections = 5
                metrics.generate_latest()
            return [{**stat, "collections": stat["collections"] + seen} for stat in stats]

        def shown() -> float:
            found = metrics.REGISTRY.get_sample_value("python_gc_collections_total", {"generation": "0"})
            assert found is not None
            return found

        monkeypatch.setattr(runtime._Told, "counts", stats)
        before = runtime._counters()["collections"].labels("0")._value.get()
        monkeypatch.setattr(gc, "get_stats", interrupted)
        assert shown() == before + 5

    alone(action)
