"""`shmstore-serve` as a process, from `with` to its end, and where it listens."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import shmstore

LIMIT_S = 30.0
SERVE = [sys.executable, "-m", "shmstore.cli.serve"]
OWN = {variable: value for variable, value in os.environ.items() if not variable.startswith("SHMSTORE_")}
ENVIRONMENT = {**OWN, "PYTHONPATH": str(Path(shmstore.__file__).parents[1])}


class Service:
    """The command as it runs, and where it listens."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stderr is not None
        self.first_line = process.stderr.readline()
        found = re.search(r" at (?:http://.+:(\d+)|unix:.+)$", self.first_line.strip())
        assert found, self.first_line + process.stderr.read()
        self.port = int(found[1] or 0)

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        return response.status, json.loads(data)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        output, messages = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, output, messages


@contextmanager
def serving(*arguments: str, stdin: int = subprocess.DEVNULL, **variables: str) -> Iterator[Service]:
    with subprocess.Popen(
        [*SERVE, *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**ENVIRONMENT, **variables},
    ) as process:
        try:
            yield Service(process)
        finally:
            process.kill()
