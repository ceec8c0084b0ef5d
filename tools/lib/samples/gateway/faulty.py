"""Mistakes that a gateway can be told to make, so that one sees the account find them. Not to be copied."""

import threading
from collections.abc import Iterable
from typing import Any

from shmstore import NewEvent, Reading, Stream

_LATE_S = 0.2


class Twice:
    """The stream as whoever forgets the ids of orders uses it: what comes again is there twice."""

    def __init__(self, orders: Stream) -> None:
        self._orders = orders
        self.name = orders.name

    def append(self, data: Any, *, type: str, event_id: str, metadata: Any) -> int:
        """Append it, whether or not it is there."""
        return self._orders.append(data, type=type, metadata=metadata)

    def append_many(self, events: Iterable[NewEvent]) -> list[int]:
        """Append them, whether or not they are there."""
        return self._orders.append_many(event._replace(event_id=None) for event in events)

    def read(self, from_: int, **how: Any) -> Reading:
        """All as it should be."""
        return self._orders.read(from_, **how)


class Lost(Twice):
    """The stream as whoever answers first and appends later uses it: a gateway that is killed loses that."""

    def append(self, data: Any, *, type: str, event_id: str, metadata: Any) -> int:
        """Append it later. Its version is a guess."""
        given = {"type": type, "event_id": event_id, "metadata": metadata}
        threading.Timer(_LATE_S, lambda: self._orders.append(data, **given)).start()
        return self._orders.version + 1


MISTAKES: dict[str, Any] = {"twice": Twice, "lost": Lost}
