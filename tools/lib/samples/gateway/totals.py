"""Exact counts and sums of the orders of a stream: of all gateways, whichever process is asked."""

import threading
from collections import defaultdict
from decimal import Decimal
from typing import Any

from shmstore import Stream


class Total:
    """How many orders, and the sum of what they are about: decimal, so that 0.1 and 0.2 are 0.3."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = Decimal(0)

    def add(self, valor: float) -> None:
        """Count one more."""
        self.count += 1
        self.sum += Decimal(str(valor))

    def as_json(self) -> dict[str, Any]:
        """As it is answered."""
        return {"count": self.count, "sum": float(self.sum)}


class Totals:
    """Counts the stream from its beginning when it is asked first, and then on from where it was.

    What was overwritten before it was counted, as the store was too small, is said in each answer: so many are missing.
    """

    def __init__(self, orders: Stream) -> None:
        self._orders = orders
        self._lock = threading.Lock()
        self._next_version = 0
        self._missing = 0
        self._by_gateway: dict[str, Total] = defaultdict(Total)
        self._by_taker: dict[str, Total] = defaultdict(Total)

    def taken_by(self, taker: str) -> dict[str, Any]:
        """The orders that this gateway took, up to the newest that there is."""
        with self._lock:
            self._count_on()
            return {**self._by_taker[taker].as_json(), "missing": self._missing}

    def of_all(self) -> dict[str, Any]:
        """All orders up to the newest that there is, by the gateway that each names."""
        with self._lock:
            self._count_on()
            totals = self._by_gateway.values()
            return {
                "totalEvents": sum(total.count for total in totals),
                "totalValor": float(sum(total.sum for total in totals)),
                "gateways": {gateway: total.as_json() for gateway, total in sorted(self._by_gateway.items())},
                "missing": self._missing,
            }

    def _count_on(self) -> None:
        reading = self._orders.read(self._next_version, missing="report")
        for event in reading:
            self._by_gateway[event.data["gatewayId"]].add(event.data["valor"])
            self._by_taker[event.metadata["takenBy"]].add(event.data["valor"])
            self._next_version = event.version + 1
        for versions in reading.missing:
            self._missing += len(versions)
            self._next_version = max(self._next_version, versions.stop)
