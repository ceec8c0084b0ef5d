"""The answer to one request: what an application starts and yields, as HTTP/1.1 has it."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from types import TracebackType
from typing import Any, Final

from shmstore.http.detaching import LAST_CHUNK, Detached, chunked
from shmstore.http.incoming import Received
from shmstore.http.requests import Refused

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
Headers = list[tuple[str, str]]
Send = Callable[[bytes], object]

_STATUS: Final = re.compile(r"[2-5][0-9][0-9](?: [\t -~]*)?")
_OF_THE_CONNECTION: Final = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}


class Reply:
    """An answer on its way. `send` raises when the client is gone; `follow` says if a stream of events may begin."""

    def __init__(
        self,
        received: Received,
        send: Send,
        is_last: Callable[[], bool],
        follow: Callable[[], bool],
        let_go: Callable[[], socket.socket],
    ) -> None:
        self.keeps_alive = received.keeps_alive
        self.has_begun = False
        self.status = ""
        self.request_id = ""
        self.bytes_sent = 0
        self._is_old = received.is_old
        self._is_without_body = received.environ["REQUEST_METHOD"] == "HEAD"
        self._send = send
        self._is_last = is_last
        self._follow = follow
        self._let_go = let_go
        self._headers: Headers = []
        self._length: int | None = None
        self._left: int | None = None
        self._is_chunked = False
        self._is_dated = False
        self._is_of_events = False

    def give(
        self, application: Callable[..., Iterable[bytes]], environ: dict[str, Any], goes_on: Callable[[], bool]
    ) -> None:
        """Have the application answer. A stream of events ends early when `goes_on()` is no longer so."""
        result = application(environ, self.start)
        try:
            if isinstance(result, list | tuple):
                result = (b"".join(result),)
            if isinstance(result, tuple) or _has_one(result):
                for piece in result:
                    self._write(piece, is_all=True)
            elif not (self._is_without_body and self.status):
                for piece in result:
                    if piece:
                        self._write(piece)
                    if self._is_following and not goes_on():
                        break
            self._finish()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def start(self, status: str, headers: Headers, exc_info: ErrorInfo | None = None) -> Callable[[bytes], None]:
        """The `start_response` of PEP 3333."""
        if exc_info:
            if self.has_begun and exc_info[1] is not None:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.status:
            raise RuntimeError("the application has called start_response before")
        if not _STATUS.fullmatch(status):
            raise ValueError(f"the status {status!r} is not a number from 200 to 599 and a reason")
        self.status = status
        self.request_id = ""
        self._length = None
        self._headers = []
        self._is_dated = self._is_of_events = self._is_chunked = False
        for name, value in headers:
            lower = name.lower()
            if lower == "content-length":
                if not (value.isascii() and value.isdigit()):
                    raise ValueError(f"the Content-Length {value!r} of the answer is not a number")
                self._length = int(value)
            elif lower == "connection":
                self.keeps_alive = self.keeps_alive and value.lower() != "close"
            elif lower not in _OF_THE_CONNECTION:
                self._headers.append((name, value))
                if lower == "x-request-id":
                    self.request_id = value
                elif lower == "date":
                    self._is_dated = True
                elif lower == "content-type":
                    self._is_of_events = value.startswith("text/event-stream")
        return self._write

    def detach(self) -> Detached:
        """Take the connection, on which the rest of the answer is sent by others; `give` must end by HandedOver."""
        return Detached(self._let_go(), self._is_chunked)

    def refuse(self, status: str, sentence: str, headers: Headers | None = None) -> None:
        """Answer with an error, in place of what has not begun."""
        body = error_body(sentence)
        self.status = ""
        self.start(status, [("Content-Type", "application/json"), *(headers or [])])
        self._write(body, is_all=True)

    @property
    def _is_following(self) -> bool:
        return self._is_of_events and self._length is None and self.has_begun and not self._is_without_body

    def _write(self, piece: bytes, is_all: bool = False) -> None:
        """Send a piece of the body, behind the headers when it is the first; `is_all` when no other one comes."""
        opening = b"" if self.has_begun else self._opening(len(piece) if is_all else None)
        if self._is_without_body:
            piece = b""
        elif self._is_chunked:
            self.bytes_sent += len(piece)
            piece = chunked(piece) if piece else b""
        else:
            if self._left is not None:
                piece = self._within(piece)
            self.bytes_sent += len(piece)
        if opening or piece:
            self.has_begun = True
            self._send(opening + piece)

    def _within(self, piece: bytes) -> bytes:
        assert self._left is not None
        if len(piece) > self._left:
            self.keeps_alive = False
            raise RuntimeError("the application has yielded more than its Content-Length")
        self._left -= len(piece)
        return piece

    def _finish(self) -> None:
        if not self.has_begun:
            self._write(b"", is_all=True)
        if self._is_without_body:
            return
        if self._is_chunked:
            self._send(LAST_CHUNK)
        elif self._left:
            raise RuntimeError("the application has yielded less than its Content-Length")

    def _opening(self, length: int | None) -> bytes:
        """The status line and the headers; `length` is that of the body, where it is known without the application."""
        if not self.status:
            raise RuntimeError("the application has yielded without a call of start_response")
        code = self.status[:3]
        is_told = self._length is not None
        headers = self._headers
        if code in ("204", "304"):
            self._is_without_body = True
            self._length = self._length if code == "304" else None
        elif not is_told and not (self._is_without_body and length == 0):
            self._length = length
        if self._length is not None:
            headers = [*headers, ("Content-Length", str(self._length))]
        elif not self._is_without_body:
            if self._is_of_events and not self._follow():
                raise Refused("503 Service Unavailable", "too many streams of events are followed here; try later")
            self._is_chunked = not self._is_old
            if self._is_chunked:
                headers = [*headers, ("Transfer-Encoding", "chunked")]
            self.keeps_alive = self.keeps_alive and not self._is_old
        self._left = self._length
        text = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
            raise ValueError("a header of the answer contains the end of a line")
        if not self._is_dated:
            text += _date()
        if self._is_last():
            self.keeps_alive = False
        if not self.keeps_alive:
            text += "Connection: close\r\n"
        elif self._is_old:
            text += "Connection: keep-alive\r\n"
        return f"HTTP/1.1 {self.status}\r\n{text}\r\n".encode("latin-1")


def error_body(sentence: str) -> bytes:
    """The JSON that tells of an error."""
    return json.dumps({"error": sentence}).encode()


def refusal(refused: Refused) -> bytes:
    """The whole answer to what was never given to an application."""
    body = error_body(refused.sentence)
    return (
        f"HTTP/1.1 {refused.status}\r\n{_date()}Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body


_dates: tuple[int, str] = (0, "")


def _date() -> str:
    global _dates
    now = int(time.time())
    known, text = _dates
    if known != now:
        text = f"Date: {formatdate(now, usegmt=True)}\r\n"
        _dates = now, text
    return text


def _has_one(result: Iterable[bytes]) -> bool:
    try:
        return len(result) == 1  # type: ignore[arg-type]
    except TypeError:
        return False
