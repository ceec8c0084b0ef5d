"""Instruments in private memory: how they are made, called and refused; side by side with prometheus_client."""

import copy
import gc
import math
import pickle
import threading
import weakref
from collections.abc import Callable
from typing import Any

import prometheus_client
import pytest

from shmstore import _core, errors, metrics
from shmstore.metrics.memory import memory

Library = Any
BOTH = [pytest.param(metrics, id="shmstore"), pytest.param(prometheus_client, id="prometheus_client")]


def cells(series: Any) -> list[tuple[int, float]]:
    return [(bits, number) for bits, number in series._read()]


def number(series: Any) -> float:
    return float(series._read()[0][1])


@pytest.fixture
def registry() -> metrics.CollectorRegistry:
    return metrics.CollectorRegistry()


def test_a_counter_adds_up(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("a_total", "A", registry=registry)
    counter.inc()
    counter.inc(2.5)
    counter.inc(amount=1)
    counter.inc(True)
    assert number(counter) == 5.5
    counter.reset()
    assert number(counter) == 0


@pytest.mark.parametrize("library", BOTH)
def test_programs_find_numbers_where_they_look_for_them(library: Library) -> None:
    registry = library.CollectorRegistry()
    counter = library.Counter("c", "C", ["a"], registry=registry)
    counter.labels("x").inc(3)
    gauge = library.Gauge("g", "G", registry=registry)
    gauge.set(4)
    summary = library.Summary("s", "S", registry=registry)
    summary.observe(5)
    histogram = library.Histogram("h", "H", registry=registry)
    histogram.observe(6)
    assert [counter.labels("x")._value.get(), gauge._value.get()] == [3, 4]
    assert [summary._count.get(), summary._sum.get(), histogram._sum.get()] == [1, 5, 6]
    (family,) = counter.labels("x").collect()
    assert [(s.name, s.labels) for s in family.samples] == [("c_total", {}), ("c_created", {})]
    assert (counter._name, counter._labelnames, counter.labels("x")._labelvalues) == ("c", ("a",), ("x",))


def test_a_gauge_goes_up_and_down_and_is_set(registry: metrics.CollectorRegistry) -> None:
    gauge = metrics.Gauge("g", "G", registry=registry)
    gauge.inc()
    gauge.dec(3)
    assert number(gauge) == -2
    gauge.set("4.5")  # type: ignore[arg-type]
    assert number(gauge) == 4.5
    with gauge.track_inprogress():
        assert number(gauge) == 5.5
    assert number(gauge) == 4.5
    gauge.set_to_current_time()
    assert number(gauge) > 1.7e9
    with gauge.time():
        pass
    assert 0 <= number(gauge) < 10


def test_a_gauge_whose_value_a_function_says_is_set_by_nothing_else(registry: metrics.CollectorRegistry) -> None:
    gauge = metrics.Gauge("g", "G", ["l"], registry=registry)
    gauge.labels("1").set_function(lambda: 7)
    gauge.labels("1").inc()
    gauge.labels("1").set(3)
    gauge.refresh()
    assert number(gauge.labels("1")) == 7


def test_the_function_of_a_removed_series_is_let_go(registry: metrics.CollectorRegistry) -> None:
    def fail() -> float:
        raise RuntimeError

    gauge = metrics.Gauge("g", "G", ["k"], registry=registry)
    for remove in (
        lambda: gauge.remove("a"),
        lambda: gauge.remove_by_labels({"k": "a"}),
        lambda: gauge.clear(),
    ):
        gauge.labels("a").set_function(fail)
        with pytest.raises(RuntimeError):
            metrics.generate_latest(registry)
        remove()
        assert not gauge._functions
        assert b"{" not in metrics.generate_latest(registry)
    gauge.labels("b").set_function(fail)
    memory.remove(gauge, b'k="b"')  # as another process
    assert b"{" not in metrics.generate_latest(registry) and not gauge._functions


def test_a_histogram_counts_in_the_first_bucket_that_reaches(registry: metrics.CollectorRegistry) -> None:
    histogram = metrics.Histogram("h", "H", buckets=(1, 2, 5), registry=registry)
    for amount in (0.5, 1, 1.5, 5, 6, math.inf, -1):
        histogram.observe(amount)
    assert cells(histogram) == [(3, 0.5), (1, 1.5), (1, 5.0), (2, math.inf)]


def test_what_is_no_number_is_in_the_sum_and_in_no_bucket(registry: metrics.CollectorRegistry) -> None:
    histogram = metrics.Histogram("h", "H", buckets=(1,), registry=registry)
    histogram.observe(math.nan)
    assert [count for count, _ in cells(histogram)] == [0, 0]
    assert math.isnan(sum(part for _, part in cells(histogram)))


def test_a_summary_counts_and_adds_up(registry: metrics.CollectorRegistry) -> None:
    summary = metrics.Summary("s", "S", registry=registry)
    summary.observe(2)
    with summary.time():
        pass
    ((count, total),) = cells(summary)
    assert count == 2 and 2 <= total < 12


def test_states_and_information_are_set_as_a_whole(registry: metrics.CollectorRegistry) -> None:
    states = metrics.Enum("e", "E", states=["up", "down"], registry=registry)
    assert number(states) == 0
    states.state("down")
    assert number(states) == 1
    with pytest.raises(ValueError, match="the enum 'e' has no state 'sideways'; its states are 'up', 'down'"):
        states.state("sideways")
    assert number(states) == 1
    info = metrics.Info("i", "I", ["l"], registry=registry)
    info.labels("1").info({"version": "1"})
    info.labels("2").info({"version": "1"})
    info.labels("1").info({"version": "2", "at": 'the "end"'})
    texts = sorted(text for _, _, _, _, text, _ in memory.home.series(info._family))
    assert texts == [b'l="1",version="2",at="the \\"end\\""', b'l="2",version="1"']


def test_a_child_is_the_same_by_position_and_by_keyword(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", ["a", "b"], registry=registry)
    child = counter.labels("1", "2")
    assert isinstance(child, metrics.Counter)
    assert child is counter.labels(1, 2) is counter.labels(b=2, a="1")
    assert child is not counter.labels("2", "1")


def test_children_of_a_subclass_are_of_it(registry: metrics.CollectorRegistry) -> None:
    class Mine(metrics.Counter):
        def __init__(self, name: str) -> None:
            super().__init__(name, "Mine", ["a"], registry=registry)
            self.colour = "red"

    assert isinstance(Mine("m").labels("1"), Mine)
    assert Mine("n").labels("1").colour == "red"


def test_a_removed_child_counts_into_nothing_and_comes_back_at_zero(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", ["a", "b"], registry=registry)
    for a, b in (("1", "1"), ("1", "2"), ("2", "2")):
        counter.labels(a, b).inc(5)
    held = counter.labels("1", "1")
    counter.remove("1", "1")
    held.inc()
    assert cells(held) == []
    counter.labels("1", "1").inc()
    assert number(counter.labels("1", "1")) == 1
    counter.remove_by_labels({"b": "2"})
    assert [text for _, _, _, _, text, _ in memory.home.series(counter._family)] == [b'a="1",b="1"']
    counter.clear()
    assert memory.home.series(counter._family) == []
    counter.remove("no", "such")


def test_what_nobody_holds_gives_its_room_back() -> None:
    gc.collect()
    _, free, _, _ = memory.home.counts()
    gone = metrics.CollectorRegistry()
    counter = metrics.Counter("c", "C", ["a"], registry=gone)
    for i in range(100):
        counter.labels(str(i)).inc()
    assert memory.home.counts()[1] < free - 100
    del counter, gone
    gc.collect()
    assert memory.home.counts()[1] == free


def test_registries_keep_apart_what_has_one_name() -> None:
    registries = [metrics.CollectorRegistry() for _ in range(3)]
    counters = [
        metrics.Counter("same", "C", labels, registry=at)
        for at, labels in zip(registries, ((), (), ("a",)), strict=True)
    ]
    counters[0].inc(1)
    counters[1].inc(2)
    counters[2].labels("x").inc(3)
    assert [number(counters[0]), number(counters[1]), number(counters[2].labels("x"))] == [1, 2, 3]


def test_exceptions_are_counted_around_blocks_functions_and_coroutines(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", registry=registry)
    with pytest.raises(KeyError), counter.count_exceptions():
        raise KeyError
    with pytest.raises(KeyError), counter.count_exceptions(ValueError):
        raise KeyError

    @counter.count_exceptions((ValueError, TypeError))
    async def fails(x: int) -> None:
        """Fails."""
        raise TypeError(x)

    assert fails.__doc__ == "Fails."
    coroutine = fails(1)
    assert number(counter) == 1
    with pytest.raises(TypeError):
        coroutine.send(None)
    assert number(counter) == 2


def test_the_labels_of_a_timer_may_be_chosen_inside(registry: metrics.CollectorRegistry) -> None:
    summary = metrics.Summary("s", "S", ["a"], registry=registry)
    with summary.time() as timer:
        timer.labels("x")
    assert cells(summary.labels("x"))[0][0] == 1
    assert timer.duration is not None

    @summary.labels("y").time()
    def twice(n: int) -> int:
        return n and twice(n - 1)

    twice(1)
    assert cells(summary.labels("y"))[0][0] == 2


REFUSED: list[Callable[[Library, Any], Any]] = [
    lambda m, r: m.Counter("", "x", registry=r),
    lambda m, r: m.Counter("c", "x", ["__a"], registry=r),
    lambda m, r: m.Histogram("h", "x", ["le"], registry=r),
    lambda m, r: m.Summary("s", "x", ["quantile"], registry=r),
    lambda m, r: m.Histogram("h", "x", buckets=(2, 1), registry=r),
    lambda m, r: m.Histogram("h", "x", buckets=(), registry=r),
    lambda m, r: m.Histogram("h", "x", buckets=(float("inf"),), registry=r),
    lambda m, r: m.Gauge("g", "x", multiprocess_mode="most", registry=r),
    lambda m, r: m.Enum("e", "x", registry=r),
    lambda m, r: m.Enum("e", "x", ["e"], states=["a"], registry=r),
    lambda m, r: m.Info("i", "x", unit="s", registry=r),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).inc(),
    lambda m, r: m.Gauge("c", "x", ["a"], registry=r).set(1),
    lambda m, r: m.Histogram("c", "x", ["a"], registry=r).observe(1),
    lambda m, r: m.Gauge("c", "x", ["a"], registry=r).track_inprogress(),
    lambda m, r: m.Counter("c", "x", registry=r).inc(-1),
    lambda m, r: m.Counter("c", "x", registry=r).labels("1"),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).labels(),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).labels("1", "2"),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).labels(b="1"),
    lambda m, r: m.Counter("c", "x", ["a", "b"], registry=r).labels("1", b="1"),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).labels("1").labels("1"),
    lambda m, r: m.Counter("c", "x", registry=r).remove("1"),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).remove("1", "2"),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).remove_by_labels({"b": "1"}),
    lambda m, r: m.Counter("c", "x", ["a"], registry=r).remove_by_labels([]),
    lambda m, r: m.Gauge("g", "x", multiprocess_mode="mostrecent", registry=r).inc(),
    lambda m, r: m.Gauge("g", "x", multiprocess_mode="livemostrecent", registry=r).dec(),
    lambda m, r: m.Gauge("g", "x", registry=r).set("x"),
    lambda m, r: m.Counter("c", "x", registry=r).inc(None),
    lambda m, r: m.Info("i", "x", ["a"], registry=r).labels("1").info({"a": "1"}),
    lambda m, r: m.Info("i", "x", registry=r).info({"b": None}),
    lambda m, r: m.Counter("c", "x", registry=r).inc(1, {"a": "x" * 128}),
    lambda m, r: m.Counter("c", "x", registry=r).inc(1, {"__a": "x"}),
    lambda m, r: (m.Counter("c", "x", registry=r), m.Counter("c", "x", registry=r)),
    lambda m, r: (m.Counter("c", "x", registry=r), m.Gauge("c_total", "x", registry=r)),
]


@pytest.mark.parametrize("refused", REFUSED)
def test_both_libraries_refuse_with_the_same_error(refused: Callable[[Library, Any], Any]) -> None:
    errors = []
    for library in (metrics, prometheus_client):
        with pytest.raises(Exception) as found:
            refused(library, library.CollectorRegistry())
        errors.append(found.value)
    ours, theirs = errors
    assert isinstance(ours, (ValueError, TypeError, RuntimeError))
    assert isinstance(ours, next(kind for kind in (ValueError, TypeError, RuntimeError) if isinstance(theirs, kind)))
    if "fric" not in str(theirs) and "%d" not in str(theirs) and not isinstance(theirs, TypeError):
        assert str(ours) == str(theirs)


def test_nothing_half_made_remains(registry: metrics.CollectorRegistry) -> None:
    metrics.Counter("c", "C", registry=registry)
    gc.collect()
    _, free, _, _ = memory.home.counts()
    with pytest.raises(ValueError):
        metrics.Counter("c", "C", ["a"], registry=registry)
    gc.collect()
    assert memory.home.counts()[1] == free
    metrics.Counter("d", "C", registry=registry)


def test_a_metric_is_neither_copied_nor_pickled(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", ["a"], registry=registry)
    for refused in (counter, counter.labels("1")):
        for send in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(errors.NotPicklable, match="a metric lives in this process alone"):
                send(refused)


def test_a_label_value_that_is_no_text_is_removed_as_it_is_stored(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", ["a"], registry=registry)
    for value in ("\ud800", 'a\0\n\r\u2028\\"', ""):
        counter.labels(value).inc()
        counter.remove(value)
        assert number(counter.labels(value)) == 0


def test_a_metric_whose_series_is_refused_may_be_made_again(
    registry: metrics.CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(metrics.Counter, "_begin", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            metrics.Counter("c", "C", registry=registry)
    metrics.Counter("c", "C", registry=registry).inc()


def test_a_key_that_is_longer_than_its_text_is_refused() -> None:
    for key_bytes in (-1, 2):
        with pytest.raises(ValueError, match="a text of 1"):
            _core.Metrics().declare(b"x", key_bytes)


def test_removing_and_writing_wait_until_all_metrics_have_moved(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", ["a"], registry=registry)
    for call in (counter.clear, counter.collect, lambda: memory.write_others(False)):
        thread = threading.Thread(target=call)
        with memory.lock:  # as a move holds it
            thread.start()
            thread.join(0.1)
            assert thread.is_alive()
        thread.join()


def test_a_series_that_was_never_declared_is_refused() -> None:
    for kind in (_core.Series, _core.Counter, _core.Gauge, _core.Histogram, _core.Summary):
        bare: Any = kind()
        with pytest.raises((ValueError, AttributeError)):
            bare._read()
        with pytest.raises(TypeError):
            bare._become(bare, b"", ())
        assert bare._children is bare._family is bare._text is None
        assert bare._child(("x",)) is None
        with pytest.raises(AttributeError):
            bare.labels("x")


def test_a_full_table_refuses_warns_once_and_takes_again() -> None:
    home = _core.Metrics()
    count = home.counts()[0]
    with pytest.warns(RuntimeWarning, match="no room in the table") as warned:
        numbers = [home.declare(b"%d" % i, len(b"%d" % i)) for i in range(count + 3)]
    assert len(warned) == 1
    assert numbers[count:] == [None] * 3
    assert home.counts()[1:3] == (0, 3)
    strict = _core.Metrics(strict=True)
    with pytest.raises(RuntimeError, match="no room"):
        for i in range(count + 1):
            strict.declare(b"%d" % i, len(b"%d" % i))


def test_information_is_removed_by_its_labels(registry: metrics.CollectorRegistry) -> None:
    info = metrics.Info("i", "I", ["a"], registry=registry)
    info.labels("1").info({"version": "1"})
    info.labels("2")
    info.remove("1")
    assert [text for _, _, _, _, text, _ in memory.home.series(info._family)] == [b'a="2"']
    info.remove("2")
    info.labels("3").info({"version": "1"})
    info.clear()
    assert memory.home.series(info._family) == []


def test_threads_lose_no_update_while_others_remove_and_make_series(registry: metrics.CollectorRegistry) -> None:
    counter = metrics.Counter("c", "C", ["a"], registry=registry)
    histogram = metrics.Histogram("h", "H", ["a"], buckets=(1, 2), registry=registry)

    def work(number: int) -> None:
        for i in range(3000):
            counter.labels("kept").inc()
            histogram.labels("kept").observe(i % 3)
            counter.labels(f"{number}").inc()
            if i % 50 == 0:
                counter.remove(f"{number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert number(counter.labels("kept")) == 12_000
    assert sum(count for count, _ in cells(histogram.labels("kept"))) == 12_000


def test_a_metric_is_declared_once() -> None:
    gauge = metrics.Gauge("g", "G", registry=None)
    gauge.set_function(lambda: 7)
    with pytest.raises(errors.InvalidCall, match="declared already"):
        gauge.__init__("other", "O", registry=None)  # type: ignore[misc]
    assert [sample.value for family in gauge.collect() for sample in family.samples] == [7]


def test_more_items_than_are_stored_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="has 65537 buckets; at most 65535"):
        metrics.Histogram("h", "H", buckets=range(65_536), registry=None)
    with pytest.raises(ValueError, match="has 65536 states; at most 65535"):
        metrics.Enum("e", "E", states=[str(i) for i in range(65_536)], registry=None)


def test_a_metric_takes_the_name_of_one_that_is_being_deallocated() -> None:
    made: list[metrics.Counter] = []

    def take_over(_: object) -> None:
        made.append(metrics.Counter("dying", "D", registry=None))
        made[0].inc()

    dying = metrics.Counter("dying", "D", registry=None)
    dying.inc(3)
    watching = weakref.ref(dying, take_over)
    del dying
    made[0].inc()
    assert watching() is None and made[0]._value.get() == 2
