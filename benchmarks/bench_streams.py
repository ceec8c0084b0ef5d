"""What do appends to streams and reading them cost, alone, at once, and against LMDB, SQLite and Redis?"""

import importlib.util
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from typing import Any

from harness import medians, nanoseconds, sleep_until, worker
from report import Row, above, at_least, at_most, faster, main
from stream_peers import Append, has_redis, lmdb_append, redis_append, sqlite_append

import shmstore
from shmstore import NewEvent, Stream, StreamStore, WrongExpectedVersion

CALLS = 2_000
BATCH = 100
CAPACITY = 20_000  # of what is appended to: all is in use after the first rounds
DATA = bytes(range(100))
EVENTS = 100_000  # that are read
STREAMS = 100


@contextmanager
def streams_of(**options: Any) -> Iterator[StreamStore]:
    """A store of streams that is removed at the end."""
    name = f"shmstore-bench-{os.getpid()}-{secrets.token_hex(3)}"
    with shmstore.create_streams(name, **options) as streams:
        try:
            yield streams
        finally:
            shmstore.unlink(name)


def append_to_list() -> None:
    append = [].append
    for _ in range(CALLS):
        append(DATA)


def append(stream: Stream) -> None:
    add = stream.append
    for _ in range(CALLS):
        add(DATA)


def append_expecting(stream: Stream, calls: int = CALLS) -> None:
    add, version = stream.append, stream.version
    for _ in range(calls):
        version = add(DATA, expected_version=version)


def append_with_id(stream: Stream, ids: Iterator[str]) -> None:
    add = stream.append
    for event_id in ids:
        add(DATA, event_id=event_id)


def append_batches(stream: Stream, events: list[NewEvent]) -> None:
    for _ in range(CALLS // BATCH):
        stream.append_many(events)


def appends(smoke: bool) -> Iterator[Row]:
    """One process."""
    numbers = count()

    def fresh_ids() -> list[str]:
        return [f"event-{next(numbers)}" for _ in range(CALLS)]

    def with_ids(stream: Stream) -> float:
        ids = fresh_ids()
        return nanoseconds(append_with_id, stream, iter(ids))

    with streams_of(capacity=CAPACITY, partitions=1, data_bytes=128) as streams:
        for _ in range(0 if smoke else 2 * CAPACITY // CALLS):
            append(streams["fill"])
        ns = medians(
            1 if smoke else 41,
            {
                "list": partial(nanoseconds, append_to_list),
                "any": partial(nanoseconds, append, streams["a"]),
                "version": partial(nanoseconds, append_expecting, streams["b"]),
                "id": partial(with_ids, streams["c"]),
                "many": partial(nanoseconds, append_batches, streams["d"], [NewEvent(DATA)] * BATCH),
            },
        )
    ns = {what: figure / CALLS for what, figure in ns.items()}
    yield Row("append of 100 bytes", ns["any"], "ns", ns["list"], at_most(12), "list.append")
    yield Row("append with expected_version", ns["version"], "ns", ns["any"], at_most(1.3), "any version")
    yield Row("append with event_id", ns["id"], "ns", ns["any"], at_most(1.5), "no id")
    yield Row(f"an event of append_many of {BATCH}", ns["many"], "ns", ns["any"], at_most(0.5), "an append each")


def conditional(connection: Connection, name: str, number: int) -> None:
    """A process that appends under a condition, and again after each conflict, as often as it is told."""
    with shmstore.attach_streams(name) as streams:
        connection.send(None)
        while True:
            calls, moment, hot = connection.recv()
            chosen = [streams[f"stream-{index}"] for index in range(number, STREAMS, 4)]
            stream = streams["hot"]
            sleep_until(moment)
            start = time.perf_counter_ns()
            if hot:
                append_with_retry(stream, calls)
            else:
                for _ in range(calls // len(chosen)):
                    for stream in chosen:
                        append_with_retry(stream, 1)
            connection.send((start, time.perf_counter_ns()))


def append_with_retry(stream: Stream, calls: int) -> None:
    version = stream.version
    for _ in range(calls):
        while True:
            try:
                version = stream.append(DATA, expected_version=version)
                break
            except WrongExpectedVersion as conflict:
                version = conflict.actual


def at_once(connections: list[Connection], calls: int, hot: bool) -> float:
    """Appends a second, of all processes together."""
    moment = time.monotonic() + 0.02
    for connection in connections:
        connection.send((calls, moment, hot))
    starts, ends = zip(*(connection.recv() for connection in connections), strict=True)
    return len(connections) * calls * 1e9 / (max(ends) - min(starts))


def processes(smoke: bool) -> Iterator[Row]:
    """Four processes, on one stream and on many."""
    calls, rounds = (100, 1) if smoke else (20_000, 9)
    with ExitStack() as stack:
        streams = stack.enter_context(streams_of(capacity=CAPACITY, partitions=8, data_bytes=128))
        workers = [stack.enter_context(worker(conditional, streams.name, number, cpu=number)) for number in range(4)]
        for connection in workers:
            connection.recv()
        rates = medians(
            rounds,
            {
                (number, hot): partial(at_once, workers[:number], calls, hot)
                for number in (1, 4)
                for hot in (True, False)
            },
        )
    rates = {what: rate / 1e6 for what, rate in rates.items()}
    what = "4 processes, expected versions with retry"
    yield Row(f"{what}, one stream", rates[4, True], "M/s", rates[1, True], at_least(0.5), "one process")
    yield Row(f"{what}, {STREAMS} streams", rates[4, False], "M/s", rates[1, False], at_least(1.2), "one process")


def read(stream: Stream, from_: int | None, limit: int, backwards: bool = False) -> None:
    found = sum(1 for _ in stream.read(from_, limit, backwards=backwards))
    if found != limit:
        raise RuntimeError(f"{limit} events were there, {found} were read")


def readings(smoke: bool) -> Iterator[Row]:
    """One stream among many, against a store that holds nothing else."""
    events, rounds = (1_000, 1) if smoke else (EVENTS, 9)
    few = events // STREAMS
    with (
        streams_of(capacity=events + 1, partitions=1, data_bytes=128) as mixed,
        streams_of(capacity=events + 1, partitions=1, data_bytes=128) as alone,
        streams_of(capacity=few + 1, partitions=1, data_bytes=128) as only,
    ):
        for number in range(events):
            mixed[f"stream-{number % STREAMS}"].append(DATA)
        alone["stream-0"].append_many([DATA] * events)
        only["stream-0"].append_many([DATA] * few)
        among, itself = mixed["stream-0"], only["stream-0"]
        ns = medians(
            rounds,
            {
                ("all", ""): partial(nanoseconds, read, alone["stream-0"], 0, events),
                **{
                    (what, who): partial(nanoseconds, repeated, stream, *how)
                    for what, how in (
                        ("from 0", (0, few)),
                        ("from the middle", (few // 2, few // 2)),
                        ("the newest 10, backwards", (None, 10, True)),
                    )
                    for who, stream in (("among", among), ("only", itself))
                },
            },
        )
    yield Row(f"{events:,} events of bytes read", events * 1e3 / ns["all", ""], "M/s", None, above(1.5))
    for what in ("from 0", "from the middle", "the newest 10, backwards"):
        yield Row(
            f"one stream of {STREAMS} read {what}",
            *(ns[what, "among"] / 20e3, "µs", ns[what, "only"] / 20e3, at_most(2), "a store of these events alone"),
        )


def repeated(*how: Any) -> None:
    for _ in range(20):
        read(*how)


class Counted:
    """A peer's appends, one version after the other."""

    def __init__(self, append: Append) -> None:
        self._append, self._version = append, 0

    def __call__(self) -> None:
        append, first = self._append, self._version
        self._version += CALLS
        for version in range(first, self._version):
            append(version, DATA)


def peers(smoke: bool) -> Iterator[Row]:
    """Conditional appends, against what is used today. Those that are not installed are left out."""
    found: list[tuple[str, Any, float]] = []
    if importlib.util.find_spec("lmdb"):
        found.append(("LMDB, without sync", lmdb_append, 10))
    found.append(("SQLite, write-ahead log", sqlite_append, 40))
    if has_redis():
        found.append(("Redis, a script", redis_append, 400))
    with ExitStack() as stack:
        streams = stack.enter_context(streams_of(capacity=CAPACITY, partitions=1, data_bytes=128))
        # Of ours as many more as take about as long: 2,000 alone are over before the processor is awake.
        calls = dict.fromkeys(("", *(name for name, _, _ in found)), CALLS) | {"": CALLS if smoke else 20 * CALLS}
        measures: dict[str, Callable[[], float]] = {"": partial(nanoseconds, append_expecting, streams["a"], calls[""])}
        for name, append_to, _ in found:
            measures[name] = partial(nanoseconds, Counted(stack.enter_context(append_to())))
        ns = {name: figure / calls[name] for name, figure in medians(1 if smoke else 9, measures).items()}
    for name, _, bar in found:
        yield Row(f"append with expected_version, against {name}", ns[""], "ns", ns[name], faster(bar), "in /dev/shm")


def rows(smoke: bool) -> Iterator[Row]:
    for part in (appends, processes, readings, peers):
        yield from part(smoke)


if __name__ == "__main__":
    main(rows)
