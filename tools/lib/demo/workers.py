"""The processes of the demo: start one by its role, notice when one fails, leave none behind.

Each is a Python of its own, related to the others by nothing but the store's name and the board's descriptor. It leads
a process group, so that a Ctrl-C reaches only the first process, which then ends the others.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from demo.board import Board

_PATIENCE_S = 30.0
_GRACE_S = 3.0


class WorkerFailed(Exception):
    """A process of the demo ended by itself, or did not when told to."""


class Worker:
    """One process and what it printed; nothing that it prints can block it."""

    def __init__(self, role: str, number: int, command: list[str], fds: tuple[int, ...] = ()) -> None:
        self.role = role
        self.number = number
        self._output, self._messages = os.memfd_create("output"), os.memfd_create("messages")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._messages,
            pass_fds=fds,
            process_group=0,
        )
        self.pid = self._process.pid

    @property
    def messages(self) -> str:
        """What it wrote to standard error."""
        return _text(self._messages)

    def has_ended(self) -> bool:
        """Whether it is no more."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it in the middle of whatever it does, by SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def finish(self) -> str:
        """Wait until it has ended, as it was told to, and return what it printed. Raises WorkerFailed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        if self._process.returncode != 0:
            raise WorkerFailed(self.how_it_ended())
        return _text(self._output)

    def terminate(self) -> None:
        """Ask it to end, by SIGTERM."""
        self._process.terminate()

    def how_it_ended(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        how = f"did not end within {_PATIENCE_S:.0f} s" if code is None else f"ended with exit status {code}"
        return f"the {self.role} (pid {self.pid}) {how}\n{self.messages}".rstrip()

    def release(self) -> None:
        """See to it that it is gone after `terminate`, and release what was kept for it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self.kill()
        os.close(self._output)
        os.close(self._messages)


class Workers:
    """All processes that were started; a context manager that ends those which still run."""

    def __init__(self, name: str, board: Board) -> None:
        self._name = name
        self._board = board
        self._workers: list[Worker] = []
        self._expected: set[Worker] = set()

    def start(self, role: str, number: int = 0, *arguments: object) -> Worker:
        """Start a worker of this role; writers have a number from 1 on."""
        module = f"demo.{role}"
        words = [self._name, self._board.fd, *([number] if number else []), *arguments]
        command = [sys.executable, "-m", module, *map(str, words)]
        return self._keep(Worker(role, number, command, (self._board.fd,)))

    def start_coordinator(self) -> Worker:
        """Start the real thing, as `shmstore-coordinator NAME` does."""
        return self._keep(Worker("coordinator", 0, [sys.executable, "-m", "shmstore.cli.coordinator", self._name]))

    def inspect(self, verb: str) -> tuple[int, str]:
        """Run `shmstore-inspect VERB NAME`; its exit status and what it printed."""
        command = [sys.executable, "-m", "shmstore.cli.inspect", verb, self._name]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_PATIENCE_S, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def expect_end(self, worker: Worker) -> None:
        """From now on it may end."""
        self._expected.add(worker)

    def watch(self) -> None:
        """Raise WorkerFailed when one has ended that should not have."""
        for worker in self._workers:
            if worker not in self._expected and worker.has_ended():
                raise WorkerFailed(worker.how_it_ended())

    def _keep(self, worker: Worker) -> Worker:
        self._workers.append(worker)
        return worker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.release()


def _text(fd: int) -> str:
    return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")


def report_of(worker: Worker) -> dict[str, Any]:
    """The report of a reader that was told to end. Raises WorkerFailed."""
    report: dict[str, Any] = json.loads(worker.finish())
    return report
