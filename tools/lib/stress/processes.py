"""The processes of a run: starts them, kills and freezes them, notices those that end unasked, and replaces them."""

import heapq
import signal
import time
from collections import Counter
from collections.abc import Callable

from command_line import Failed, come_true, forget_signals
from stress.faults import KILL, Fault
from stress.reader import FOUND, coordinate, look, read
from stress.shared import Shared, Word
from stress.writer import write
from tests.helpers.processes import Child

ENDS_WITHIN_S = 30.0


class Processes:
    """All processes but this one, by role and number."""

    def __init__(self, shared: Shared, roles: dict[str, int]) -> None:
        self._shared = shared
        self._running: dict[tuple[str, int], Child] = {}
        self._thaws: list[tuple[float, int, Child]] = []
        self.lives: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.frozen: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._doomed: set[int] = set()
        for role in ("reader", "coordinator", "observer", "writer"):  # readers are there before the first record
            for number in range(roles[role]):
                self._start(role, number)

    def do(self, fault: Fault) -> None:
        """Kill a process and start another in its place, or freeze it for a while."""
        child = self._running[fault.role, fault.number]
        if child.is_over():
            return  # `look_around` has not replaced it yet
        if fault.what == KILL:
            child.kill()
            self.killed[fault.role] += 1
            self._start(fault.role, fault.number)
        else:
            child.send(signal.SIGSTOP)
            self.frozen[fault.role] += 1
            heapq.heappush(self._thaws, (time.monotonic() + fault.frozen_s, self.frozen.total(), child))

    def look_around(self) -> None:
        """Thaw those whose time has come; replace writers that have ended; note processes that ended unasked."""
        while self._thaws and self._thaws[0][0] <= time.monotonic():
            heapq.heappop(self._thaws)[2].send(signal.SIGCONT)
        for (role, number), child in list(self._running.items()):
            if child.is_over():
                self._note_end(role, number, child)
                self._start(role, number)

    def end(self) -> None:
        """Let all but the readers end."""
        while self._thaws:
            heapq.heappop(self._thaws)[2].send(signal.SIGCONT)
        self._shared.words[Word.ENDS] = 1
        self._await(lambda role: role != "reader")

    def read_out(self) -> None:
        """Let the readers read what is left, and balance."""
        self._shared.words[Word.RESTS] = self.lives["writer"]
        self._await(lambda role: role == "reader")

    def kill(self) -> None:
        """Kill all that still live."""
        for child in self._running.values():
            child.kill()

    def _await(self, whom: Callable[[str], bool]) -> None:
        waiting = {key: child for key, child in self._running.items() if whom(key[0])}
        come_true(lambda: all(child.is_over() for child in waiting.values()), ENDS_WITHIN_S)
        for (role, number), child in waiting.items():
            if not child.is_over():
                child.kill()
                self.wrong.append(f"{role} {number} (pid {child.pid}) did not end within {ENDS_WITHIN_S:.0f} s")
            elif child.code:
                self._note_end(role, number, child)

    def _start(self, role: str, number: int) -> None:
        shared, life = self._shared, self.lives[role]
        if role == "writer" and life == shared.lives:
            raise Failed(f"the ledger has room for {life} writers; give a lower --kill-rate, or fewer --seconds")
        self.lives[role] += 1
        roles: dict[str, Callable[[], int | None]] = {
            "writer": lambda: write(shared, life),
            "reader": lambda: read(shared, number),
            "observer": lambda: look(shared, number, life),
            "coordinator": lambda: coordinate(shared),
        }

        def live() -> int | None:
            forget_signals()
            return roles[role]()

        self._running[role, number] = child = Child(live)
        if role == "writer" and shared.is_doomed(life):
            self._doomed.add(child.pid)

    def _note_end(self, role: str, number: int, child: Child) -> None:
        """Note a process that ended unasked; writers may end, and doomed writers may die."""
        if role == "writer" and (not child.code or (child.code, child.pid in self._doomed) == (-signal.SIGKILL, True)):
            self.killed["doomed writer"] += bool(child.code)
            return
        what = "found what is said above" if child.code == FOUND else f"ended unasked with status {child.code}"
        self.wrong.append(f"{role} {number} (pid {child.pid}) {what}")
