"""What the machine offers to shmstore: /dev/shm, kernel features and limits, each a finding with its advice."""

import fcntl
import mmap
import os
import pwd
import resource
import struct
from contextlib import closing, suppress
from enum import StrEnum
from typing import NamedTuple

from shmstore.arguments import units
from shmstore.segments import names
from shmstore.segments.memory import group_room

_SMALL_BYTES = 64 << 20  # what Docker gives a container
_NEARLY_FULL = 0.9
_MADV_POPULATE_WRITE = 23
_MEMBARRIER_NUMBER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_GLOBAL_EXPEDITED = 2
_FLOCK = "@hhqqi4x"  # struct flock on 64-bit Linux: type, whence, start, length, pid
_FEW_FILES = 256
_SYSTEM_USERS = 999  # up to this id logind removes nothing
_ETC, _RUN, _LIB, _LINGER = "/etc", "/run", "/usr/lib", "/var/lib/systemd/linger"


class Health(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


class Finding(NamedTuple):
    """One thing looked at: its name, its health, what was found, and what to do about it ("" when nothing)."""

    what: str
    health: Health
    found: str
    advice: str = ""


def is_locked(fd: int) -> bool:
    """True when a process holds any lock on this file: all that are attached for writing do, while they live."""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, question)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def examine() -> list[Finding]:
    """Everything that this module can find out, the place of the segments first."""
    if not os.path.isdir(names.DIRECTORY):
        advice = (
            f"mount a tmpfs there: mount -t tmpfs -o size=50% tmpfs {names.DIRECTORY}; without it there can be no store"
        )
        return [Finding(names.DIRECTORY, Health.BAD, "missing", advice), _proc(), *_limits(), _memory()]
    return [_room(), _type(), _proc(), *_features(), *_logout(), *_limits(), _memory()]


def _room() -> Finding:
    stat = os.statvfs(names.DIRECTORY)
    total, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
    found = f"{units.size(total)}, {units.size(free)} free"
    if stat.f_flag & os.ST_RDONLY:
        advice = f"mount it for writing: mount -o remount,rw {names.DIRECTORY}; until then stores can only be looked at"
        return Finding(names.DIRECTORY, Health.BAD, f"{found}, mounted read-only", advice)
    if not os.access(names.DIRECTORY, os.W_OK | os.X_OK):
        return Finding(
            names.DIRECTORY, Health.BAD, f"{found}, not writable", "let this user write there (mode 1777 is usual)"
        )
    larger = f"give it more: mount -o remount,size=SIZE {names.DIRECTORY}, in Docker --shm-size"
    if total and free < total * (1 - _NEARLY_FULL):
        return Finding(
            names.DIRECTORY, Health.BAD, f"{found}: nearly full", f"{larger}, or remove stores with gc or rm"
        )
    if total <= _SMALL_BYTES:
        return Finding(names.DIRECTORY, Health.WARNING, f"{found}: small", larger)
    return Finding(names.DIRECTORY, Health.OK, found)


def _type() -> Finding:
    kinds = {"/": "unknown"}
    with suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            _, place, kind, *_ = line.split()
            kinds[place] = kind
    place = next(place for place in (names.DIRECTORY, "/dev", "/") if place in kinds)
    if kinds[place] == "tmpfs":
        return Finding("file system", Health.OK, "tmpfs")
    return Finding("file system", Health.WARNING, kinds[place], "use a tmpfs: on another one appends may reach a disk")


def _proc() -> Finding:
    if os.path.exists("/proc/self/fd"):
        return Finding("/proc", Health.OK, "available")
    advice = "mount it (mount -t proc proc /proc): whoever attaches for writing opens the segment once more through it"
    return Finding("/proc", Health.BAD, "missing or masked", advice)


def _logout() -> list[Finding]:
    """Whether systemd-logind removes what this user has in /dev/shm when its last session ends."""
    user = os.geteuid()
    if user <= _SYSTEM_USERS or not os.path.isdir(f"{_RUN}/systemd/users"):
        return []
    if _removes_at_logout() and not os.path.exists(f"{_LINGER}/{owner_name(user)}"):
        advice = (
            "set RemoveIPC=no in /etc/systemd/logind.conf, or loginctl enable-linger for this user, or run as a system "
            "user; whoever is attached then is told that the store was unlinked"
        )
        return [Finding("RemoveIPC", Health.WARNING, "yes: this user's stores are removed at its last logout", advice)]
    return [Finding("RemoveIPC", Health.OK, "this user's stores stay at logout")]


def _removes_at_logout() -> bool:
    """What logind was told last; it removes unless told otherwise."""
    files = [f"{folder}/systemd/logind.conf" for folder in (_LIB, _RUN, _ETC)]
    for folder in (_LIB, _RUN, _ETC):
        with suppress(OSError):
            parts = f"{folder}/systemd/logind.conf.d"
            files += [f"{parts}/{file}" for file in sorted(os.listdir(parts)) if file.endswith(".conf")]
    removes = True
    for path in files:
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition("=")
                if name.strip() == "RemoveIPC" and value.strip():
                    removes = value.strip().lower() in ("yes", "true", "on", "1")
    return removes


def owner_name(uid: int) -> str:
    """The user's name, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _features() -> list[Finding]:
    findings = []
    try:
        fd = os.open(names.DIRECTORY, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        advice = "creation falls back to a named semaphore"
        findings.append(Finding("O_TMPFILE", Health.WARNING, os.strerror(error.errno or 0), advice))
        fd = os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
    else:
        findings.append(Finding("O_TMPFILE", Health.OK, "available"))
    try:
        is_locked(fd)
        findings.append(Finding("OFD locks", Health.OK, "available"))
    except OSError as error:
        advice = "use Linux 3.15 or later outside of sandboxes that forbid them: they tell the living from the dead"
        findings.append(Finding("OFD locks", Health.BAD, os.strerror(error.errno or 0), advice))
    finally:
        os.close(fd)
    return [*findings, _membarrier(), _populate()]


def _membarrier() -> Finding:
    import ctypes  # only `doctor` pays for it

    number = _MEMBARRIER_NUMBER.get(os.uname().machine)
    commands = ctypes.CDLL(None).syscall(number, 0, 0) if number else -1
    if commands > 0 and commands & _MEMBARRIER_GLOBAL_EXPEDITED:
        return Finding("membarrier", Health.OK, "available")
    return Finding(
        "membarrier", Health.WARNING, "not available", "waiting cursors may notice a record late; use Linux 4.16"
    )


def _populate() -> Finding:
    with closing(mmap.mmap(-1, mmap.PAGESIZE)) as memory:
        try:
            memory.madvise(_MADV_POPULATE_WRITE)
        except OSError as error:
            advice = "each page is made at its first use, so the first lap is slower; use Linux 5.14"
            return Finding("MADV_POPULATE", Health.WARNING, os.strerror(error.errno or 0), advice)
    return Finding("MADV_POPULATE", Health.OK, "available")


def _limits() -> list[Finding]:
    findings = []
    for name, unit, enough in (
        ("NOFILE", units.count, _FEW_FILES),
        ("AS", units.size, None),
        ("FSIZE", units.size, None),
    ):
        soft, _ = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        if soft == resource.RLIM_INFINITY:
            findings.append(Finding(f"RLIMIT_{name}", Health.OK, "unlimited"))
        elif enough is not None and soft >= enough:
            findings.append(Finding(f"RLIMIT_{name}", Health.OK, unit(soft)))
        else:
            advice = "each open store needs three" if enough else "no larger segment can be made or attached"
            findings.append(Finding(f"RLIMIT_{name}", Health.WARNING, unit(soft), f"{advice}; raise it with ulimit"))
    return findings


def _memory() -> Finding:
    """Segments count as memory of the control group whose process touched them first."""
    room = group_room()
    if room is None:
        return Finding("memory limit", Health.OK, "none of a control group is known")
    found = f"{units.size(room.free)} of {units.size(room.limit)} free for {room.who}, segments included"
    if room.free < room.limit * (1 - _NEARLY_FULL):
        advice = "raise it (docker run --memory=, memory.max, MemoryMax= of a service): beyond it processes are killed"
        return Finding("memory limit", Health.WARNING, found, advice)
    return Finding("memory limit", Health.OK, found)
