"""Names of segments: which are allowed, where they lead, and how a finished file gets its name in one step.

Whoever looks a name up finds nothing or a finished segment, wherever its creator is killed: the file is filled while it
has no name, and link(2), which gives it the name or says that the name is taken, is the only step that others can see.

1. Where the kernel makes nameless files (O_TMPFILE), an unfinished one is gone with its creator. That is the usual way.
2. Elsewhere the file is filled under a scratch name, one that no store can have, and its creator holds flock(2) on it.
   A scratch file that nobody has locked was abandoned; the next creator removes it.

Creators take turns, so that they do not all reserve memory and fail together for want of it: by a lock on the directory
in way 1, by a POSIX semaphore in way 2. A turn is a courtesy. As link(2) alone decides who wins, two creators at once
are harmless, and so is a turn that is not passed on: a holder killed before it posts leaves the semaphore at 0, a
stopped one keeps its lock, and either costs the next creator no more than a wait of bounded length. The semaphore stays
for the next time: making one is not atomic, and the C library leaves a file behind when it is killed at it.
"""

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final

import posix_ipc

from shmstore.arguments.shown import shown
from shmstore.errors import InvalidName

DIRECTORY = "/dev/shm"  # where shm_open(3), and with it SharedMemory, keeps its files
TURN_SECONDS = 5.0
SEMAPHORE = "/shmstore-{}"  # of a user id

_ALLOWED: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_SCRATCH: Final = re.compile(r"\.[A-Za-z0-9._-]{1,200}\+[0-9a-f]{16}")  # the name of a store has no plus sign
_NO_NAMELESS_FILES: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS)
_STANDARD: Final = 2  # the last of the descriptors that programs take for their input, output and messages


def is_name(name: str) -> bool:
    """Whether a store may have this name."""
    return _ALLOWED.fullmatch(name) is not None and name not in (".", "..") and not name.startswith("sem.")


def check_name(name: str) -> str:
    """`name` itself. Raises InvalidName when no store may have it."""
    if isinstance(name, str) and is_name(name):
        return name
    raise InvalidName(
        f"{shown(name)} cannot be the name of a store: expected 1 to 200 of the characters A-Z a-z 0-9 . _ - and "
        "neither '.', '..' nor a name that begins with 'sem.', as those of POSIX semaphores do; choose another name"
    )


def path_of(name: str) -> str:
    """The file that a name leads to."""
    return f"{DIRECTORY}/{name}"


def open_file(path: str, flags: int, mode: int = 0o600) -> int:
    """`os.open`, but the descriptor is never one of the standard ones, not even where the program has closed those.

    Otherwise what the program, or a library, says on its output would be written over the segment.
    """
    with ExitStack() as held:
        while (other := os.open("/", os.O_RDONLY | os.O_DIRECTORY)) <= _STANDARD:
            held.callback(os.close, other)
        os.close(other)
        return os.open(path, flags, mode)


@contextmanager
def unnamed_file(name: str) -> Iterator[tuple[int, Callable[[], None]]]:
    """Lend a new, empty file that nobody can see, as its descriptor and a function that gives it `name` in one step.

    If the block ends before that function was called, the file is gone. Raises FileExistsError, at once or from that
    function, when the name is taken, and OSError when the system refuses.
    """
    with ExitStack() as cleanup:
        directory = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
        cleanup.callback(os.close, directory)
        nameless = _open_nameless()
        if nameless is not None:
            cleanup.callback(os.close, nameless)
            cleanup.enter_context(_turn_by_lock(directory))
            fd, source = nameless, f"/proc/self/fd/{nameless}"
        else:
            remove_abandoned()
            cleanup.enter_context(_turn_by_semaphore())
            fd, source = cleanup.enter_context(_scratch_file(name))
        if os.path.lexists(path_of(name)):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path_of(name))
        # Given dst_dir_fd, os.link calls linkat(2) and follows the symbolic link in /proc; link(2) would not.
        yield fd, partial(os.link, source, name, dst_dir_fd=directory)


def remove_abandoned() -> bool:
    """Remove what creators that died left under scratch names. Returns whether others are alive and at work."""
    at_work = False
    for file in os.listdir(DIRECTORY):
        if not _SCRATCH.fullmatch(file):
            continue
        with suppress(FileNotFoundError, PermissionError):  # finished meanwhile; another user's
            fd = os.open(path_of(file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if lock_within(fd, 0):
                    os.unlink(path_of(file))
                else:
                    at_work = True
            finally:
                os.close(fd)
    return at_work


def another(fd: int) -> int:
    """One more descriptor of the same open file, and again not one of the standard ones."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _STANDARD + 1)


def lock_within(fd: int, seconds: float) -> bool:
    """Take flock(2) on `fd`, and return whether that worked within so many seconds. It ends when `fd` and its copies
    are closed.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
        time.sleep(0.001)


def _open_nameless() -> int | None:
    """A file without a name, or None where such a file cannot be made or cannot be named later."""
    try:
        fd = open_file(DIRECTORY, os.O_TMPFILE | os.O_RDWR)
    except OSError as error:
        if error.errno in _NO_NAMELESS_FILES:
            return None
        raise
    if os.path.exists(f"/proc/self/fd/{fd}"):
        return fd
    os.close(fd)  # without /proc there is no path from which to link
    return None


@contextmanager
def _scratch_file(name: str) -> Iterator[tuple[int, str]]:
    """A new file under a scratch name, locked by us; the name is gone when the block ends."""
    with ExitStack() as cleanup:
        while True:
            path = path_of(f".{name}+{os.urandom(8).hex()}")
            fd = open_file(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
            cleanup.callback(os.close, fd)
            cleanup.callback(fcntl.flock, fd, fcntl.LOCK_UN)  # a child forked meanwhile has a copy of the descriptor
            cleanup.callback(_unlink_if_there, path)
            # Until it is locked it looks abandoned, and another creator may have removed it.
            if lock_within(fd, 0) and os.fstat(fd).st_nlink:
                break
        yield fd, path


@contextmanager
def _turn_by_lock(directory: int) -> Iterator[None]:
    with suppress(OSError):  # there are no such locks here: create without a turn
        lock_within(directory, TURN_SECONDS)
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(directory, fcntl.LOCK_UN)  # again, for copies of the descriptor


@contextmanager
def _turn_by_semaphore() -> Iterator[None]:
    try:
        semaphore = posix_ipc.Semaphore(SEMAPHORE.format(os.geteuid()), posix_ipc.O_CREAT, 0o600, initial_value=1)
    except (posix_ipc.Error, OSError):  # the system has none left: create without a turn
        yield
        return
    try:
        _take(semaphore)
        yield
    finally:
        if semaphore.value == 0:  # otherwise somebody who did not wait for us has posted it already
            semaphore.release()
        semaphore.close()


def _take(semaphore: posix_ipc.Semaphore) -> None:
    """Wait until the holder of the semaphore has posted it, or is gone, or has had TURN_SECONDS."""
    deadline = time.monotonic() + TURN_SECONDS
    while time.monotonic() < deadline:
        with suppress(posix_ipc.BusyError, posix_ipc.SignalError):
            semaphore.acquire(0.02)
            return
        if not remove_abandoned():
            return


def _unlink_if_there(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
