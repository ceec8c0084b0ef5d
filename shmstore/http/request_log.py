"""One JSON line a request, and one for whatever fails in an application. What clients send cannot forge a line."""

import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Protocol

_LONGEST_TEXT: Final = 2 << 10


_LOOK_S: Final = 1.0  # whether the file was renamed


class Lines(Protocol):
    """Where lines go: a text file, or what can as much."""

    def write(self, text: str, /) -> object:
        """Add a line."""

    def flush(self) -> object:
        """Let others see it."""


class LogFile:
    """Appends lines to a file, each in one piece; goes on in a new one when it was renamed or removed, for logrotate.

    Raises OSError when it cannot be opened at first.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = self._opened()
        self._look_at_s = 0.0

    def write(self, text: str) -> int:
        """Append a line."""
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_S
            self.reopen()
        return os.write(self._fd, text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Nothing: nothing is kept back."""

    def reopen(self) -> None:
        """Go on in the file that has the name now; where that cannot be opened, in the old one."""
        with suppress(OSError):
            if not self._is_there():
                opened = self._opened()
                os.dup2(opened, self._fd, inheritable=False)  # at once, whoever writes just now
                os.close(opened)

    def close(self) -> None:
        """Let go of it; whoever writes then gets an OSError."""
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


class RequestLog:
    """Writes to a text file; without one, requests are not told, and errors go to stderr.

    It is the `wsgi.errors` of an application as well.
    """

    def __init__(self, file: Lines | None) -> None:
        self._file = file
        self.is_on = file is not None

    def request(
        self, method: str, path: str, status: int, count: int, milliseconds: float, remote: str, request_id: str
    ) -> None:
        """Tell of a request that was answered; status 0 is one that was not."""
        self._line(
            method=method[:_LONGEST_TEXT],
            path=path[:_LONGEST_TEXT],
            status=status,
            bytes=count,
            milliseconds=round(milliseconds, 3),
            remote=remote,
            requestId=request_id[:_LONGEST_TEXT] or None,
        )

    def write(self, text: str) -> int:
        """Tell of an error."""
        if text.strip():
            self._line(error=text.rstrip())
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        """The same, of several."""
        self.write("".join(texts))

    def flush(self) -> None:
        """Nothing: each line is written at once."""

    def _line(self, **parts: object) -> None:
        time = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        try:
            file = self._file or sys.stderr
            file.write(json.dumps({"time": time, **parts}, separators=(",", ":")) + "\n")
            file.flush()
        except (OSError, ValueError, AttributeError):
            pass  # the disk is full or the file closed: requests are answered all the same
