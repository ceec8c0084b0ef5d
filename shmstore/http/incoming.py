"""Makes requests of bytes as they come in, whole ones only, with no socket in sight."""

import re
from typing import Any, Final, NamedTuple

from shmstore.http.requests import (
    LONGEST_LINE,
    MOST_HEADERS,
    Headers,
    Line,
    Refused,
    bad,
    check_unfinished,
    read_headers,
    read_line,
)

_LONGEST_KNOWN: Final = 2 << 10
_LONGEST_CHUNK_LINE: Final = 1 << 10
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_END: Final = b"\r\n\r\n"
_SLOPPY_END: Final = re.compile(rb"\n\r?\n")
_SIZE, _DATA, _TRAILER = range(3)


class Opening(NamedTuple):
    """What stands before a body."""

    line: Line
    headers: Headers


class Received(NamedTuple):
    """A request with its whole body."""

    environ: dict[str, Any]
    body: bytes
    keeps_alive: bool
    is_old: bool


class Incoming:
    """What one connection has sent and what of it was taken. Raises Refused for good: nothing may be read after it."""

    def __init__(self, body_limit: int) -> None:
        self.body_received = 0
        self.wants_continue = False
        self._body_limit = body_limit
        self._buffer = bytearray()
        self._searched = 0
        self._opening: Opening | None = None
        self._known: tuple[bytes, bool, str | None] | None = None
        self._headers: Headers | None = None
        self._body = bytearray()
        self._chunk_part = _SIZE
        self._chunk_left = 0
        self._trailers = 0

    @property
    def is_idle(self) -> bool:
        """Whether no part of a request is there."""
        return not self._buffer and self._opening is None

    @property
    def asked(self) -> tuple[str, str]:
        """The method and the target of the request whose body comes in; empty when there is none."""
        told = self._opening.line.environ if self._opening else {}
        return told.get("REQUEST_METHOD", ""), told.get("RAW_URI", "")

    def feed(self, data: bytes) -> None:
        """Add what came."""
        self._buffer += data
        if self._opening is not None:
            self.body_received += len(data)

    def next(self) -> Received | None:
        """The next request, or None until more has come. Raises Refused."""
        opening = self._opening
        if opening is None:
            opening = self._next_opening()
            if opening is None:
                return None
            self._opening = opening
            if opening.headers.length > self._body_limit:
                raise self._too_large()
            self._chunk_part, self._trailers = _SIZE, 0
            self.body_received = len(self._buffer)
        line, headers = opening
        body = self._chunked_body() if headers.is_chunked else self._plain_body(headers.length)
        if body is None:
            self.wants_continue = headers.awaits_continue and not self.body_received
            return None
        self._opening = None
        self.wants_continue = False
        environ = {**headers.environ, **line.environ}
        if headers.is_chunked:
            environ["CONTENT_LENGTH"] = str(len(body))
            del environ["HTTP_TRANSFER_ENCODING"]
        return Received(environ, body, headers.keeps_alive, line.is_old)

    def _next_opening(self) -> Opening | None:
        buffer = self._buffer
        while buffer[:2] == b"\r\n":  # some clients send an empty line behind a body
            del buffer[:2]
        end = buffer.find(_END, self._searched)
        if end < 0:
            if _SLOPPY_END.search(buffer, self._searched):
                raise bad("lines of a request end with CR and LF, not with LF alone")
            check_unfinished(buffer)
            self._searched = max(0, len(buffer) - len(_END) + 1)
            return None
        self._searched = 0
        first, _, rest = bytes(buffer[:end]).partition(b"\r\n")
        line = read_line(first)
        headers = self._read_headers(rest, line.is_old, line.host)
        del buffer[: end + len(_END)]
        return Opening(line, headers)

    def _read_headers(self, data: bytes, is_old: bool, host: str | None) -> Headers:
        """A client mostly sends the same headers again: those are known."""
        given = data, is_old, host
        if self._headers is None or given != self._known:
            self._headers = read_headers(*given)
            self._known = given if len(data) <= _LONGEST_KNOWN else None
        return self._headers

    def _plain_body(self, length: int) -> bytes | None:
        if not length:
            return b""
        if len(self._buffer) < length:
            return None
        return self._taken(length)

    def _chunked_body(self) -> bytes | None:
        while self._chunk_part != _TRAILER:
            if self._chunk_part == _SIZE and not self._take_size():
                return None
            if self._chunk_part == _DATA and not self._take_data():
                return None
        while (line := self._line(LONGEST_LINE)) is not None:
            if not line:
                body = bytes(self._body)
                self._body.clear()
                return body
            self._trailers += 1
            if self._trailers > MOST_HEADERS:
                raise bad(f"a body may have {MOST_HEADERS} trailers")
        return None

    def _take_size(self) -> bool:
        line = self._line(_LONGEST_CHUNK_LINE)
        if line is None:
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise bad("a chunk of the body does not begin with its size")
        self._chunk_left = int(match[1], 16)
        if len(self._body) + self._chunk_left > self._body_limit:
            raise self._too_large()
        self._chunk_part = _DATA if self._chunk_left else _TRAILER
        return True

    def _take_data(self) -> bool:
        part = self._taken(min(self._chunk_left, len(self._buffer)))
        self._body += part
        self._chunk_left -= len(part)
        if self._chunk_left or len(self._buffer) < 2:
            return False
        if self._taken(2) != b"\r\n":
            raise bad("a chunk of the body is longer than its size")
        self._chunk_part = _SIZE
        return True

    def _line(self, limit: int) -> bytes | None:
        """The next line, without its end, or None until it is there."""
        end = self._buffer.find(b"\n", 0, limit)
        if end < 0:
            if len(self._buffer) >= limit:
                raise bad(f"a line between the chunks of the body has more than {limit} bytes")
            return None
        line = self._taken(end + 1)
        if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
            raise bad("lines of a request end with CR and LF, not with one of them alone")
        return line[:-2]

    def _taken(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _too_large(self) -> Refused:
        return Refused("413 Content Too Large", f"the body is larger than {self._body_limit} bytes, the limit")
