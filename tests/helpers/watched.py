"""A process that works on a segment which may be spoiled, the limits within which it does, and what it reports.

The kernel kills a process whose operation takes more than a second of processor time; one that only sits there is
killed by who watches it.
"""

import logging
import mmap
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shmstore import ShmStoreError
from tests.helpers.processes import Child, shared_numbers

CPU_S = 1.0  # of one operation
STUCK_S = 30.0  # of the clock, in one operation
MEMORY_BYTES = 1 << 30  # that an operation may take


class Watched:
    """What a child is doing, for its parent to see, and the limits within which it does it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.messages = folder / f"{name}.messages"
        self._at = shared_numbers(3)  # mutant; number of operations begun; nanoseconds of the longest
        self._doing = memoryview(mmap.mmap(-1, 4096))
        self._reports = folder / f"{name}.reports"

    def restrict(self) -> None:
        """In the child: let the kernel watch it. What a Coordinator logs of callbacks that fail is of no interest."""
        logging.disable()
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))

    def do(
        self, mutant: int, what: str, action: Callable[[], object], fitting: type[ShmStoreError] = ShmStoreError
    ) -> Any:
        """Run one operation; None when it ends with a fitting error. Anything else is reported."""
        words = what.encode()[:4000]
        self._doing[: len(words) + 1] = words + b"\0"
        self._at[0], self._at[1] = mutant, self._at[1] + 1
        signal.setitimer(signal.ITIMER_PROF, CPU_S)
        begun = time.process_time_ns()
        try:
            return action()
        except fitting as error:
            if not str(error):
                self._report(f"mutant {mutant}: {what}: {type(error).__name__} without a word")
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{os.path.basename(place.filename)}:{place.lineno}"
            self._report(f"mutant {mutant}: {what}: {type(error).__name__} at {where}: {error}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._at[2] = max(self._at[2], time.process_time_ns() - begun)
        return None

    def _report(self, text: str) -> None:
        with self._reports.open("a") as file:
            file.write(f"{text}\0")

    # -- in the parent

    @property
    def mutant(self) -> int:
        return self._at[0]

    @property
    def longest_s(self) -> float:
        return round(self._at[2] / 1e9, 3)

    @property
    def operations(self) -> int:
        return self._at[1]

    def note_end(self, code: int) -> None:
        """Report an end that is not an orderly one."""
        if code:
            cause = f"more than {CPU_S} s of processor time" if code == -signal.SIGPROF else f"ended by {code}"
            doing = bytes(self._doing).partition(b"\0")[0].decode()
            self._report(f"mutant {self.mutant}: {doing}: {cause}")

    def reports(self) -> list[str]:
        return self._reports.read_text().split("\0")[:-1] if self._reports.exists() else []


def watch(children: dict[Watched, Child], again: Callable[[Watched], Child | None]) -> None:
    """Wait for children to end; note how, and let others go on where they ended badly. Kill those that stand still."""
    seen = {watched: (0, time.monotonic()) for watched in children}
    while children:
        time.sleep(0.01)
        for watched, child in list(children.items()):
            if watched.operations != seen[watched][0]:
                seen[watched] = watched.operations, time.monotonic()
            elif time.monotonic() - seen[watched][1] > STUCK_S:
                child.kill()
            if not child.is_over():
                continue
            watched.note_end(child.wait())
            seen[watched] = watched.operations, time.monotonic()
            following = again(watched) if child.wait() else None
            if following:
                children[watched] = following
            else:
                del children[watched]
