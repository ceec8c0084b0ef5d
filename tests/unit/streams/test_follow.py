"""Following one stream: what is given, what is told of losses, waiting, and every end of it."""

import pickle
import select
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import shmstore
from shmstore import (
    InvalidOption,
    Missed,
    NotPicklable,
    StoreClosed,
    StoreUnlinked,
    Stream,
    StreamDeleted,
    StreamStore,
    StreamTruncated,
)
from tests.helpers.processes import LIMIT_S, Child
from tests.helpers.segments import may_fork
from tests.unit.streams.conftest import Make

SOON_S = 0.7  # a sleeper that nobody wakes looks again after a second; one that is woken, after a ten-thousandth


def versions(events: Any) -> list[Any]:
    return [event if isinstance(event, Missed) else event.version for event in events]


def later(action: Callable[[], object], after_s: float = 0.05) -> threading.Timer:
    timer = threading.Timer(after_s, action)
    timer.start()
    return timer


# -- from where


@pytest.mark.parametrize(("from_", "expected"), [(None, [0, 1, 2]), ("oldest", [0, 1, 2]), (0, [0, 1, 2]), (2, [2])])
def test_it_begins_where_it_is_told(stream: Stream, from_: Any, expected: list[int]) -> None:
    stream.append_many(list("abc"))
    follower = stream.follow(from_, timeout=0)
    assert versions(follower) == expected
    assert follower.next_version == 3 and follower.lag == 0
    stream.append("d")
    assert follower.lag == 1 and versions(follower) == [3]


def test_latest_is_only_what_comes(stream: Stream) -> None:
    stream.append_many(list("abc"))
    follower = stream.follow("latest", timeout=0)
    assert versions(follower) == []
    stream.append("d")
    assert versions(follower) == [3]


def test_a_stream_need_not_exist(streams: StreamStore) -> None:
    follower = streams["later"].follow(timeout=0)
    assert versions(follower) == [] and "later" not in streams
    streams["other"].append("a")
    assert versions(follower) == []
    streams["later"].append_many(list("ab"))
    assert versions(follower) == [0, 1]


def test_a_version_may_come_later(stream: Stream) -> None:
    follower = stream.follow(3, timeout=0)
    stream.append_many(list("abc"))
    assert versions(follower) == [] and follower.next_version == 3
    stream.append_many(list("de"))
    assert versions(follower) == [3, 4]


def test_it_begins_with_the_oldest_that_there_is(make: Make) -> None:
    stream = make(capacity=10)["a"]
    for number in range(25):
        stream.append(number)
    follower = stream.follow(timeout=0)
    assert follower.next_version == 15
    stream.append_many(range(8))
    assert versions(follower) == list(range(23, 33)), "what is gone before the first is not missed"


@pytest.mark.parametrize("look", ["read", "iterate", "wait", "descriptor"])
@pytest.mark.parametrize("follow", ["stream", "store", "busy store"])
def test_whoever_has_looked_is_told_what_it_misses_from_then_on(make: Make, follow: str, look: str) -> None:
    """Also if there was nothing yet: it has waited for a first event that was overwritten."""
    store = make(capacity=20, partitions=2)
    if follow == "busy store":
        store["b"].append("perhaps in the other partition")
    follower: Any = store["a"].follow(timeout=0) if follow == "stream" else store.follow_all(timeout=0)
    looks = {
        "read": follower.read,
        "iterate": lambda: list(follower),
        "wait": lambda: follower.wait(0),
        "descriptor": follower.fileno,
    }
    looks[look]()
    for number in range(25):
        store["a"].append(number)
    with pytest.raises(StreamTruncated):
        list(follower)


@pytest.mark.parametrize(
    "call",
    [
        lambda stream: stream.follow(-1),
        lambda stream: stream.follow("newest"),
        lambda stream: stream.follow(1.5),
        lambda stream: stream.follow(missing="skip"),
        lambda stream: stream.follow(timeout="soon"),
        lambda stream: stream.follow(timeout=float("nan")),
        lambda stream: stream.follow().read(-1),
    ],
)
def test_what_makes_no_sense_is_refused(stream: Stream, call: Any) -> None:
    with pytest.raises(InvalidOption, match="expected"):
        call(stream)


# -- handing over


def test_read_takes_at_most_what_is_asked_and_the_place_is_behind_it(stream: Stream) -> None:
    stream.append_many(range(10))
    follower = stream.follow()
    assert versions(follower.read(3)) == [0, 1, 2] and follower.next_version == 3
    assert next(follower).version == 3 and follower.next_version == 4
    assert versions(follower.read(2)) == [4, 5] and follower.lag == 4
    assert follower.read(0) == [] and follower.next_version == 6
    assert versions(follower.read()) == [6, 7, 8, 9] and follower.read() == []


def test_a_read_ends_where_the_stream_ended_when_it_began(make: Make) -> None:
    stream = make(capacity=2000)["a"]
    stream.append_many(range(1500))
    follower = stream.follow()
    assert versions(follower.read(1000)) == list(range(1000))
    assert versions(follower.read()) == list(range(1000, 1500))


def test_followers_do_not_disturb_each_other(stream: Stream) -> None:
    first, second = stream.follow(timeout=0), stream.follow(timeout=0)
    stream.append_many(list("ab"))
    assert versions(first) == [0, 1]
    stream.append("c")
    assert versions(second) == [0, 1, 2] and versions(first) == [2]


def test_a_follower_is_not_pickled(stream: Stream) -> None:
    for one in (stream.follow(), stream.follow()._core):
        with pytest.raises(NotPicklable, match="cannot be pickled"):
            pickle.dumps(one)
    assert repr(stream.follow(3)) == "<StreamFollower at 3>"


# -- what is missed


def test_whoever_falls_behind_is_told_the_first_version_that_is_held(make: Make) -> None:
    stream = make(capacity=10)["a"]
    stream.append_many(range(4))
    follower, reporting = stream.follow(0), stream.follow(0, missing="report", timeout=0)
    assert next(follower).version == 0 and next(reporting).version == 0  # type: ignore[union-attr]
    for number in range(20):
        stream.append(number)
    assert versions(follower.read(3)) == [1, 2, 3], "these were read ahead"
    for _ in range(2):  # it stays there
        with pytest.raises(StreamTruncated, match="versions 4 to 13 are not there") as caught:
            follower.read()
        assert (caught.value.stream, caught.value.version, caught.value.first) == ("a", 4, 14)
        assert "which begins with version 14; read from there" in str(caught.value)
        with pytest.raises(StreamTruncated):
            next(follower)
    assert follower.next_version == 4
    assert versions(stream.follow(caught.value.first, timeout=0)) == list(range(14, 24))
    gap = Missed("a", range(4, 14))
    assert versions(reporting) == [1, 2, 3, gap, *range(14, 24)] and gap.count == 10


def test_a_read_that_fails_in_the_middle_loses_nothing(stream: Stream) -> None:
    failures = [KeyboardInterrupt()]

    def missed(_place: int, first: int, end: int) -> Missed:
        if failures:
            raise failures.pop()
        return Missed(stream.name, range(first, end))

    follower = stream.streams.follower(
        stream, [0], missed=missed, stops=False, bounded=False, fresh=False, limit=1 << 60, timeout_s=0.0
    )
    stream.append_many(range(60))
    assert follower.wait(0.0)  # these are read ahead
    for number in range(150):
        stream.append(number)
    with pytest.raises(KeyboardInterrupt):
        follower.read(1000)
    assert follower.places() == [0]
    assert versions(follower.read(1000)) == [*range(60), Missed(stream.name, range(60, 110)), *range(110, 210)]


def test_what_was_given_up_is_missed_as_well(stream: Stream) -> None:
    stream.append_many(list("abcd"))
    stream.truncate(before=2)
    assert versions(stream.follow(0, missing="report", timeout=0)) == [Missed("gateway/orders", range(2)), 2, 3]
    assert versions(stream.follow(timeout=0)) == [2, 3]
    with pytest.raises(StreamTruncated):
        stream.follow(1).wait(0)
        stream.follow(1).read()


def test_what_was_read_ahead_is_given_whatever_becomes_of_it(make: Make) -> None:
    stream = make(capacity=10)["a"]
    stream.append_many(range(5))
    follower = stream.follow(0)
    assert follower.wait(0) and versions(follower.read(2)) == [0, 1]
    stream.truncate(before=4)
    stream.append(5)
    assert versions(follower.read()) == [2, 3, 4, 5]


def test_a_deleted_stream_goes_on_and_one_deleted_for_ever_does_not(stream: Stream) -> None:
    stream.append_many(list("ab"))
    follower = stream.follow(timeout=0)
    assert versions(follower) == [0, 1]
    stream.delete()
    assert versions(follower) == []
    stream.append("c")
    assert versions(follower) == [2]
    stream.delete(hard=True)
    for ask in (follower.read, follower.wait, lambda: next(follower)):
        with pytest.raises(StreamDeleted):
            ask()


def test_deletion_for_ever_ends_a_wait(stream: Stream) -> None:
    timer = later(lambda: stream.delete(hard=True))
    begun = time.monotonic()
    with pytest.raises(StreamDeleted):
        next(stream.follow())
    assert time.monotonic() - begun < SOON_S
    timer.join()


# -- waiting


@pytest.mark.parametrize("read_only", [False, True])
def test_an_append_ends_a_wait(stream: Stream, read_only: bool) -> None:
    with shmstore.attach_streams(stream.store.name, read_only=read_only) as reader:
        follower = reader[stream.name].follow()
        for number in range(3):
            assert not follower.wait(0)
            timer = later(lambda: stream.append("x"))
            begun = time.monotonic()
            assert follower.wait() and time.monotonic() - begun < SOON_S
            assert versions(follower.read()) == [number]
            timer.join()


def test_other_streams_do_not_end_a_wait(streams: StreamStore) -> None:
    timer = later(lambda: streams["b"].append("x"), 0.02)
    begun = time.monotonic()
    assert not streams["a"].follow().wait(0.1) and time.monotonic() - begun >= 0.1
    timer.join()


@pytest.mark.parametrize("timeout", [0.1, timedelta(seconds=0.1)])
def test_an_iteration_ends_when_nothing_came_in_time(stream: Stream, timeout: Any) -> None:
    stream.append("a")
    follower = stream.follow(timeout=timeout)
    begun = time.monotonic()
    assert versions(follower) == [0] and 0.1 <= time.monotonic() - begun < LIMIT_S
    timer = later(lambda: stream.append("b"), 0.02)
    assert versions(follower) == [1], "the timeout begins anew with each event"
    timer.join()


@pytest.mark.parametrize("who", ["follower", "store"])
@pytest.mark.parametrize("way", ["wait", "for"])
def test_close_ends_a_wait_of_another_thread(stream: Stream, who: str, way: str) -> None:
    with shmstore.attach_streams(stream.store.name) as reader:
        follower = reader[stream.name].follow()
        timer = later((follower if who == "follower" else reader).close)
        begun = time.monotonic()
        if way == "for":
            assert versions(follower) == []
        elif who == "follower":
            assert not follower.wait()
        else:
            with pytest.raises(StoreClosed):
                follower.wait()
        assert time.monotonic() - begun < SOON_S
        timer.join()
        for ask in (follower.read, follower.wait, follower.fileno):
            with pytest.raises(StoreClosed):
                ask()
        assert versions(follower) == []


@pytest.mark.parametrize("way", [lambda follower: follower.wait(), next])
def test_what_a_signal_handler_raises_ends_a_wait(stream: Stream, way: Callable[[Any], object]) -> None:
    def strike(_number: int, _frame: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGUSR1, strike)
    follower = stream.follow()
    try:
        timer = later(lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1))
        with pytest.raises(InterruptedError):
            way(follower)
        timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    stream.append("a")
    assert versions(follower.read()) == [0]


@pytest.mark.parametrize("read_only", [False, True])
def test_unlink_ends_a_wait_when_all_is_read(stream: Stream, read_only: bool) -> None:
    with shmstore.attach_streams(stream.store.name, read_only=read_only) as reader:
        stream.append_many(list("ab"))
        follower, iterated = reader[stream.name].follow(), reader[stream.name].follow()
        timer = later(lambda: shmstore.unlink(stream.store.name))
        assert versions(iterated) == [0, 1]
        timer.join()
        assert follower.wait() and versions(follower.read()) == [0, 1]
        with pytest.raises(StoreUnlinked, match="everything in it was read"):
            follower.wait()


@pytest.mark.parametrize("read_only", [False, True])
def test_the_descriptor_is_readable_while_read_would_return_something(stream: Stream, read_only: bool) -> None:
    with shmstore.attach_streams(stream.store.name, read_only=read_only) as reader:
        follower = reader[stream.name].follow()

        def is_readable(timeout_s: float = 0.0) -> bool:
            return bool(select.select([follower], [], [], timeout_s)[0])

        for _ in range(20):
            assert not is_readable()
            stream.append_many(list("ab"))
            assert is_readable(LIMIT_S)
            assert len(follower.read(1)) == 1 and is_readable()
            assert len(follower.read()) == 1
        follower.close()
        with pytest.raises(StoreClosed):
            follower.fileno()


@may_fork
def test_a_follower_goes_on_on_both_sides_of_a_fork(stream: Stream) -> None:
    stream.append_many(list("abc"))
    follower = stream.follow(timeout=LIMIT_S)
    assert next(follower).version == 0
    follower.fileno()

    def child() -> int:
        assert versions(follower.read()) == [1, 2] and not select.select([follower], [], [], 0)[0]
        stream.append("from the child")
        assert select.select([follower], [], [], LIMIT_S)[0]
        return next(follower).version

    assert Child(child).wait() == 3
    assert versions(follower.read()) == [1, 2, 3]


@may_fork
def test_a_wait_ends_with_an_append_of_another_process(stream: Stream) -> None:
    follower = stream.follow(timeout=LIMIT_S)

    def child() -> int:
        mine = stream.store[stream.name]
        for number in range(200):
            time.sleep(0.0005)
            mine.append(number)
        return 0

    with Child(child) as appender:
        for number in range(200):
            event = next(follower)
            assert (event.version, event.data) == (number, number)
        assert appender.wait() == 0
