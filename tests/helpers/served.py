"""Real servers on a socket in a folder: gunicorn, with an application whose requests are counted, and others."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 30.0

# /            counts a request that was handled and answers with the worker's process
# /hang        is never answered
# /fails       raises
# /metrics     what all workers have counted
APPLICATION = """
import os, time
from shmstore import metrics

orders = metrics.Counter("orders", "Orders", ["kind"])
sizes = metrics.Histogram("sizes", "Sizes", buckets=(1, 10))
exposition = metrics.make_wsgi_app()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/metrics":
        return exposition(environ, start_response)
    if path == "/hang":
        time.sleep(60)
    if path == "/fails":
        raise KeyError(path)
    orders.labels("a").inc()
    sizes.observe(5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

app = metrics.WSGIMiddleware(application, lambda environ: environ["PATH_INFO"])
"""

Samples = dict[str, float]


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self._path)


class Server:
    """A server and its workers, from `with` to its end. `command` is a Python module that listens at `socket`."""

    def __init__(self, folder: Path, *command: str, **environment: str) -> None:
        self.folder = folder
        self._socket = folder / "socket"
        self._command = [sys.executable, "-m", *command]
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}

    def __enter__(self) -> Self:
        self.log = open(self.folder / "log", "a+")  # closed at the end of the with block
        self._master = subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=self._environment,
            stdout=self.log,
            stderr=self.log,
        )
        self.until(lambda: self._socket.exists() and bool(self.get("/metrics")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            print(self.said())
        try:
            self.stop()
        finally:
            self._master.kill()
            self._master.wait()
            self.log.close()

    @property
    def pid(self) -> int:
        return self._master.pid

    def said(self) -> str:
        """Its log so far."""
        return (self.folder / "log").read_text()

    def send(self, number: int) -> None:
        self._master.send_signal(number)

    def stop(self) -> int:
        """End it as it should end. Returns the exit status."""
        self.send(signal.SIGTERM)
        return self._master.wait(LIMIT_S)

    def kill(self) -> None:
        """Kill the master; its workers notice that, and end."""
        self._master.kill()
        self._master.wait()

    def request(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """One request on a connection of its own, a POST when it has a body. Raises OSError or HTTPException when there
        is no answer.
        """
        connection = _Connection(str(self._socket))
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str = "/", **headers: str) -> bytes:
        """The same, for an answer that is as it should be."""
        status, body = self.request(path, **headers)
        assert status == (500 if path == "/fails" else 200), body
        return body

    def ask(self, times: int) -> set[int]:
        """Handle requests. Returns the workers that have handled them."""
        return {int(self.get()) for _ in range(times)}

    def scrape(self) -> Samples:
        """All samples, as another library reads them: `name{label values}`."""
        text = self.get("/metrics", Accept="application/openmetrics-text").decode()
        reader = openmetrics_parser if text.endswith("# EOF\n") else parser  # not every application negotiates
        return {
            f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
            for family in reader.text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str) -> float:
        """One sample, or 0 when there is none."""
        return self.scrape().get(name, 0.0)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so; a master that has ended meanwhile fails."""
        limit = time.monotonic() + LIMIT_S
        while True:
            try:
                if is_so():
                    return
            except (OSError, http.client.HTTPException):
                pass  # not yet, or between two workers
            assert self._master.poll() is None, self.said()
            assert time.monotonic() < limit, self.said()
            time.sleep(0.02)


class Gunicorn(Server):
    """A master and its workers; `configuration` is that of gunicorn.conf.py."""

    def __init__(
        self,
        folder: Path,
        configuration: str,
        *arguments: str,
        application: str = APPLICATION,
        workers: int = 2,
        **environment: str,
    ) -> None:
        (folder / "application.py").write_text(application)
        (folder / "gunicorn.conf.py").write_text(configuration)
        command = ("gunicorn", "--config", "gunicorn.conf.py", "--bind", f"unix:{folder / 'socket'}", "--pid", "pid")
        options = ("--workers", str(workers), "--graceful-timeout", "5", "--no-control-socket", *arguments)
        super().__init__(folder, *command, *options, "application:app", **environment)
