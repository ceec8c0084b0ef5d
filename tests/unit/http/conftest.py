"""A scripted server, a client of it, and pauses that take no time; and the service, to be asked without a server."""

from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest

import shmstore
from shmstore.http import connections, remote_following
from shmstore.http.client import EventStoreClient
from shmstore.http.service import Service
from shmstore.http.settings import Settings
from tests.helpers.asked import LIMIT, Ask, asked
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


@pytest.fixture
def service(name: str) -> Iterator[Service]:
    made = Service(Settings(name=name, capacity=1000, partitions=2, event_size=512, body_limit=LIMIT), None)
    yield made
    made.close()
    for each in (name, f"{name}-records"):
        with suppress(shmstore.StoreNotFound):
            shmstore.unlink(each)


@pytest.fixture
def ask(service: Service) -> Ask:
    return lambda *request, **more: asked(service, *request, **more)
