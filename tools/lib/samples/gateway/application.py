"""One gateway as a WSGI application: it takes orders into the stream that all gateways share, each order once.

An order has an id: its own, or the `Idempotency-Key` of its request. By that the stream knows an order that comes
again, whichever gateway took it, also when that gateway was killed before it could answer. So whoever got no answer,
as nginx in front of it, may ask the next gateway.
"""

import json
import math
import random
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

from samples.gateway.totals import Totals
from shmstore import NewEvent, ShmStoreError, Stream

STREAM = "gateway/orders"

_MOST_AT_ONCE = 1000
_STATUSES = {200: "OK", 202: "Accepted", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}

Answer = tuple[int, dict[str, Any]]


class Gateway:
    """Takes orders in the name of `gateway_id`; any number of threads may ask it at once."""

    def __init__(self, orders: Stream, gateway_id: str) -> None:
        self._orders = orders
        self._totals = Totals(orders)
        self._me = gateway_id
        self._routes: dict[str, Callable[[WSGIEnvironment], Answer]] = {
            "GET /health": lambda _: (200, {"gatewayId": self._me}),
            "POST /orders": self._take,
            "POST /orders/bulk": self._take_many,
            "GET /stats/local": self._local,
            "GET /stats/global": self._global,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        route = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        try:
            if route not in self._routes:
                raise LookupError(f"there is no {route} here; there is {', '.join(self._routes)}")
            status, answer = self._routes[route](environ)
        except (ShmStoreError, ValueError, LookupError) as error:
            is_mistake = isinstance(error, ValueError)  # of whoever asks; all else may go better at another gateway
            status, answer = (
                404 if isinstance(error, LookupError) else 400 if is_mistake else 503,
                {"error": str(error)},
            )
        body = json.dumps(answer).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {_STATUSES[status]}", headers)
        return [body]

    def _take(self, environ: WSGIEnvironment) -> Answer:
        order = _order(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        order_id = str(order.get("id") or _key(environ))
        order = {"gatewayId": self._me, **order, "id": order_id}
        version = self._orders.append(order, type="OrderTaken", event_id=order_id, metadata={"takenBy": self._me})
        return 202, {"id": order_id, "version": version, "takenBy": self._me}

    def _take_many(self, environ: WSGIEnvironment) -> Answer:
        """Append `n` random orders at once, all or none."""
        (text,) = parse_qs(environ.get("QUERY_STRING", "")).get("n", ["50"])[:1]
        if not (text.isdecimal() and 1 <= int(text) <= _MOST_AT_ONCE):
            raise ValueError(f"n is {text!r}; expected a number from 1 to {_MOST_AT_ONCE}")
        key = _key(environ)
        ids = [f"{key}-{number}" for number in range(int(text))]
        orders = [{"gatewayId": self._me, "id": each, "valor": random.randrange(100, 100_000) / 100} for each in ids]
        taken = {"takenBy": self._me}
        versions = self._orders.append_many(NewEvent(order, "OrderTaken", str(order["id"]), taken) for order in orders)
        return 202, {"count": len(versions), "versions": [versions[0], versions[-1]], "takenBy": self._me}

    def _local(self, _: WSGIEnvironment) -> Answer:
        """What this gateway took, before it was killed and started again as well."""
        return 200, {"gatewayId": self._me, **self._totals.taken_by(self._me)}

    def _global(self, _: WSGIEnvironment) -> Answer:
        """What all gateways took."""
        return 200, {"stream": self._orders.name, **self._totals.of_all()}


def _order(body: bytes) -> dict[str, Any]:
    try:
        order = json.loads(body)
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from error
    valor = order.get("valor") if isinstance(order, dict) else None
    if not isinstance(valor, int | float) or isinstance(valor, bool) or not math.isfinite(valor):
        raise ValueError('the body is no order; expected an object with a finite number, as {"valor": 12.5}')
    if not isinstance(order.get("gatewayId", ""), str):
        raise ValueError(f"gatewayId is {order['gatewayId']!r}; expected a text, or nothing")
    return dict(order)


def _key(environ: WSGIEnvironment) -> str:
    return environ.get("HTTP_IDEMPOTENCY_KEY") or uuid.uuid4().hex
