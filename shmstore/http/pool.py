"""Threads that take work from a queue: as many as are wanted, up to a limit."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Pool(Generic[T]):
    """Up to `most` threads that call `work`, and as many more as are lent to work without end, up to `most_lent`."""

    def __init__(self, work: Callable[[T], None], most: int, most_lent: int) -> None:
        self._work = work
        self._most = most
        self._most_lent = most_lent
        self._queue: SimpleQueue[T | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._waiting = 0
        self._lent = 0
        self._is_over = False

    @property
    def is_short(self) -> bool:
        """Whether work waits for a thread."""
        return self._waiting > self._idle

    @property
    def lent(self) -> int:
        """How many threads are lent."""
        return self._lent

    def put(self, item: T) -> None:
        """Have a thread do this work."""
        with self._lock:
            self._waiting += 1
        self._queue.put(item)
        self.grow()

    def lend(self) -> bool:
        """Whether the calling thread may go on without end; until `give_back`, another one may take its place."""
        with self._lock:
            if self._lent >= self._most_lent:
                return False
            self._lent += 1
            self._threads -= 1
        self.grow()
        return True

    def give_back(self) -> None:
        """The calling thread, which was lent, is one of the pool again."""
        with self._lock:
            self._lent -= 1
            self._threads += 1

    def stop(self) -> None:
        """Let threads end once there is no work; whoever is at work is not waited for."""
        self._is_over = True
        for _ in range(self._threads):
            self._queue.put(None)

    def grow(self) -> None:
        """Start a thread if there is work for one more."""
        with self._lock:
            if self._waiting <= self._idle or self._threads >= self._most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._run, name="shmstore-http", daemon=True).start()
        except (RuntimeError, MemoryError):  # the system has no more: those that there are do the work
            with self._lock:
                self._threads -= 1

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._threads > self._most or (self._is_over and not self._waiting):
                    self._threads -= 1
                    return
                self._idle += 1
            item = self._queue.get()
            with self._lock:
                self._idle -= 1
                if item is None:
                    self._threads -= 1
                    return
                self._waiting -= 1
            try:
                self._work(item)
            except BaseException:
                with self._lock:
                    self._threads -= 1  # another one takes its place
                raise
