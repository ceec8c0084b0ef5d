"""Streams used by many at once: processes that fork, race and are killed, threads, readers beside writers."""

import os
import random
import signal
import threading
from collections.abc import Callable
from itertools import chain, count

import shmstore
from shmstore import NewEvent, StoreClosed, Stream, StreamStore, WrongExpectedVersion
from tests.helpers.processes import Child, eventually
from tests.helpers.segments import may_fork
from tests.unit.streams.conftest import Make

PROCESSES = 4
EACH = 300

pytestmark = may_fork


def run_all(*actions: Callable[[], int | None]) -> None:
    """Run each in a forked process; all must succeed."""
    children = [Child(action) for action in actions]
    try:
        assert [child.wait() for child in children] == [0] * len(children)
    finally:
        for child in children:
            child.kill()


def test_appends_of_many_processes_are_each_there_once(make: Make) -> None:
    streams = make(capacity=4 * PROCESSES * EACH, partitions=2)

    def append(number: int) -> int:
        for at in range(EACH):
            streams["shared"].append([number, at], event_id=f"{number}-{at}")
            streams[f"own-{number}"].append(at)
        return 0

    run_all(*(lambda number=number: append(number) for number in range(PROCESSES)))  # type: ignore[misc]
    events = list(streams["shared"].read())
    assert [event.version for event in events] == list(range(PROCESSES * EACH))
    for number in range(PROCESSES):
        assert [event.data[1] for event in events if event.data[0] == number] == list(range(EACH))
        assert [event.data for event in streams[f"own-{number}"].read()] == list(range(EACH))
    assert streams.check() == [] and len(streams) == PROCESSES + 1


def test_batches_as_large_as_the_partition_wait_for_each_other(make: Make) -> None:
    """Two do not have slots enough at once: without a wait most appends would be told so."""
    streams = make(capacity=1000, partitions=1)
    batch = [b"x"] * 1000

    def append() -> int:
        for _ in range(EACH):
            streams["shared"].append_many(batch)
        return 0

    run_all(*[append] * 2)
    assert streams["shared"].version == 2 * EACH * len(batch) - 1 and streams.check() == []


def test_one_of_those_who_expect_the_same_version_succeeds(make: Make) -> None:
    stream = make(capacity=PROCESSES * EACH)["balance"]

    def add_up() -> int:
        done = 0
        while done < EACH // 3:
            last = stream.last()
            try:
                stream.append(last.data + 1 if last else 1, expected_version=last.version if last else -1)
                done += 1
            except WrongExpectedVersion as error:
                assert error.actual > (last.version if last else -1)
        return 0

    run_all(*[add_up] * PROCESSES)
    assert [event.data for event in stream.read()] == list(range(1, PROCESSES * (EACH // 3) + 1))


def test_an_id_that_all_append_is_there_once(make: Make) -> None:
    streams = make(capacity=PROCESSES * EACH)

    def append() -> int:
        versions = [streams["a"].append("x", event_id=f"id-{at}") for at in range(EACH)]
        return int([streams["a"].append("y", event_id=f"id-{at}") for at in range(EACH)] != versions)

    run_all(*[append] * PROCESSES)
    assert [event.event_id for event in streams["a"].read()] == [f"id-{at}" for at in range(EACH)]


def test_a_batch_is_seen_whole(make: Make) -> None:
    stream = make(capacity=400)["a"]

    def write() -> int:
        for number in range(200):
            stream.append_many([number] * 5)
        return 0

    with Child(write) as writer:
        torn = []
        while not writer.is_over():
            versions = stream.version + 1
            if versions % 5:
                torn.append(versions)
        assert writer.wait() == 0 and torn == []
    assert stream.version == 999


def test_a_reader_beside_writers_gets_each_event_or_is_told(make: Make) -> None:
    stream = make(capacity=300)["a"]

    def write() -> int:
        for number in count():
            stream.append({"number": number}, expected_version=number - 1)
            if number == 20_000:
                return 0
        return 1

    with Child(write) as writer:
        readings = 0
        while not writer.is_over():
            for backwards in (False, True):
                reading = stream.read(backwards=backwards, missing="report")
                seen = [event.version for event in reading if event.data == {"number": event.version}]
                gone = [version for versions in reading.missing for version in versions]
                assert sorted(seen + gone) == list(range(len(seen) + len(gone)))
                assert seen == sorted(seen, reverse=backwards)
                readings += 1
        assert writer.wait() == 0 and readings


def test_a_forked_child_appends_as_itself(make: Make) -> None:
    streams = make()
    streams["a"].append("parent")

    def child() -> int:
        streams["a"].append("child")
        run_all(lambda: int(streams["a"].append("grandchild") != 2))
        places = {place.pid for place in streams.processes() if place.state == "alive"}
        return int(not {os.getpid(), os.getppid()} <= places)

    run_all(child)
    for number in range(100):
        streams["a"].append(number)
    assert streams["a"].version == 102
    assert eventually(lambda: streams.core.reap() is not None and len(streams.processes()) == 1)
    assert streams.check() == []


def test_a_child_that_closes_what_it_inherited_takes_nothing_away(make: Make) -> None:
    streams = make()
    streams["a"].append_many(range(20))

    def child() -> int:
        streams.close()
        return 0

    run_all(child)
    assert streams["a"].append_many(range(20)) == list(range(20, 40))
    assert streams.check() == []


def test_what_was_appended_outlives_whoever_is_killed(make: Make, seed: int) -> None:
    """Each tells through a pipe what it has appended, and is killed at any moment: all that was told is there, once."""
    streams = make(capacity=40_000, partitions=2, data_bytes=50, processes=16)
    chance = random.Random(seed)
    told: dict[int, int] = {}
    for round_ in range(12):
        reader, writer = os.pipe()

        def append(round_: int = round_, writer: int = writer) -> int:
            for at in range(500):
                streams["all"].append_many([NewEvent(at, event_id=f"{round_}-{at}"), "beside"])
                streams[f"of-{round_}"].append(at, expected_version=at - 1)
                os.write(writer, b".")
            signal.pause()
            return 1

        with Child(append) as victim, os.fdopen(reader, "rb") as heard:
            os.close(writer)
            told[round_] = len(heard.read(1 + chance.randrange(200)))
            victim.kill()
            told[round_] += len(heard.read())
        streams["all"].append("alive")
    streams.core.reap()
    assert streams.check() == []
    events = list(streams["all"].read())
    assert [event.version for event in events] == list(range(len(events)))
    for round_, at_least in told.items():
        ids = [event.event_id for event in events if (event.event_id or "").startswith(f"{round_}-")]
        assert ids == [f"{round_}-{at}" for at in range(len(ids))] and len(ids) >= at_least
        own = [event.data for event in streams[f"of-{round_}"].read()]
        assert own == list(range(len(own))) and at_least <= len(own) <= len(ids)
        again = [streams["all"].append("again", event_id=f"{round_}-{at}") for at in range(len(ids))]
        assert all(version < len(events) for version in again)
    assert streams["all"].version == len(events) - 1


def test_threads_append_beside_one_another(make: Make) -> None:
    streams = make(capacity=5000, streams=50)
    versions: dict[int, list[int]] = {}

    def append(number: int) -> None:
        stream = streams["shared"]
        versions[number] = []
        for at in range(EACH):
            versions[number].append(stream.append((number, at)))
            streams[f"s{at % 30}"].append(at)

    threads = [threading.Thread(target=append, args=(number,)) for number in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(chain.from_iterable(versions.values())) == list(range(PROCESSES * EACH))
    for number, own in versions.items():
        found = [streams["shared"].at(version) for version in own]
        assert [event.data for event in found if event] == [[number, at] for at in range(EACH)]
    assert len(streams) == 31 and streams.check() == []


def test_a_store_is_closed_beside_threads_that_use_it(streams: StreamStore) -> None:
    errors: list[Exception] = []
    begun = threading.Barrier(4)

    def use(stream: Stream) -> None:
        begun.wait()
        try:
            while True:
                stream.append(b"x" * 100)
                list(stream.read(missing="report"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(streams[f"s{number % 2}"],)) for number in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    assert eventually(lambda: streams["s0"].version > 100)
    streams.close()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [StoreClosed] * 3
    with shmstore.attach_streams(streams.name) as again:
        assert again.check() == [] and len(again.processes()) == 1


def test_events_are_counted_while_others_overwrite_them(make: Make) -> None:
    stream = make(capacity=200)["a"]
    stream.append("x", type="t0")

    def append() -> int:
        for at in count():
            stream.append(at, type=f"t{at % 3}")
        return 1

    with Child(append):
        for _ in range(300):
            counts = stream.counts_by_type()
            assert counts.keys() <= {"t0", "t1", "t2"} and sum(counts.values()) <= 200
            # Types come in turn, and what was overwritten meanwhile was the oldest.
            assert not counts or max(counts.values()) - min(counts.values()) <= 200 // 3
        assert eventually(lambda: stream.version > 1000)
    assert sum(stream.counts_by_type().values()) == len(stream) == stream.count()
