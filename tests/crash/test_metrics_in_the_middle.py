"""Every function of metrics, disturbed in its middle: by a close of the segment, or by a fork whose child closes.

The ways are those of test_in_the_middle.py, where they are explained.
"""

import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from shmstore import StoreClosed, _core
from shmstore.segments import segment
from tests.crash.test_in_the_middle import (
    DELAYS_S,
    PLACES,
    Number,
    by_a_finalizer,
    by_a_signal,
    by_a_thread,
    by_what_runs,
)
from tests.helpers.processes import Child, shared_numbers
from tests.helpers.segments import may_fork

pytestmark = may_fork

MODE_ALL = 1
BOUNDS = (1.0, 2.0, float("inf"))


class Labelled:
    """What Python adds to the types of the core."""

    _type = "some"

    def _labels(self, *values: object, **named: object) -> object:
        child: Any = type(self)()
        child._become(self, repr((values, named)).encode(), tuple(map(str, values)))
        return child

    def _exemplar_text(self, labels: object) -> bytes:
        return b'a="b"'


class Counter(Labelled, _core.Counter):
    pass


class Gauge(Labelled, _core.Gauge):
    pass


class Histogram(Labelled, _core.Histogram):
    pass


class Summary(Labelled, _core.Summary):
    pass


@dataclass
class Target:
    """A segment of metrics with one of each kind."""

    name: str
    children: list[int] = field(default_factory=list)
    is_child: bool = False

    def __post_init__(self) -> None:
        self.mapped = segment.attach(self.name)
        self.core = self.mapped.open_core()
        self.home = _core.Metrics(self.core)
        self.counter = self.made(Counter)
        self.gauge = self.made(Gauge, mode=MODE_ALL)
        self.histogram = self.made(Histogram, bounds=BOUNDS)
        self.summary = self.made(Summary)
        self.parent = self.made(Counter, labels=1)
        self.parent._children["x",] = self.parent._labels("x")
        self.private = self.made(Counter, home=_core.Metrics())
        self.private.inc(2)

    def made(self, kind: Any, mode: int = 0, bounds: tuple[float, ...] = (), labels: int = 0, home: Any = None) -> Any:
        home = home or self.home
        key = f"{kind.__name__}{mode}{labels}".encode()
        family, _ = home.declare(key, len(key))
        metric = kind()
        metric._declare(home, key, len(key), family, mode, bounds, labels)
        if not labels:
            metric._become(metric, b"", ())
        return metric

    def close(self) -> None:
        self.core.close()
        self.mapped.close()


Call = Callable[[Target], object]
CALLS: dict[str, Call] = {
    "Metrics.__new__": lambda t: _core.Metrics(t.core),
    "Metrics.declare": lambda t: t.home.declare(b"new", 3),
    "Metrics.find": lambda t: (t.home.find(b"Counter00"), t.home.find(b"none")),
    "Metrics.series": lambda t: t.home.series(t.counter._family),
    "Metrics.remove": lambda t: [t.home.remove(at[0], at[1]) for at in t.home.series(t.parent._family)],
    "Metrics.remove_text": lambda t: t.home.remove_text(t.gauge._family, b"", True),
    "Metrics.remove_all": lambda t: t.home.remove_all(t.parent._family),
    "Metrics.inherit": lambda t: t.home.inherit(),
    "Metrics.counts": lambda t: t.home.counts(),
    "Metrics.write": lambda t: t.home.write(True, b"", b"", True, iter([b"x"]), True),
    "Series.labels": lambda t: (t.parent.labels("x"), t.parent.labels("x"), t.parent.labels(1), t.parent.labels(a="1")),
    "Series._declare": lambda t: t.made(Histogram, bounds=BOUNDS, labels=2),
    "Series._become": lambda t: t.parent._labels("y"),
    "Series._move": lambda t: (
        t.private._declare(t.home, b"Counter00", 9, t.counter._family, 0, (), 0),
        t.private._move(),
    ),
    "Series._read": lambda t: (t.gauge._read(), t.histogram._read()),
    "Series._put": lambda t: t.gauge._put(Number(1)),
    "Series._restart": lambda t: t.counter._restart(),
    "Series._silence": lambda t: t.gauge._silence(),
    "Series._child": lambda t: t.parent._child(("x",)),
    "Series._children": lambda t: t.parent._children,
    "Series._is_current": lambda t: t.counter._is_current,
    "Series._family": lambda t: t.counter._family,
    "Series._labelvalues": lambda t: t.counter._labelvalues,
    "Series._metric": lambda t: t.counter._metric,
    "Series._text": lambda t: t.counter._text,
    "Counter.inc": lambda t: (t.counter.inc(), t.counter.inc(Number(1), {"a": "b"}), t.parent.labels("x").inc()),
    "Counter._raise": lambda t: t.counter._raise(1, 2, Number(1)),
    "Gauge.inc": lambda t: t.gauge.inc(amount=Number(1)),
    "Gauge.dec": lambda t: t.gauge.dec(Number(1)),
    "Gauge.set": lambda t: (t.gauge.set("1.5"), t.gauge.set(Number(1))),
    "Histogram.observe": lambda t: (t.histogram.observe(Number(1)), t.histogram.observe(1, {"a": "b"})),
    "Summary.observe": lambda t: t.summary.observe(Number(1)),
}
NOT_DISTURBED = {"Metrics.__reduce__", "Series.__reduce__"}


def functions_of_metrics() -> set[str]:
    kinds = (_core.Metrics, _core.Series, _core.Counter, _core.Gauge, _core.Histogram, _core.Summary)
    return {f"{kind.__name__}.{name}" for kind in kinds for name in vars(kind) if name not in ("__doc__", "__module__")}


def close(target: Target) -> None:
    target.close()


def fork(target: Target) -> None:
    """In the child, what was running when it was made goes on as well."""
    child = os.fork()
    if child:
        target.children.append(child)
    else:
        target.children.clear()
        target.is_child = True
        target.close()


WAYS: tuple[tuple[Any, Callable[[Target], None], int], ...] = (
    (by_what_runs, close, PLACES),
    (by_what_runs, fork, PLACES),
    (by_a_finalizer, close, PLACES),
    (by_a_finalizer, fork, PLACES),
    (by_a_signal, close, len(DELAYS_S)),
    (by_a_signal, fork, len(DELAYS_S)),
    (by_a_thread, close, len(DELAYS_S)),
)


def attempt(name: str, call: Call, way: Any, place: int, act: Callable[[Target], None], count: memoryview) -> bool:
    """Call it once, disturbed. Returns whether there may be more places."""
    target = Target(name)
    more = True

    def disturb() -> None:
        count[0] += 1
        act(target)

    try:
        with suppress(StoreClosed):
            more = way(lambda: call(target), place, disturb)
        if target.is_child:
            os._exit(0)
        target.close()
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in target.children]
        assert codes == [0] * len(codes)
    except BaseException:
        if target.is_child:
            traceback.print_exc()
            os._exit(1)
        raise
    return more


@pytest.fixture
def segment_name(name: str) -> Iterator[str]:
    segment.create(name, [], {"kind": "metrics", "capacity": 100, "exemplars": 8, "processes": 8}).close()
    yield name
    segment.unlink(name)


def test_every_function_has_a_case() -> None:
    assert functions_of_metrics() - NOT_DISTURBED == CALLS.keys()


@pytest.mark.parametrize("function", CALLS)
def test_a_disturbed_function_ends_in_order(segment_name: str, function: str) -> None:
    count = shared_numbers(1)

    def life() -> None:
        sys.setswitchinterval(1e-5)
        gc.freeze()
        for way, act, places in WAYS:
            for place in range(1, places + 1):
                if not attempt(segment_name, CALLS[function], way, place, act, count):
                    break

    assert Child(life).wait() == 0
    assert count[0] > 0
    with segment.attach(segment_name) as mapped:
        core = mapped.open_core()
        assert core.check() == []
        core.close()
