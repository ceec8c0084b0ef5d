"""The memory of large snapshots: used again for the next ones, bounded, given back, and nobody else's meanwhile."""

import gc
import os
import subprocess
import sys
from array import array
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import shmstore
from shmstore import EventStore, Record
from shmstore.questions.snapshot import Snapshot

RECORDS = 400_000  # 6.4 MB


class Pair(Record):
    number: int
    value: float


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Pair]]:
    with shmstore.create(name, Pair, capacity=RECORDS, partitions=1) as store:
        store.append_many({"number": array("q", range(RECORDS)), "value": array("d", [0.5]) * RECORDS})
        yield store


def address(snapshot: Snapshot[Pair]) -> int:
    return int(np.asarray(snapshot["number"]).ctypes.data)


def is_whole(snapshot: Snapshot[Pair], least: int = RECORDS) -> bool:
    numbers, values = np.asarray(snapshot["number"]), np.asarray(snapshot["value"])
    return len(numbers) >= least and bool((np.diff(numbers) == 1).all() and (values == 0.5).all())


def kept_bytes() -> int:
    """What the kernel may take of this process whenever it wants."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("LazyFree"))


def test_the_next_snapshot_uses_the_memory_of_one_that_is_gone_and_of_no_other(store: EventStore[Pair]) -> None:
    first, second = store.snapshot(), store.snapshot()
    assert address(first) != address(second)
    was = address(second)
    del second
    third = store.snapshot()
    assert address(third) == was
    column = third["number"]  # keeps it, whoever lets go of the snapshot
    del third
    assert address(store.snapshot()) not in (address(first), was)
    assert column[RECORDS - 1] == RECORDS - 1 and is_whole(first)


def test_what_is_kept_is_bounded_the_kernel_may_take_it_and_close_gives_it_back(store: EventStore[Pair]) -> None:
    before = kept_bytes()
    held = [store.snapshot() for _ in range(10)]
    assert kept_bytes() == before
    del held
    assert 0 < kept_bytes() - before <= 4 * 8 << 20
    store.close()
    assert kept_bytes() <= before


def test_a_child_of_a_fork_has_its_own(store: EventStore[Pair]) -> None:
    held, kept = store.snapshot(), store.snapshot()
    del kept
    if not (child := os.fork()):
        try:
            fresh = store.snapshot()
            good = is_whole(held) and is_whole(fresh)
            del held, fresh
            good = good and is_whole(store.snapshot())
        finally:
            os._exit(0 if good else 1)
    assert is_whole(store.snapshot())
    assert os.waitpid(child, 0)[1] == 0
    assert is_whole(held)


def test_threads_and_finalizers_let_go_of_snapshots_while_others_are_made(store: EventStore[Pair]) -> None:
    class Holder:
        def __init__(self) -> None:
            self.snapshot, self.me = store.snapshot(), self  # a cycle: the collector lets go of it, wherever it runs

    def look(_: int) -> bool:
        return is_whole(Holder().snapshot, RECORDS // 2)  # some are overwritten

    with ThreadPoolExecutor(4) as threads:
        writing = threads.submit(
            lambda: [
                store.append_many({"number": array("q", [first]), "value": array("d", [0.5])})
                for first in range(RECORDS, RECORDS + 2000)
            ]
        )
        assert all(threads.map(look, range(60)))
        writing.result()
    gc.collect()
    assert is_whole(store.snapshot())


def test_a_process_that_ends_with_snapshots_in_hand_ends_well(store: EventStore[Pair]) -> None:
    program = f"import shmstore; held = [shmstore.attach({store.name!r}).snapshot() for _ in range(3)]; del held[0]"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
