"""Which measurements count where other programs run too: the quietest, those whose processes had most of their CPUs."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

QUIET_SHARE = 0.97
ENOUGH = 15


class Window(Protocol):
    """What was measured between two moments; `share` of the CPU time that its processes could have had, they had."""

    @property
    def share(self) -> float: ...


W = TypeVar("W", bound=Window)


def enough_are_quiet(windows: Sequence[Window]) -> bool:
    """Whether measuring can end."""
    return sum(window.share >= QUIET_SHARE for window in windows) >= ENOUGH


def quietest(windows: Sequence[W]) -> tuple[list[W], str]:
    """The windows that count, and a note when not even all of these were quiet."""
    used = sorted(windows, key=lambda window: window.share, reverse=True)[:ENOUGH]
    least = used[-1].share
    return used, "" if least >= QUIET_SHARE else f"disturbed: down to {least:.0%} of the CPU time was for us"
