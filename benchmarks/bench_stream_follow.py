"""How long after its append is an event seen in another process that follows, and how many a second does it get?"""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from statistics import quantiles
from typing import Any

from bench_latency import P50, P99, SLEEP_GAPS_S, SPIN_GAPS_S, STAMP, now_ns, poll_ring, spaced, wait_for_pipe
from bench_streams import DATA, streams_of
from harness import medians, pin, worker
from peers import Ring
from report import Row, above, at_least, main, within

import shmstore
from shmstore import Event, Stream, StreamFollower, StreamStore

EVENTS = 100_000
BATCH = 1000
CHUNK = 8
ROUNDS = 10  # in which the ways take turns
STREAMS = 100


# -- append to seen


def serve_stamps(connection: Connection, name: str, ring: Ring, pipe: int) -> None:
    """The producer: for (way, count, gaps) sends so many stamps that way."""
    with shmstore.attach_streams(name) as streams:
        append, put = streams["stamps"].append, ring.appender()
        ways: dict[str, Callable[[], object]] = {
            "stream": lambda: append(STAMP.pack(now_ns())),
            "ring": lambda: put("sensor-1", float(now_ns())),
            "pipe": lambda: os.write(pipe, STAMP.pack(now_ns())),
        }
        while True:
            way, count, gaps_s = connection.recv()
            spaced(ways[way], count, gaps_s)


def poll(follower: StreamFollower[Event], count: int) -> list[int]:
    delays: list[int] = []
    read = follower.read
    while len(delays) < count:
        if events := read(CHUNK):
            seen_ns = now_ns()
            delays += (seen_ns - STAMP.unpack(event.data)[0] for event in events)
    return delays


def wait(follower: StreamFollower[Event], count: int) -> list[int]:
    delays: list[int] = []
    while len(delays) < count:
        follower.wait(1.0)
        events = follower.read(CHUNK)
        seen_ns = now_ns()
        delays += (seen_ns - STAMP.unpack(event.data)[0] for event in events)
    return delays


def delays(smoke: bool) -> Iterator[Row]:
    polls, waits, rounds = (50, 20, 1) if smoke else (2000, 150, ROUNDS)
    ring, (pipe, other_end) = Ring(1000), os.pipe()
    with (
        streams_of(capacity=50_000, partitions=1, data_bytes=64) as streams,
        worker(serve_stamps, streams.name, ring, other_end, cpu=1) as producer,
    ):
        follower, read = streams["stamps"].follow("latest"), ring.reader()
        ways: dict[str, tuple[str, int, tuple[float, float], Callable[[int], list[int]]]] = {
            "polling": ("stream", polls, SPIN_GAPS_S, partial(poll, follower)),
            "ring": ("ring", polls, SPIN_GAPS_S, partial(poll_ring, read)),
            "waiting": ("stream", waits, SLEEP_GAPS_S, partial(wait, follower)),
            "pipe": ("pipe", waits, SLEEP_GAPS_S, partial(wait_for_pipe, pipe)),
        }
        found: dict[str, list[int]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, (way, count, gaps_s, receive) in ways.items():
                producer.send((way, count, gaps_s))
                found[name] += receive(count)
    us = {name: [cut / 1000 for cut in quantiles(times, n=100)] for name, times in found.items()}
    for ours, other, bar, note in (
        ("polling", "ring", within(2), "a ring made by hand, polled"),
        ("waiting", "pipe", within(60), "a pipe, blocking read"),
    ):
        yield Row(f"append to seen, {ours} follower, p50", us[ours][P50], "µs", us[other][P50], bar, note)
        yield Row(f"append to seen, {ours} follower, p99", us[ours][P99], "µs", us[other][P99], None, note)


# -- events a second


def serve_events(connection: Connection, name: str) -> None:
    """The producer: appends as many events as it is told."""
    with shmstore.attach_streams(name) as streams:
        append = streams["events"].append
        while True:
            for _ in range(connection.recv()):
                append(DATA)


def follow(producer: Connection, follower: StreamFollower[Event], events: int) -> float:
    """Millions of events a second that arrive here, from the word to start until the last is read."""
    start = time.perf_counter()
    producer.send(events)
    seen = 0
    while seen < events:
        seen += len(follower.read(BATCH))
    return seen / (time.perf_counter() - start) / 1e6


def append(stream: Stream, events: int) -> float:
    """Millions of events a second that are appended here, and that nobody follows."""
    add = stream.append
    start = time.perf_counter()
    for _ in range(events):
        add(DATA)
    return events / (time.perf_counter() - start) / 1e6


def arrivals(smoke: bool) -> Iterator[Row]:
    events = 2_000 if smoke else EVENTS
    # Nothing is lost: a partition keeps a whole round, and the reader has caught up when the next one starts.
    with (
        streams_of(capacity=events + 1, partitions=1, data_bytes=128) as streams,
        streams_of(capacity=events + 1, partitions=1, data_bytes=128) as alone,
        worker(serve_events, streams.name, cpu=1) as producer,
    ):
        follower = streams["events"].follow("latest")
        rates = medians(
            1 if smoke else 15,
            {
                "followed": partial(follow, producer, follower, events),
                "alone": partial(append, alone["events"], events),
            },
        )
    yield Row("one producer to one follower", rates["followed"], "M/s", rates["alone"], at_least(0.5), "appends alone")


def by_read(follower: Any, events: int) -> None:
    while events:
        events -= len(follower.read(BATCH))


def by_for(follower: Any, events: int) -> None:
    for _ in follower:
        events -= 1
        if not events:
            break


def by_async_for(follower: Any, events: int) -> None:
    async def follow() -> None:
        left = events
        async for _ in follower:
            left -= 1
            if not left:
                break

    asyncio.run(follow())


def taken(begin: Callable[[], Any], way: Callable[[Any, int], None], events: int) -> float:
    """Millions of events a second, of so many that are there."""
    follower = begin()
    start = time.perf_counter()
    way(follower, events)
    return events / (time.perf_counter() - start) / 1e6


def all_read(streams: StreamStore, events: int) -> float:
    start = time.perf_counter()
    found = sum(1 for _ in streams.read_all())
    if found != events:
        raise RuntimeError(f"{events} events were there, {found} were read")
    return events / (time.perf_counter() - start) / 1e6


def ways_to_read(smoke: bool) -> Iterator[Row]:
    events = 2_000 if smoke else EVENTS
    with streams_of(capacity=8 * events, partitions=4, data_bytes=128) as streams:
        for number in range(events):
            streams[f"stream-{number % STREAMS}"].append(DATA)
        one = streams["one"]
        rates = medians(1 if smoke else 9, {"all": partial(all_read, streams, events)})
        one.append_many([DATA] * events)
        ways = {"read": by_read, "for": by_for, "async for": by_async_for}
        rates |= medians(
            1 if smoke else 9,
            {
                **{name: partial(taken, lambda: one.follow(0), way, events) for name, way in ways.items()},
                "follow_all": partial(taken, streams.follow_all, by_read, 2 * events),
            },
        )
    yield Row(f"{events:,} events of {STREAMS} streams by read_all", rates["all"], "M/s", None, above(1.5))
    yield Row(f"follow_all, by read({BATCH})", rates["follow_all"], "M/s", None, above(1.5))
    yield Row(f"follow, by read({BATCH})", rates["read"], "M/s", None, above(1.5))
    for name, bar in (("for", at_least(0.5)), ("async for", at_least(0.3))):
        yield Row(f"events taken by `{name}`", rates[name], "M/s", rates["read"], bar, f"read({BATCH})")


def rows(smoke: bool) -> Iterator[Row]:
    pin(0)
    yield from delays(smoke)
    yield from arrivals(smoke)
    yield from ways_to_read(smoke)


if __name__ == "__main__":
    main(rows)
