"""Every function of streams, disturbed in its middle: by a close of the store, or by a fork whose child closes.

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

import shmstore
from shmstore import Missed, NewEvent, StoreClosed, StreamStore, StreamTruncated, _core
from tests.crash.test_in_the_middle import (
    DELAYS_S,
    PLACES,
    Values,
    by_a_finalizer,
    by_a_signal,
    by_a_thread,
    by_what_runs,
)
from tests.helpers.processes import Child, shared_numbers
from tests.helpers.segments import may_fork

pytestmark = may_fork

CAPACITY = 16


@dataclass
class Target:
    """A store of streams with a stream that has lost events, and followers of it and of all."""

    name: str
    children: list[int] = field(default_factory=list)
    is_child: bool = False

    def __post_init__(self) -> None:
        self.store = shmstore.attach_streams(self.name)
        self.streams = self.store._streams
        self.stream = self.store["a"]
        self.follower = self.made(self.stream, [0])
        self.of_all = self.made(None, [0, 0])

    def made(self, stream: Any, places: list[int], timeout_s: float = 0.001) -> _core.Follower:
        def missed(_partition: int, first: int, end: int) -> Missed:
            return Missed("a", range(first, end))

        return self.streams.follower(
            stream, places, missed=missed, stops=False, bounded=False, fresh=False, limit=-1, timeout_s=timeout_s
        )

    def core_of(self) -> _core.Streams:
        def encode(value: object, _part: str, _holds_event: bool) -> bytes:
            return repr(value).encode()

        return _core.Streams(
            self.store.core, encode=encode, id_text=str, new_event=NewEvent, expected=(object(), object(), object())
        )


def event(target: Target) -> Any:
    found = target.stream.last()
    if found is None:
        raise StoreClosed
    return found


def follow(follower: _core.Follower) -> None:
    """A step of `async for`, by hand."""

    async def later(_turn: bool) -> None:
        raise StopAsyncIteration

    async def take() -> None:
        async for _ in follower.following(later):
            break

    with suppress(StopIteration):
        take().send(None)


Call = Callable[[Target], object]
CALLS: dict[str, Call] = {
    "Streams.__new__": lambda t: t.core_of(),
    "Streams.stream": lambda t: t.store["another"],
    "Streams.names": lambda t: t.store.names("a"),
    "Streams.count": lambda t: len(t.store),
    "Streams.tickets": lambda t: t.streams.tickets(),
    "Streams.follower": lambda t: t.made(t.stream, [3]),
    "Streams.store": lambda t: t.streams.store,
    "Stream.append": lambda t: (
        t.stream.append({"some": [1, 2.5, "x"]}, type="T", metadata=(1,), event_id="one"),
        t.stream.append(b"plain"),
    ),
    "Stream.append_events": lambda t: t.stream.append_many(Values({"a": 1}, b"x", NewEvent("y", event_id="two"))),
    "Stream.delete_events": lambda t: t.stream.delete(),
    "Stream.truncate_before": lambda t: t.stream.truncate(3),
    "Stream.set_retention": lambda t: t.stream.retain(events=9),
    "Stream.get_retention": lambda t: t.stream.retention,
    "Stream.tally": lambda t: t.stream.counts_by_type(),
    "Stream.state": lambda t: t.stream.state(),
    "Stream.find_time": lambda t: t.stream.find_time(1),
    "Stream.block": lambda t: list(t.stream.read(missing="report")),
    "Stream.name": lambda t: t.stream.name,
    "Stream.streams": lambda t: t.stream.streams,
    "Stream.version": lambda t: t.stream.version,
    "Stream.slots": lambda t: t.stream.slots,
    "Follower.__iter__": lambda t: iter(t.follower),
    "Follower.__next__": lambda t: (next(t.follower, None), next(t.of_all, None)),
    "Follower.read": lambda t: (t.follower.read(99), t.of_all.read(99)),
    "Follower.take": lambda t: t.of_all.take(),
    "Follower.following": lambda t: follow(t.follower),
    "Follower.wait": lambda t: (t.follower.read(99), t.follower.wait(0.001)),
    "Follower.fileno": lambda t: t.follower.fileno(),
    "Follower.places": lambda t: t.of_all.places(),
    "Follower.lag": lambda t: t.of_all.lag(),
    "Follower.close": lambda t: (t.follower.fileno(), t.follower.close()),
    "Follower.closed": lambda t: t.follower.closed,
    "Event.data": lambda t: (event(t).data, event(t).metadata),
    "Event.__reduce__": lambda t: event(t).__reduce__(),
    "Event.__repr__": lambda t: repr(event(t)),
    "Event.__eq__": lambda t: event(t) == event(t),
    "Event.__hash__": lambda t: hash(event(t)),
}
"""Of an event, which is a copy, what runs other code."""

_NO_CASE = {"Streams.__reduce__", "Stream.__reduce__", "Follower.__reduce__", "Stream.__new__"}


def functions_of_streams() -> set[str]:
    kinds = (_core.Streams, _core.Stream, _core.Follower)
    return {f"{kind.__name__}.{name}" for kind in kinds for name in vars(kind) if name not in ("__doc__", "__module__")}


def close(target: Target) -> None:
    target.store.close()


def fork(target: Target) -> None:
    """In the child, what was running when it was made goes on as well."""
    child = os.fork()
    if child:
        target.children.append(child)
    else:
        target.children.clear()
        target.is_child = True
        target.store.close()


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
        with suppress(StoreClosed, StreamTruncated):
            more = way(lambda: call(target), place, disturb)
        if target.is_child:
            os._exit(0)
        target.store.close()
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in target.children]
        assert codes == [0] * len(codes)
    except BaseException:
        if target.is_child:
            traceback.print_exc()
            os._exit(1)
        raise
    return more


@pytest.fixture
def store(name: str) -> Iterator[StreamStore]:
    with shmstore.create_streams(name, capacity=CAPACITY, partitions=2, data_bytes=64, processes=8) as store:
        for number in range(2 * CAPACITY):
            store["ab"[number % 2]].append({"number": number}, type=f"T{number % 3}")
        yield store
        shmstore.unlink(name)


def test_every_function_has_a_case() -> None:
    assert functions_of_streams() - _NO_CASE == {call for call in CALLS if not call.startswith("Event.")}


@pytest.mark.parametrize("function", CALLS)
def test_a_disturbed_function_ends_in_order(store: StreamStore, function: str, scorecard: Callable[..., None]) -> None:
    count = shared_numbers(1)

    def life() -> None:
        sys.setswitchinterval(1e-5)
        gc.freeze()  # what the tests have made so far is not looked at each time
        for way, act, places in WAYS:
            for place in range(1, places + 1):
                if not attempt(store.name, CALLS[function], way, place, act, count):
                    break

    assert Child(life).wait() == 0
    assert store.check() == []
    assert len(store.processes()) == 1
    scorecard(29, functions=1, disturbances=count[0])
