"""What the system refuses of a segment, as errors of ours that say what was found and what to do about it."""

import errno
import os
import resource
import stat
from typing import Final, Literal, NoReturn

from shmstore.errors import AccessDenied, NoSpace, NotAStore, StoreExists, SystemRefused, TooManyFiles, WrongKind
from shmstore.segments import names

LIMITED: Final = (errno.ENOMEM, errno.EFBIG, errno.EAGAIN)  # the last of mmap, beyond what may be locked
NO_DESCRIPTOR: Final = (errno.EMFILE, errno.ENFILE)

Kind = Literal["events", "metrics", "streams"]
"""What a segment holds."""

_HELD: Final[dict[Kind, str]] = {"events": "a store of records", "metrics": "metrics", "streams": "streams"}
_CALLED: Final[dict[Kind, str]] = {
    "events": "shmstore.attach({!r})",
    "metrics": "metrics.configure({!r}) (from shmstore import metrics)",
    "streams": "shmstore.attach_streams({!r})",
}


def not_a_store(path: str, found: str) -> NotAStore:
    return NotAStore(f"{path} is not a store but {found}; choose another name, or remove it if nobody needs it")


def wrong_kind(name: str, found: Kind, expected: Kind) -> WrongKind:
    return WrongKind(
        f"{names.path_of(name)}: expected {_HELD[expected]}, found {_HELD[found]}; use {_CALLED[found].format(name)}, "
        "or choose another name"
    )


def exists(name: str, found: Kind | None, wanted: Kind) -> StoreExists:
    """A name that is taken, by a segment of the kind `found` as far as that is known."""
    path = names.path_of(name)
    if found is None or found == wanted:
        return StoreExists(f"{path} exists already; attach to it, unlink it, or choose another name")
    return StoreExists(
        f"{path} exists already and holds {_HELD[found]}; use {_CALLED[found].format(name)}, or choose another name"
    )


def access_denied(path: str, writable: bool, kind: Kind | None = None) -> AccessDenied:
    """`kind` is what is asked for, if that is known: who shares metrics must write."""
    asked, advice = ("write to", "attach for reading only, or ") if writable else ("read", "")
    if kind == "metrics":
        advice = ""
    status = os.lstat(path)
    mode = stat.S_IMODE(status.st_mode)
    return AccessDenied(
        f"uid {os.geteuid()} may not {asked} {path}: it has mode {mode:#o}, uid {status.st_uid} and "
        f"gid {status.st_gid}; {advice}create it with another mode= or group="
    )


def refuse(path: str, error: OSError, kind: Kind | None = None) -> NoReturn:
    """Raise the error that the system gave for a file as one of ours that says what to do about it."""
    if error.errno in NO_DESCRIPTOR:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        raise TooManyFiles(
            f"cannot open {path}: {error.strerror}: this process may have {limit} files open at once; close some, or "
            "raise the limit (ulimit -n)"
        ) from error
    if error.errno == errno.EROFS:
        advice = "" if kind == "metrics" else "attach with read_only=True, or "
        raise AccessDenied(
            f"cannot write to {path}: {names.DIRECTORY} is mounted read-only; {advice}mount it "
            f"for writing (mount -o remount,rw {names.DIRECTORY}; in a container, without --read-only for it)"
        ) from error
    if error.errno in (errno.EACCES, errno.EPERM):
        raise AccessDenied(
            f"uid {os.geteuid()} may not use {path}: {error.strerror}; expected the right to read and search "
            f"{names.DIRECTORY} (mode 1777 is usual)"
        ) from error
    if not os.path.isdir(names.DIRECTORY):
        raise SystemRefused(
            f"there is no {names.DIRECTORY} on this system, where stores live; mount a tmpfs there "
            f"(mount -t tmpfs -o size=50% tmpfs {names.DIRECTORY}); where that is not allowed, as in AWS Lambda, there "
            "can be no store"
        ) from error
    raise SystemRefused(
        f"the system refused {path}: {error.strerror}; shmstore-inspect doctor says what is missing here"
    ) from error


def smaller(kind: Kind) -> str:
    """What to choose where there is no room."""
    return "a smaller series=" if kind == "metrics" else "a smaller capacity"


def no_space(path: str, size: int, error: OSError, kind: Kind) -> NoSpace:
    status = os.statvfs(names.DIRECTORY)
    free, total = (blocks * status.f_frsize / 2**20 for blocks in (status.f_bavail, status.f_blocks))
    remedy = "enlarge it (docker run --shm-size=, mount -o remount,size=)"
    if error.errno in LIMITED:
        remedy = "raise the limits of this process (ulimit -v, ulimit -f, ulimit -l)"
    return NoSpace(
        f"cannot create {path}: {error.strerror}: it takes {size / 2**20:.1f} MiB and {names.DIRECTORY} has {free:.1f} "
        f"of {total:.1f} MiB free; choose {smaller(kind)}, remove stores that nobody needs, or {remedy}"
    )
