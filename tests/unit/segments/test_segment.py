"""Segments by name: what attach, close, unlink and list do, refuse and leave alone, without any death or race."""

import errno
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import posix_ipc
import pytest

from shmstore import _core
from shmstore.errors import AbiMismatch, DamagedSegment, NotAStore, ShmStoreError, StoreClosed, StoreNotFound
from shmstore.segments import names, segment
from tests.helpers.segments import (
    NOBODY,
    as_nobody,
    create,
    in_child,
    may_fork,
    needs_root,
    path,
    run_python,
    small_directory,
)

pytestmark = may_fork


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tmpfs of 1 MiB in place of /dev/shm."""
    with small_directory(monkeypatch, tmp_path, 1) as directory:
        yield directory


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
        monkeypatch.setattr("shmstore.segments.mapping._POPULATE_WRITE", 9999)
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
        told = as_nobody(lambda: [i for i in segment.list_segments(unreadable=True) if i.name == name])
        assert f"error=AccessDenied('uid {NOBODY} may not read /dev/shm/{name}" in told

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

    def test_an_exported_buffer_keeps_the_bytes_until_it_is_released(self, name: str) -> None:
        before = os.listdir("/proc/self/fd")
        made = create(name)
        exported = memoryview(made.buffer)
        made.close()
        assert exported[:8] == path(name).read_bytes()[:8]
        exported.release()
        del exported
        assert os.listdir("/proc/self/fd") == before
        assert name not in Path("/proc/self/maps").read_text()

    def test_a_process_that_ends_with_open_mappings_and_exports_says_nothing(self, name: str) -> None:
        create(name).close()
        program = (
            "from shmstore.segments import segment\n"
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

    def test_it_works_on_a_full_directory_with_other_programs_sparse_files(self, small: Path) -> None:
        path("full").write_bytes(b"x" * (1 << 20))
        path("sparse").touch()
        os.truncate(path("sparse"), 1 << 20)
        assert in_child(segment.list_segments) == "[]"


def test_every_error_is_one_of_the_package(name: str) -> None:
    for fail in (segment.attach, segment.unlink):
        with pytest.raises(ShmStoreError):
            fail(name)


def test_a_segment_knows_its_name_and_closes_nothing_when_its_descriptor_is_another_files(name: str) -> None:
    made = create(name)
    number = made.fd
    with open(os.devnull) as other:
        os.dup2(other.fileno(), number)
        assert made.is_linked()
        made.close()
        os.fstat(number)  # still open
    os.close(number)
    with pytest.raises(StoreClosed):
        made.is_linked()
    segment.unlink(name)


def test_a_segment_whose_descriptor_was_closed_closes_quietly(name: str) -> None:
    made = create(name)
    os.close(made.fd)
    assert made.is_linked()
    made.close()
    segment.unlink(name)


def test_a_fork_waits_until_another_thread_has_imported_what_maps(name: str) -> None:
    """A child whose parent's other thread holds the lock of an import could never import the same itself."""
    program = """
import os, signal, sys, threading, time
from shmstore.segments import segment

begins = threading.Event()

class Slow:
    def find_spec(self, module, path=None, target=None):
        if module == "shmstore.segments.mapping":
            begins.set()
            time.sleep(0.3)

assert "shmstore.segments.mapping" not in sys.modules
sys.meta_path.insert(0, Slow())
options = {"kind": "metrics", "capacity": 10, "exemplars": 0, "processes": 2}
thread = threading.Thread(target=lambda: segment.create(sys.argv[1], [], options).close())
thread.start()
assert begins.wait(60)
if not (child := os.fork()):
    signal.alarm(20)
    from shmstore.segments.mapping import Segment
    os._exit(0)
_, status = os.waitpid(child, 0)
thread.join()
segment.unlink(sys.argv[1])
print(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-c", program, name], capture_output=True, encoding="utf-8")
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr
