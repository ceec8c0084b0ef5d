"""Connections to a service: what is sent again and what is not, and what is kept open."""

import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shmstore import errors
from shmstore.http import connections
from shmstore.http.client import EventStoreClient
from shmstore.http.connections import back_off
from tests.helpers import programs
from tests.helpers.scripted import HANG_UP, Cut, Fake, Say, Stream, accepted, refusal, sent, wait_for

pytestmark = pytest.mark.usefixtures("pauses")

# Trouble. A connection that ends within the headers looks like an answer without a length.

CUT = (
    b"HTTP/1.1 20",
    b"HTTP/1.1 202 Accepted\r\n",
    b"HTTP/1.1 202 Accepted\r\nContent-",
    b"HTTP/1.1 202 Accepted\r\nContent-Length: 2",
    b'HTTP/1.1 202 Accepted\r\n\r\n{"version": {"version": 1}',
    b"HTTP/1.1 202 Accepted\r\n\r\n1",
    b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{",
)


def test_what_stalls_is_sent_again_with_the_same_id(fake: Fake, client: EventStoreClient, pauses: list[float]) -> None:
    fake.script = [Say(503, {"error": "stalled"}, (("Retry-After", "1"),)), refusal(503), accepted(5)]
    assert client.append("s", 1) == 5
    assert pauses == [1.0, 0.1] and len({asked.query["eventId"] for asked in fake.asked}) == 1


def test_what_stalls_for_ever_is_told(fake: Fake, pauses: list[float]) -> None:
    fake.script = [refusal(503, "stalled") for _ in range(3)]
    with EventStoreClient(fake.url, retries=2) as client:
        with pytest.raises(errors.PartitionStalled, match=r"^stalled \(http://127.* said so, after 3 tries\)"):
            client.append("s", 1)
    assert pauses == [0.05, 0.1]


def test_a_proxy_without_a_service_behind_it_is_no_stalled_partition(fake: Fake) -> None:
    fake.script = [Say(502, raw=b"<html>"), Say(503, raw=b"<html>")]
    with EventStoreClient(fake.url, retries=1) as client:
        with pytest.raises(ConnectionError, match=r"did not answer in 2 tries .the last answer was 503"):
            client.append("s", 1)


@pytest.mark.parametrize("trouble", [HANG_UP, Say(202, {"version": 1}, missing=3), *map(Cut, CUT)])
def test_an_append_whose_answer_is_lost_is_sent_again(
    fake: Fake, client: EventStoreClient, pauses: list[float], trouble: Any
) -> None:
    fake.script = [trouble, trouble, accepted(5)]
    assert client.append("s", 1) == 5
    assert len({asked.query["eventId"] for asked in fake.asked}) == 1 and pauses == [0.05, 0.1]


def test_an_answer_without_a_length_is_taken_when_it_is_whole(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [Cut(b'HTTP/1.0 202 Accepted\r\n\r\n{"version": 5}\n'), accepted(6)]
    assert [client.append("s", 1) for _ in range(2)] == [5, 6]


def test_who_never_answers_is_named(fake: Fake, pauses: list[float]) -> None:
    fake.script = [HANG_UP] * 7
    with EventStoreClient(fake.url, retries=6) as client:
        with pytest.raises(
            ConnectionError, match=f"{fake.url} did not answer in 7 tries .RemoteDisconnected: "
        ) as told:
            client.streams()
    assert pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6] and told.value.__cause__ is not None


def test_pauses_are_up_to_chance_and_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for tries, most in ((1, 0.05), (3, 0.2), (7, 2.0), (10_000, 2.0)):
        found = [back_off(tries) for _ in range(50)]
        assert 0 <= min(found) < max(found) <= most


def test_a_number_that_may_have_been_added_is_not_sent_again(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [HANG_UP, refusal(503, "stalled")]
    with pytest.raises(ConnectionError, match=r"in 1 try .* may have been done"):
        client.add("cpu", 1)
    with pytest.raises(errors.PartitionStalled):
        client.add("cpu", 1)


def test_whom_nobody_serves_is_asked_again_also_to_add(pauses: list[float]) -> None:
    with EventStoreClient("http://127.0.0.1:1", retries=2) as client:
        for call in (lambda: client.add("cpu", 1), lambda: next(client.read("s")), lambda: client.version("s")):
            with pytest.raises(ConnectionError, match=r"http://127.0.0.1:1 did not answer in 3 tries \(ConnectionRef"):
                call()
        assert pauses == [0.05, 0.1] * 3
        assert not client.health() and len(pauses) == 6


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"], ids=["headers", "body"])
def test_an_answer_that_comes_byte_by_byte_takes_no_longer_than_the_timeout(begins: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def dribble() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(begins)
                for piece in b"HTTP/1.1 200 OK\r\n" + b" " * 300:
                    connection.sendall(bytes([piece]))
                    if gone.wait(0.05):
                        return

        gone, thread = threading.Event(), threading.Thread(target=dribble)
        thread.start()
        began = time.monotonic()
        with EventStoreClient(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.3, retries=0) as client:
            with pytest.raises(ConnectionError, match="timed out"):
                client.streams()
        took = time.monotonic() - began
        gone.set()
        thread.join()
    assert took < 8  # and 15 s, were each byte given time anew


def test_a_timeout_is_trouble(fake: Fake, pauses: list[float]) -> None:
    fake.script = [Stream([], stays=True)]
    with EventStoreClient(fake.url, timeout=timedelta(seconds=0.05), retries=0) as client:
        with pytest.raises(ConnectionError, match="TimeoutError"):
            client.streams()


# Connections.


def test_a_connection_is_used_again(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [accepted(version) for version in range(3)] + [refusal(409, actual=3), accepted(4)]
    for version in range(3):
        assert client.append("s", 1) == version
    with pytest.raises(errors.WrongExpectedVersion):
        client.append("s", 1, expected_version=1)
    client.append("s", 1)
    assert {asked.connection for asked in fake.asked} == {0}


def test_no_more_are_kept_than_asked_for(fake: Fake) -> None:
    fake.script = [accepted(0), accepted(1)]
    with EventStoreClient(fake.url, pool=0) as client:
        client.append("s", 1)
        client.append("s", 1)
    assert [asked.connection for asked in fake.asked] == [0, 1]


def test_one_that_the_service_closed_is_not_used_again(
    fake: Fake, client: EventStoreClient, pauses: list[float]
) -> None:
    fake.script = [Say(202, {"version": 0}, closes=True), Say(202, {})]
    client.append("s", 1)
    assert wait_for(lambda: connections._has_ended(client._connections._idle[0][2]))
    client.add("cpu", 1)  # not even this fails
    assert [asked.connection for asked in fake.asked] == [0, 1] and pauses == []


def test_what_is_sent_once_takes_no_connection_that_the_service_may_just_be_closing(
    fake: Fake, client: EventStoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]
    monkeypatch.setattr(connections, "monotonic", lambda: passed[0])
    fake.script = [Say(202, {}), Say(202, {}), accepted(0), Say(202, {}), Say(202, {})]
    for seconds, call in ((0, client.add), (0.4, client.add), (30, client.append), (2, client.add), (0, client.add)):
        passed[0] += seconds
        call("cpu", 1)
    assert [asked.connection for asked in fake.asked] == [0, 0, 0, 1, 1]


def test_one_that_the_service_closes_just_then_is_replaced_at_once(
    fake: Fake, client: EventStoreClient, pauses: list[float]
) -> None:
    fake.script = [accepted(0), HANG_UP, accepted(1)]
    client.append("s", 1)
    client.append("s", 1)
    assert [asked.connection for asked in fake.asked] == [0, 0, 1] and pauses == []
    assert fake.asked[1].query == fake.asked[2].query


def test_many_threads_ask_at_once(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [accepted(0) for _ in range(80)]
    threads = [threading.Thread(target=lambda: [client.append("s", 1) for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake.asked) == 80 and len({asked.connection for asked in fake.asked}) <= 8
    assert len({asked.query["eventId"] for asked in fake.asked}) == 80


def test_a_forked_process_has_its_own_connections(
    fake: Fake, client: EventStoreClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script = [accepted(0), accepted(1), accepted(2)]
    client.append("s", 1)
    with monkeypatch.context() as forked:
        forked.setattr(connections, "os", SimpleNamespace(getpid=lambda: os.getpid() + 1))
        client.append("s", 1)
    assert [asked.connection for asked in fake.asked] == [0, 1]
    client.append("s", 1)


def test_a_closed_client_says_so(fake: Fake, client: EventStoreClient) -> None:
    fake.script = [accepted(0)]
    client.append("s", 1)
    client.close()
    client.close()
    for call in (lambda: client.append("s", 1), lambda: client.read("s"), lambda: client.follow("s")):
        with pytest.raises(errors.StoreClosed, match=r"the client of http://127\S+ was closed"):
            call()
    assert "closed" in repr(client)


@programs.needs("openssl")
def test_all_of_it_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out certificate "
        "-days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    files = str(tmp_path / "certificate"), str(tmp_path / "key")
    fake = Fake(files)
    try:
        monkeypatch.setenv("SSL_CERT_FILE", files[0])
        fake.script = [accepted(0), accepted(1), Stream([sent(0)]), Stream([sent(1)], stays=True)]
        with EventStoreClient(fake.url) as client:
            assert [client.append("s", 1) for _ in range(2)] == [0, 1]
            assert {asked.connection for asked in fake.asked} == {0} and pauses == []
            following = client.follow("s")
            assert [next(following).version for _ in range(2)] == [0, 1]
            waiting = threading.Thread(target=lambda: list(following))
            waiting.start()
            following.close()
            waiting.join(5)
            assert not waiting.is_alive()
        monkeypatch.delenv("SSL_CERT_FILE")
        with EventStoreClient(fake.url, retries=0) as client:
            with pytest.raises(ConnectionError, match="SSLCertVerificationError"):
                client.streams()
    finally:
        fake.close()
