"""Another program asks the service for all that its description tells of, rightly and wrongly, and checks the answers.

It is schemathesis, as a process of its own: no answer may be 5xx or have a status, a type of content or a body that
`GET /openapi.json` does not tell of, and whatever the description forbids must be refused.
"""

import importlib.util
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import shmstore
from shmstore.http.message import json_answer
from shmstore.http.openapi import document
from shmstore.http.server import Server
from shmstore.http.service import ROUTES, Service
from shmstore.http.settings import Settings
from tests.helpers.effort import cases

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="schemathesis of the dependency group test is missing"
)
LIMIT_S = 100.0
SEED = 20261128
# Schemas cannot tell of bytes of UTF-8, nor that one time lies before another, nor what the body is with many=true.
NOT_ASKED = "positive_data_acceptance"


class OneLook:
    """The service, with streams of events that end after their first piece: else whoever asks for one waits."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        types: list[str] = []

        def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            types[:] = [value for name, value in headers if name == "Content-Type"]
            return start(status, headers, *more)

        environ.pop("shmstore.detach", None)  # so that it is this that sends the pieces
        answer: Any = self._service(environ, started)
        if types != ["text/event-stream"]:
            return answer  # type: ignore[no-any-return]
        try:
            return [next(iter(answer))]
        finally:
            answer.close()


@contextmanager
def served(name: str) -> Iterator[Server]:
    service = Service(Settings(name=name, capacity=1000, partitions=2, event_size=256), None)
    server = Server(OneLook(service), port=0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.stop(5.0)
        thread.join()
        service.close()
        for each in (name, f"{name}-records"):
            shmstore.unlink(each)


def examined(server: Server, folder: Path, examples: int) -> "subprocess.CompletedProcess[str]":
    """What schemathesis says of all that the service says of itself."""
    arguments = ("--seed", str(SEED), "--max-examples", str(examples), "--request-timeout", "10", "--no-color")
    phases = ("--phases", "coverage,fuzzing", "--exclude-checks", NOT_ASKED, "--continue-on-failure")
    where = ("--generation-database", "none", f"http://127.0.0.1:{server.port}/openapi.json")
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", *arguments, *phases, *where],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
        check=False,
    )


def test_the_service_is_as_it_says(name: str, tmp_path: Path, scorecard: Callable[..., None]) -> None:
    with served(name) as server:
        done = examined(server, tmp_path, cases(full=100, sample=15))
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"([0-9]+) generated, ([0-9]+) passed", done.stdout)
    assert found and found[1] == found[2], done.stdout
    scorecard(28, generated=int(found[1]), failed=0)
    paths = {path: item.keys() - {"parameters"} for path, item in document()["paths"].items()}
    operations = sum(map(len, paths.values())) - len(paths["/openapi.json"])  # which it has read by then
    assert f"Selected: {operations}/{operations}\n  Tested: {operations}\n" in done.stdout


def test_a_service_that_is_not_as_it_says_is_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "/ready": json_answer(200, {"ready": "yes"}),
        "/streams": json_answer(204, None),
        "/metrics/sum": json_answer(500, {"error": "no"}),
        "/metrics/snapshot-views": json_answer(200, {})._replace(content_type="text/html"),
    }
    described = {path: document()["paths"][path] for path in answers}
    answers["/openapi.json"] = json_answer(200, {**document(), "paths": described})
    for path, answer in answers.items():
        monkeypatch.setitem(ROUTES, path, {"GET": lambda _stores, _request, answer=answer: answer})
    with served(name) as server:
        done = examined(server, tmp_path, 1)
    assert done.returncode == 1, done.stdout + done.stderr
    found = ("Response violates schema", "Undocumented status code", "Server error", "Undocumented Content-Type")
    assert [each for each in found if each not in done.stdout] == [], done.stdout
