"""Handles on the segments that are looked at: attached for reading, kept while somebody looks."""

import threading
from contextlib import suppress
from typing import Any, TypeVar

from shmstore.errors import WrongKind
from shmstore.events.store import EventStore
from shmstore.segments.handle import Handle
from shmstore.streams.store import StreamStore, attach_streams
from shmstore.survey.segments import look_at_any

Attached = EventStore[Any] | StreamStore | Handle
A = TypeVar("A", EventStore[Any], StreamStore, Handle)


class Handles:
    """One handle for each name that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Attached] = {}

    def of(self, name: str) -> Attached:
        """The segment that has this name now. Raises what attaching raises."""
        with self._lock:
            known = self._known.get(name)
            if known is not None:
                if not (known.closed or known.unlinked):
                    return known
                del self._known[name]
                known.close()
            self._known[name] = found = _attached(name)
            return found

    def of_kind(self, name: str, kind: type[A]) -> A:
        """The same, of a segment that holds this. Raises WrongKind."""
        found = self.of(name)
        if not isinstance(found, kind):
            raise WrongKind(f"{name!r} does not hold what this question is about; ask about one that does")
        return found

    def keep(self, names: set[str]) -> None:
        """Let go of all others."""
        with self._lock:
            for name in self._known.keys() - names:
                self._known.pop(name).close()

    def close(self) -> None:
        """Let go of all."""
        self.keep(set())


def _attached(name: str) -> Attached:
    with suppress(WrongKind):
        return attach_streams(name, read_only=True)
    return look_at_any(name)
