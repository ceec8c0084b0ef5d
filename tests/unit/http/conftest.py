"""A scripted server, a client of it, and pauses that take no time."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from shmstore.http import connections, remote_following
from shmstore.http.client import EventStoreClient
from tests.helpers.scripted import Fake


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()
    assert server.script == []


@pytest.fixture
def client(fake: Fake) -> Iterator[EventStoreClient]:
    with EventStoreClient(fake.url) as client:
        yield client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was to be waited, without waiting: the most that chance could have made it."""
    found: list[float] = []
    monkeypatch.setattr(connections, "time", SimpleNamespace(sleep=found.append))
    monkeypatch.setattr(connections, "random", SimpleNamespace(uniform=lambda _least, most: most))
    monkeypatch.setattr(remote_following._Link, "pause", lambda _self, seconds: found.append(seconds))
    return found
