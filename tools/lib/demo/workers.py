"""The processes of the demo: start one by its role, notice when one fails, leave none behind.

Each is a Python of its own, related to the others by nothing but the store's name and the board's descriptor. It leads
a process group, so that a Ctrl-C reaches only the first process, which then ends the others.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

from command_line import Failed, come_true, raise_noted
from demo.board import Board

_PATIENCE_S = 30.0
_GRACE_S = 3.0


class Worker(subprocess.Popen[bytes]):
    """One process and what it printed; nothing that it prints can block it."""

    def __init__(self, role: str, number: int, module: str, words: tuple[object, ...], fds: tuple[int, ...]) -> None:
        self.role = role
        self.number = number
        self.may_end = False
        self.last_found = False
        """Of a writer that has ended: whether its last acknowledged record was found."""
        self._output, self._messages = os.memfd_create("output"), os.memfd_create("messages")
        super().__init__(
            [sys.executable, "-m", module, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._messages,
            pass_fds=fds,
            process_group=0,
        )

    def finish(self) -> str:
        """Wait until it has ended, as it was told to, and return what it printed. Raises Failed."""
        if not come_true(lambda: self.poll() is not None, _PATIENCE_S) or self.returncode:
            raise Failed(self.how_it_ended())
        return _text(self._output)

    def report(self) -> dict[str, Any]:
        """The report of a reader that was told to end. Raises Failed."""
        return dict(json.loads(self.finish()))

    def how_it_ended(self) -> str:
        """How it ended, in words, and what it wrote to standard error."""
        code = self.returncode
        how = f"did not end within {_PATIENCE_S:.0f} s" if code is None else f"ended with exit status {code}"
        return f"the {self.role} (pid {self.pid}) {how}\n{_text(self._messages)}".rstrip()


class Workers:
    """All processes that were started."""

    def __init__(self, name: str, board: Board) -> None:
        self._name = name
        self._board = board
        self._workers: list[Worker] = []

    def start(self, role: str, number: int = 0, *arguments: object) -> Worker:
        """Start a worker of this role; writers have a number from 1 on."""
        words = (self._name, self._board.fd, *([number] if number else []), *arguments)
        return self._keep(Worker(role, number, f"demo.{role}", words, (self._board.fd,)))

    def start_coordinator(self) -> Worker:
        """Start the coordinator that users start, as `shmstore-coordinator NAME`."""
        return self._keep(Worker("coordinator", 0, "shmstore.cli.coordinator", (self._name,), ()))

    def inspect(self, verb: str) -> tuple[int, str]:
        """Run `shmstore-inspect VERB NAME`; its exit status and what it printed."""
        command = [sys.executable, "-m", "shmstore.cli.inspect", verb, self._name]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_PATIENCE_S, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def watch(self) -> None:
        """Raise Failed when one has ended that should not have; end the run when a signal says so."""
        raise_noted()
        for worker in self._workers:
            if not worker.may_end and worker.poll() is not None:
                raise Failed(worker.how_it_ended())

    def end(self) -> None:
        """End those that still run, by SIGTERM, or by SIGKILL if that does not help."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(_GRACE_S)
            worker.kill()
            worker.wait()

    def _keep(self, worker: Worker) -> Worker:
        self._workers.append(worker)
        return worker


def _text(fd: int) -> str:
    return os.pread(fd, os.fstat(fd).st_size, 0).decode(errors="replace")
