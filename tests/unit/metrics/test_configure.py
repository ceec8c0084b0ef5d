"""Metrics of several processes in one segment: what was counted before moves along, and forks count once."""

import gc
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import _core, errors, metrics
from shmstore.metrics.memory import memory
from shmstore.segments import segment
from shmstore.segments.handle import attach
from tests.helpers.processes import Child, Gate

Action = Callable[[], None]


def alone(action: Action) -> None:
    """Run it in a process of its own, as metrics are configured once a process."""

    def run() -> int:
        gc.collect()  # instruments of other tests would move as well
        action()
        return 0

    with Child(run) as child:
        assert child.wait() == 0


def stored(name: str) -> dict[str, list[tuple[int, float]]]:
    """The cells of all series of a segment, as `metric{labels}`; of what each process has for itself, of all places."""
    with segment.attach(name, kind="metrics") as mapped:
        core = mapped.open_core()
        home = shmstore._core.Metrics(core)
        found: dict[str, list[tuple[int, float]]] = {}
        for at, _, _, _, text, _ in home.series(0xFFFFFF):
            key, _, _ = text.partition(b"\x01")
            key, _, _ = key.partition(b"\0")  # which of several registries it is of
            for _, _, place, _, labels, cells in home.series(at):
                where = "" if place is None else f"@{len([k for k in found if k.startswith(key.decode())])}"
                found[f"{key.decode()}{{{labels.decode()}}}{where}"] = [cell or (0, 0.0) for cell in cells]
        core.close()
        return found


def numbers(name: str) -> dict[str, float]:
    return {series: cells[0][1] for series, cells in stored(name).items()}


def test_what_was_counted_before_moves_along(name: str) -> None:
    def action() -> None:
        registry = metrics.CollectorRegistry()
        counter = metrics.Counter("c", "C", ["a"], registry=registry)
        held = counter.labels("1")
        held.inc(2)
        plain = metrics.Counter("plain", "C", registry=registry)
        plain.inc(3)
        histogram = metrics.Histogram("h", "H", buckets=(1, 2), registry=registry)
        histogram.observe(1.5)
        states = metrics.Enum("e", "E", states=["up", "down"], registry=registry)
        states.state("down")
        info = metrics.Info("i", "I", registry=registry)
        info.info({"version": "1"})
        latest = metrics.Gauge("latest", "G", multiprocess_mode="mostrecent", registry=registry)
        latest.set(7)
        total = metrics.Gauge("total", "G", multiprocess_mode="sum", registry=registry)
        total.inc(4)
        metrics.configure(name, series=100, exemplars=10, processes=4)
        held.inc()
        counter.labels("1").inc()
        counter.labels("2").inc()
        plain.inc()
        histogram.observe(1.5)
        total.dec()
        metrics.configure(name)
        late = metrics.Counter("late", "C", registry=registry)
        late.inc()
        assert memory.home.counts()[2] == 0

    alone(action)
    found = stored(name)
    assert found["h{}"] == [(0, 0.0), (2, 3.0), (0, 0.0)]
    assert numbers(name) | {"h{}": 0.0} == {
        'c{a="1"}': 4.0,
        'c{a="2"}': 1.0,
        "plain{}": 4.0,
        "h{}": 0.0,
        "e{}": 1.0,
        'i{version="1"}': 1.0,
        "latest{}": 7.0,
        "total{}@0": 3.0,
        "late{}": 1.0,
    }
    metrics_of(name)


def metrics_of(name: str) -> None:
    """Nothing is damaged."""
    with segment.attach(name, kind="metrics") as mapped:
        core = mapped.open_core()
        assert core.check() == []
        core.close()


@pytest.mark.parametrize("when", ["before", "after", "both"])
def test_forked_processes_count_each_update_once(name: str, when: str) -> None:
    def action() -> None:
        registry = metrics.CollectorRegistry()
        counter = metrics.Counter("c", "C", ["a"], registry=registry)
        gauge = metrics.Gauge("g", "G", multiprocess_mode="sum", registry=registry)
        child = counter.labels("1")
        child.inc(100)
        gauge.inc(10)
        if when != "after":
            metrics.configure(name, series=100)

        def worker() -> None:
            child.inc()
            gauge.inc()
            if when != "before":
                metrics.configure(name, series=100)
            child.inc()
            counter.labels("1").inc()
            gauge.inc()

        children = [Child(worker) for _ in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
        metrics.configure(name, series=100)

    alone(action)
    assert numbers(name)['c{a="1"}'] == 109
    cells = [cells for series, cells in stored(name).items() if series.startswith("g{")]
    marks = {mark for own, dead in cells for mark in (own[0],)}
    assert sum(own[1] + dead[1] for own, dead in cells) == 16, (cells, marks)
    metrics_of(name)


def test_a_gauge_that_a_child_sets_after_the_fork_moves_as_it_is(name: str) -> None:
    def action() -> None:
        registry = metrics.CollectorRegistry()
        gauge = metrics.Gauge("g", "G", multiprocess_mode="max", registry=registry)
        untouched = metrics.Gauge("untouched", "G", multiprocess_mode="mostrecent", registry=registry)
        gauge.set(50)
        untouched.set(9)

        def worker() -> None:
            gauge.set(20)
            metrics.configure(name, series=100)

        assert Child(worker).wait() == 0

    alone(action)
    assert numbers(name) == {"g{}@0": 20.0, "untouched{}": 0.0}


def test_a_removed_series_is_removed_for_all_processes(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        gauge = metrics.Gauge("g", "G", ["a"], registry=None)
        metrics.configure(name, series=100)
        held = counter.labels("1"), gauge.labels("1")
        for series in held:
            series.inc()

        def worker() -> None:
            gauge.labels("1").inc()
            counter.remove("1")
            gauge.remove_by_labels({"a": "1"})

        assert Child(worker).wait() == 0
        for series in held:
            series.inc()
        assert numbers(name) == {}
        counter.labels("1").inc(2)
        assert numbers(name) == {'c{a="1"}': 2.0}

    alone(action)


def test_killed_workers_lose_nothing_that_returned(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        total = metrics.Gauge("g", "G", multiprocess_mode="sum", registry=None)
        metrics.configure(name, series=100, processes=3)

        def worker() -> None:
            total.inc()
            counter.labels("x").inc()
            os.kill(os.getpid(), signal.SIGKILL)

        for _ in range(20):
            assert Child(worker).wait() == -signal.SIGKILL

    alone(action)
    assert numbers(name)['c{a="x"}'] == 20
    cells = [cells for series, cells in stored(name).items() if series.startswith("g{")]
    assert len(cells) <= 3
    assert sum(dead[1] + (own[1] if own[0] and own[0] != dead[0] else 0) for own, dead in cells) == 20


def test_many_processes_at_once_lose_nothing(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        gate = Gate()

        def worker() -> None:
            gate.wait()
            metrics.configure(name, series=1000)
            for i in range(20_000):
                counter.labels(str(i % 50)).inc()

        children = [Child(worker) for _ in range(4)]
        gate.open()
        assert [child.wait() for child in children] == [0] * 4

    alone(action)
    found = numbers(name)
    assert len(found) == 50 and set(found.values()) == {4 * 400.0}


def test_whoever_declares_a_metric_otherwise_is_told_what_the_first_declared(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=100)
        first = metrics.Histogram("h", "H", ["a"], buckets=(1, 2), registry=None)

        def worker() -> None:
            del memory._named["h"]  # as a process that began by itself
            with pytest.raises(ValueError, match=r"'h' is declared already, with buckets \[1.0, 2.0, inf\], not \[1.0"):
                metrics.Histogram("h", "H", ["a"], buckets=(1, 3), registry=None)
            registry = metrics.CollectorRegistry()
            with pytest.raises(ValueError, match="labels"):
                metrics.Histogram("h", "H", ["b"], buckets=(1, 2), registry=registry)
            assert registry.collectors() == []
            metrics.Histogram("h", "Other words", ["a"], buckets=(1, 2), registry=registry).labels("1").observe(1)

        assert Child(worker).wait() == 0
        assert first.labels("1")._read()[0] == (1, 1.0)

    alone(action)


def test_a_metric_that_is_declared_anew_goes_on_for_all(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("again", "C")
        metrics.configure(name, series=100)

        def worker() -> None:
            old = metrics.REGISTRY._names_to_collectors["again"]
            metrics.REGISTRY.unregister(old)
            metrics.Counter("again", "C").inc(5)
            assert metrics.REGISTRY.get_sample_value("again_total") == 5
            old.inc()  # it is the same

        assert Child(worker).wait() == 0
        counter.inc()
        shown = metrics.generate_latest().decode()
        assert shown.count("# TYPE again_total") == 1 and "\nagain_total 7.0\n" in shown

    alone(action)


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_registry_of_ones_own_is_apart_from_the_default_one(name: str, batch_first: bool) -> None:
    def action() -> None:
        metrics.configure(name, series=100)

        def web() -> None:
            metrics.Counter("rows", "C").inc()
            assert metrics.REGISTRY.get_sample_value("rows_total") == 1

        def batch() -> None:
            registry = metrics.CollectorRegistry()
            metrics.Counter("rows", "C", registry=registry).inc(100)
            assert registry.get_sample_value("rows_total") == 100

        for process in (batch, web) if batch_first else (web, batch):
            assert Child(process).wait() == 0
        assert "\nrows_total 1.0\n" in metrics.generate_latest().decode()

    alone(action)


@pytest.mark.parametrize("labels", [[], ["kind"]])
def test_jobs_with_a_registry_each_go_on_counting_whenever_garbage_is_collected(name: str, labels: list[str]) -> None:
    def job() -> float | None:
        registry = metrics.CollectorRegistry()
        counter = metrics.Counter("jobs", "C", labels, registry=registry)
        (counter.labels("a") if labels else counter).inc()
        return registry.get_sample_value("jobs_total", dict.fromkeys(labels, "a"))

    def action() -> None:
        metrics.configure(name, series=100)
        gc.disable()
        assert [job() for _ in range(4)] == [1, 2, 3, 4]

    alone(action)


def test_a_gauge_with_a_pid_of_its_own_has_no_other(name: str) -> None:
    def action() -> None:
        gauge = metrics.Gauge("rss", "G", ["pid"])
        metrics.configure(name, series=100)
        gauge.labels("5").set(1)
        assert Child(lambda: gauge.labels("6").set(2)).wait() == 0
        assert [sample[1:3] for family in gauge.collect() for sample in family.samples] == [
            ({"pid": "5"}, 1.0),
            ({"pid": "6"}, 2.0),
        ]

    alone(action)


def test_samples_of_one_name_are_refused_in_another_process_too(name: str) -> None:
    def first() -> None:
        metrics.configure(name, series=100)
        metrics.Counter("m", "M").inc()
        metrics.Histogram("n", "N").observe(1)

    def second() -> None:
        metrics.configure(name, series=100)
        for taken in ("m_total", "n_count", "n_bucket"):
            with pytest.raises(
                ValueError, match=f"has samples named '{taken}', and so has the (counter 'm'|histogram 'n')"
            ):
                metrics.Gauge(taken, "G")
        assert not any("_total" in of for of in metrics.REGISTRY._names_to_collectors if of.startswith("m"))
        metrics.Gauge("m_total", "G", registry=metrics.CollectorRegistry()).set(1)  # apart
        metrics.Counter("m", "M").inc()
        metrics.Gauge("n_sums", "G").set(2)
        shown = metrics.generate_latest().decode()
        assert shown.count("# TYPE m_total") == 1 and "\nm_total 2.0\n" in shown and "n_sums" in shown

    for action in (first, second):
        alone(action)


def test_a_declaration_that_clashes_keeps_everything_where_it_was(name: str) -> None:
    def first() -> None:
        metrics.configure(name, series=100)
        metrics.Counter("c", "C", ["other"], registry=None)

    def second() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        counter.labels("1").inc()
        with pytest.raises(ValueError, match="labels"):
            metrics.configure(name, series=100)
        counter.labels("1").inc()
        assert counter.labels("1")._read() == [(0, 2.0)]

    alone(first)
    alone(second)


def test_what_there_is_no_room_for_is_refused_and_taken_when_there_is(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        metrics.configure(name, series=1, processes=2, exemplars=0)
        _, free, _, _ = memory.home.counts()
        with pytest.warns(RuntimeWarning, match="no room") as warned:
            children = [counter.labels(str(i)) for i in range(free + 2)]
            for child in children:
                child.inc()
        assert len(warned) == 1
        assert memory.home.counts()[1] == 0 and memory.home.counts()[2] >= 2
        assert children[-1]._read() == [] and children[0]._read() == [(0, 1.0)]
        assert len(counter._children or ()) == free
        counter.remove("0")
        children[-1].inc()
        assert children[-1]._read() == [(0, 1.0)]

    alone(action)


def test_strict_metrics_raise_where_there_is_no_room(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        metrics.configure(name, series=1, processes=2, strict=True)
        with pytest.raises(errors.SeriesTableFull, match="no room"):
            for i in range(10_000):
                counter.labels(str(i)).inc()

    alone(action)


def test_what_there_is_room_for_moves_though_strict_metrics_raise(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        last = metrics.Counter("last", "C", registry=None)
        for i in range(2_000):
            counter.labels(str(i)).inc()
        with pytest.raises(errors.SeriesTableFull, match="no room"):
            metrics.configure(name, series=1, processes=2, strict=True)
        metrics.configure(name, series=1, processes=2)
        with pytest.raises(errors.InvalidOption, match="already"):
            metrics.configure(f"{name}-other")
        moved = len([series for series in numbers(name) if series.startswith('c{a="')])
        assert moved > 1
        counter.clear()
        last.inc()
        assert last._read() == [(0, 1.0)] and numbers(name)["last{}"] == 1

    alone(action)


def test_a_child_that_is_made_while_its_metric_moves_moves_too(name: str) -> None:
    class Slow(metrics.Counter):
        def _begin(self, metric: Any, text: bytes, labelvalues: tuple[str, ...]) -> bool:
            is_there = super()._begin(metric, text, labelvalues)
            if labelvalues:
                metrics.configure(name, series=100)  # as another thread may
            return is_there

    def action() -> None:
        Slow("c", "C", ["a"], registry=None).labels("1").inc()

    alone(action)
    assert numbers(name)['c{a="1"}'] == 1


def test_a_fork_waits_until_another_thread_has_configured() -> None:
    is_held, is_done = threading.Event(), threading.Event()

    def configuring() -> None:
        with memory.lock:  # as configure holds it
            is_held.set()
            time.sleep(0.2)
            is_done.set()

    thread = threading.Thread(target=configuring)
    thread.start()
    is_held.wait()
    with Child(lambda: 0 if is_done.is_set() and memory.lock.acquire(timeout=5) else 1) as child:
        assert child.wait() == 0
    thread.join()


def test_a_counter_that_a_forked_child_resets_moves_as_it_is(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", registry=None)
        counter.inc(5)

        def worker() -> None:
            counter.reset()
            counter.inc(2)
            metrics.configure(name, series=100)

        assert Child(worker).wait() == 0

    alone(action)
    assert numbers(name)["c{}"] == 2


def test_the_wrong_name_is_refused_with_the_call_that_fits(name: str) -> None:
    class Event(shmstore.Record):
        value: float

    shmstore.create(name, Event, capacity=10).close()

    def action() -> None:
        with pytest.raises(errors.WrongKind, match="attach"):
            metrics.configure(name)
        with pytest.raises(errors.InvalidName):
            metrics.configure("no/name")
        for bad in ({"series": 0}, {"series": "x"}, {"exemplars": -1}, {"processes": 0}, {"mode": 0o1000}):
            options: Any = bad
            with pytest.raises(errors.InvalidOption):
                metrics.configure(f"{name}-2", **options)
        metrics.configure(f"{name}-2", series=10, mode=0o640)
        assert Path(f"/dev/shm/{name}-2").stat().st_mode & 0o777 == 0o640
        with pytest.raises(errors.InvalidOption, match="already"):
            metrics.configure(f"{name}-3")

    alone(action)

    def smaller() -> None:
        with pytest.warns(UserWarning, match="series is 10, not 20"):
            metrics.configure(f"{name}-2", series=20)

    alone(smaller)


@pytest.mark.parametrize("unlink", [shmstore.unlink, lambda name: Path("/dev/shm", name).unlink()])
def test_metrics_whose_name_was_removed_are_made_anew(name: str, unlink: Callable[[str], None]) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", registry=None)
        metrics.configure(name, series=10)
        counter.inc()
        assert removed() == 0
        unlink(name)
        counter.inc()
        assert removed() == 1
        with pytest.warns(
            UserWarning, match=f"metrics '{name}' were removed while this process shared them: .* goes on"
        ):
            metrics.configure(name, series=10)
        counter.inc()
        assert removed() == 0
        metrics.configure(name, series=10)

    def removed() -> float:
        found = re.search(rb"^shmstore_metrics_removed (.*)$", metrics.generate_latest(), re.M)
        assert found
        return float(found[1])

    metrics.REGISTRY.unregister(metrics.PROCESS_COLLECTOR)  # whose series are stored as well
    metrics.REGISTRY.unregister(metrics.GC_COLLECTOR)
    try:
        alone(action)
    finally:
        metrics.REGISTRY.register(metrics.PROCESS_COLLECTOR)
        metrics.REGISTRY.register(metrics.GC_COLLECTOR)
    assert numbers(name) == {"c{}": 1.0}


def test_each_update_that_is_lost_is_counted(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        metrics.configure(name, series=1, processes=2, exemplars=0)
        _, free, _, _ = memory.home.counts()
        with pytest.warns(RuntimeWarning, match="no room"):
            children = [counter.labels(str(i)) for i in range(free + 1)]
        before = memory.home.counts()[2]
        for _ in range(5):
            children[-1].inc()
        assert children[-1]._read() == []
        assert memory.home.counts()[2] == before + 5

    alone(action)


def test_a_strict_series_that_was_refused_raises_each_time(name: str) -> None:
    def action() -> None:
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        children = [counter.labels(str(i)) for i in range(2_000)]
        for child in children:
            child.inc()
        with pytest.raises(errors.SeriesTableFull, match="no room"):
            metrics.configure(name, series=1, processes=2, strict=True)
        lost = next(child for child in children if not child._is_current)
        for _ in range(3):
            with pytest.raises(errors.SeriesTableFull, match="no room"):
                lost.inc()

    alone(action)


def test_a_handler_that_raises_while_metrics_move_leaves_them_shared(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def action() -> None:
        registry = metrics.CollectorRegistry()
        counters = [metrics.Counter(f"c{number}", "C", ["kind"], registry=registry) for number in range(3)]
        place, calls = type(memory)._place, []

        def interrupted(*arguments: Any) -> None:
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            place(*arguments)

        monkeypatch.setattr(type(memory), "_place", interrupted)
        with pytest.raises(KeyboardInterrupt):
            metrics.configure(name, series=10)
        for counter in counters:
            counter.labels("a").inc()
        assert sorted(numbers(name).values()) == [1, 1, 1]
        metrics.configure(name, series=10)

    alone(action)


def test_what_is_attached_for_reading_only_removes_no_series(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=10)
        metrics.Counter("c", "C", registry=None).inc()

    alone(action)
    with attach(name, kind="metrics", read_only=True) as handle:
        home = _core.Metrics(handle.core)
        for remove in (lambda: home.remove_text(0, b"", False), lambda: home.remove_all(0)):
            with pytest.raises(errors.ReadOnlyStore):
                remove()


def test_the_function_of_a_gauge_that_finds_room_later_is_asked_again(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=1)
        registry = metrics.CollectorRegistry()
        filling = metrics.Gauge("filling", "F", ["n"], registry=None)
        with pytest.warns(RuntimeWarning, match="no room"):
            for number in range(2000):
                filling.labels(str(number)).set(1)
        metrics.Gauge("other", "O", registry=registry, multiprocess_mode="livesum").set_function(lambda: 7)
        metrics.generate_latest(registry)
        assert registry.get_sample_value("other") is None
        filling.clear()
        metrics.generate_latest(registry)
        assert registry.get_sample_value("other") == 7

    alone(action)


def test_what_the_dead_leave_does_not_grow_with_their_number(name: str) -> None:
    def action() -> None:
        registry = metrics.CollectorRegistry()
        counter = metrics.Counter("c", "C", registry=registry)
        gauges = [
            metrics.Gauge(f"g_{mode}", "G", registry=registry, multiprocess_mode=mode)
            for mode in ("all", "sum", "max", "mostrecent", "livesum")
        ]
        metrics.configure(name, series=1000, processes=64)

        def work() -> None:
            counter.inc()
            for gauge in gauges:
                gauge.set(2)

        def nodes_used() -> int:
            nodes, free, *_ = memory.home.counts()
            return nodes - free

        used = []
        for number in range(1, 41):
            with Child(work) as child:
                assert child.wait() == 0
            used.append(nodes_used())
            assert registry.get_sample_value("c_total") == number
            assert registry.get_sample_value("g_sum") == 2 * number
        assert used[5] == used[-1] and registry.get_sample_value("g_livesum") in (0, None)

    alone(action)


@pytest.mark.parametrize("strict", [False, True])
def test_a_process_without_a_place_counts_into_nothing(name: str, strict: bool) -> None:
    full = r"configure the metrics with a larger processes="

    def first() -> None:
        metrics.configure(name, series=10, processes=1, strict=strict)
        registry = metrics.CollectorRegistry()
        counter = metrics.Counter("c", "C", ["kind"], registry=registry)
        counter.labels("known").inc()
        alone(partial(second, counter))
        assert registry.get_sample_value("c_total", {"kind": "known"}) == 2

    def second(counter: metrics.Counter) -> None:
        counter.labels("known").inc(1, {"trace": "x"})  # which needs no place; its exemplar is left out
        with pytest.raises(errors.ProcessTableFull, match=full):
            metrics.Counter("d", "D", registry=None)
        if strict:
            with pytest.raises(errors.ProcessTableFull, match=full):
                counter.labels("new")
            return
        with pytest.warns(RuntimeWarning, match=full):
            lost = counter.labels("new")
        before = refused()
        lost.inc()
        lost.inc()
        assert refused() == before + 2
        room = memory.store.metrics_room() if memory.store else pytest.fail("they are shared")
        assert room.placeless == room.refused == refused() and not room.too_long

    def refused() -> float:
        found = re.search(rb"^shmstore_metrics_series_refused_total (.*)$", metrics.generate_latest(), re.M)
        return float(found[1]) if found else 0

    alone(first)


@pytest.mark.parametrize(
    "odd", [{"series": 1.5}, {"series": 0}, {"exemplars": -1}, {"processes": "many"}, {"mode": "0o600"}, {"group": 1.5}]
)
def test_odd_options_are_refused(name: str, odd: dict[str, Any]) -> None:
    def action() -> None:
        with pytest.raises(errors.InvalidOption, match=next(iter(odd))):
            metrics.configure(name, **odd)
        assert not memory.is_shared

    alone(action)


def test_odd_names_are_refused() -> None:
    def action() -> None:
        for odd in ("", "a/b", "..", None, 7, b"name"):
            with pytest.raises(errors.InvalidName):
                metrics.configure(odd)  # type: ignore[arg-type]

    alone(action)


def test_a_function_is_asked_in_its_own_process_alone(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=10)
        values = iter((3, 4))
        gauge = metrics.Gauge("g", "G", multiprocess_mode="livesum")
        gauge.set_function(lambda: next(values))
        assert b"\ng 3.0\n" in metrics.generate_latest()
        assert seen_from_outside() == 3  # what it said last, and it is not asked
        assert b"\ng 4.0\n" in metrics.generate_latest()
        assert seen_from_outside() == 4

    def seen_from_outside() -> float:
        return next(value for series, value in numbers(name).items() if series.startswith("g{}"))

    alone(action)
