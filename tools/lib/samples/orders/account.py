"""The account: what the ledger holds at the end, against what the gateways say that they did."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from samples.orders.gateway import ASK_AGAIN, order_id
from shmstore import Event, Stream


class Life(NamedTuple):
    """One process of a gateway, from its start to its end. One that was killed said nothing of what it did."""

    gateway: int
    pid: int
    said: list[int] | None
    """How many orders it appended, how many were there already, and how many conflicts there were."""


class Account:
    """Reads the ledger once, and compares."""

    def __init__(self, ledger: Stream, lives: list[Life], orders: int) -> None:
        self.events: list[Event] = list(ledger.read())
        self.lives = lives
        self._orders = orders
        self._typed = ledger.counts_by_type()
        self._read = Counter((event.metadata["gateway"], event.metadata["pid"]) for event in self.events)

    def rows(self) -> Iterator[dict[str, object]]:
        """What each process did: as it says, and as the ledger says."""
        for life in self.lives:
            appended, repeated, conflicts = life.said or (None, None, None)
            yield {
                "gateway": life.gateway,
                "pid": life.pid,
                "end": "SIGKILL" if life.said is None else "done",
                "appended": appended,
                "repeated": repeated,
                "conflicts": conflicts,
                "read": self._read[life.gateway, life.pid],
            }

    def findings(self) -> Iterator[tuple[bool, str]]:
        """What must hold, and whether it does."""
        gateways = {life.gateway for life in self.lives}
        booked = Counter(event.event_id for event in self.events)
        expected = {order_id(gateway, order) for gateway in gateways for order in range(self._orders)}
        once = set(booked) == expected and all(count == 1 for count in booked.values())
        yield once, f"{len(expected):,} orders are there, each once"
        versions = [event.version for event in self.events]
        yield versions == list(range(len(versions))), "their versions have no holes"
        yield self._adds_up(), "each total is the one before and the order's value"
        yield self._typed == {"Placed": len(expected)}, "counted where they lie, they are as many"
        ended = [life for life in self.lives if life.said]
        said = all(life.said and life.said[0] == self._read[life.gateway, life.pid] for life in ended)
        yield said, "each process that ended has appended what it says"
        killed = Counter({life.gateway: self._read[life.gateway, life.pid] for life in self.lives if not life.said})
        repeats = all(life.said and life.said[1] == self._repeats(killed[life.gateway]) for life in ended)
        yield repeats, "what was repeated was there already: no more and no less"

    def _adds_up(self) -> bool:
        total = 0
        for event in self.events:
            total += event.data["value"]
            if event.data["total"] != total:
                return False
        return True

    def _repeats(self, found: int) -> int:
        """How often a process comes upon an order that is there: `found` were, and it asks for some again itself."""
        return found + len(range(0, self._orders, ASK_AGAIN))
