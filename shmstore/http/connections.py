"""Connections to a service: kept open between requests, and made anew, after a while, when they fail."""

import io
import json
import os
import random
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection, IncompleteRead
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

from shmstore.arguments.checks import refused, whole_number
from shmstore.errors import InvalidOption, StoreClosed
from shmstore.reading.waiting import seconds_of

TROUBLE: Final = (OSError, HTTPException)
LONGEST_PAUSE_S: Final = 2.0
_FIRST_PAUSE_S: Final = 0.05
_FRESH_S: Final = 0.5  # so soon no service closes a connection; gunicorn does after 2 s
_MOST_S: Final = 86_400.0  # sockets take no timeout of many days
_PASSING: Final = (429, 502, 503, 504)  # a later try may go better


class Answer(NamedTuple):
    """What the service answered, and at which try."""

    status: int
    headers: HTTPMessage
    body: bytes
    tries: int


class Connections:
    """The connections of a client. Any number of threads may ask at once; a forked process gets its own."""

    def __init__(self, url: str, token: str | None, timeout: float | timedelta, retries: int, pool: int) -> None:
        self.timeout = seconds_of(timeout)
        if self.timeout <= 0:
            raise refused("timeout", timeout, "a finite number of seconds, more than 0, or a timedelta")
        self.timeout = min(self.timeout, _MOST_S)
        self.retries = whole_number("retries", retries, "how often to try again, an int of 0 or more")
        self._kept = whole_number("pool", pool, "how many connections are kept open, an int of 0 or more")
        self._make, self._prefix = _maker(url, self.timeout)
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "shmstore"} | _authorization(token)
        # Each with the process whose it is, for both have it after a fork, and since when it is idle.
        self._idle: deque[tuple[int, float, HTTPConnection]] = deque()
        self.closed = False

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        is_safe: bool = True,
        retries: int | None = None,
    ) -> Answer:
        """The answer to a request, whatever its status. Raises ConnectionError, StoreClosed.

        One that is safe to be done twice is tried again after trouble, or when the service cannot serve it just now.
        Any other is tried again only while no connection is made.
        """
        retries = self.retries if retries is None else retries
        target, tries, is_stale = self.target(path, query), 0, False
        headers = self.headers({} if body is None else {"Content-Type": "application/json"})
        while True:
            connection = None if is_stale else self._reused(is_safe)
            is_fresh, is_sent, tries = connection is None, False, tries + (not is_stale)
            pause = back_off(tries)
            try:
                connection = connection or self.connect()
                is_sent = True
                answer = self._exchange(connection, method, target, body, headers, tries)
                if answer.status not in _PASSING or tries > retries or not is_safe:
                    return answer
                pause, is_stale = max(pause, _asked_pause(answer)), False
            except TROUBLE as error:
                is_stale = is_safe and not is_fresh and isinstance(error, ConnectionError | HTTPException)
                if is_stale:  # the service closed it meanwhile
                    continue
                is_doubtful = is_sent and not is_safe
                if tries > retries or is_doubtful:
                    raise unreachable(self.url, tries, error, may_be_done=is_doubtful) from error
            time.sleep(pause)

    def target(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """What stands in the first line of a request."""
        return f"{self._prefix}{path}{'?' if query else ''}{urlencode(query or {}, quote_via=quote)}"

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        """The headers of a request."""
        return {**self._headers, **more}

    def connect(self, seconds: float = _MOST_S) -> HTTPConnection:
        """A new connection, made within the timeout, and within so many seconds. Raises OSError, StoreClosed."""
        self.require_open()
        connection = self._make()
        connection.timeout = min(self.timeout, seconds)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def require_open(self) -> None:
        """Raise StoreClosed after `close`."""
        if self.closed:
            raise StoreClosed(f"the client of {self.url} was closed; make another one")

    def close(self) -> None:
        """Close what is kept open; a request that is on its way ends as it does. Idempotent."""
        self.closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop()[2].close()

    def _exchange(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        body: bytes | None,
        headers: dict[str, str],
        tries: int,
    ) -> Answer:
        is_kept, until = False, monotonic() + self.timeout
        if connection.sock is not None:
            connection.sock.settimeout(self.timeout)
        connection.response_class = partial(_response, until)  # type: ignore[assignment]
        try:
            connection.request(method, target, body, headers)
            with connection.getresponse() as response:
                answer = Answer(response.status, response.headers, whole_body(response), tries)
                is_kept = not response.will_close
        finally:
            if not is_kept:
                connection.close()
        self._keep(connection)
        return answer

    def _keep(self, connection: HTTPConnection) -> None:
        if connection.sock is None:
            return
        if len(self._idle) >= self._kept:
            connection.close()
            return
        self._idle.append((os.getpid(), monotonic(), connection))
        if self.closed:  # meanwhile
            self.close()

    def _reused(self, is_safe: bool) -> HTTPConnection | None:
        """The connection that was used last; those that cannot be used any more are closed.

        What is not safe to be sent twice takes none that the service may just be closing: it would be lost, or not.
        """
        self.require_open()
        with suppress(IndexError):
            while True:
                process, since_s, connection = self._idle.pop()
                is_fresh = is_safe or monotonic() - since_s < _FRESH_S
                if process == os.getpid() and is_fresh and not _has_ended(connection):
                    return connection
                connection.close()
        return None


def whole_body(response: HTTPResponse) -> bytes:
    """The body of an answer. Raises IncompleteRead.

    A connection that ends within the headers looks like an answer without a length; of those, only what is whole as
    JSON is believed.
    """
    has_length = response.chunked or response.length is not None
    body = response.read()
    if not has_length:
        try:
            is_whole = isinstance(json.loads(body), dict | list)
        except (ValueError, RecursionError):
            is_whole = False
        if not is_whole:
            raise IncompleteRead(body)
    return body


def back_off(tries: int) -> float:
    """Seconds to wait after so many tries, by chance, so that not all clients come back at once."""
    return random.uniform(0, min(LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(tries - 1, 16)))


def is_passing(status: int) -> bool:
    """Whether a later try may go better."""
    return status in _PASSING


def many(tries: int) -> str:
    """So many tries, in words."""
    return "1 try" if tries == 1 else f"{tries} tries"


def unreachable(url: str, tries: int, cause: object, *, may_be_done: bool = False) -> ConnectionError:
    """The error after the last try."""
    found = f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else cause
    advice = (
        "it was sent, and may have been done: ask before you send it again"
        if may_be_done
        else "look whether the service runs there, or give more retries= or a longer timeout="
    )
    return ConnectionError(f"{url} did not answer in {many(tries)} ({found}); {advice}")


class _Incoming(io.RawIOBase):
    """What a socket receives up to a moment: its own timeout begins anew with each byte that comes."""

    def __init__(self, found: socket.socket, until: float) -> None:
        self._socket, self._until = found, until
        self._raw = found.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Some bytes. Raises TimeoutError."""
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What an HTTPResponse reads from."""
        return io.BufferedReader(self)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


def _response(until: float, found: socket.socket, *values: Any, **named: Any) -> HTTPResponse:
    """An answer that must be there, all of it, at a moment."""
    incoming: Any = _Incoming(found, until)
    return HTTPResponse(incoming, *values, **named)


class _LocalConnection(HTTPConnection):
    """A connection to a path of this machine."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _maker(url: object, timeout: float) -> tuple[Callable[[], HTTPConnection], str]:
    """What makes a connection, and what stands before each path."""
    expected = (
        "the address of a service, as 'http://host:8080', 'https://host/prefix' or 'http+unix://%2Fpath%2Fsocket', "
        "without a user or a query"
    )
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise refused("url", url, expected) from None
    surplus = parts.query or parts.fragment or parts.username or parts.password
    text = f"{host}{parts.path}"
    is_known = parts.scheme in ("http", "https", "http+unix")
    if not is_known or not host or surplus or not (text.isascii() and text.isprintable()):
        raise refused("url", url, expected)
    prefix = parts.path.rstrip("/").replace(" ", "%20")
    if parts.scheme == "http+unix":
        return partial(_LocalConnection, unquote(parts.netloc), timeout=timeout), prefix
    if parts.scheme == "http":
        return partial(HTTPConnection, host, port, timeout=timeout), prefix
    return partial(HTTPSConnection, host, port, timeout=timeout, context=ssl.create_default_context()), prefix


def _authorization(token: object) -> dict[str, str]:
    if token is None:
        return {}
    if not (isinstance(token, str) and token and token.isascii() and token.isprintable() and " " not in token):
        raise InvalidOption("token is no text that a header can hold; expected visible ASCII characters, or None")
    return {"Authorization": f"Bearer {token}"}


def _has_ended(connection: HTTPConnection) -> bool:
    """Whether the other side closed it, or sent what nobody asked for."""
    found: socket.socket | None = connection.sock
    if found is None:
        return True
    poll = select.poll()
    poll.register(found, select.POLLIN)
    return bool(poll.poll(0))


def _asked_pause(answer: Answer) -> float:
    """Seconds that the service asked to wait."""
    text = answer.headers.get("Retry-After") or ""
    return min(float(text), LONGEST_PAUSE_S) if text.isascii() and text.isdigit() else 0.0
