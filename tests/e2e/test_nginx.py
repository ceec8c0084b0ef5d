"""The service behind a real nginx, set up as the guide says: what dies in the middle, what passes, what does not."""

import http.client
import itertools
import json
import os
import re
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil
import pytest

import shmstore
from shmstore.http.client import EventStoreClient
from tests.helpers import programs
from tests.helpers.nginx import Nginx, free_port
from tests.helpers.processes import eventually
from tests.helpers.served import Gunicorn
from tests.helpers.serving import Serving

GUIDE = (Path(shmstore.__file__).parent / "http" / "README.md").read_text(encoding="utf-8")
APPLICATION = "from shmstore.http.service import app\n"
TOKEN = "of-the-admin"
LIMIT_S = 30.0
# What the guide leaves to the rest of an nginx.conf: paths, all in the folder of the test.
FRAME = """
daemon off; worker_processes 1; pid nginx.pid; events {{ worker_connections 512; }}
http {{
access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
{0}
}}
"""

pytestmark = programs.needs("nginx")


class Stack(NamedTuple):
    """nginx at a port, and behind it `shmstore-serve` and a gunicorn of two workers."""

    name: str
    port: int
    serving: Serving
    gunicorn: Gunicorn

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, Any, http.client.HTTPMessage]:
        return request(self.port, method, path, body, **headers)


def request(
    port: int, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    """One request on a connection of its own; underscores in the names of headers are hyphens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    return response.status, json.loads(answer), response.headers


def configuration(port: int, *upstreams: str) -> str:
    """What the guide says, for these places."""
    (block,) = re.findall(r"^```nginx\n(.*?)^```$", GUIDE, re.M | re.S)
    text = block.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    for before, after in zip(("127.0.0.1:7070", "127.0.0.1:7071"), upstreams, strict=True):
        assert before in text
        text = text.replace(before, after)
    return FRAME.format(text)


@contextmanager
def stacked(folder: Path, **variables: str) -> Iterator[Stack]:
    name = f"shmstore-test-{os.getpid()}-{secrets.token_hex(3)}"
    given = {"SHMSTORE_CAPACITY": "20000", "SHMSTORE_PARTITIONS": "1", **variables, "SHMSTORE_NAME": name}
    with ExitStack() as end:
        for suffix in ("", "-records", "-metrics"):
            end.callback(shmstore.unlink, name + suffix)
        threads = ("--worker-class", "gthread", "--threads", "8")
        gunicorn = Gunicorn(folder, "", *threads, application=APPLICATION, **given)
        serving = end.enter_context(Serving(**given))
        end.enter_context(gunicorn)
        port = free_port()
        upstreams = (f"127.0.0.1:{serving.port}", f"unix:{folder / 'socket'}")
        nginx = folder / "nginx"
        nginx.mkdir()
        end.enter_context(Nginx(nginx, port, {"nginx.conf": configuration(port, *upstreams)}))
        yield Stack(name, port, serving, gunicorn)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stacked(tmp_path_factory.mktemp("stack"), SHMSTORE_HOSTS="events.example") as stack:
        yield stack


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Stack]:
    """One of its own, for a test that kills processes, which are others then."""
    with stacked(tmp_path) as stack:
        yield stack


class Appending:
    """Threads that append through nginx, each on one connection, until they are stopped."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(first,)) for first in range(4)]
        self.answered: dict[int, int] = {}
        self.cut: set[int] = set()
        """Those of whose answer only the beginning came, which nginx cannot mend."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self) -> None:
        """Wait until whatever was on its way is answered, and more."""
        goals = {first: len(self._by(first)) + 8 for first in range(4)}
        assert eventually(lambda: all(len(self._by(first)) >= goal for first, goal in goals.items()))

    def _by(self, thread: int) -> list[int]:
        return [number for number in [*self.answered, *self.cut] if number % 4 == thread]

    def _work(self, first: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)) as connection:
            for number in itertools.count(first, 4):
                if self._is_over.is_set():
                    return
                with_id = {"Event-Id": f"e-{number}"} if number % 2 else {}
                connection.request("POST", "/streams/orders", json.dumps({"n": number}), with_id)
                try:
                    response = connection.getresponse()
                    status, answer = response.status, response.read()
                except (OSError, http.client.HTTPException):
                    self.cut.add(number)
                    connection.close()
                    continue
                assert status == 202, answer  # at the first try: it is nginx that tries again
                self.answered[number] = json.loads(answer)["version"]


def test_no_append_is_lost_or_made_twice_when_workers_die(mortal: Stack) -> None:
    with Appending(mortal.port) as appending:
        for kill_gunicorn in (True, False, True, True):
            appending.go_on()  # no request meets two deaths
            if kill_gunicorn:
                os.kill(psutil.Process(mortal.gunicorn.pid).children()[0].pid, signal.SIGKILL)
            else:
                mortal.serving.kill()
                mortal.serving.start()
        appending.go_on()
    with EventStoreClient(mortal.url) as client:
        events = list(client.read("orders"))
    found = {event.data["n"]: event.version for event in events}
    assert len(found) == len(events) and [event.version for event in events] == list(range(len(events)))
    assert appending.answered.items() <= found.items()
    assert found.keys() - appending.answered.keys() <= appending.cut
    assert all(event.event_id == f"e-{event.data['n']}" for event in events if event.data["n"] % 2)
    assert all(re.fullmatch("[0-9a-f]{32}", event.event_id or "") for event in events if event.data["n"] % 2 == 0)


def lines_of(response: http.client.HTTPResponse, count: int) -> list[str]:
    """So many lines that say something."""
    found: list[str] = []
    while len(found) < count:
        line = response.readline().decode()
        assert line, found
        if line.strip():
            found.append(line.strip())
    return found


def test_events_pass_at_once_and_go_on_behind_the_last_one(stack: Stack) -> None:
    follower = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=4.0)  # before there is a heartbeat
    follower.request("GET", "/streams/followed?follow=true")
    response = follower.getresponse()
    assert lines_of(response, 2)[0] == ": following"
    for number in range(3):
        stack.request("POST", "/streams/followed", json.dumps(number))
        identity, data = lines_of(response, 2)
        assert identity == f"id: {number}" and json.loads(data.removeprefix("data: "))["data"] == number
    follower.close()
    again = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=4.0)
    again.request("GET", "/streams/followed?follow=true", headers={"Last-Event-ID": "1"})
    assert lines_of(again.getresponse(), 3)[2] == "id: 2"
    again.close()


def test_a_client_follows_on_when_what_serves_it_dies(mortal: Stack) -> None:
    followed: list[int] = []

    def follow() -> None:
        with EventStoreClient(mortal.url) as client:
            for event in client.follow("long", timeout=LIMIT_S):
                followed.append(event.version)
                if event.version == 29:
                    return

    thread = threading.Thread(target=follow)
    thread.start()
    with EventStoreClient(mortal.url) as client:
        for number in range(30):
            client.append("long", number)
            assert eventually(lambda number=number: number in followed)  # type: ignore[misc]
            if number in (5, 15):  # one of them serves it
                mortal.serving.kill()
                mortal.serving.start()
                for worker in psutil.Process(mortal.gunicorn.pid).children():
                    worker.kill()
    thread.join(LIMIT_S)
    assert followed == list(range(30))


def test_requests_keep_their_ids_and_get_one_where_they_have_none(stack: Stack) -> None:
    assert stack.request("GET", "/health", X_Request_Id="abc-1")[2]["X-Request-Id"] == "abc-1"
    made = {stack.request("GET", "/health")[2]["X-Request-Id"] for _ in range(3)}
    assert len(made) == 3 and all(re.fullmatch("[0-9a-f]{32}", each) for each in made)


def test_a_batch_passes_with_ids_of_its_own(stack: Stack) -> None:
    batch = json.dumps([{"data": 1, "eventId": "a"}, {"data": 2, "eventId": "b"}])
    answers = [stack.request("POST", "/streams/batch?many=true", batch)[:2] for _ in range(2)]
    assert answers == [(202, {"stream": "batch", "versions": [0, 1]})] * 2
    assert stack.request("POST", "/streams/batch?eventId=a", "1")[1]["version"] == 0
    assert stack.request("POST", "/streams/batch", "1", Idempotency_Key="b")[1]["version"] == 1


def test_the_names_of_streams_pass_without_a_detour(stack: Stack) -> None:
    stack.request("POST", "/streams/named", "1")
    status, answer, _ = stack.request("GET", "/streams?prefix=named")
    assert (status, answer) == (200, {"streams": ["named"]})


def test_a_name_is_known_when_it_was_given(stack: Stack) -> None:
    assert stack.request("GET", "/ready")[0] == 200
    assert stack.request("GET", "/ready", Host="events.example")[0] == 200
    status, answer, _ = stack.request("GET", "/ready", Host="other.example")
    assert status == 421 and "not known as 'other.example'" in answer["error"]


def test_records_and_metrics_pass_as_they_are(stack: Stack) -> None:
    assert stack.request("POST", "/metrics", '{"label": "cpu", "value": 2.5}')[0] == 202
    assert stack.request("GET", "/metrics/sum?label=cpu")[:2] == (200, 2.5)


@contextmanager
def alone(folder: Path, name: str, **variables: str) -> Iterator[tuple[int, int]]:
    """The ports of nginx and of the one process behind it."""
    with Serving(SHMSTORE_NAME=name, SHMSTORE_CAPACITY="1000", **variables) as serving:
        port, upstream = free_port(), f"127.0.0.1:{serving.port}"
        with Nginx(folder, port, {"nginx.conf": configuration(port, upstream, upstream)}):
            yield port, serving.port


def test_nobody_is_local_through_a_proxy(tmp_path: Path, name: str) -> None:
    with alone(tmp_path, name) as (port, direct):
        status, answer, _ = request(port, "POST", "/admin/clear")
        assert status == 403 and "through no proxy" in answer["error"]
        assert request(direct, "POST", "/admin/clear")[:2] == (200, {"cleared": True})


def test_a_token_opens_the_administration(tmp_path: Path, name: str) -> None:
    with alone(tmp_path, name, SHMSTORE_ADMIN_TOKEN=TOKEN) as (port, _):
        assert request(port, "POST", "/admin/clear")[0] == 401
        opened = request(port, "POST", "/admin/clear", Authorization=f"Bearer {TOKEN}")
        assert opened[:2] == (200, {"cleared": True})
