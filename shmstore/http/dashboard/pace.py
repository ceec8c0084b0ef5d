"""Answers that are kept for as long as asking again would cost too much: whoever asks meanwhile gets the same one."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final

Ask = Callable[[], dict[str, Any]]

_REST: Final = 400.0  # times what an answer takes: so that all of one kind take a quarter of a percent of a CPU
_LONGEST_S: Final = 120.0
_UNUSED_S: Final = 60.0
_MOST: Final = 256  # answers that are kept


def rest_s(cost_s: float, least_s: float) -> float:
    """How long something rests that took so much of a CPU."""
    return min(_LONGEST_S, max(least_s, _REST * cost_s))


class _Question:
    """One question, which remembers what it was told. `ask` may compare with its own earlier look."""

    def __init__(self, ask: Ask, least_s: float) -> None:
        self.ask = ask
        self.lock = threading.Lock()
        self.answer: dict[str, Any] | None = None
        self.used_s = 0.0
        self._least_s = least_s
        self._again_at_s = 0.0

    def answered(self) -> dict[str, Any]:
        now_s = time.monotonic()
        if self.answer is None or now_s >= self._again_at_s:
            begun_s = time.thread_time()
            self.answer = self.ask()
            self._again_at_s = now_s + rest_s(time.thread_time() - begun_s, self._least_s)
        return {**self.answer, "again": round(max(0.2, self._again_at_s - now_s), 2)}


class Questions:
    """The questions of all viewers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Hashable, _Question] = {}

    def answer(self, key: Hashable, make: Callable[[], Ask], least_s: float = 1.0) -> dict[str, Any]:
        """What the question of this key was told last, or is told now, and after how many seconds to ask `again`.

        `make` makes the question. One that fails is forgotten, and begins anew.
        """
        with self._lock:
            question = self._known.get(key)
            if question is None:
                question = self._known[key] = _Question(make(), least_s)
            question.used_s = time.monotonic()
            self._forget_unused(question.used_s)
        try:
            with question.lock:
                return question.answered()
        except BaseException:
            with self._lock:
                self._known.pop(key, None)
            raise

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known.clear()

    def _forget_unused(self, now_s: float) -> None:
        by_use = sorted(self._known.items(), key=lambda item: item[1].used_s)
        surplus = len(by_use) - _MOST
        for at, (key, question) in enumerate(by_use):
            if at >= surplus and now_s - question.used_s <= _UNUSED_S:
                break
            del self._known[key]
