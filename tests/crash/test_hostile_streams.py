"""Whatever bytes of streams somebody changed, each operation ends in its time, with an answer or an error of ours.

Each mutant is met in a forked child with the limits of tests/helpers/watched.py.
"""

import random
import struct
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import DamagedSegment, NewEvent
from tests.helpers.effort import cases
from tests.helpers.mutants import EDGES, Region, Template, flips, swaps, write_file
from tests.helpers.processes import Child, shared_numbers
from tests.helpers.segments import may_fork
from tests.helpers.watched import Watched, watch

MUTANTS = cases(full=1000, sample=120)
NAMES = ("orders", "bills", "new")

pytestmark = may_fork

Operation = Callable[[Any, Any], object]  # of a store, and of a stream of it

OPERATIONS: dict[str, Operation] = {
    "append": lambda _, stream: [stream.append({"n": n}, event_id=f"id {n % 3}") for n in range(5)],
    "append_many": lambda _, stream: stream.append_many([NewEvent({"n": n}, type="made") for n in range(3)]),
    "append under a condition": lambda _, stream: stream.append({"n": 1}, expected_version=len(stream)),
    "read": lambda _, stream: list(stream.read(missing="report")),
    "read backwards": lambda _, stream: list(stream.read(limit=4, backwards=True, missing="report")),
    "at": lambda _, stream: [stream.at(version) for version in (0, 7, 2**40, 2**63)],
    "ask": lambda _, stream: (stream.last(), stream.first_version, stream.discarded, stream.exists, len(stream)),
    "count": lambda _, stream: (stream.count(), stream.count("made"), stream.counts_by_type()),
    "table": lambda _, stream: stream.to_table().to_dicts(),
    "limits": lambda _, stream: (stream.retain(events=5, age=timedelta(days=1)), stream.retention, stream.reserve),
    "reserve": lambda _, stream: setattr(stream, "reserve", 2),
    "truncate": lambda _, stream: stream.truncate(3),
    "delete": lambda _, stream: stream.delete(),
    "names": lambda store, _: (store.names(), len(store), list(store), repr(store)),
    "check": lambda store, _: store.check(),
    "reap": lambda store, _: store.core.reap(),
}


def template(name: str) -> Template:
    """Streams in use: events of a second lap with ids and types, one that is deleted, and a claim of a dead process."""
    with shmstore.create_streams(name, capacity=32, partitions=2, data_bytes=64, streams=4, processes=4) as store:
        for number in range(80):
            stream = store[NAMES[number % 2]]
            stream.append(
                {"n": number}, event_id=f"id {number}" if number % 3 else None, type="made" if number % 4 else None
            )
        store["bills"].delete()
        Child(lambda: shmstore.attach_streams(name)["orders"].append({"n": 1}) and None).wait()
        regions = {part: Region(part, first, first + size) for part, first, size in store.core.plan().regions}
        data = Path(f"/dev/shm/{name}").read_bytes()
        shmstore.unlink(name)
    return Template(
        data, {part: region for part, region in regions.items() if part not in ("header and board", "history")}
    )


def small(dice: random.Random, data: bytearray, regions: dict[str, Region]) -> str:
    """A word becomes a small number, an edge, or one more or less."""
    region = dice.choice(list(regions.values()))
    at = region.first + dice.randrange((region.end - region.first) // 8) * 8
    (word,) = struct.unpack_from("Q", data, at)
    value = dice.choice((dice.randrange(100), dice.choice(EDGES), word + 1, word - 1, word ^ 1 << dice.randrange(64)))
    struct.pack_into("Q", data, at, value % 2**64)
    return f"{region.name} {at} {value}"


def mutant(source: Template, seed: int, number: int) -> tuple[str, bytes]:
    dice, data = random.Random(f"{seed}/{number}"), bytearray(source.data)
    kinds = [dice.choice((small, small, flips, swaps)) for _ in range(1 + dice.randrange(20))]
    return ", ".join(kind(dice, data, source.regions) for kind in kinds), bytes(data)


@pytest.fixture
def watched(name: str, tmp_path: Path) -> Iterator[Watched]:
    yield Watched(name, tmp_path)
    Path(f"/dev/shm/{name}").unlink(missing_ok=True)


def live(watched: Watched, number: int, what: str, dice: random.Random) -> bool:
    """Attach, do everything in some order, let go. Returns whether it could be attached."""
    store = watched.do(number, f"{what}: attach", lambda: shmstore.attach_streams(watched.name))
    if store is None:
        return False
    for operation, action in dice.sample([*OPERATIONS.items()], len(OPERATIONS)):
        stream = dice.choice(NAMES)
        watched.do(number, f"{what}: {operation} of {stream}", lambda: action(store, store[stream]))  # noqa: B023
    watched.do(number, f"{what}: close", store.close)
    return True


def test_no_mutant_of_streams_ends_or_holds_up_a_process(
    name: str, watched: Watched, seed: int, scorecard: Callable[..., None]
) -> None:
    source, attached = template(f"{name}-template"), shared_numbers(1)

    def go(watched: Watched, first: int) -> Child | None:
        def life() -> None:
            watched.restrict()
            for number in range(first, MUTANTS):
                what, data = mutant(source, seed, number)
                write_file(watched.name, data)
                attached[0] += live(watched, number, what, random.Random(f"{seed}/{number}/order"))

        return Child(life) if first < MUTANTS else None

    child = go(watched, 0)
    assert child
    watch({watched: child}, lambda watched: go(watched, watched.mutant + 1))
    reports = watched.reports()
    print(f"{MUTANTS} mutants, {attached[0]} attached, {watched.operations} operations, {watched.longest_s:.2f} s")
    assert not reports, f"{len(reports)} of {MUTANTS} mutants, seed {seed}:\n" + "\n".join(reports[:20])
    assert attached[0] > MUTANTS / 2
    scorecard(15, mutants_of_streams=MUTANTS, operations=watched.operations, crashes=0, hangs=0)


def test_a_stream_of_more_versions_than_there_are_numbers_for_is_damaged(name: str) -> None:
    source = template(f"{name}-template")
    data = bytearray(source.data)
    for at in range(source.regions["streams"].first, source.regions["streams"].end, 128):
        struct.pack_into("Q", data, at, 2**64 - 1)
    write_file(name, bytes(data))
    with shmstore.attach_streams(name) as store, pytest.raises(DamagedSegment, match=r"orders.*versions"):
        len(store["orders"])
    shmstore.unlink(name)
