"""Looks at all stores about once a second, for all viewers of a process together, and only while there are some."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from shmstore.errors import ShmStoreError
from shmstore.http.dashboard.handles import Attached, Handles
from shmstore.http.dashboard.pace import Questions, rest_s
from shmstore.http.dashboard.scope import Scope
from shmstore.http.dashboard.watched import Watched
from shmstore.segments.segment import SegmentInfo, list_segments
from shmstore.survey.machine import owner_name
from shmstore.survey.segments import brief

LOOK_S: Final = 1.0


class Sampler:
    """What was found at the last look, which is made by whoever asks first when it is too old."""

    def __init__(self) -> None:
        self.handles = Handles()
        self.questions = Questions()
        self.rest_s = LOOK_S
        self._lock = threading.Lock()
        self._viewers = 0
        self._forget()

    def _forget(self) -> None:
        self._looked_s = float("-inf")
        self._looked_ms = 0
        self._rows: list[dict[str, Any]] = []
        self._watched: dict[str, Watched] = {}
        self._details: dict[str, dict[str, Any]] = {}

    @contextmanager
    def looking(self) -> Iterator[None]:
        """While somebody looks, handles and what was seen are kept; when the last one goes, all is let go."""
        with self._lock:
            self._viewers += 1
        try:
            yield
        finally:
            with self._lock:
                self._viewers -= 1
                if not self._viewers:
                    self._forget()
                    self.questions.clear()
                    self.handles.close()

    def state(self, scope: Scope, name: str | None, *, with_history: bool) -> dict[str, Any]:
        """What somebody sees of all stores in the scope, and of one of them all there is."""
        with self._lock:
            self._look_again()
            rows = [{**row, "own": row["name"] in scope.own} for row in self._rows if scope.has(row["name"])]
            state: dict[str, Any] = {"time": self._looked_ms, "next": round(self.rest_s, 2), "stores": rows}
            if name is not None:
                state["store"] = self._detail(scope, name, with_history)
            return state

    # -- with the lock held

    def _look_again(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < self.rest_s * 0.95:
            return
        begun_s = time.thread_time()
        infos = list_segments(unreadable=True)
        names = {info.name for info in infos if info.error is None}
        self.handles.keep(names)  # to touch what was cut off of a file would end this process
        self._watched = {name: each for name, each in self._watched.items() if name in names}
        self._looked_s, self._looked_ms = now_s, time.time_ns() // 10**6
        self._rows = [self._row(info) for info in infos]
        self._details.clear()
        self.rest_s = rest_s(time.thread_time() - begun_s, LOOK_S)

    def _row(self, info: SegmentInfo) -> dict[str, Any]:
        row = {
            "name": info.name,
            "kind": None if info.header is None else info.header.options["kind"],
            "size": info.size,
            "owner": owner_name(info.uid),
            "created": info.created_ns // 10**6,
            "state": "ok",
        }
        try:
            if info.error is not None:
                raise info.error
            return row | self._watching(info.name).look(self._looked_s, self._looked_ms)
        except ShmStoreError as error:
            self._watched.pop(info.name, None)
            return row | {"state": brief(error), "error": str(error)}

    def _watching(self, name: str) -> Watched:
        store: Attached = self.handles.of(name)
        known = self._watched.get(name)
        if known is None or known.store is not store:
            known = self._watched[name] = Watched(store)
        return known

    def _detail(self, scope: Scope, name: str, with_history: bool) -> dict[str, Any]:
        row = next((row for row in self._rows if row["name"] == name and scope.has(name)), None)
        if row is None:
            return {"name": name, "state": "gone", "error": f"there is no store {name!r}, or not any more"}
        watched = self._watched.get(name)
        if watched is None:
            return row
        try:
            if name not in self._details:
                self._details[name] = row | watched.detail(self._looked_s)
            detail = self._details[name]
            return {**detail, "history": watched.history()} if with_history else detail
        except ShmStoreError as error:
            return row | {"state": brief(error), "error": str(error)}
