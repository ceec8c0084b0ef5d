"""Calls that are disturbed at one of their lines, as by a signal handler."""

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

LIMIT_S = 2.0


def disturbed(call: Callable[[], object], disturb: Callable[[], object], place: int) -> bool:
    """Whether a call returns when it is disturbed at the line of this number, of all that it comes through."""
    left = place

    def trace(_frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal left
        if left == 0:
            sys.settrace(None)
            disturb()
        left -= 1
        return trace if left >= 0 else None

    def run() -> None:
        sys.settrace(trace)
        try:
            call()
        finally:
            sys.settrace(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    return not thread.is_alive()
