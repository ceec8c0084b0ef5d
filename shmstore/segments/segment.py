"""Named segments: create, attach, list and unlink the shared memory in which stores and metrics live.

A segment is a file of /dev/shm. What its bytes mean is known to `shmstore._core`, and how it gets its name to
`shmstore.segments.names`. Nothing but `unlink` ever removes a segment.
"""

import errno
import grp
import os
import stat
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from shmstore import _core
from shmstore.arguments.checks import refused, whole_number
from shmstore.errors import (
    AbiMismatch,
    AccessDenied,
    DamagedSegment,
    NoSpace,
    NotAStore,
    ShmStoreError,
    StoreNotFound,
)
from shmstore.segments import memory, names, refusals

if TYPE_CHECKING:
    from shmstore.segments.mapping import Segment

_HEADER_BYTES: Final = 1 << 13  # more than a header and its board take
_RESERVE_BYTES: Final = 1 << 20
_NAMES_SHOWN: Final = 5
_NO_FILE: Final = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)  # a symbolic link, directory, socket, device
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

_importing: Final = threading.RLock()
# A fork waits for an import of another thread: in the child nobody would ever finish it, or free the locks it holds.
os.register_at_fork(before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release)


class SegmentInfo(NamedTuple):
    """One segment as `list_segments` finds it: bytes, permission bits, owner, and its header, or the reason why it has
    none.

    `created_ns` is the header's, or the file's modification time when there is no header.
    """

    name: str
    size: int
    mode: int
    uid: int
    created_ns: int
    header: _core.Header | None
    error: ShmStoreError | None


def create(
    name: str,
    fields: Sequence[tuple[str, int, int]],
    options: _core.Options,
    *,
    mode: int = 0o600,
    group: str | int | None = None,
) -> "Segment":
    """Make a segment of the kind that `options` say, empty. All its memory is reserved before anyone can see the name.

    `mode` are its permission bits, whatever the umask; `group` is the name or id of the group it belongs to. Nothing is
    left behind when this fails or is killed. Raises InvalidName, InvalidOption (InvalidCapacity), InvalidSchema,
    StoreExists, NoSpace, AccessDenied, TooManyFiles and SystemRefused.
    """
    path = names.path_of(names.check_name(name))
    mode = _permission_bits(mode)
    group_id = _group_id(group)
    size = _core.plan(fields, options).size
    kind = options.get("kind", "events")
    try:
        with names.unnamed_file(name) as (fd, give_name):
            _require_memory(path, size, kind)
            _reserve(fd, size)
            segment = _mapped(name, names.another(fd), writable=True)
            try:
                segment.populate()
                now_ns = time.time_ns()
                _core.format(segment.buffer, fields, options, store_id=os.urandom(16), created_ns=now_ns)
                os.fchown(fd, -1, group_id)
                os.fchmod(fd, mode)
                give_name()
            except BaseException:
                segment.close()
                raise
            return segment
    except ShmStoreError:
        raise
    except FileExistsError:
        raise refusals.exists(name, _kind_of(name), kind) from None
    except PermissionError as error:
        raise AccessDenied(
            f"uid {os.geteuid()} cannot create {path}: {error.strerror}; expected the right to write to "
            f"{names.DIRECTORY} and, where group= is given, membership of that group"
        ) from error
    except OSError as error:
        if error.errno in _FULL + refusals.LIMITED:
            raise refusals.no_space(path, size, error, kind) from error
        refusals.refuse(path, error, kind)


def attach(name: str, *, kind: refusals.Kind | None = None, writable: bool = True, populate: bool = False) -> "Segment":
    """Map an existing segment of this kind, or of any; for reading only when not `writable`. With `populate`, no first
    touch of a page is slow.

    Raises InvalidName, StoreNotFound, AccessDenied, NotAStore, WrongKind, AbiMismatch, DamagedSegment, and NoSpace when
    this process may not map that much.
    """
    try:
        segment = _open(names.check_name(name), writable=writable, kind=kind)
    except FileNotFoundError:
        raise _not_found(name) from None
    try:
        header = _read_header(segment)
        if header.unlinked or not segment.is_linked():  # since it was opened
            raise _not_found(name)
        if kind is not None and header.options["kind"] != kind:
            raise refusals.wrong_kind(name, header.options["kind"], kind)
        if populate:
            segment.populate()
    except BaseException:
        segment.close()
        raise
    return segment


def access_differences(name: str, *, mode: int | None = None, group: str | int | None = None) -> list[str]:
    """In words, how a segment differs from what `mode` and `group` ask for; None asks for nothing.

    Empty when its name is gone. Raises InvalidOption.
    """
    wanted_mode = None if mode is None else _permission_bits(mode)
    wanted_group = _group_id(group)
    try:
        status = os.stat(names.path_of(name), follow_symlinks=False)
    except OSError:
        return []
    found = []
    has_mode = stat.S_IMODE(status.st_mode)
    if wanted_mode is not None and has_mode != wanted_mode:
        found.append(f"mode is {has_mode:#o}, not {wanted_mode:#o}")
    if group is not None and status.st_gid != wanted_group:
        found.append(f"group is {_group_name(status.st_gid)!r}, not {group!r}")
    return found


def list_segments(*, unreadable: bool = False) -> list[SegmentInfo]:
    """Every segment that this user may read, by name, damaged ones too. Files of other programs are left out.

    With `unreadable` also what this user may not read: files that may be segments, or of other programs.
    """
    found = []
    try:
        present = os.listdir(names.DIRECTORY)
    except OSError as refused:
        refusals.refuse(names.DIRECTORY, refused)
    for name in sorted(filter(names.is_name, present)):
        header = error = None
        try:
            status = os.stat(names.path_of(name), follow_symlinks=False)
            header = _read_only_header(name)
        except (FileNotFoundError, NotAStore):
            continue
        except ShmStoreError as why:
            if isinstance(why, AccessDenied) and not (unreadable and stat.S_ISREG(status.st_mode)):
                continue
            error = why
        created_ns = header.created_ns if header else status.st_mtime_ns
        mode = stat.S_IMODE(status.st_mode)
        found.append(SegmentInfo(name, status.st_size, mode, status.st_uid, created_ns, header, error))
    return found


def unlink(name: str, *, force: bool = False) -> None:
    """Remove a segment's name. Processes that are attached are told so, and may go on reading.

    Damaged stores and those of another version are removed as well; a file that is not a store, or that this
    user may not read, only with `force`. Raises InvalidName, StoreNotFound, NotAStore and AccessDenied.

    The name is removed only while it leads to the segment that was looked at, as far as Linux allows: it has no
    system call for that. A lock on the segment keeps other callers from removing the name in between, and as long as it
    is not removed nobody can give it to a new segment. But a program that removes it without this lock (`rm`,
    `shm_unlink`) and a creator, both between our look and our call, would make us remove the new one.
    """
    try:
        segment = _open_as_allowed(names.check_name(name))
    except FileNotFoundError:
        raise _not_found(name) from None
    except (NotAStore, AccessDenied):
        if not force:
            raise
        _remove_name(name)
        return
    with segment:
        with suppress(OSError):  # there are no such locks here
            names.lock_within(segment.fd, names.TURN_SECONDS)
        if not segment.is_linked():
            raise _not_found(name)
        # The name first, as whoever may write to a segment may not always remove it. And if we die before the mark is
        # made, the name is free; the other way round it would still lead to a store that nobody can use.
        _remove_name(name)
        if segment.writable:
            with suppress(AbiMismatch, DamagedSegment):  # there is no place for the mark
                _core.read_header(segment.buffer)
                _core.mark_unlinked(segment.buffer)


def _open_file(name: str, *, writable: bool, kind: refusals.Kind | None = None) -> int:
    """Open the file of this name, unless it is another program's. Raises FileNotFoundError when there is none."""
    path = names.path_of(name)
    try:
        fd = names.open_file(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        raise refusals.access_denied(path, writable, kind) from None
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _NO_FILE:
            raise refusals.not_a_store(path, "a symbolic link, a directory, a socket or a device") from None
        refusals.refuse(path, error, kind)
    try:
        _refuse_foreign(path, fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open(name: str, *, writable: bool, kind: refusals.Kind | None = None) -> "Segment":
    """Map the file of this name, as `_open_file` opens it."""
    path = names.path_of(name)
    fd = _open_file(name, writable=writable, kind=kind)
    try:
        return _mapped(name, fd, writable=writable)
    except OSError as error:
        if error.errno in refusals.NO_DESCRIPTOR:
            refusals.refuse(path, error)
        raise NoSpace(
            f"this process cannot map {path}: {error.strerror}; raise its limits (ulimit -v, ulimit -l)"
        ) from error


def _mapped(name: str, fd: int, *, writable: bool) -> "Segment":
    """Map the whole file of `fd`, which is the segment's from now on. Raises OSError, with `fd` closed."""
    try:
        with _importing:
            # Not at the top: multiprocessing takes as long as all of shmstore, and much of it does not map a segment.
            from shmstore.segments.mapping import Segment
    except BaseException:
        os.close(fd)
        raise
    return Segment(name, fd, writable=writable)


def _open_as_allowed(name: str) -> "Segment":
    try:
        return _open(name, writable=True)
    except AccessDenied:
        return _open(name, writable=False)


def _refuse_foreign(path: str, fd: int) -> None:
    """Raise NotAStore unless the file begins as a store does.

    It is read, not mapped: touching a hole of a mapped file on a full /dev/shm is a SIGBUS, and any file but a store
    may have holes.
    """
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise refusals.not_a_store(path, "something other than a regular file")
    try:
        _core.read_header(os.pread(fd, 8, 0))
    except NotAStore as error:
        raise refusals.not_a_store(path, f"another program's: {error}") from None
    except DamagedSegment:
        pass  # eight bytes are not a whole header, but they are how one begins


def _read_header(segment: "Segment") -> _core.Header:
    try:
        return _core.read_header(segment.buffer)
    except ShmStoreError as error:
        raise type(error)(f"{names.path_of(segment.name)}: {error}") from None


def _read_only_header(name: str) -> _core.Header:
    """The header of a segment, read and not mapped: a file that is truncated meanwhile must not end us by SIGBUS."""
    fd = _open_file(name, writable=False)
    try:
        return _core.read_header(os.pread(fd, _HEADER_BYTES, 0), size=os.fstat(fd).st_size)
    except ShmStoreError as error:
        raise type(error)(f"{names.path_of(name)}: {error}") from None
    finally:
        os.close(fd)


def _kind_of(name: str) -> refusals.Kind | None:
    """What the segment of this name holds, as far as that can be read."""
    with suppress(ShmStoreError, OSError):
        return _read_only_header(name).options["kind"]
    return None


def _reserve(fd: int, size: int) -> None:
    """Give the file `size` bytes of memory. When that is more than there is, nothing is taken, even for a moment."""
    status = os.fstatvfs(fd)
    if status.f_blocks and size > status.f_bavail * status.f_frsize:  # no blocks at all: a tmpfs without limit
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    # Some kernels undo the call when a signal arrives, and Python repeats it. A short one finishes between signals.
    for start in range(0, size, _RESERVE_BYTES):
        os.posix_fallocate(fd, start, min(_RESERVE_BYTES, size - start))


def _require_memory(path: str, size: int, kind: refusals.Kind) -> None:
    """Raise NoSpace for more bytes than a control group allows: there the kernel does not refuse, it kills."""
    room = memory.least_room()
    if room is not None and size + memory.MARGIN_BYTES > room.free:
        free, limit, wanted = (amount / 2**20 for amount in (room.free, room.limit, size))
        raise NoSpace(
            f"cannot create {path}: it takes {wanted:.1f} MiB of memory and {room.who} has {free:.1f} of {limit:.1f} "
            f"MiB free; choose {refusals.smaller(kind)}, remove stores that nobody needs, or raise the limit "
            "(docker run --memory=, memory.max, MemoryMax= of a service)"
        )


def _remove_name(name: str) -> None:
    path = names.path_of(name)
    try:
        os.unlink(path)
    except FileNotFoundError:
        raise _not_found(name) from None
    except IsADirectoryError:
        raise refusals.not_a_store(path, "a directory") from None
    except PermissionError as error:
        raise AccessDenied(
            f"uid {os.geteuid()} cannot remove {path}: {error.strerror}; its owner, uid {os.lstat(path).st_uid}, can"
        ) from error
    except OSError as error:
        refusals.refuse(path, error)


def _permission_bits(mode: int) -> int:
    return whole_number("mode", mode, "permission bits between 0 and 0o777, such as 0o660", most=0o777)


def _group_name(number: int) -> str | int:
    """The name of a group, or its id where it has none."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return number


def _group_id(group: str | int | None) -> int:
    """The id of a group; without one -1, which fchown takes for "no change"."""
    if group is None:
        return -1
    try:
        return grp.getgrnam(group).gr_gid if isinstance(group, str) else grp.getgrgid(group).gr_gid
    except (KeyError, OverflowError, TypeError, ValueError):
        raise refused("group", group, "the name or id of a group in `getent group`") from None


def _not_found(name: str) -> StoreNotFound:
    known = [info.name for info in list_segments()]
    shown = ", ".join(known[:_NAMES_SHOWN]) + (", ..." if len(known) > _NAMES_SHOWN else "")
    return StoreNotFound(
        f"{names.path_of(name)} does not exist; there is {shown or 'no store at all'}; correct the name, or create it"
    )
