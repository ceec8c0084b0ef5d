"""What benchmarks ask about, samples of eight sensors in order of time, and the questions to a store of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from harness import Sample, store_of
from numpy.typing import NDArray

from shmstore import EventStore, field

RECORDS = 1_000_000
SENSORS = [f"sensor-{number}" for number in range(8)]
ASKED = 3  # the number of the sensor that the questions are about
START_NS, STEP_NS = 1_700_000_000_000_000_000, 1000  # when the first sample was taken, and how long until each next

SUM, SUMMARY, TOP = "sum of a key", "summary of a key's last half", "groups, top 5"
Answers = dict[tuple[str, str], Callable[[], Any]]  # by what is asked, and the way in which it is answered


class Samples(NamedTuple):
    """The same samples as plain arrays; a sensor is its number."""

    sensors: NDArray[np.int32]
    values: NDArray[np.float64]
    times: NDArray[np.int64]


def samples_of(count: int) -> Samples:
    """As many from each sensor, mixed."""
    random = np.random.default_rng(1)
    sensors = random.permutation(np.arange(count, dtype=np.int32) % len(SENSORS))
    times = np.arange(time_of(0), time_of(count), STEP_NS, dtype=np.int64)
    return Samples(sensors, random.normal(50, 10, count), times)


def time_of(number: int) -> int:
    """When sample `number` was taken."""
    return START_NS + number * STEP_NS


@contextmanager
def filled(records: int, **options: Any) -> Iterator[EventStore[Any]]:
    """A full store: it holds samples 0 to `records`, a multiple of RECORDS when it is more."""
    chunk = samples_of(min(records, RECORDS))
    with store_of(Sample, capacity=records, **options) as store:
        for number, sensor in enumerate(SENSORS):
            assert store.key(sensor) == number  # as in the arrays
        for first in range(0, records, RECORDS):
            times = chunk.times + first * STEP_NS
            store.append_many({"sensor": chunk.sensors.view(np.uint32), "value": chunk.values, "timestamp": times})
        assert len(store) == records
        yield store


def total(store: EventStore[Any]) -> Any:
    return store.sum("value", where=field("sensor") == SENSORS[ASKED])


def total_by_callable(store: EventStore[Any]) -> Any:
    return store.sum("value", where=lambda sample: sample.sensor == SENSORS[ASKED])


def summary(store: EventStore[Any], since_ns: int) -> tuple[Any, ...]:
    found = store.summary("value", where=field("sensor") == SENSORS[ASKED], since=since_ns)
    return found.count, found.sum, found.min, found.max


def top(store: EventStore[Any]) -> Any:
    return store.group_by("sensor").sum("value").top(5)


def window(store: EventStore[Any], since_ns: int, until_ns: int) -> Any:
    return store.summary("value", since=since_ns, until=until_ns)


def store_answers(store: EventStore[Any], way: str) -> Answers:
    middle = time_of(len(store) // 2)
    return {
        (SUM, way): lambda: total(store),
        (SUMMARY, way): lambda: summary(store, middle),
        (TOP, way): lambda: top(store),
    }
