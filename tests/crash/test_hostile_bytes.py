"""Whatever a segment's bytes are, every operation ends in its time, with a valid answer or an error of ours.

Each mutant is met in a forked child, many by one child. The kernel kills a child whose operation takes more than a
second of processor time; a child that only sits there is killed by the watchdog. SHMSTORE_MUTANTS sets how many.
"""

import mmap
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore import Coordinator, DamagedSegment, EventStore, NotAStore, ShmStoreError
from shmstore.cli import inspect
from shmstore.segments import segment
from tests.helpers.effort import cases
from tests.helpers.mutants import Template, append_one, mutant, scribble, template, write_file
from tests.helpers.processes import Child, shared_numbers
from tests.helpers.questions import Ask, questions
from tests.helpers.segments import may_fork
from tests.helpers.watched import Watched, watch

MUTANTS = int(os.environ.get("SHMSTORE_MUTANTS", cases(full=2000, sample=500)))
SCRIBBLED_S = 3.0
WORKERS = 2
QUESTIONS = 4  # put to each mutant, at each attachment

pytestmark = may_fork

VERBS = (*("show", "check", "tail", "top") * 8, *("ls",) * 4, "processes")  # the last one takes its time to look twice
OPTIONS: dict[str, tuple[str, ...]] = {"tail": ("-n", "50"), "top": ("--count", "1", "--interval", "1ms")}


def inspected(verb: str, name: str, messages: Path, form: str) -> None:
    """Run the tool as a user would, but in this process. It catches everything, so what it says must be looked at."""
    argv = [verb, *OPTIONS.get(verb, ()), *([form] if form else []), *([] if verb == "ls" else [name])]
    with messages.open("w") as told, redirect_stdout(told), redirect_stderr(told):
        code = inspect.main(argv)
    text = messages.read_text()
    assert code in range(6), f"exit code {code}"
    assert "unexpected" not in text and "Traceback" not in text, text
    assert code == 0 or text, f"exit code {code} without a word"


def follow(store: EventStore[Any]) -> None:
    with store.cursor() as cursor:
        while records := cursor.read(70):
            assert len(records) <= 70
        cursor.wait(0.0)
        assert cursor.lag >= 0 and cursor.lost >= 0 and cursor.gaps is not None
    with store.cursor(start="latest") as cursor:
        cursor.wait(0.001)
        cursor.read()
    store.cursor(start=timedelta(seconds=1)).read()
    store.cursor(start=0).read()


def take(store: EventStore[Any]) -> None:
    shot = store.snapshot()
    assert len(shot) == len(shot.to_dicts()) <= store.capacity
    for gap in shot.gaps:
        assert gap.first < gap.end
    store.snapshot(since=timedelta(hours=1), order="time")
    store.snapshot(where=lambda record: record[0] == "gw-1", partition=1)


def keys_by_id(store: EventStore[Any]) -> None:
    with suppress(IndexError):  # there are fewer by now
        for key_id in range(len(store.keys())):
            store._core.key_text(key_id)


def coordinate(store: EventStore[Any]) -> None:
    if store._core.lock_coordinator():
        coordinator = Coordinator(store, retention=timedelta(days=1), on_statistics=lambda statistics: None)
        coordinator._reap()
        coordinator._each_second()
        store._core.unlock_coordinator()
    store._core.history()


def append_many(store: EventStore[Any]) -> None:
    store.append_many([("gw-1", "x", 1.0, 2, True, b"", None)] * 50)
    store.append_many({name: [value] * 3 for name, value in zip(store.schema.names, ROW, strict=True)})


ROW = ("gw-2", "y", 1.0, 2, True, b"", 5)

APPENDS: dict[str, Ask] = {
    "append": lambda store: [append_one(store, number) for number in range(50)],
    "append to a partition": lambda store: store.append(ROW, partition=1),
    "append_many": append_many,
    "appender": lambda store: store.appender(*store.schema.names)(*ROW[: len(store.schema.names)]),
}
WRITES: dict[str, Ask] = {
    "key": lambda store: [store.key(text) for text in ("gw-1", "new", "newer")],
    "coordinate": coordinate,
    "reap": lambda store: store._core.reap(),
    "purge": lambda store: store.purge(older_than=timedelta(seconds=0)),
    "clear": lambda store: store.clear(),
}
LOOKS: dict[str, Ask] = {
    "snapshot": take,
    "cursor": follow,
    "read_at": lambda store: [store.read_at(position) for position in (0, 1, 79, 80, 2**40, 2**64 - 1)],
    "keys": lambda store: store.keys(),
    "keys by id": keys_by_id,
    "statistics": lambda store: [store.statistics, store.statistics],
    "length": lambda store: (len(store), store.is_full, store.is_empty, repr(store)),
    "processes": lambda store: store.processes(),
    "check": lambda store: store.check(),
}
EVERYTHING_ELSE = LOOKS | WRITES | APPENDS


def live(watched: Watched, number: int, what: str, dice: random.Random) -> bool:
    """Attach to what is there, do everything in some order, let go. Returns whether it could be attached."""
    verb, form = dice.choice(VERBS), dice.choice(("", "--json", "--plain"))
    watched.do(number, f"{what}: inspect {verb}", lambda: inspected(verb, watched.name, watched.messages, form))
    watched.do(number, f"{what}: list_stores", shmstore.list_stores)
    attached = False
    for read_only in (True, False):
        store = watched.do(number, f"{what}: attach", lambda: shmstore.attach(watched.name, read_only=read_only))  # noqa: B023
        if store is None:
            continue
        attached = True
        operations = [*LOOKS.items(), *([] if read_only else [*WRITES.items(), dice.choice([*APPENDS.items()])])]
        operations += dice.sample([*questions(store).items()], QUESTIONS)
        for operation, action in dice.sample(operations, len(operations)):
            fitting = ShmStoreError if operation in EVERYTHING_ELSE else DamagedSegment
            watched.do(number, f"{what}: {operation}", lambda: action(store), fitting)  # noqa: B023
        watched.do(number, f"{what}: close", store.close)
    if dice.random() < 0.1:
        watched.do(number, f"{what}: unlink", lambda: shmstore.unlink(watched.name))
    return attached


@pytest.fixture
def templates(name: str) -> list[Template]:
    return [template(f"{name}-template", layout) for layout in ("rows", "columns")]


@pytest.fixture
def workers(name: str, tmp_path: Path) -> Iterator[list[Watched]]:
    yield [Watched(f"{name}-{worker}", tmp_path) for worker in range(WORKERS)]
    for file in Path("/dev/shm").glob(f"{name}-*"):
        file.unlink(missing_ok=True)


def test_no_mutant_ends_or_holds_up_a_process(
    workers: list[Watched], templates: list[Template], seed: int, scorecard: Callable[..., None]
) -> None:
    attached = shared_numbers(WORKERS)

    def go(watched: Watched, first: int) -> Child | None:
        def life() -> None:
            watched.restrict()
            for number in range(first, MUTANTS, WORKERS):
                what, data = mutant(templates[number // WORKERS % 2], seed, number)
                write_file(watched.name, data)
                attached[number % WORKERS] += live(watched, number, what, random.Random(f"{seed}/{number}/order"))

        return Child(life) if first < MUTANTS else None

    children = {watched: child for worker, watched in enumerate(workers) if (child := go(watched, worker))}
    watch(children, lambda watched: go(watched, watched.mutant + WORKERS))
    reports = [report for watched in workers for report in watched.reports()]
    operations, longest_s = (
        sum(watched.operations for watched in workers),
        max(watched.longest_s for watched in workers),
    )
    print(f"{MUTANTS} mutants, {sum(attached)} of them attached, {operations} operations, longest {longest_s:.2f} s")
    assert not reports, f"{len(reports)} of {MUTANTS} mutants, seed {seed}:\n" + "\n".join(reports[:20])
    assert MUTANTS < 100 or sum(attached) > MUTANTS / 3, "most mutants are refused at once: they show little"
    scorecard(
        15, mutants=MUTANTS, attached=sum(attached), operations=operations, crashes=0, hangs=0, longest_s=longest_s
    )


def test_processes_survive_another_that_scribbles_over_what_they_work_on(
    workers: list[Watched], templates: list[Template], seed: int, scorecard: Callable[..., None]
) -> None:
    """Each worker has a segment, and a scribbler that spoils words of it all the time, and at times makes it whole."""
    until = time.monotonic() + SCRIBBLED_S
    scribbles = shared_numbers(WORKERS)

    def scribbler(worker: int, watched: Watched) -> Child:
        def life() -> None:
            dice, source = random.Random(f"{seed}/{worker}"), templates[worker % 2]
            fd = os.open(f"/dev/shm/{watched.name}", os.O_RDWR)
            target = memoryview(mmap.mmap(fd, len(source.data)))
            while time.monotonic() < until:
                scribble(dice, target, source.regions)
                scribbles[worker] += 1
                if dice.random() < 0.02:
                    target[:] = source.data

        return Child(life)

    def go(watched: Watched) -> Child | None:
        def life() -> None:
            watched.restrict()
            dice = random.Random(f"{seed}/{watched.operations}")
            store = shmstore.attach(watched.name)
            operations = [*EVERYTHING_ELSE.items(), *questions(store).items()]
            while time.monotonic() < until:
                operation, action = dice.choice(operations)
                watched.do(0, operation, lambda: action(store))  # noqa: B023
                if dice.random() < 0.01:
                    watched.do(0, "close", store.close)
                    store = watched.do(0, "attach", lambda: shmstore.attach(watched.name)) or store
            watched.do(0, "close", store.close)

        return Child(life) if time.monotonic() < until else None

    for worker, watched in enumerate(workers):
        write_file(watched.name, templates[worker % 2].data)
    children = {watched: child for watched in workers if (child := go(watched))}
    scribblers = [scribbler(worker, watched) for worker, watched in enumerate(workers)]
    watch(children, go)
    assert [child.wait() for child in scribblers] == [0] * WORKERS
    reports = [report for watched in workers for report in watched.reports()]
    assert not reports, f"{len(reports)} reports, seed {seed}:\n" + "\n".join(reports[:20])
    operations = sum(watched.operations for watched in workers)
    print(f"{operations} operations beside {sum(scribbles)} scribbles")
    assert operations > 100 and sum(scribbles) > 100
    scorecard(15, scribbles=sum(scribbles), operations=operations, crashes=0, hangs=0)


def test_a_file_shrunk_to_any_size_is_refused(name: str, templates: list[Template]) -> None:
    whole = len(templates[0].data)
    for size in (0, 1, 7, 8, 9, 100, 4095, 4096, 4271, 4272, 4608, whole // 2, whole - 4096, whole - 1):
        write_file(name, templates[0].data)
        os.truncate(f"/dev/shm/{name}", size)
        for read_only in (True, False):
            with pytest.raises(NotAStore if size < 8 else DamagedSegment):
                shmstore.attach(name, read_only=read_only)
        assert inspect.main(["check", name]) in (4, 5)
    with suppress(ShmStoreError):
        shmstore.unlink(name)


def test_a_file_shrunk_under_a_process_ends_that_process_alone(name: str, templates: list[Template]) -> None:
    """The kernel answers an access behind the end of a mapped file by SIGBUS, and files of /dev/shm cannot be sealed.

    So this is outside of what is promised. What is shown is the rest: who is not attached, or attaches now, is told.
    """
    ready = shared_numbers(1)
    write_file(name, templates[0].data)

    def life() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        store = shmstore.attach(name)
        os.truncate(f"/dev/shm/{name}", 8192)
        ready[0] = 1
        store.snapshot()

    assert Child(life).wait() == -signal.SIGBUS and ready[0]
    with pytest.raises(DamagedSegment):
        segment.attach(name)
    write_file(name, templates[0].data)
    with shmstore.attach(name) as store:
        append_one(store, 1)
    shmstore.unlink(name)
