"""Segments by name: what create, attach, list and unlink do, refuse and leave alone, without any death or race."""

import errno
import os
import pickle
import resource
import signal
import stat
import subprocess
import sys
from bisect import bisect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import posix_ipc
import pytest

from shmstore import _core, names, segment
from shmstore.errors import (
    AbiMismatch,
    DamagedSegment,
    InvalidCapacity,
    InvalidName,
    InvalidOption,
    NoSpace,
    NotAStore,
    ShmStoreError,
    StoreClosed,
    StoreExists,
    StoreNotFound,
)

FIELDS = [("value", _core.FLOAT64, 0)]
NOBODY = 65534

# pytest's watchdog is a thread; it takes no lock that a forked child could need.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def options(capacity: int = 1000) -> _core.Options:
    return {
        "capacity": capacity,
        "partitions": 1,
        "layout": _core.LAYOUT_ROWS,
        "rule": _core.BY_TURN,
        "keys": 1,
        "processes": 4,
    }


def create(name: str, capacity: int = 1000, **how: object) -> segment.Segment:
    return segment.create(name, FIELDS, options(capacity), **how)


def path(name: str) -> Path:
    return Path(names.DIRECTORY, name)


def in_child(action: Callable[[], object]) -> str:
    """What `action` returns in a forked child, or the class and text of its exception, as text."""
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


def files(name: str) -> list[str]:
    """What the directory holds for this name: the segment and scratch files (but not the semaphore, which stays)."""
    return sorted(file.name for file in path("").glob(f"*{name}*") if not file.name.startswith("sem."))


def run_python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A new interpreter that runs `program` with our modules."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, *options, "-c", program], capture_output=True, text=True, check=True, env=env
    )


def as_nobody(action: Callable[[], object]) -> str:
    def drop_and_act() -> object:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return action()

    return in_child(drop_and_act)


@pytest.fixture(params=["nameless", "scratch"])
def way(request: pytest.FixtureRequest, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create with O_TMPFILE, and as where there is no such thing."""
    if request.param == "scratch":
        monkeypatch.setattr(names, "_open_nameless", lambda: None)
        monkeypatch.setattr(names, "SEMAPHORE", f"/{name}")


@pytest.fixture
def small_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs of 1 MiB in place of /dev/shm."""
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("mounting a small tmpfs needs root with CAP_SYS_ADMIN")
    monkeypatch.setattr(names, "DIRECTORY", str(tmp_path))
    yield tmp_path
    subprocess.run(["umount", "-l", tmp_path], check=True)


def used_bytes(directory: Path) -> int:
    status = os.statvfs(directory)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


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
            assert made.size == _core.plan(FIELDS, options()).size
            assert len(header.store_id) == 16 and any(header.store_id) and not header.unlinked

    def test_the_usual_way_makes_no_semaphore(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(posix_ipc, "Semaphore", lambda *_, **__: pytest.fail("made a semaphore"))
        create(name).close()

    def test_without_a_semaphore_to_be_had_the_fallback_works_too(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(names, "_open_nameless", lambda: None)
        monkeypatch.setattr(names, "SEMAPHORE", f"/{name}")
        with monkeypatch.context() as patch:
            patch.setattr(posix_ipc, "O_CREAT", 0)  # so that it is not there
            create(name).close()
        assert files(name) == [name] and not path(f"sem.{name}").exists()

    def test_what_a_dead_creator_left_is_removed_by_a_creator_of_any_name_and_what_a_living_one_has_is_not(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(names, "_open_nameless", lambda: None)
        monkeypatch.setattr(names, "SEMAPHORE", f"/{name}")
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
        monkeypatch.setattr(os, "dup", lambda _: pytest.fail("stop"))
        with pytest.raises(pytest.fail.Exception, match="stop"):
            create(name, 1_000_000)
        assert max(size for _, size in calls) <= 1 << 20
        assert sum(size for _, size in calls) == _core.plan(FIELDS, options(1_000_000)).size
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
    def test_it_tells_the_size_asked_the_size_free_and_what_to_do(
        self, small_directory: Path, name: str, way: None
    ) -> None:
        with pytest.raises(NoSpace, match=r"takes \d+\.\d MiB and .* has 1\.0 of 1\.0 MiB free.*--shm-size") as caught:
            create(name, 1_000_000)
        assert caught.value.errno == errno.ENOSPC
        assert os.listdir(small_directory) == [] and used_bytes(small_directory) == 0

    def test_around_the_limit_it_is_an_error_or_every_byte_can_be_written(
        self, small_directory: Path, name: str, way: None
    ) -> None:
        def create_and_write(capacity: int) -> str:
            with create(name, capacity) as made:
                made.buffer[4096:] = b"\xff" * (made.size - 4096)
            return "written"

        def fits(capacity: int) -> bool:
            return _core.plan(FIELDS, options(capacity)).size <= 1 << 20

        largest = bisect(range(1, 100_000), False, key=lambda capacity: not fits(capacity))
        answers = []
        for capacity in range(largest - 1000, largest + 1000, 100):
            answers.append(in_child(partial(create_and_write, capacity)).split(":")[0])
            path(name).unlink(missing_ok=True)
            assert used_bytes(small_directory) == 0
        assert set(answers) == {"written", "NoSpace"}

    def test_a_failed_creation_does_not_take_the_last_bytes_on_its_way(
        self, small_directory: Path, name: str, monkeypatch: pytest.MonkeyPatch
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


class TestAttach:
    def test_what_one_mapping_writes_another_reads(self, name: str) -> None:
        with create(name) as made, segment.attach(name) as attached, segment.attach(name, writable=False) as reader:
            made.buffer[-8:] = b"by maker"
            assert attached.buffer[-8:] == b"by maker"
            attached.buffer[-8:] = b"attached"
            assert reader.buffer[-8:] == b"attached"
            assert attached.writable and not reader.writable

    def test_it_is_a_shared_memory(self, name: str) -> None:
        with create(name) as made, segment.attach(name) as attached:
            assert isinstance(attached, SharedMemory)
            assert attached.name == name and attached.size == made.size and attached.buf == made.buffer

    def test_a_read_only_mapping_cannot_be_written(self, name: str) -> None:
        create(name).close()
        with segment.attach(name, writable=False) as reader:
            assert reader.buffer.readonly
            with pytest.raises(TypeError):
                reader.buffer[0] = 0
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.pwrite(reader.fd, b"x", 0)

    @pytest.mark.parametrize("writable", [True, False])
    def test_populate_touches_no_byte(self, name: str, writable: bool) -> None:
        with create(name, 100_000) as made:
            before = bytes(made.buffer)
            with segment.attach(name, writable=writable, populate=True) as attached:
                assert bytes(attached.buffer) == before

    def test_populate_is_left_out_on_old_kernels(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shmstore.mapping._POPULATE_WRITE", 9999)
        create(name).close()

    def test_a_missing_store_is_an_error_that_names_some_that_exist(self, name: str) -> None:
        with create(f"{name}-other"), pytest.raises(StoreNotFound, match="does not exist") as caught:
            segment.attach(name)
        assert isinstance(caught.value, FileNotFoundError) and caught.value.errno == errno.ENOENT
        assert "; there is " in str(caught.value) and "no store at all" not in str(caught.value)

    @needs_root
    def test_another_user_is_kept_out_by_the_mode(self, name: str) -> None:
        create(name, mode=0o600).close()
        assert as_nobody(lambda: segment.attach(name)).startswith(f"AccessDenied: uid {NOBODY} may not write to")
        assert as_nobody(lambda: segment.attach(name, writable=False)).startswith("AccessDenied: ")
        assert as_nobody(segment.list_segments).find(name) == -1

    @needs_root
    def test_another_user_may_read_what_the_mode_lets_it_read_and_changes_nothing(self, name: str) -> None:
        with create(name, mode=0o644) as made:
            before = bytes(made.buffer)
            assert as_nobody(lambda: segment.attach(name, writable=False, populate=True).size) == str(made.size)
            assert "attach for reading only" in as_nobody(lambda: segment.attach(name))
            assert name in as_nobody(segment.list_segments)
            assert bytes(made.buffer) == before

    @needs_root
    def test_the_group_may_write_when_mode_and_group_say_so(self, name: str) -> None:
        with create(name, mode=0o660, group=NOBODY) as made:
            assert as_nobody(lambda: segment.attach(name).size) == str(made.size)

    def test_other_programs_files_are_no_stores_and_stay_as_they_were(self, name: str) -> None:
        for content in (b"", b"x", b"shmstor", b"\0" * 4096, b"another program's" * 1000):
            path(name).write_bytes(content)
            for refuse in (segment.attach, lambda name: segment.attach(name, writable=False), segment.unlink):
                with pytest.raises(NotAStore, match="is not a store but another program's"):
                    refuse(name)
            assert path(name).read_bytes() == content
            assert name not in [info.name for info in segment.list_segments()]

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("orders", path)])
    def test_what_is_no_regular_file_is_no_store(self, name: str, make: Callable[[Path], None]) -> None:
        make(path(name))
        try:
            for writable in (True, False):
                with pytest.raises(NotAStore, match="is not a store but"):
                    segment.attach(name, writable=writable)
            assert name not in [info.name for info in segment.list_segments()]
        finally:
            path(name).rmdir() if path(name).is_dir() else path(name).unlink()

    def test_a_symbolic_link_to_a_store_is_not_followed(self, name: str) -> None:
        create(f"{name}-real").close()
        path(name).symlink_to(f"{name}-real")
        with pytest.raises(NotAStore, match="symbolic link"):
            segment.attach(name)

    @pytest.mark.parametrize("kept", [8, 100, 4096, -4096])
    def test_a_truncated_store_is_damaged(self, name: str, kept: int) -> None:
        with create(name) as made:
            size = made.size
        os.truncate(path(name), kept % size)
        for writable in (True, False):
            with pytest.raises(DamagedSegment, match=str(path(name))):
                segment.attach(name, writable=writable)

    def test_a_scribbled_header_is_damaged(self, name: str) -> None:
        with create(name) as made:
            made.buffer[60:64] = b"\xff" * 4
        with pytest.raises((DamagedSegment, AbiMismatch)):
            segment.attach(name)

    def test_a_store_that_is_marked_as_unlinked_is_not_found(self, name: str) -> None:
        with create(name) as made:
            _core.mark_unlinked(made.buffer)
        with pytest.raises(StoreNotFound):
            segment.attach(name)


class TestClose:
    def test_it_is_idempotent_and_everything_but_name_and_size_is_refused_after_it(self, name: str) -> None:
        made = create(name)
        made.close()
        made.close()
        assert made.name == name and made.size > 0
        for use in (lambda: made.buffer, lambda: made.fd, made.is_linked, made.populate):
            with pytest.raises(StoreClosed, match="attach to it again"):
                use()

    def test_the_segment_stays(self, name: str) -> None:
        create(name).close()
        assert path(name).exists()

    def test_it_returns_memory_and_descriptors(self, name: str) -> None:
        before = os.listdir("/proc/self/fd")
        for _ in range(10):
            create(name).close()
            segment.attach(name).close()
            segment.attach(name, writable=False).close()
            segment.unlink(name)
        assert os.listdir("/proc/self/fd") == before
        assert name not in Path("/proc/self/maps").read_text()

    def test_an_exported_buffer_keeps_bytes_and_descriptor_until_it_is_released(self, name: str) -> None:
        before = os.listdir("/proc/self/fd")
        made = create(name)
        exported, fd = memoryview(made.buffer), made.fd
        made.close()
        assert exported[:8] == path(name).read_bytes()[:8] and os.fstat(fd).st_nlink == 1
        exported.release()
        del exported
        assert os.listdir("/proc/self/fd") == before
        assert name not in Path("/proc/self/maps").read_text()

    def test_a_process_that_ends_with_open_mappings_and_exports_says_nothing(self, name: str) -> None:
        create(name).close()
        program = (
            "from shmstore import segment\n"
            f"a, b = segment.attach({name!r}), segment.attach({name!r}, writable=False)\n"
            "views = [a.buffer[8:], b.buffer.cast('Q')]; b.close(); loop = [a]; loop.append(loop)"
        )
        ended = run_python(program, "-X", "dev")
        assert (ended.stdout, ended.stderr) == ("", "")
        assert path(name).exists()

    def test_a_mapping_neither_removes_its_segment_nor_travels_to_another_process(self, name: str) -> None:
        with create(name) as made:
            with pytest.raises(TypeError, match=r"shmstore\.unlink"):
                made.unlink()
            with pytest.raises(TypeError, match="send the name"):
                pickle.dumps(made)
            assert made.is_linked()


class TestUnlink:
    def test_the_name_is_free_and_those_attached_are_told_and_go_on_reading(self, name: str) -> None:
        with create(name) as made, segment.attach(name, writable=False) as reader:
            segment.unlink(name)
            assert not path(name).exists() and not made.is_linked()
            assert _core.read_header(reader.buffer).unlinked
            with create(name) as newer:
                assert newer.is_linked() and not made.is_linked()

    def test_a_missing_store_is_an_error(self, name: str) -> None:
        for force in (True, False):
            with pytest.raises(StoreNotFound):
                segment.unlink(name, force=force)

    def test_with_force_any_file_is_removed(self, name: str) -> None:
        path(name).write_bytes(b"another program's")
        segment.unlink(name, force=True)
        os.mkfifo(path(name))
        segment.unlink(name, force=True)
        assert not path(name).exists()

    def test_not_even_force_removes_a_directory(self, name: str) -> None:
        path(name).mkdir()
        try:
            with pytest.raises(NotAStore, match="directory"):
                segment.unlink(name, force=True)
        finally:
            path(name).rmdir()

    def test_a_damaged_store_is_removed_without_force(self, name: str) -> None:
        create(name).close()
        os.truncate(path(name), 100)
        segment.unlink(name)
        assert not path(name).exists()

    def test_it_does_not_remove_a_segment_that_took_the_name_meanwhile(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create(name).close()
        with create(f"{name}-newer") as newer:
            monkeypatch.setattr(names, "lock_within", lambda *_: path(newer.name).rename(path(name)))
            with pytest.raises(StoreNotFound):
                segment.unlink(name)
            with segment.attach(name) as found:
                assert os.path.samestat(os.fstat(found.fd), os.fstat(newer.fd))

    @needs_root
    def test_another_user_that_may_write_to_a_store_can_neither_remove_nor_mark_it(self, name: str) -> None:
        with create(name, mode=0o666) as made:
            assert as_nobody(lambda: segment.unlink(name)).startswith(f"AccessDenied: uid {NOBODY} cannot remove")
            assert made.is_linked() and not _core.read_header(made.buffer).unlinked

    @needs_root
    def test_an_owner_removes_a_store_that_it_may_not_write_to(self, name: str) -> None:
        assert as_nobody(lambda: (create(name, mode=0o400).close(), segment.unlink(name))) == "(None, None)"
        assert not path(name).exists()


class TestList:
    def test_stores_are_listed_by_name_with_size_mode_owner_and_header(self, name: str) -> None:
        made = {each: create(f"{name}-{each}", mode=0o640) for each in "ba"}
        found = [info for info in segment.list_segments() if info.name.startswith(name)]
        assert [info.name for info in found] == [f"{name}-a", f"{name}-b"]
        for info in found:
            assert (info.mode, info.uid, info.error) == (0o640, os.geteuid(), None)
            assert info.header == _core.read_header(made[info.name[-1]].buffer)
            assert info.size == info.header.size and info.created_ns == info.header.created_ns
        for each in made.values():
            each.close()

    def test_a_damaged_store_is_listed_with_what_is_wrong(self, name: str) -> None:
        create(name).close()
        os.truncate(path(name), 4096)
        (info,) = (info for info in segment.list_segments() if info.name == name)
        assert info.header is None and isinstance(info.error, DamagedSegment) and info.size == 4096
        assert info.created_ns == path(name).stat().st_mtime_ns

    def test_other_programs_files_are_left_out(self, name: str) -> None:
        path(name).write_bytes(b"\0" * 8192)
        path(f"{name}-tiny").write_bytes(b"")
        semaphore = posix_ipc.Semaphore(f"/{name}", posix_ipc.O_CREX)
        assert not [info for info in segment.list_segments() if name in info.name]
        semaphore.unlink()

    def test_it_works_on_a_full_directory_with_other_programs_sparse_files(self, small_directory: Path) -> None:
        path("full").write_bytes(b"x" * (1 << 20))
        path("sparse").touch()
        os.truncate(path("sparse"), 1 << 20)
        assert in_child(segment.list_segments) == "[]"


def test_every_error_is_one_of_the_package(name: str) -> None:
    for fail in (segment.attach, segment.unlink):
        with pytest.raises(ShmStoreError):
            fail(name)
