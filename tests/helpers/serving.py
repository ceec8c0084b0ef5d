"""`shmstore-serve` as a process, at a port that is free, for tests and for samples."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_ROOT: Final = Path(__file__).resolve().parents[2]
_LIMIT_S: Final = 30.0


class Serving:
    """From `with` to its end. One that was killed may be started again, and listens at the same port."""

    def __init__(self, *options: str, **variables: str) -> None:
        self.port = 0
        self._options = options
        self._environment = {**os.environ, "PYTHONPATH": str(_ROOT), **variables}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raises RuntimeError, with what it said, when it does not serve."""
        command = [sys.executable, "-m", "shmstore.cli.serve", *self._options, "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, env=self._environment, stderr=subprocess.PIPE, encoding="utf-8", process_group=0
        )
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        found = re.search(r" at http://.+:(\d+)$", said.strip())
        if found is None:
            said += self.process.stderr.read()
            self.stop()
            raise RuntimeError(f"the service does not serve: {said.strip()}")
        self.port = int(found[1])

    def kill(self) -> None:
        """SIGKILL it, and wait for its end."""
        self.process.kill()
        self._close()

    def stop(self) -> None:
        """End it as it should end. Idempotent."""
        self.process.terminate()
        try:
            self.process.wait(_LIMIT_S)
        finally:
            self.kill()

    def _close(self) -> None:
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
