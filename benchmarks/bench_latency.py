"""How long after its append is a record seen in another process, by a cursor that polls and by one that waits?

And when both answer each other as quickly as they can, appending to one partition?
"""

import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from statistics import median, quantiles

from harness import pin, store_of, worker
from peers import Ring
from report import Row, main, within

import shmstore
from shmstore import Cursor, EventStore, Record

SPIN_GAPS_S = (10e-6, 50e-6)  # between two appends to a poller
SLEEP_GAPS_S = (0.5e-3, 1.5e-3)  # to a waiter, which is asleep by then
ROUNDS = 10  # in which the ways take turns
CHUNK = 8
EXCHANGES = 50
P50, P99 = 49, 98  # among the 99 cuts of quantiles(n=100)
STAMP = struct.Struct("=q")

now_ns = time.monotonic_ns


class Stamp(Record):
    """When it was sent, by the monotonic clock, which all processes share."""

    sent_ns: int


class Number(Record):
    """One number of two processes that count on by turns."""

    number: int


def spaced(send: Callable[[], object], count: int, gaps_s: tuple[float, float]) -> None:
    """Send so many, at irregular distances; short gaps are spun away, long ones slept."""
    for _ in range(count):
        gap_s = random.uniform(*gaps_s)
        end = time.monotonic() + gap_s
        if gaps_s is SLEEP_GAPS_S:
            time.sleep(gap_s)
        while time.monotonic() < end:
            pass
        send()


def serve(connection: Connection, name: str, ring: Ring, pipe: int) -> None:
    """The producer: for (way, count, gaps) sends so many stamps that way."""
    with shmstore.attach(name, Stamp) as store:
        append, put = store.appender("sent_ns"), ring.appender()
        ways: dict[str, Callable[[], object]] = {
            "store": lambda: append(now_ns()),
            "ring": lambda: put("sensor-1", float(now_ns())),
            "pipe": lambda: os.write(pipe, STAMP.pack(now_ns())),
        }
        while True:
            way, count, gaps_s = connection.recv()
            spaced(ways[way], count, gaps_s)


def poll_store(cursor: Cursor[Stamp], count: int) -> list[int]:
    delays: list[int] = []
    read = cursor.read
    while len(delays) < count:
        if stamps := read(CHUNK):
            seen_ns = now_ns()
            delays += (seen_ns - sent_ns for (sent_ns,) in stamps)
    return delays


def poll_ring(read: Callable[[int], list[tuple[int, float, int]]], count: int) -> list[int]:
    delays: list[int] = []
    while len(delays) < count:
        if stamps := read(CHUNK):
            seen_ns = now_ns()
            delays += (seen_ns - int(sent_ns) for _, sent_ns, _ in stamps)
    return delays


def wait_for_store(cursor: Cursor[Stamp], count: int) -> list[int]:
    delays: list[int] = []
    while len(delays) < count:
        cursor.wait(1.0)
        stamps = cursor.read(CHUNK)
        seen_ns = now_ns()
        delays += (seen_ns - sent_ns for (sent_ns,) in stamps)
    return delays


def wait_for_pipe(pipe: int, count: int) -> list[int]:
    delays: list[int] = []
    while len(delays) < count:
        stamp = os.read(pipe, STAMP.size)
        seen_ns = now_ns()
        delays.append(seen_ns - STAMP.unpack(stamp)[0])
    return delays


def exchange(store: EventStore[Number], numbers: range, begins: bool, ready: Callable[[], object]) -> float:
    """Append each number once the other process's number before it is seen; returns the nanoseconds between two."""
    append = store.appender("number")
    with store.cursor("latest") as cursor:
        read = cursor.read
        ready()
        start_ns = now_ns()
        for number in numbers:
            seen: list[Number] = []
            while not (begins and number == 0) and (not seen or seen[-1][0] != number - 1):
                seen = read(CHUNK)
            append(number)
        return (now_ns() - start_ns) / (2 * len(numbers) - 1)


def answer(connection: Connection, name: str, numbers: int) -> None:
    """The second process."""
    with shmstore.attach(name, Number) as store:
        while connection.recv():
            exchange(store, range(1, 2 * numbers, 2), False, lambda: connection.send(None))


def ask(store: EventStore[Number], other: Connection, numbers: int) -> float:
    other.send(True)
    return exchange(store, range(0, 2 * numbers, 2), True, other.recv)


def rows(smoke: bool) -> Iterator[Row]:
    polls, waits, rounds = (50, 20, 1) if smoke else (2000, 150, ROUNDS)
    ring, (pipe, other_end) = Ring(1000), os.pipe()
    pin(0)
    with (
        store_of(Stamp, capacity=1000, partitions=1) as store,
        worker(serve, store.name, ring, other_end, cpu=1) as producer,
        store_of(Number, capacity=1000, partitions=1) as shared,
        worker(answer, shared.name, EXCHANGES, cpu=1) as partner,
    ):
        cursor, read = store.cursor("latest"), ring.reader()
        ways = {
            "polling cursor": ("store", polls, SPIN_GAPS_S, lambda count: poll_store(cursor, count)),
            "polled ring": ("ring", polls, SPIN_GAPS_S, lambda count: poll_ring(read, count)),
            "waiting cursor": ("store", waits, SLEEP_GAPS_S, lambda count: wait_for_store(cursor, count)),
            "pipe": ("pipe", waits, SLEEP_GAPS_S, lambda count: wait_for_pipe(pipe, count)),
        }
        delays: dict[str, list[int]] = {name: [] for name in ways}
        times: list[float] = []
        for _ in range(rounds):
            for name, (way, count, gaps_s, receive) in ways.items():
                producer.send((way, count, gaps_s))
                delays[name] += receive(count)
            times += (ask(shared, partner, EXCHANGES) for _ in range(polls // EXCHANGES))
    us = {name: [cut / 1000 for cut in quantiles(found, n=100)] for name, found in delays.items()}
    for ours, other, bar, note in (
        ("polling cursor", "polled ring", within(1.5), "a ring made by hand, polled"),
        ("waiting cursor", "pipe", within(60), "a pipe, blocking read"),
    ):
        yield Row(f"append to seen, {ours}, p50", us[ours][P50], "µs", us[other][P50], bar, note)
        yield Row(f"append to seen, {ours}, p99", us[ours][P99], "µs", us[other][P99], None, note)
    between = median(times) / 1000
    yield Row("append to seen, two that poll and answer each other, p50", between, "µs", None, within(1))


if __name__ == "__main__":
    main(rows)
