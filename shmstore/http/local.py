"""A socket at a path of this machine instead of a port: made, also where a dead server has left one, and removed."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

Mark = tuple[int, int, int]

_LONGEST: Final = 107  # bytes that the kernel has for a path
_FOR_ALL: Final = 0o666  # as with a port; the rights of its folder say who comes near


def bound_at(path: str) -> socket.socket:
    """A socket with this path. Raises OSError: somebody listens there, or the path is that of something else."""
    where = f"cannot listen at unix:{path}: "
    if not 0 < len(os.fsencode(path)) <= _LONGEST:
        raise OSError(f"{where}a path of 1 to {_LONGEST} bytes is expected; give a shorter one")
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _alone(os.path.dirname(path) or "."):
            _remove_stale(path, where)
            bound.bind(path)
        os.chmod(path, _FOR_ALL)
    except OSError as error:
        bound.close()
        raise OSError(f"{where}{(error.strerror or str(error)).lower()}" if error.errno else str(error)) from error
    return bound


def mark_of(path: str) -> Mark | None:
    """What tells the file at a path from one that comes later; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def remove(path: str, mark: Mark | None) -> None:
    """Remove the socket, unless another server has made its own there meanwhile."""
    with suppress(OSError), _alone(os.path.dirname(path) or "."):
        if mark is not None and mark_of(path) == mark:
            os.unlink(path)


def _remove_stale(path: str, where: str) -> None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(f"{where}there is a file that is no socket; give another path, or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:  # its queue is full
            pass
    raise OSError(f"{where}address already in use")


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """No other server looks at sockets of this folder meanwhile."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
