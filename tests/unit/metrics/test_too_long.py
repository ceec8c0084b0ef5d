"""What is longer than an entry of the table holds is refused for that reason, and with it as the advice."""

import gc
import re
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from shmstore import errors, metrics
from shmstore.metrics.memory import memory
from tests.helpers.processes import Child

MOST = 65 * 192


def alone(action: Callable[[], None]) -> None:
    """Run it in a process of its own, as metrics are configured, and warned of, once a process."""

    def run() -> int:
        gc.collect()  # instruments of other tests would move as well
        warnings.simplefilter("error")
        action()
        return 0

    with Child(run) as child:
        assert child.wait() == 0


def label(value: str) -> None:
    metrics.Counter("c", "C", ["a"], registry=None).labels(value)


def text(text: str) -> None:
    metrics.Counter("c", text, registry=None)


def buckets(count: int) -> None:
    metrics.Histogram("h", "H", buckets=range(count), registry=None)


def labelled(count: int) -> None:
    metrics.Histogram("h", "H", ["a"], buckets=range(count), registry=None).labels("x" * 3000)


CASES: list[tuple[Callable[[Any], None], Any, str]] = [
    (label, "x" * MOST, rf"a series .* too long: its labels take {MOST + 4} bytes, and {MOST} fit; shorten the label"),
    (text, "x" * MOST, rf"a metric .* too long: its name, help text, .* take \d+ bytes, and {MOST} fit; shorten the h"),
    (buckets, 2000, rf"a metric .* too long: .* take \d+ bytes, and {MOST} fit; .* or declare fewer buckets"),
    (labelled, 600, rf"a series .* too long: its labels take 3004 bytes, and {MOST - 600 * 16} fit; shorten"),
]


@pytest.mark.parametrize("where", ["private", "shared", "strict"])
@pytest.mark.parametrize(("declare", "much", "said"), CASES)
def test_what_is_too_long_is_to_be_shortened(
    name: str, where: str, declare: Callable[[Any], None], much: Any, said: str
) -> None:
    def action() -> None:
        if where != "private":
            metrics.configure(name, series=10, strict=where == "strict")
        kind = errors.SeriesTableFull if where == "strict" else RuntimeWarning
        before = memory.home.counts()[2]
        with pytest.raises(kind, match=said) as raised:
            declare(much)
        assert "room" not in str(raised.value) and "series=" not in str(raised.value)
        assert memory.home.counts()[2] > before

    alone(action)


def test_what_just_fits_is_taken(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=200, strict=True)
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        counter.labels("x" * (MOST - 4)).inc()
        with pytest.raises(errors.SeriesTableFull, match="too long"):
            counter.labels("x" * (MOST - 3))

    alone(action)


def test_each_reason_is_warned_of_once_and_each_lost_update_counted(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=1, exemplars=0, processes=2)
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            long = [counter.labels(letter * MOST) for letter in "xy"]
            for number in range(2000):
                counter.labels(str(number))
            counter.labels("z" * MOST)
        reasons = [re.sub(".*: (.*?): .*|.*: (there is no room).*", r"\1\2", str(one.message)) for one in warned]
        assert reasons == ["it is too long", "there is no room"]
        before = memory.home.counts()[2]
        for child in long * 3:
            child.inc()
        assert memory.home.counts()[2] == before + 6
        room = memory.store.metrics_room() if memory.store else pytest.fail("they are shared")
        assert (room.too_long, room.placeless) == (3 + 6, 0) and room.refused > 9

    alone(action)


def test_there_is_room_for_at_least_so_many_series(name: str) -> None:
    def action() -> None:
        metrics.configure(name, series=30)
        assert memory.home.counts()[0] == 2 * 30 + 512
        counter = metrics.Counter("c", "C", ["a"], registry=None)
        histogram = metrics.Histogram("h", "H", ["a"], registry=None)
        for metric, nodes in ((counter, 1), (histogram, 2)):
            free = memory.home.counts()[1]
            metric.labels("x")
            assert free - memory.home.counts()[1] == nodes
        with pytest.raises(RuntimeWarning, match="no room in the table, which was made for at least 30 series; remove"):
            for number in range(600):
                counter.labels(str(number))

    alone(action)
