"""Names and creation: what a new segment is, what is refused and leaves nothing behind; without any death or race."""

import errno
import os
import resource
import signal
import stat
from bisect import bisect
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import posix_ipc
import pytest

from shmstore import _core
from shmstore.errors import InvalidCapacity, InvalidName, InvalidOption, NoSpace, StoreExists
from shmstore.segments import names, segment
from tests.helpers.segments import (
    NOBODY,
    as_nobody,
    create,
    files,
    in_child,
    may_fork,
    needs_root,
    path,
    planned_bytes,
    run_python,
    small_directory,
    use_scratch_names,
    used_bytes,
)

pytestmark = may_fork


@pytest.fixture(params=["nameless", "scratch"])
def way(request: pytest.FixtureRequest, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create with nameless files, and as where there is no such thing."""
    if request.param == "scratch":
        use_scratch_names(monkeypatch, name)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs of 1 MiB in place of /dev/shm."""
    with small_directory(monkeypatch, tmp_path, 1) as directory:
        yield directory


class TestNames:
    @pytest.mark.parametrize("good", ["orders", "A.b_c-9", ".hidden", "...", "semaphore", "x" * 200])
    def test_letters_digits_dot_underscore_and_hyphen_make_a_name(self, good: str) -> None:
        assert names.check_name(good) == good

    @pytest.mark.parametrize(
        "bad", ["", ".", "..", "a/b", "/a", "a b", "a\n", "a\0", "é", "a+b", "sem.orders", "x" * 201, 7, None]
    )
    def test_anything_else_is_refused_by_every_function(self, bad: str) -> None:
        for use in (names.check_name, create, segment.attach, segment.unlink):
            with pytest.raises(InvalidName, match="1 to 200"):
                use(bad)


class TestCreate:
    def test_a_new_segment_is_an_empty_store_of_exactly_the_planned_size(self, name: str, way: None) -> None:
        with create(name) as made:
            header = _core.read_header(made.buffer)
            assert made.name == name and made.writable and made.is_linked()
            assert made.size == len(made.buffer) == header.size == path(name).stat().st_size
            assert made.size == planned_bytes()
            assert len(header.store_id) == 16 and any(header.store_id) and not header.unlinked

    def test_the_usual_way_makes_no_semaphore(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(posix_ipc, "Semaphore", lambda *_, **__: pytest.fail("made a semaphore"))
        create(name).close()

    def test_without_a_semaphore_to_be_had_the_fallback_works_too(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_scratch_names(monkeypatch, name)
        monkeypatch.setattr(posix_ipc, "O_CREAT", posix_ipc.O_CREX)  # it exists, so this fails
        create(name).close()
        assert files(name) == [name]

    def test_what_a_dead_creator_left_is_removed_by_a_creator_of_any_name_and_what_a_living_one_has_is_not(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_scratch_names(monkeypatch, name)
        left, held = path(f".{name}-x+{'0' * 16}"), path(f".{name}-x+{'1' * 16}")
        left.touch()
        with held.open("w") as file:
            assert names.lock_within(file.fileno(), 0)
            create(name).close()
            assert files(name) == [held.name, name]
        assert not names.remove_abandoned()
        assert files(name) == [name]

    @pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
    def test_a_kernel_without_nameless_files_is_noticed(
        self, name: str, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        really_open = os.open

        def open_as_if_old(path: str, flags: int, *mode: int) -> int:
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(number, os.strerror(number))
            return really_open(path, flags, *mode)

        monkeypatch.setattr(os, "open", open_as_if_old)
        monkeypatch.setattr(names, "SEMAPHORE", f"/{name}")
        create(name).close()
        assert files(name) == [name] and path(f"sem.{name}").exists()

    def test_all_memory_is_reserved(self, name: str, way: None) -> None:
        with create(name, 100_000) as made:
            assert os.fstat(made.fd).st_blocks * 512 >= made.size

    def test_nothing_but_the_segment_is_left_in_the_directory(self, name: str, way: None) -> None:
        with create(name):
            assert files(name) == [name]
            assert path(name).stat().st_nlink == 1

    def test_a_taken_name_is_refused_and_its_file_stays_as_it_was(self, name: str, way: None) -> None:
        path(name).write_bytes(b"somebody else's")
        with pytest.raises(StoreExists, match="exists already") as caught:
            create(name)
        assert caught.value.errno == errno.EEXIST and isinstance(caught.value, FileExistsError)
        assert path(name).read_bytes() == b"somebody else's"
        assert files(name) == [name]

    def test_a_dangling_symbolic_link_takes_a_name_too(self, name: str, way: None) -> None:
        path(name).symlink_to(f"{name}-nowhere")
        with pytest.raises(StoreExists):
            create(name)

    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
    def test_mode_is_exactly_as_asked_whatever_the_umask(self, name: str, mode: int, way: None) -> None:
        for umask in (0o077, 0):
            before = os.umask(umask)
            try:
                create(name, mode=mode).close()
            finally:
                os.umask(before)
            assert stat.S_IMODE(path(name).stat().st_mode) == mode
            path(name).unlink()

    def test_only_the_owner_may_do_anything_by_default(self, name: str) -> None:
        create(name).close()
        assert stat.S_IMODE(path(name).stat().st_mode) == 0o600

    @needs_root
    @pytest.mark.parametrize("group", ["daemon", 1])
    def test_group_is_a_name_or_an_id(self, name: str, group: str | int) -> None:
        create(name, group=group).close()
        assert path(name).stat().st_gid == 1

    @pytest.mark.parametrize("wrong", [{"group": "no such group"}, {"group": -7}, {"mode": 0o1600}, {"mode": -1}])
    def test_a_wrong_option_is_refused_before_anything_is_made(self, name: str, wrong: dict[str, object]) -> None:
        with pytest.raises(InvalidOption, match="expected"):
            create(name, **wrong)
        assert not path(name).exists()

    def test_a_capacity_of_zero_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidCapacity):
            create(name, 0)

    @needs_root
    def test_a_group_that_the_user_is_not_in_is_refused_and_nothing_is_left(self, name: str) -> None:
        assert as_nobody(lambda: create(name, group=0)).startswith(f"AccessDenied: uid {NOBODY} cannot create")
        assert not path(name).exists()

    def test_a_failure_in_the_middle_leaves_no_file_no_memory_and_no_descriptor(
        self, name: str, way: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        before = os.listdir("/proc/self/fd")
        caught = []  # with all their frames: whoever keeps the exception does not keep the segment
        for step in ("fchmod", "fchown", "posix_fallocate", "link"):
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as error:
                patch.setattr(os, step, fail)
                create(name)
            caught.append(error)
        assert os.listdir("/proc/self/fd") == before
        assert name not in Path("/proc/self/maps").read_text()
        assert files(name) == []

    def test_memory_is_reserved_in_calls_that_get_done_between_two_signals(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = []
        monkeypatch.setattr(os, "posix_fallocate", lambda _fd, start, size: calls.append((start, size)))
        monkeypatch.setattr(names, "another", lambda _: pytest.fail("stop"))
        with pytest.raises(pytest.fail.Exception, match="stop"):
            create(name, 1_000_000)
        assert max(size for _, size in calls) <= 1 << 20
        assert sum(size for _, size in calls) == planned_bytes(1_000_000)
        assert all(start + size == following for (start, size), (following, _) in pairwise(calls))

    def test_it_succeeds_while_a_signal_arrives_every_millisecond(self, name: str) -> None:
        arrived = []
        before = signal.signal(signal.SIGUSR1, lambda *_: arrived.append(1))
        parent = os.getpid()
        ticker = os.fork()
        if ticker == 0:
            while True:
                signal.sigtimedwait([], 0.001)
                os.kill(parent, signal.SIGUSR1)
        try:
            create(name, 1_000_000).close()
        finally:
            os.kill(ticker, signal.SIGKILL)
            os.waitpid(ticker, 0)
            signal.signal(signal.SIGUSR1, before)
        assert arrived

    def test_shared_memory_of_the_standard_library_finds_it_by_name(self, name: str) -> None:
        with create(name) as made:
            program = (
                "import sys; from multiprocessing import resource_tracker as t, shared_memory as s; t.register = print;"
                f"m = s.SharedMemory({name!r}); print(bytes(m.buf[:8]).hex()); m.close()"
            )
            found = run_python(program)
            assert bytes(made.buffer[:8]).hex() in found.stdout


class TestNoSpace:
    def test_it_tells_the_size_asked_the_size_free_and_what_to_do(self, small: Path, name: str, way: None) -> None:
        with pytest.raises(NoSpace, match=r"takes \d+\.\d MiB and .* has 1\.0 of 1\.0 MiB free.*--shm-size") as caught:
            create(name, 1_000_000)
        assert caught.value.errno == errno.ENOSPC
        assert os.listdir(small) == [] and used_bytes() == 0

    def test_around_the_limit_it_is_an_error_or_every_byte_can_be_written(
        self, small: Path, name: str, way: None
    ) -> None:
        def create_and_write(capacity: int) -> str:
            with create(name, capacity) as made:
                made.buffer[4096:] = b"\xff" * (made.size - 4096)
            return "written"

        def fits(capacity: int) -> bool:
            return planned_bytes(capacity) <= 1 << 20

        largest = bisect(range(1, 100_000), False, key=lambda capacity: not fits(capacity))
        answers = []
        for capacity in range(largest - 1000, largest + 1000, 100):
            answers.append(in_child(partial(create_and_write, capacity)).split(":")[0])
            path(name).unlink(missing_ok=True)
            assert used_bytes() == 0
        assert set(answers) == {"written", "NoSpace"}

    def test_a_failed_creation_does_not_take_the_last_bytes_on_its_way(
        self, small: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "posix_fallocate", lambda *_: pytest.fail("tried although it cannot suffice"))
        with pytest.raises(NoSpace):
            create(name, 1_000_000)

    def test_a_limit_on_the_size_of_files_is_named(self, name: str) -> None:
        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
            create(name, 1_000_000)

        assert in_child(limited).startswith("NoSpace: ") and "ulimit -f" in in_child(limited)
        assert not path(name).exists()

    def test_a_limit_on_memory_is_named_and_the_segment_stays(self, name: str) -> None:
        def limited() -> None:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20), used + (8 << 20)))
            segment.attach(name)

        with create(name, 1_000_000) as made:
            assert made.size > 8 << 20
            assert in_child(limited).startswith(f"NoSpace: this process cannot map {path(name)}")
            assert made.is_linked()
