"""One JSON line a request, and one for whatever fails in an application. What clients send cannot forge a line."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, TextIO

_LONGEST_TEXT: Final = 2 << 10


class RequestLog:
    """Writes to a text file; without one, requests are not told, and errors go to stderr.

    It is the `wsgi.errors` of an application as well.
    """

    def __init__(self, file: TextIO | None) -> None:
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
