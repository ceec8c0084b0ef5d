"""Clients that order through nginx as curl does: a connection a request, and the same order again without an answer."""

import http.client
import json
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

ASK_AGAIN = 10
"""After every so many orders, a client acts as if the answer were lost, and sends the same order once more."""

_CLIENTS = 8
_LIMIT_S = 30.0
_TRIES = 20


class Clients:
    """So many orders by several clients at once. `answers` are those of each order that was answered with 202."""

    def __init__(self, port: int, orders: int) -> None:
        self._port = port
        self._left = iter(range(orders))
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._order, daemon=True) for _ in range(_CLIENTS)]
        self.answers: dict[str, list[dict[str, Any]]] = {}
        self.other: Counter[str] = Counter()
        """What else the clients got."""

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Order no more, and wait for what is on its way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_LIMIT_S)

    def are_done(self) -> bool:
        """Whether all was ordered."""
        return not any(thread.is_alive() for thread in self._threads)

    def _order(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                number = next(self._left, None)
            if number is None:
                return
            for _ in range(2 if number % ASK_AGAIN == 0 else 1):
                self._send(number)

    def _send(self, number: int) -> None:
        order = json.dumps({"valor": valor_of(number)})
        for _ in range(_TRIES):
            try:
                status, answer = ask(self._port, "POST", "/orders", order, {"Idempotency-Key": order_id(number)})
                what = f"status {status}"
            except (OSError, http.client.HTTPException) as error:
                status, answer, what = 0, {}, type(error).__name__
            with self._lock:
                if status == 202:
                    self.answers.setdefault(order_id(number), []).append(answer)
                    return
                self.other[what] += 1


def ask(
    port: int, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """The answer to one request on a connection of its own. Raises OSError, HTTPException."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LIMIT_S)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        answer = response.read()
        is_json = response.headers.get_content_type() == "application/json"  # and not what nginx says by itself
        return response.status, json.loads(answer) if is_json else {}
    finally:
        with suppress(OSError):
            connection.close()


def order_id(number: int) -> str:
    """The id of an order: the same whenever it is sent."""
    return f"order-{number}"


def valor_of(number: int) -> float:
    """What an order is about: sums of such numbers go wrong in binary, and must not here."""
    return (1 + number % 997) / 10
