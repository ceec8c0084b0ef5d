"""What the machine offers to shmstore: /dev/shm, kernel features and limits, each a finding with its advice."""

import ctypes
import fcntl
import mmap
import os
import platform
import resource
import struct
from contextlib import closing
from enum import StrEnum
from typing import NamedTuple

from shmstore.cli import units
from shmstore.names import DIRECTORY

_SMALL_BYTES = 64 << 20  # what Docker gives a container
_NEARLY_FULL = 0.9
_MADV_POPULATE_WRITE = 23
_MEMBARRIER_NUMBER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_GLOBAL_EXPEDITED = 2
_FLOCK = "@hhqqi4x"  # struct flock on 64-bit Linux: type, whence, start, length, pid
_FEW_FILES = 256


class Health(StrEnum):
    """How a finding is to be taken."""

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
    if not os.path.isdir(DIRECTORY):
        advice = f"mount a tmpfs there: mount -t tmpfs -o size=50% tmpfs {DIRECTORY}"
        return [Finding(DIRECTORY, Health.BAD, "missing", advice)]
    return [_room(), _type(), *_features(), *_limits(), _memory_of_group()]


def _room() -> Finding:
    stat = os.statvfs(DIRECTORY)
    total, free = stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
    found = f"{units.size(total)}, {units.size(free)} free"
    if not os.access(DIRECTORY, os.W_OK | os.X_OK):
        return Finding(
            DIRECTORY, Health.BAD, f"{found}, not writable", "let this user write there (mode 1777 is usual)"
        )
    larger = f"give it more: mount -o remount,size=SIZE {DIRECTORY}, in Docker --shm-size"
    if total and free < total * (1 - _NEARLY_FULL):
        return Finding(DIRECTORY, Health.BAD, f"{found}: nearly full", f"{larger}, or remove stores with gc or rm")
    if total <= _SMALL_BYTES:
        return Finding(DIRECTORY, Health.WARNING, f"{found}: small", larger)
    return Finding(DIRECTORY, Health.OK, found)


def _type() -> Finding:
    kinds = {}
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            _, place, kind, *_ = line.split()
            kinds[place] = kind
    place = next(place for place in (DIRECTORY, "/dev", "/") if place in kinds)
    if kinds[place] == "tmpfs":
        return Finding("file system", Health.OK, "tmpfs")
    return Finding("file system", Health.WARNING, kinds[place], "use a tmpfs: on another one appends may reach a disk")


def _features() -> list[Finding]:
    findings = []
    try:
        fd = os.open(DIRECTORY, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        advice = "creation falls back to a named semaphore"
        findings.append(Finding("O_TMPFILE", Health.WARNING, os.strerror(error.errno or 0), advice))
        fd = os.open("/proc/self/exe", os.O_RDONLY | os.O_CLOEXEC)
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
    number = _MEMBARRIER_NUMBER.get(platform.machine())
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
            advice = "pages come one by one at first use: the first laps are slower; use Linux 5.14"
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


def _memory_of_group() -> Finding:
    """Segments count as memory of the control group whose process touched them first."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as groups:
            path = next(line.strip().split("::")[1] for line in groups if line.startswith("0::"))
        with open(f"/sys/fs/cgroup{path}/memory.max", encoding="ascii") as limit:
            most = limit.read().strip()
    except (OSError, StopIteration):
        return Finding("memory.max", Health.OK, "no limit known")
    if most == "max":
        return Finding("memory.max", Health.OK, "unlimited")
    return Finding("memory.max", Health.OK, f"{units.size(int(most))} for this control group, segments included")
