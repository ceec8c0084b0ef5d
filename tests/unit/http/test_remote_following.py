"""Following a stream of a service, over connections that are cut, silent or refused."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from shmstore import errors
from shmstore.http import remote_following
from shmstore.http.client import EventStoreClient
from tests.helpers.scripted import HANG_UP, Cut, Fake, Say, Stream, page, refusal, sent

pytestmark = pytest.mark.usefixtures("pauses")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("at", [1, 20, -1])
def test_following_goes_on_where_it_was_cut(fake: Fake, client: EventStoreClient, chunked: bool, at: int) -> None:
    cut = sent(2)
    fake.script = [
        Stream([b": following\n\n", sent(0, {"a": "ü"}), sent(1, b"x".hex()), cut[:at]], chunked=chunked),
        Stream([b": heartbeat\r\n\r\n", cut[:5], cut[5:], sent(3)], chunked=chunked),
        Stream([sent(4)], stays=True),
    ]
    with client.follow("s") as following:
        assert [next(following).version for _ in range(5)] == [0, 1, 2, 3, 4]
    assert fake.gone.wait(5)
    assert [asked.headers["Last-Event-ID"] for asked in fake.asked] == [None, "1", "3"]
    assert [asked.query for asked in fake.asked] == [{"follow": "true", "from": str(at)} for at in (0, 2, 4)]
    assert {asked.headers["Accept"] for asked in fake.asked} == {"text/event-stream"}


def test_who_begins_in_the_middle_says_so_only_once_an_event_came(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [HANG_UP, Stream([sent(7)]), Stream([sent(8)], stays=True)]
    with client.follow("s", 7) as following:
        assert [next(following).version for _ in range(2)] == [7, 8]
    assert [asked.headers["Last-Event-ID"] for asked in fake.asked] == [None, None, "7"]
    assert [asked.query["from"] for asked in fake.asked] == ["7", "7", "8"]


def test_what_was_given_already_is_not_given_again(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Stream([sent(0), sent(1)]), Stream([sent(0), sent(1), sent(2)], stays=True)]
    with client.follow("s") as following:
        assert [next(following).version for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    "piece",
    [
        b'event: truncated\ndata: {"error": "gone",\ndata: "firstVersion": 7}\n\n',
        sent(7),
    ],
)
def test_versions_that_are_gone_are_told(fake: Fake, client: EventStoreClient, piece: bytes) -> None:
    fake.script = [Stream([sent(3), piece])]
    following = client.follow("s", 3)
    assert next(following).version == 3
    with pytest.raises(errors.StreamTruncated) as gone:
        next(following)
    assert (gone.value.stream, gone.value.version, gone.value.first) == ("s", 4, 7)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(410), errors.StreamDeleted),
        (refusal(410, firstVersion=2), errors.StreamTruncated),
        (refusal(401), errors.AccessDenied),
        (page(1), errors.ShmStoreError),
        (Stream([b"data: {\n\n"]), errors.ShmStoreError),
        (Stream([b'event: deleted\ndata: {"error": "gone"}\n\n']), errors.StreamDeleted),
    ],
)
def test_following_ends_with_what_does_not_pass(
    fake: Fake, client: EventStoreClient, answer: Any, error: type[Exception]
) -> None:
    fake.script = [answer]
    with pytest.raises(error):
        next(client.follow("s"))


def test_trouble_that_passes_does_not_end_it(fake: Fake, pauses: list[float]) -> None:
    fake.script = [
        refusal(404, stream="s"),
        HANG_UP,
        refusal(503),
        Say(502, raw=b""),
        Stream([b"event: other\ndata: 1\n\n"]),
    ]
    fake.script += [Stream([sent(0)]), HANG_UP, HANG_UP, HANG_UP, Stream([sent(1)], stays=True)]
    with EventStoreClient(fake.url, retries=1) as client:
        with client.follow("s") as following:
            assert [next(following).version for _ in range(2)] == [0, 1]
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 0.05, 0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/ev",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Enc",
        b"HTTP/1.1 410 Gone\r\nContent-Type: application/json\r\n",
        b'HTTP/1.1 410 Gone\r\nContent-Length: 100\r\n\r\n{"error": "',
    ],
)
def test_an_answer_that_is_cut_is_trouble(fake: Fake, client: EventStoreClient, cut: bytes) -> None:
    fake.script = [Cut(cut), Cut(cut), Stream([sent(0)], stays=True)]
    with client.follow("s") as following:
        assert next(following).version == 0


@pytest.mark.parametrize("trouble", [HANG_UP, refusal(503), Say(502, raw=b"")])
def test_whom_it_never_reached_is_named(fake: Fake, trouble: Any) -> None:
    fake.script = [trouble, trouble]
    with EventStoreClient(fake.url, retries=1) as client:
        with pytest.raises(ConnectionError, match=f"{fake.url} did not answer in 2 tries"):
            next(client.follow("s"))


def test_silence_is_an_end_of_the_connection(
    fake: Fake, client: EventStoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_following, "_SILENCE_S", 0.1)
    fake.script = [Stream([sent(0)], stays=True), Stream([sent(1)], stays=True)]
    with client.follow("s") as following:
        assert [next(following).version for _ in range(2)] == [0, 1]


def test_it_ends_when_nothing_comes_in_time(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Stream([sent(0), b": heartbeat\n\n"], stays=True), Stream([b": heartbeat\n\n"], stays=True)]
    assert [found.version for found in client.follow("s", timeout=0.1)] == [0]
    assert list(client.follow("s", timeout=timedelta(seconds=0.05))) == []
    with pytest.raises(ConnectionError):
        list(EventStoreClient("http://127.0.0.1:1").follow("s", timeout=1e-9))


@pytest.mark.parametrize("ending", ["follower", "client"])
def test_closing_wakes_whoever_waits(fake: Fake, client: EventStoreClient, ending: str) -> None:
    fake.script = [Stream([sent(0)], stays=True)]
    following = client.follow("s")
    assert next(following).version == 0
    left: list[Any] = []
    waiting = threading.Thread(target=lambda: left.extend(following))
    waiting.start()
    (following if ending == "follower" else client).close()
    waiting.join(5)
    assert not waiting.is_alive() and left == [] and fake.gone.wait(5)


def test_what_is_left_behind_is_closed(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Stream([sent(0)], stays=True)]
    for found in client.follow("s"):
        assert found.version == 0
        break
    assert fake.gone.wait(5)
