"""What a viewer is sent while it looks: a state about once a second, as server-sent events."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from shmstore.http.dashboard.sampler import Sampler
from shmstore.http.dashboard.scope import Scope
from shmstore.http.message import to_json

_STEP_S: Final = 0.2  # how soon it is noticed that nobody listens
_HEARTBEAT_S: Final = 5.0


def states(
    sampler: Sampler, scope: Scope, name: str | None, service: dict[str, Any], is_wanted: Callable[[], object]
) -> Iterator[bytes]:
    """States, for as long as they are wanted. The first one tells of the service, and of the history."""
    number = 0
    with sampler.looking():
        yield b": looking\nretry: 1000\n\n"
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
