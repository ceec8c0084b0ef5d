"""What a viewer is sent while it looks: a state about once a second, as server-sent events."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from shmstore.http.dashboard.sampler import Sampler
from shmstore.http.dashboard.scope import Scope
from shmstore.http.detaching import LAST_CHUNK, Detached, chunked, has_gone
from shmstore.http.message import to_json

_STEP_S: Final = 0.2  # how soon it is noticed that nobody listens
_HEARTBEAT_S: Final = 5.0
_PATIENCE_S: Final = 30.0  # for a viewer that takes nothing
LOOKING: Final = b": looking\nretry: 1000\n\n"

States = Callable[[Callable[[], object]], Iterator[bytes]]
"""What a viewer is sent, as long as a function says that it is wanted."""


class Viewing:
    """One viewer on a connection of its own, with a thread that is not the server's."""

    has_ended = False

    def __init__(self, states: States, is_open: Callable[[], object]) -> None:
        self._states = states
        self._is_open = is_open

    def take(self, client: Detached) -> None:
        """Send states to this client until it goes."""
        thread = threading.Thread(target=self._send, args=(client,), name="shmstore-viewer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there can be no more threads: it asks again
            client.socket.close()

    def close(self) -> None:
        """It has not begun."""

    def _send(self, client: Detached) -> None:
        with client.socket as viewer:
            viewer.settimeout(_PATIENCE_S)
            try:
                for piece in self._states(lambda: self._is_open() and not has_gone(viewer)):
                    viewer.sendall(chunked(piece) if client.is_chunked else piece)
                if client.is_chunked:
                    viewer.sendall(LAST_CHUNK)
            except OSError:  # it has gone
                pass
            finally:
                with suppress(OSError):
                    viewer.shutdown(socket.SHUT_RDWR)  # a fork of this process may have it, too


def states(
    sampler: Sampler, scope: Scope, name: str | None, service: dict[str, Any], is_wanted: Callable[[], object]
) -> Iterator[bytes]:
    """States, for as long as they are wanted. The first one tells of the service, and of the history."""
    number = 0
    with sampler.looking():
        while is_wanted():
            state = sampler.state(scope, name, with_history=not number)
            if not number:
                state["service"] = service
            number += 1
            yield f"id: {number}\ndata: {to_json(state)}\n\n".encode("utf-8", "replace")
            yield from _resting(sampler.rest_s, is_wanted)


def _resting(rest_s: float, is_wanted: Callable[[], object]) -> Iterator[bytes]:
    until_s = time.monotonic() + rest_s
    beat_at_s = time.monotonic() + _HEARTBEAT_S
    while (left_s := until_s - time.monotonic()) > 0 and is_wanted():
        time.sleep(min(left_s, _STEP_S))
        if time.monotonic() >= beat_at_s:
            beat_at_s += _HEARTBEAT_S
            yield b": heartbeat\n\n"
