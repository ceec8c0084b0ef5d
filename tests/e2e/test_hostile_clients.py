"""Servers stand whatever clients send: good clients notice nothing, and at the end a server is as it was."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import hostile_clients
from tests.helpers.effort import cases
from tests.helpers.hostile_clients import SERVERS, attack, target

REQUESTS = cases(full=20_000, sample=3000)  # to one server

FAILS = 'if environ["PATH_INFO"] == "/health": raise KeyError("planted")'
DOUBLES = """if environ["PATH_INFO"].startswith("/streams/good/"):
        environ["QUERY_STRING"] = ""
        service(environ.copy(), lambda *_: print)
"""
KEEPS = """kept.append((os.dup(0), b"x" * 100_000))
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
DIES = """if len(kept) == 200: os._exit(1)
    kept.append(0)
"""
PLANTED = {
    "fails and doubles": (
        f"{FAILS}\n    {DOUBLES}",
        *("[0-9]+ answers were 500", "the log has [0-9]+ tracebacks", "were acknowledged from|a good client got"),
    ),
    "keeps": (KEEPS, "descriptors, threads and bytes grew"),
    "dies": (DIES, "the processes were"),
}
APPLICATION = """
import os, threading, time
from shmstore.http.service import app as service
kept = []

def app(environ, start_response):
    {planted}
    return service(environ, start_response)
"""


@pytest.mark.parametrize("turn", range(cases(full=25, sample=1)))
@pytest.mark.parametrize("kind", SERVERS)
def test_good_clients_notice_nothing_whatever_others_send(
    tmp_path: Path, name: str, seed: int, kind: str, turn: int, scorecard: Callable[..., None]
) -> None:
    with target(kind, name, tmp_path) as server:
        found = attack(server, REQUESTS, seed + turn)
    scorecard(
        28,
        requests=found.requests,
        appends=found.acknowledged,
        failed=found.failed,
        wrong=len(found.wrong),
        growth_bytes=found.growth_bytes,
    )
    assert found.wrong == []
    assert found.requests >= REQUESTS and found.answered > REQUESTS // 10 and found.refused and found.acknowledged


@pytest.mark.parametrize("error", PLANTED)
def test_an_error_of_a_server_is_found(
    tmp_path: Path, name: str, error: str, monkeypatch: pytest.MonkeyPatch, scorecard: Callable[..., None]
) -> None:
    planted, *told = PLANTED[error]
    monkeypatch.setattr(hostile_clients, "REST_S", 0.2)
    with target("gunicorn", name, tmp_path, APPLICATION.replace("{planted}", planted)) as server:
        found = attack(server, 1000, 1)
    for says in told:
        assert re.search(says, "\n".join(found.wrong)), found
    scorecard(28, planted=error)
