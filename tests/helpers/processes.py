"""Forked processes of a test: each runs one function, and can be stopped, resumed, killed and waited for."""

import ctypes
import mmap
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn, Self

LIMIT_S = 30.0  # for what takes milliseconds

_FAILED = 70
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


class Child:
    """A forked process that runs `action` and ends by `os._exit` with what it returned; it is killed with its parent.

    Leaving its `with` block kills it if it still lives.
    """

    def __init__(self, action: Callable[[], int | None]) -> None:
        self.code: int | None = None
        self.pid = os.fork()
        if not self.pid:
            _run(action)

    def wait(self) -> int:
        """Its exit code, or the number of the signal that killed it, negative."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def is_over(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def has_stopped(self) -> bool:
        """Wait until it stops itself or ends. Returns whether it stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def send(self, number: int) -> None:
        if self.code is None:
            os.kill(self.pid, number)

    def kill(self) -> int:
        """Kill it, whatever state it is in, and wait for its end."""
        self.send(signal.SIGKILL)
        return self.wait()

    def resume(self) -> int:
        """Let it go on after a stop, and wait for its end."""
        self.send(signal.SIGCONT)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def _run(action: Callable[[], int | None]) -> NoReturn:
    code: int | None = _FAILED
    try:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        code = action()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code or 0)


class Gate:
    """Holds children back until all of them are there."""

    def __init__(self) -> None:
        self._far, self._near = os.pipe()

    def wait(self) -> None:
        """In a child: wait until the gate opens."""
        os.close(self._near)
        os.read(self._far, 1)

    def open(self) -> None:
        """In the parent."""
        os.close(self._near)
        os.close(self._far)


def shared_numbers(count: int) -> memoryview:
    """Integers of 64 bits, 0 at first, that this process and the children forked from now on share."""
    return memoryview(mmap.mmap(-1, max(1, count) * 8)).cast("q")


def eventually(condition: Callable[[], object], limit_s: float = LIMIT_S) -> bool:
    """Whether the condition comes true within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True
