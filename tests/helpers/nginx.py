"""A real nginx whose files are all in one folder, for tests and for samples."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_LIMIT_S: Final = 10.0
_PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])  # not every user's PATH has it


class DidNotStart(Exception):
    """nginx has ended, or does not listen; says why."""


class Nginx:
    """From `with` to its end, or `start` to `stop`. `files` go to the folder; of these nginx.conf says `daemon off`."""

    def __init__(self, folder: Path, port: int, files: dict[str, str]) -> None:
        self.port = port
        self._folder = folder
        self._files = files

    def start(self) -> None:
        """Raises DidNotStart."""
        found = shutil.which("nginx", path=_PATH)
        if found is None:
            raise DidNotStart("nginx is not there (on Debian: apt-get install nginx-light)")
        for name, text in self._files.items():
            (self._folder / name).write_text(text, encoding="utf-8")
        command = [found, "-p", str(self._folder), "-c", "nginx.conf", "-e", "error.log"]
        if os.geteuid() == 0:  # whose nginx would become nobody, who may not look into the folder
            command += ["-g", "user root;"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8", process_group=0
        )
        limit_s = time.monotonic() + _LIMIT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > limit_s:
                self.stop()
                raise DidNotStart(f"nginx does not listen at port {self.port}: {self.said()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it and its worker. Idempotent."""
        self._process.terminate()
        try:
            self._process.wait(_LIMIT_S)
        finally:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def said(self) -> str:
        """Its log so far."""
        log = self._folder / "error.log"
        return log.read_text(encoding="utf-8").strip() if log.exists() else ""

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=_LIMIT_S).close()
        except OSError:
            return False
        return self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def free_port(port: int = 0) -> int:
    """This port of 127.0.0.1, or any, at which nobody listens now. Raises OSError when somebody does."""
    with socket.create_server(("127.0.0.1", port)) as found:
        free: int = found.getsockname()[1]
        return free
