"""Segments for tests that are about names, files and users: made in short, looked at as files, used by another user."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import posix_ipc
import pytest

from shmstore import _core
from shmstore.segments import names, segment
from shmstore.segments.mapping import Segment

FIELDS = [("value", _core.FLOAT64, 0)]
NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
# pytest's watchdog is a thread; it holds no lock that a forked child could need.
may_fork = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def options(capacity: int = 1000) -> _core.Options:
    return _core.Options(
        capacity=capacity, partitions=1, layout=_core.LAYOUT_ROWS, rule=_core.BY_TURN, keys=1, processes=4
    )


# Where words lie in the structs `changes` and `node`.
USED, REFUSED, TOO_LONG, PLACELESS = 16, 32, 40, 48
NODE_BYTES, IDENTITY = 256, 24

METRICS: _core.Options = {"kind": "metrics", "capacity": 100, "exemplars": 10, "processes": 8}
STREAMS: _core.Options = {
    "kind": "streams",
    "capacity": 100,
    "partitions": 2,
    "data_bytes": 200,
    "streams": 20,
    "processes": 8,
}


def set_word(mapped: Segment, region: str, offset: int, word: int) -> None:
    """Write eight bytes of a region."""
    header = _core.read_header(mapped.buffer)
    first = next(first for name, first, _ in _core.plan(header.fields, header.options).regions if name == region)
    mapped.buffer[first + offset : first + offset + 8] = word.to_bytes(8, "little")


def fill_metrics(mapped: Segment, *, refused: int = 0, too_long: int = 0, placeless: int = 0) -> None:
    """As if there were a declaration, a series of it with a part, and an exemplar. They are in no chain."""
    live, part = 2, 4
    set_word(mapped, "changes", USED, 3)
    for place, number in ((REFUSED, refused), (TOO_LONG, too_long), (PLACELESS, placeless)):
        set_word(mapped, "changes", place, number)
    for node, (state, family) in enumerate([(live, (1 << 24) - 1), (live, 0), (1 << 3 | part, 0)]):
        set_word(mapped, "nodes", node * NODE_BYTES, state)
        set_word(mapped, "nodes", node * NODE_BYTES + IDENTITY, family)
    set_word(mapped, "exemplars", 0, 1)


def create(name: str, capacity: int = 1000, *, mode: int = 0o600, group: str | int | None = None) -> Segment:
    return segment.create(name, FIELDS, options(capacity), mode=mode, group=group)


def planned_bytes(capacity: int = 1000) -> int:
    return _core.plan(FIELDS, options(capacity)).size


def path(name: str) -> Path:
    return Path(names.path_of(name))


def files(name: str) -> list[str]:
    """What the directory holds for this name: the segment and scratch files (but not the semaphore, which stays)."""
    return sorted(file.name for file in path("").glob(f"*{name}*") if not file.name.startswith("sem."))


def used_bytes() -> int:
    """How much of the directory's memory is taken."""
    status = os.statvfs(names.DIRECTORY)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def use_scratch_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Create as where the kernel has no nameless files, with turns by a semaphore of this name."""
    monkeypatch.setattr(names, "_open_nameless", lambda: None)
    monkeypatch.setattr(names, "SEMAPHORE", f"/{name}")
    # It is there before anyone is killed: sem_open leaves a file of its own when it is killed while it makes one.
    posix_ipc.Semaphore(f"/{name}", posix_ipc.O_CREX, initial_value=1).close()


@contextmanager
def small_directory(monkeypatch: pytest.MonkeyPatch, where: Path, size_mib: int) -> Iterator[Path]:
    """A new tmpfs in place of /dev/shm."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", where]
    if os.geteuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("mounting a small tmpfs needs root with CAP_SYS_ADMIN")
    monkeypatch.setattr(names, "DIRECTORY", str(where))
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", where], check=True)


def in_child(action: Callable[[], object]) -> str:
    """What `action` returns in a forked child, or the class and text of its exception. A signal fails the test."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = str(action())
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as answers:
        answer = answers.read()
    assert os.waitpid(child, 0)[1] == 0
    return answer


def as_nobody(action: Callable[[], object]) -> str:
    """`in_child` as a user without rights."""

    def drop_and_act() -> object:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return action()

    return in_child(drop_and_act)


def run_python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A new interpreter that runs `program` with our modules, and what it printed."""
    command = [sys.executable, *options, "-c", program]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env)
