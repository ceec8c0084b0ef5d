"""Following streams of other processes: each event once and in order, and no wait sleeps over one, whoever dies."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import shmstore
from shmstore import Missed, StreamStore
from tests.helpers.points import points
from tests.helpers.processes import LIMIT_S, Child, shared_numbers
from tests.helpers.segments import may_fork

MISSED_S = 0.7  # a sleeper that nobody wakes looks again after a second; one that is woken, after a ten-thousandth

pytestmark = may_fork


@pytest.fixture
def streams(name: str) -> Iterator[StreamStore]:
    with shmstore.create_streams(name, capacity=20_000, partitions=2, streams=20, processes=30) as streams:
        yield streams
        if not streams.unlinked:
            shmstore.unlink(name)


def show(store: str, seen: memoryview, number: int) -> None:
    """Show how many events of a stream came, for ever; -1 at first."""
    with shmstore.attach_streams(store) as handle:
        follower = handle["a"].follow()
        seen[number] = -1
        for event in follower:
            seen[number] = event.version + 1


def show_all(store: str, seen: memoryview, number: int) -> None:
    """The same of all streams."""
    with shmstore.attach_streams(store) as handle:
        follower = handle.follow_all()
        seen[number] = -1
        for count, _ in enumerate(follower, 1):
            seen[number] = count


def show_async(store: str, seen: memoryview, number: int) -> None:
    async def follow() -> None:
        with shmstore.attach_streams(store) as handle:
            follower = handle["a"].follow()
            seen[number] = -1
            async for event in follower:
                seen[number] = event.version + 1

    asyncio.run(follow())


WAYS: tuple[Callable[[str, memoryview, int], None], ...] = (show, show_all, show_async)


def all_see(seen: memoryview, number: int) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while any(newest != number for newest in seen):
        time.sleep(0.0001)
        if time.monotonic() > deadline:
            return False
    return True


def followed(streams: StreamStore, stack: ExitStack, times: int = 1) -> memoryview:
    """What processes show that follow in all ways, each so often."""
    ways = WAYS * times
    seen = shared_numbers(len(ways))
    for number, way in enumerate(ways):
        stack.enter_context(Child(lambda way=way, number=number: way(streams.name, seen, number)))
    assert all_see(seen, -1)
    return seen


def test_every_follower_sees_every_append_and_sleeps_over_none(streams: StreamStore) -> None:
    late = 0
    with ExitStack() as stack:
        seen = followed(streams, stack, times=2)
        for number in range(1, 1000):
            begun = time.monotonic()
            streams["a"].append(number)
            assert all_see(seen, number), f"a follower sleeps on: {number} were appended, they saw {list(seen)}"
            late += time.monotonic() - begun > MISSED_S
    assert late <= 1, f"they slept over {late} appends"  # one may be the machine's fault


def test_an_appender_that_is_killed_leaves_followers_that_the_next_append_wakes(
    streams: StreamStore, seed: int
) -> None:
    dice = random.Random(seed)

    def hammer() -> None:
        with shmstore.attach_streams(streams.name) as handle:
            while True:
                handle["a"].append(0)

    with ExitStack() as stack:
        seen = followed(streams, stack)
        for _ in range(25):
            with Child(hammer) as victim:
                time.sleep(dice.random() * 0.003)
                victim.kill()
            assert all_see(seen, streams["a"].append(1) + 1)
    assert streams.check() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("point", ["announced", "put", "published", "made newest", "finished"])
def test_an_appender_that_ends_in_the_middle_delays_nobody_for_ever(
    streams: StreamStore, point: str, number: int
) -> None:
    """It has announced its event: whoever appends next finishes it, and wakes those who wait."""
    with ExitStack() as stack:
        append = points().attach_stream(streams.name, "a")
        seen = followed(streams, stack)
        time.sleep(0.05)  # until they sleep

        def life() -> None:
            points().arm(point, number=number)
            append("in the middle")

        with Child(life) as appender:
            assert appender.has_stopped() == (number == signal.SIGSTOP)
            begun = time.monotonic()
            assert streams["a"].append("after it") == 1
            assert all_see(seen, 2) and time.monotonic() - begun < MISSED_S


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("point", ["finished", "waking"])
def test_an_appender_that_ends_just_before_it_wakes_others_delays_them_but_a_moment(
    streams: StreamStore, point: str, number: int
) -> None:
    with ExitStack() as stack:
        append = points().attach_stream(streams.name, "a")
        seen = followed(streams, stack)
        time.sleep(0.05)

        def life() -> None:
            points().arm(point, number=number)
            append("nobody is told")

        with Child(life) as appender:
            assert appender.has_stopped() == (number == signal.SIGSTOP)
            assert all_see(seen, 1)


def test_what_many_append_comes_once_and_in_order_to_whoever_takes_up_where_another_died(
    streams: StreamStore, seed: int
) -> None:
    """A chain of followers, each killed at some moment; each begins at the position that the one before had written."""
    dice, each, appenders = random.Random(seed), 1500, 3

    def append(number: int) -> int:
        with shmstore.attach_streams(streams.name) as handle:
            for at in range(each):
                handle[f"s-{(number + at) % 5}"].append([number, at])
                if at % 50 == 0:
                    time.sleep(0.001)
        return 0

    far, near = os.pipe()

    def follow(position: str | None) -> int:
        with shmstore.attach_streams(streams.name) as handle:
            follower = handle.follow_all(position, timeout=2.0)
            for event in follower:
                number, at = event.data
                # one write, at most PIPE_BUF: whole or not at all
                os.write(near, f"{event.stream} {event.version} {number} {at} {follower.position}\n".encode())
        return 0

    position, found, text = None, [], b""
    with ExitStack() as stack:
        children = [stack.enter_context(Child(lambda number=number: append(number))) for number in range(appenders)]
        os.set_blocking(far, False)
        deadline = time.monotonic() + LIMIT_S
        while len(found) < appenders * each and time.monotonic() < deadline:
            with Child(lambda position=position: follow(position)) as follower:
                for _ in range(dice.randrange(1, 12)):
                    text += read_all(far)
                    time.sleep(0.002)
                follower.kill()
                text += read_all(far)
            lines = text.decode().splitlines()
            text = b""
            found += [tuple(line.split()[:4]) for line in lines]
            if lines:
                position = lines[-1].split()[4]
        assert [child.wait() for child in children] == [0] * appenders
    assert len(found) == len(set(found)) == appenders * each
    for name in streams.names():
        versions = [int(version) for stream, version, *_ in found if stream == name]
        assert versions == list(range(streams[name].version + 1))


def test_what_a_slow_follower_gets_and_what_it_is_told_it_missed_are_all_there_was(name: str) -> None:
    count = 20_000

    def append() -> int:
        with shmstore.attach_streams(name) as handle:
            for number in range(count):
                handle["ab"[number % 2]].append(number)
        return 0

    with shmstore.create_streams(name, capacity=128, partitions=2, data_bytes=64) as streams, ExitStack() as stack:
        stack.callback(shmstore.unlink, name)
        start = streams.read_all("latest").position  # "oldest" would not miss what went before it came
        one, every = streams["a"].follow(0, missing="report"), streams.follow_all(start, missing="report")
        stack.enter_context(Child(append))
        versions: list[int] = []
        positions: list[int] = []
        gaps = 0
        deadline = time.monotonic() + LIMIT_S
        while (len(versions) < count // 2 or len(positions) < count) and time.monotonic() < deadline:
            for item in one.read(40):
                gaps += isinstance(item, Missed)
                versions += item.numbers if isinstance(item, Missed) else [item.version]
            for item in every.read(40):
                gaps += isinstance(item, Missed)
                positions += item.numbers if isinstance(item, Missed) else [item.position]
            time.sleep(0.0005)
        assert versions == list(range(count // 2)) and sorted(positions) == list(range(count)) and gaps
        assert start.tickets == (0, 0) and every.position.tickets == (count // 2, count // 2)


def read_all(pipe: int) -> bytes:
    found = b""
    try:
        while part := os.read(pipe, 1 << 16):
            found += part
    except BlockingIOError:
        pass
    return found
