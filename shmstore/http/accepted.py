"""One client's socket: what comes in is made requests, what goes out is given time but not for ever."""

import socket
import struct
import time
from contextlib import suppress
from typing import Any, Final

from shmstore.http.detaching import has_gone
from shmstore.http.incoming import Incoming, Received
from shmstore.http.local import bound_at
from shmstore.http.requests import Refused

LEAST_RATE: Final = 4 << 10
"""Bytes a second that a client must manage, once its time is over."""

_AT_ONCE: Final = 64 << 10
_LINGER_S: Final = 0.01  # a busy client's next request comes sooner: its thread waits for that, and is not handed over
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Gone(Exception):
    """The client has closed the connection, or does not read."""


class Connection:
    """Belongs to one thread at a time: to the one that watches, or to one of the pool."""

    __slots__ = (
        "_patience_s",
        "began_s",
        "deadline_s",
        "environ",
        "fd",
        "incoming",
        "is_ending",
        "is_over",
        "received",
        "refused",
        "socket",
    )

    def __init__(self, client: socket.socket, address: tuple[Any, ...], body_limit: int, patience_s: float) -> None:
        self.socket = client
        self.fd = client.fileno()
        self.environ = {"REMOTE_ADDR": str(address[0]), "REMOTE_PORT": str(address[1])}
        self.incoming = Incoming(body_limit)
        self.received: Received | None = None
        self.refused: Refused | None = None
        self.began_s = time.monotonic()
        """When the request that is coming in began; 0 between two."""
        self.deadline_s = self.began_s + patience_s
        self.is_ending = False
        self.is_over = False
        self._patience_s = patience_s

    def has_request(self) -> bool:
        """Whether `received` is a whole request now, or `refused` says that none may come."""
        try:
            self.received = self.incoming.next()
        except Refused as refused:
            self.refused = refused
            return True
        if self.received is not None:
            self.began_s = 0.0
            return True
        if self.incoming.wants_continue:
            self.incoming.wants_continue = False
            self.say(_CONTINUE)
        return False

    def take_in(self) -> None:
        """Read what is there, without waiting; `is_over` is set when that is the end."""
        try:
            self._fed(self.socket.recv(_AT_ONCE, socket.MSG_DONTWAIT))
        except BlockingIOError:
            pass
        except OSError:
            self.is_over = True

    def take_soon(self) -> bool:
        """Wait a moment for more. Returns whether it came, or the end did."""
        try:
            self._fed(self.socket.recv(_AT_ONCE))
        except BlockingIOError:
            return False
        except OSError:
            self.is_over = True
        return True

    def _fed(self, data: bytes) -> None:
        if not data:
            self.is_over = True
        elif not self.is_ending:
            self.incoming.feed(data)

    def set_deadline(self, keep_alive_s: float) -> None:
        """Until when more must come."""
        now = time.monotonic()
        if self.is_ending:
            return
        if not self.incoming.is_idle:
            self.began_s = self.began_s or now
        if self.began_s:
            self.deadline_s = self.began_s + self._patience_s + self.incoming.body_received / LEAST_RATE
        else:
            self.deadline_s = now + keep_alive_s

    def send(self, data: bytes) -> None:
        """Send all of it. Raises Gone when the client does not take it in time."""
        try:
            sent = self.socket.send(data)
            if sent == len(data):
                return
            began, view = time.monotonic(), memoryview(data)
            while sent < len(data):
                if time.monotonic() - began > self._patience_s + sent / LEAST_RATE:
                    raise Gone
                sent += self.socket.send(view[sent:])
        except OSError:
            raise Gone from None

    def say(self, data: bytes) -> None:
        """Send a few bytes if that can be done without waiting."""
        with suppress(OSError):
            self.socket.send(data, socket.MSG_DONTWAIT)

    def is_there(self) -> bool:
        """Whether the client has not closed the connection."""
        return not has_gone(self.socket)

    def let_go(self) -> socket.socket:
        """Give the socket away: this connection is over, and its client's is not."""
        self.is_over = True
        return socket.socket(fileno=self.socket.detach())

    def shut(self, how: int) -> None:
        """Shut the socket, or a direction of it, so that a thread that waits for it goes on."""
        with suppress(OSError):
            self.socket.shutdown(how)

    def close(self) -> None:
        """Let go of the socket."""
        self.shut(socket.SHUT_RDWR)  # a fork of this process may have it as well: closing it would end nothing
        with suppress(OSError):
            self.socket.close()


def listen(host: str, port: int, patience_s: float, path: str | None = None) -> socket.socket:
    """A socket that listens, at `path` when there is one. Raises OSError, which names the address."""
    listener = bound_at(path) if path is not None else _bound(host, port, patience_s)
    listener.listen(1024)
    listener.setblocking(False)
    return listener


def accept(listener: socket.socket, patience_s: float) -> tuple[socket.socket, tuple[Any, ...]]:
    """A client and its address, which is empty at a path. Raises OSError, BlockingIOError when there is none."""
    client, address = listener.accept()
    client.setblocking(True)
    if client.family == socket.AF_UNIX:  # the options of its listener are not its own
        _give_time(client, patience_s)
        return client, ("", "")
    return client, address


def _bound(host: str, port: int, patience_s: float) -> socket.socket:
    where = f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OSError(f"cannot listen at {where}: {str(error.args[-1]).lower()}") from error
    family, _, _, _, address = found[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _give_time(listener, patience_s)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen at {where}: {(error.strerror or str(error)).lower()}") from error
    return listener


def _give_time(found: socket.socket, patience_s: float) -> None:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_LINGER_S))
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(patience_s))


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
