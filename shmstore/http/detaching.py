"""Letting a server go on without a connection: an answer without end takes the socket away, and keeps no thread.

It is taken from `shmstore-serve`, and from gunicorn, of which WSGI says nothing: there another socket, whose other end
is closed, takes the place of the one that is taken, so that all that gunicorn does with it at the end does no harm.
"""

import os
import select
import socket
from collections.abc import Callable
from errno import EPIPE
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from wsgiref.types import StartResponse


LAST_CHUNK: Final = b"0\r\n\r\n"
"""Ends an answer that is sent in chunks."""


class Detached(NamedTuple):
    """A connection in the middle of an answer."""

    socket: socket.socket
    is_chunked: bool
    """Whether the rest must be sent as chunks."""


def has_gone(client: socket.socket) -> bool:
    """Whether the client has closed the connection, were it behind requests that nobody has read."""
    look = select.poll()
    look.register(client, select.POLLRDHUP)
    return bool(look.poll(0))


def chunked(piece: bytes) -> bytes:
    """A piece of an answer that is sent in chunks."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


class HandedOver(BrokenPipeError):
    """Ends an answer whose connection was taken: servers take it for a client that has gone."""

    def __init__(self) -> None:
        super().__init__(EPIPE, "the connection was handed over")


def detaching(start_response: "StartResponse") -> Callable[[], Detached] | None:
    """How to take the connection of this answer, once all that was yielded is sent; None when it cannot be taken.

    Nor can it where other code stands between the server and us: that may change what we send.
    """
    reply = getattr(start_response, "__self__", None)
    if callable(detach := getattr(reply, "detach", None)):  # a Reply of our own server
        made: Callable[[], Detached] = detach
        return made
    is_gunicorn = type(reply).__module__ == "gunicorn.http.wsgi" and type(reply).__name__ == "Response"
    # Its subclass speaks HTTP/2; a socket of gevent belongs to its loop, and one with TLS is more than a descriptor.
    return (
        partial(_from_gunicorn, reply) if is_gunicorn and type(getattr(reply, "sock", None)) is socket.socket else None
    )


def _from_gunicorn(response: Any) -> Detached:
    theirs: socket.socket = response.sock
    near, far = socket.socketpair()
    with near, far:
        ours = theirs.dup()
        os.dup2(near.fileno(), theirs.fileno(), inheritable=False)
    return Detached(ours, bool(response.chunked))
