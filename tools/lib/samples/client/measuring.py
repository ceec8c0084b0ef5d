"""What a program on another machine does: it sends measurements in parallel, and asks about them."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from shmstore.http.client import EventStoreClient

LABELS = ("cpu", "memory", "disk", "network")

_THREADS = 16


def value_of(number: int) -> tuple[str, float]:
    """What is measured, and how much."""
    return LABELS[number % len(LABELS)], number % 101 + 0.5


def send(client: EventStoreClient, numbers: Iterable[int]) -> None:
    """Send these measurements, many at once; a client works for any number of threads."""

    def add(number: int) -> None:
        client.add(*value_of(number), timestamp=datetime.now(UTC))

    with ThreadPoolExecutor(_THREADS) as threads:
        for _ in threads.map(add, numbers):
            pass  # which raises what was raised there


def ask(client: EventStoreClient, url: str, since: datetime) -> Iterator[tuple[str, Any]]:
    """Every question about what was measured since then, and its answer."""
    scope = {"from": since.isoformat()}
    yield "sum", client.sum(from_=since)
    yield "sum of cpu", client.sum("cpu", from_=since)
    yield "window of cpu", without("window", client.window("cpu", from_=since))
    yield "top 2", client.top(2, from_=since)
    yield "sum of 10 minutes", get(url, "sum-window", minutes="10")
    yield "all in one", get(url, "aggregate-zero-alloc", **scope)
    yield "high cpu", get(url, "process-events", **scope)
    yield "kept", get(url, "snapshot-views")["totalEvents"]


def get(url: str, question: str, **query: str) -> Any:
    """What the client has no name for: a GET, as any program may send it."""
    with urlopen(f"{url}/metrics/{question}?{urlencode(query)}", timeout=10.0) as response:
        return json.load(response)


def without(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without one of its parts."""
    return {key: value for key, value in answer.items() if key != name}
