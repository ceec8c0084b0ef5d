"""The account: what clients were answered, against the stream and what each gateway says of it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from samples.gateway.application import STREAM
from samples.gateway.clients import ASK_AGAIN, Clients, ask, order_id, valor_of
from samples.gateway.running import GATEWAYS, Gateways
from shmstore import Event, StreamStore


class Account:
    """Reads the stream once, asks each gateway, and compares."""

    def __init__(self, streams: StreamStore, gateways: Gateways, clients: Clients, orders: int) -> None:
        self.events: list[Event] = list(streams[STREAM].read())
        self._answers = clients.answers
        self._other = dict(clients.other)
        self._orders = orders
        self._is_whole = streams.check() == []
        self._local = {gateway: _stats(gateways.ports[gateway], "local") for gateway in GATEWAYS}
        self._global = {gateway: _stats(gateways.ports[gateway], "global") for gateway in GATEWAYS}

    def rows(self) -> Iterator[dict[str, object]]:
        """What each gateway took: as it says, and as the stream says."""
        read = Counter(event.metadata["takenBy"] for event in self.events)
        for gateway, local in self._local.items():
            yield {"gateway": gateway, "count": local["count"], "sum": local["sum"], "read": read[gateway]}

    def findings(self) -> Iterator[tuple[bool, str]]:
        """What must hold, and whether it does."""
        expected = {order_id(number) for number in range(self._orders)}
        yield set(self._answers) == expected, f"{self._orders:,} orders were answered with 202"
        yield not self._other, f"nothing else was answered, though a gateway was killed{self._told()}"
        taken = Counter(event.data["id"] for event in self.events)
        lost = sum(taken[each] == 0 for each in self._answers)
        more = sum(count - 1 for count in taken.values())
        yield not lost, f"each of them is in the stream ({lost:,} are lost)"
        yield not more and set(taken) <= expected, f"none of them is there twice ({more:,} are)"
        places = {event.data["id"]: event.version for event in self.events}
        told = all({answer["version"] for answer in found} == {places.get(key)} for key, found in self._answers.items())
        yield told, "each is where its answer said, and so said the answers to those that were sent twice"
        twice = len(range(0, self._orders, ASK_AGAIN))
        yield sum(len(found) == 2 for found in self._answers.values()) == twice, f"{twice:,} orders were sent twice"
        every = self._answered()
        yield all(found == every for found in self._global.values()), "/stats/global is exact, whoever is asked"
        yield self._taken() == self._local, "/stats/local is exact, also of the gateway that was killed"
        yield self._is_whole, "every invariant of the segment holds"

    def _told(self) -> str:
        return "".join(f"; {what} was, {count} times" for what, count in self._other.items())

    def _answered(self) -> dict[str, Any]:
        """What /stats/global must say: of each order once, by the gateway that answered it first."""
        by_gateway: dict[str, list[Decimal]] = defaultdict(list)
        for number in range(self._orders):
            if found := self._answers.get(order_id(number)):
                by_gateway[self._taker(found)].append(Decimal(str(valor_of(number))))
        totals = {gateway: _total(values) for gateway, values in sorted(by_gateway.items())}
        everything = [value for values in by_gateway.values() for value in values]
        summed = {"totalEvents": len(everything), "totalValor": _total(everything)["sum"]}
        return {"stream": STREAM, **summed, "gateways": totals, "missing": 0}

    def _taker(self, answers: list[dict[str, Any]]) -> str:
        """Who took an order: the stream knows, for whoever answers for one that is there did not."""
        version = int(answers[0]["version"])
        return str(self.events[version].metadata["takenBy"]) if version < len(self.events) else "nobody"

    def _taken(self) -> dict[str, dict[str, Any]]:
        """What /stats/local must say of each gateway: what is in the stream."""
        values: dict[str, list[Decimal]] = defaultdict(list)
        for event in self.events:
            values[event.metadata["takenBy"]].append(Decimal(str(event.data["valor"])))
        return {gateway: {"gatewayId": gateway, **_total(values[gateway]), "missing": 0} for gateway in GATEWAYS}


def _total(values: list[Decimal]) -> dict[str, Any]:
    return {"count": len(values), "sum": float(sum(values, Decimal(0)))}


def _stats(port: int, which: str) -> dict[str, Any]:
    return ask(port, "GET", f"/stats/{which}")[1]
