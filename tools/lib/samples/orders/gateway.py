"""One gateway: it books its orders into the ledger, each decided by all that is there, and each once.

Run as `python -m samples.orders.gateway NAME GATEWAY ORDERS [ids|expectation]`. It prints what it did as JSON. Started
once more after it was killed, it simply books all of its orders again.
"""

import json
import os
import sys
import time
from contextlib import suppress

import shmstore
from shmstore import ANY, NO_STREAM, Stream, WrongExpectedVersion

LEDGER = "gateway/orders"
ASK_AGAIN = 10
"""After every so many orders, a gateway acts as if the answer were lost, and appends the same order once more."""

_PAUSE_S = 0.0005


class Gateway:
    """Books orders, and counts how that went. It can be told to work `without` ids or expectations, which is wrong."""

    def __init__(self, ledger: Stream, number: int, without: str | None) -> None:
        self._ledger = ledger
        self._number = number
        self._without = without
        self._booking = 0
        self.appended = self.repeated = self.conflicts = 0

    def book(self, order: int) -> int:
        """Append an order with the total of the ledger after it, and return its version."""
        event_id = None if self._without == "ids" else order_id(self._number, order)
        self._booking += 1
        who = {"gateway": self._number, "pid": os.getpid(), "booking": self._booking}
        while True:
            last = self._ledger.last()
            total = last.data["total"] if last else 0
            expected = last.version if last else NO_STREAM
            with suppress(WrongExpectedVersion):  # somebody else was first: look again, decide again
                version = self._ledger.append(
                    {"value": value_of(order), "total": total + value_of(order)},
                    type="Placed",
                    event_id=event_id,
                    metadata=who,
                    expected_version=ANY if self._without == "expectation" else expected,
                )
                found = self._ledger.at(version)
                if found and found.metadata == who:
                    self.appended += 1
                else:
                    self.repeated += 1  # it was there already
                return version
            self.conflicts += 1


def order_id(gateway: int, order: int) -> str:
    """The id of an order: the same whenever it is booked."""
    return f"gw-{gateway}-{order}"


def value_of(order: int) -> int:
    """What an order is about, in cents."""
    return 100 + order % 97


def main(name: str, number: str, orders: str, without: str | None = None) -> None:
    """Book all orders."""
    with shmstore.attach_streams(name) as streams:
        gateway = Gateway(streams[LEDGER], int(number), without)
        for order in range(int(orders)):
            version = gateway.book(order)
            if order % ASK_AGAIN == 0 and gateway.book(order) != version and without is None:
                raise SystemExit(f"order {order} was booked twice")
            time.sleep(_PAUSE_S)  # as if it were work to make an order
        print(json.dumps([gateway.appended, gateway.repeated, gateway.conflicts]))


if __name__ == "__main__":
    main(*sys.argv[1:])
