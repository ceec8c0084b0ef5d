"""What the threads of an explored program do: operations named as in atomics.h, and questions to the kernel."""

from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

NAMES = (
    "load",
    "store",
    "cas",
    "update",
    "fence",
    "is_dead",
    "lock",
    "unlock",
    "is_locked",
    "barrier",
    "sleep",
    "wake",
)
LOAD, STORE, CAS, UPDATE, FENCE, IS_DEAD, LOCK, UNLOCK, IS_LOCKED, BARRIER, SLEEP, WAKE = range(len(NAMES))
FREE = None  # what a location bears that is used as a lock and is held by nobody


class Operation(NamedTuple):
    """One step that others can see. The label is that of the C source, or empty where the order buys nothing."""

    kind: int
    label: str
    location: Hashable = None
    values: tuple[Any, ...] = ()
    acquire: bool = False
    release: bool = False


Program = Generator[Operation, Any, Any]


class Violation(Exception):
    """Something that must hold does not."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


# Operations, named as in atomics.h.


def load_relaxed(label: str, location: Hashable) -> Operation:
    return Operation(LOAD, label, location)


def load_acquire(label: str, location: Hashable) -> Operation:
    return Operation(LOAD, label, location, acquire=True)


def store_relaxed(label: str, location: Hashable, value: Hashable) -> Operation:
    return Operation(STORE, label, location, (value,))


def store_release(label: str, location: Hashable, value: Hashable) -> Operation:
    return Operation(STORE, label, location, (value,), release=True)


def cas_release(label: str, location: Hashable, expected: Hashable, desired: Hashable) -> Operation:
    """The result is (whether it was exchanged, the value seen)."""
    return Operation(CAS, label, location, (expected, desired), release=True)


def cas_acq_rel(label: str, location: Hashable, expected: Hashable, desired: Hashable) -> Operation:
    """The result is (whether it was exchanged, the value seen)."""
    return Operation(CAS, label, location, (expected, desired), acquire=True, release=True)


def add_relaxed(label: str, location: Hashable, count: int) -> Operation:
    return Operation(UPDATE, label, location, (lambda value: value + count,))


def update_acq_rel(label: str, location: Hashable, change: Callable[[Any], Hashable]) -> Operation:
    """The result is the value before."""
    return Operation(UPDATE, label, location, (change,), acquire=True, release=True)


def fence_acquire(label: str) -> Operation:
    return Operation(FENCE, label, acquire=True)


def fence_release(label: str) -> Operation:
    return Operation(FENCE, label, release=True)


# What the kernel does.


def is_dead(thread: int) -> Operation:
    """Has this thread stopped for ever? Who learns that it has sees all that it did."""
    return Operation(IS_DEAD, "", values=(thread,))


def lock(location: Hashable) -> Operation:
    """Take a lock that its holder's death drops; the result is whether it could be had."""
    return Operation(LOCK, "", location, acquire=True, release=True)


def unlock(location: Hashable) -> Operation:
    return Operation(UNLOCK, "", location, release=True)


def is_locked(location: Hashable) -> Operation:
    """Ask, without taking it. The answer may be older than what others know, but not than what the asker knows."""
    return Operation(IS_LOCKED, "", location, acquire=True)


def barrier() -> Operation:
    """membarrier."""
    return Operation(BARRIER, "")


def sleep(location: Hashable, kept: Hashable) -> Operation:
    """Sleep while the location bears `kept`. The result is why it ended: "changed" (it slept not at all), "woken", or,
    when nothing else can happen, "nap" (a mortal thread stands still) or "never" (none does; only a time limit helps).
    """
    return Operation(SLEEP, "", location, (kept,))


def wake(location: Hashable) -> Operation:
    return Operation(WAKE, "", location)


class Scenario(NamedTuple):
    """Some programs that share some locations, and what must hold when all immortal ones have ended."""

    locations: Mapping[Any, Any]
    programs: Sequence[Callable[[], Program]]
    mortal: frozenset[int] = frozenset()
    locks: frozenset[Any] = frozenset()
    has_barriers: bool = False  # then also those that have ended are remembered: a barrier shows what they did
    at_rest: Callable[[Mapping[Any, Any], Sequence[Any]], None] = lambda values, results: None
