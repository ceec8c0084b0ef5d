"""Children in pid namespaces of their own, and pids chosen by hand."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.processes import Child

_CLONE_NEWNS, _CLONE_NEWPID = 0x00020000, 0x20000000
_LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
_libc = ctypes.CDLL(None, use_errno=True)


def _can_unshare() -> bool:
    return os.geteuid() == 0 and Child(lambda: _libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID) and 1).wait() == 0


needs_namespaces = pytest.mark.skipif(
    not _can_unshare(), reason="a new pid namespace needs root with CAP_SYS_ADMIN, which this run has not"
)


def in_pid_namespace(action: Callable[[], int | None]) -> Child:
    """A child that runs `action` as process 1 of a new pid namespace with a /proc of its own; it ends as that one does.

    In there, no process from outside has a pid. Killing the child kills the whole namespace.
    """

    def enter() -> int:
        if _libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID):
            raise OSError(ctypes.get_errno(), "unshare")

        def first() -> int | None:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
            return action()

        return Child(first).wait()

    return Child(enter)


def child_with_pid(pid: int, action: Callable[[], int | None]) -> Child:
    """In a namespace where nobody else forks: a child with exactly this pid, which must be free."""
    _LAST_PID.write_text(str(pid - 1))
    child = Child(action)
    assert child.pid == pid, f"asked for pid {pid}, got {child.pid}"
    return child
