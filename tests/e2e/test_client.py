"""The client and the service, each as people run it, with a network between them that cuts connections."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shmstore
from shmstore.http.client import AsyncEventStoreClient, EventStoreClient, RemoteEvent
from shmstore.http.server import Server
from shmstore.http.service import Service
from shmstore.http.settings import Settings
from tests.helpers.cut_connections import CuttingProxy

CLIENTS, APPENDS, BATCH = 4, 60, 5
EVENTS = CLIENTS * (APPENDS // 10 * 9 + APPENDS // 10 * BATCH)


@pytest.fixture
def served(name: str) -> Iterator[Server]:
    settings = Settings(name=name, capacity=5000, partitions=1, event_size=300)
    service = Service(settings, None)
    server = Server(service, port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.stop(5.0)
    thread.join()
    service.close()
    shmstore.unlink(name)
    shmstore.unlink(f"{name}-records")


def test_cut_connections_lose_nothing_and_make_nothing_twice(served: Server, seed: int) -> None:
    versions: list[int] = []
    followed: list[RemoteEvent] = []
    with (
        CuttingProxy(served.port, seed) as proxy,
        EventStoreClient(f"http://127.0.0.1:{proxy.port}", retries=20) as client,
    ):

        def append(number: int) -> None:
            for i in range(APPENDS):
                if i % 10 == 9:
                    versions.extend(client.append_many("orders", [[number, i, k] for k in range(BATCH)]))
                else:
                    versions.append(client.append("orders", [number, i, 0]))

        def follow() -> None:
            for event in client.follow("orders", timeout=30.0):
                followed.append(event)
                if len(followed) == EVENTS:
                    return

        threads = [threading.Thread(target=follow)]
        threads += [threading.Thread(target=append, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert proxy.cuts
    assert sorted(versions) == [event.version for event in followed] == list(range(EVENTS))
    assert len({tuple(event.data) for event in followed}) == EVENTS


def test_the_errors_are_those_of_the_library(served: Server) -> None:
    with EventStoreClient(f"http://127.0.0.1:{served.port}") as client:
        assert client.append("orders", {"id": 1}, expected_version=shmstore.NO_STREAM) == 0
        with pytest.raises(shmstore.WrongExpectedVersion) as conflict:
            client.append("orders", {"id": 1}, expected_version=7)
        assert (conflict.value.expected, conflict.value.actual) == (7, 0)
        with pytest.raises(shmstore.EventTooLarge) as too_large:
            client.append("orders", "x" * 400)
        assert (too_large.value.size, too_large.value.limit) == (400, 300)
        assert client.append("orders", b"\xff\x00", metadata={"by": "me"}, event_id="a") == 1
        assert client.append("orders", b"\xff\x00", event_id="a") == 1
        (event,) = client.read("orders", 1)
        assert (event.data, event.metadata, event.event_id) == (b"\xff\x00", {"by": "me"}, "a")
        assert [found.version for found in client.read("orders", backwards=True)] == [1, 0]
        assert client.version("none") == -1 and list(client.read("none")) == []


def test_who_follows_a_store_that_is_made_anew_is_told(served: Server, name: str) -> None:
    with EventStoreClient(f"http://127.0.0.1:{served.port}") as client:
        for n in range(5):
            client.append("orders", n)
        following = client.follow("orders", timeout=30.0)
        assert [next(following).version for _ in range(5)] == [0, 1, 2, 3, 4]
        shmstore.unlink(name)
        assert client.append("orders", "new") == 0
        with pytest.raises(shmstore.StreamTruncated, match="the store was made anew") as gone:
            next(following)
        assert (gone.value.version, gone.value.first) == (5, 0)
        assert next(client.follow("orders", gone.value.first)).data == "new"


def test_a_path_too_many_is_told_and_no_proxy_is_asked(served: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    url = f"http://127.0.0.1:{served.port}"
    with EventStoreClient(url) as client:
        client.append("orders", 1)
    with EventStoreClient(f"{url}/events") as client:
        calls: list[Callable[[], object]] = [
            *(
                lambda: list(client.read("orders")),
                lambda: client.append("orders", 1),
                lambda: client.version("orders"),
            ),
            *(lambda: client.streams(), lambda: next(client.follow("orders")), lambda: client.add("cpu", 1)),
        ]
        for call in calls:
            with pytest.raises(
                shmstore.ShmStoreError, match=r"answered 404: there is nothing at this path.* look whether url"
            ):
                call()


def test_tasks_use_it_as_well(served: Server) -> None:
    async def use() -> list[int]:
        async with AsyncEventStoreClient(f"http://127.0.0.1:{served.port}") as client:
            await asyncio.gather(*(client.append("orders", n) for n in range(10)))
            return [event.version async for event in client.read("orders")]

    assert asyncio.run(use()) == list(range(10))


def test_the_guide_names_what_there_is() -> None:
    guide = (Path(shmstore.__file__).parent / "http" / "README.md").read_text(encoding="utf-8")
    names = [name for name in dir(AsyncEventStoreClient) if not name.startswith("_")]
    assert names and [name for name in names if f"`{name}`" not in guide] == []
    assert [name for name in names if not hasattr(EventStoreClient, name)] == []
