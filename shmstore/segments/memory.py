"""How much memory a new segment may take: what the machine has, and what the control groups of this process allow.

Memory of /dev/shm is memory of the control group whose process touches it first. Beyond the limit of the group, such as
a container's, the kernel does not refuse: it kills. So whoever is about to take much asks here first.
"""

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

MARGIN_BYTES: Final = 2 << 20
"""What a creator needs besides the segment, and what the kernel counts in advance."""

GROUPS = "/sys/fs/cgroup"
PROC = "/proc"
_UNLIMITED: Final = 1 << 60


class Room(NamedTuple):
    """What `who` still has: `free` bytes of `limit`, including unused swap and memory that is only cache."""

    who: str
    limit: int
    free: int


def least_room() -> Room | None:
    """The narrowest of all bounds; None when none is known."""
    return min((*_groups(), *_machine()), key=lambda room: room.free, default=None)


def group_room() -> Room | None:
    """The narrowest of the control groups; None when none is limited."""
    return min(_groups(), key=lambda room: room.free, default=None)


def _machine() -> Iterator[Room]:
    amounts = _amounts(f"{PROC}/meminfo", unit=1024)
    if "MemAvailable:" in amounts:
        free = amounts["MemAvailable:"] + amounts.get("SwapFree:", 0)
        yield Room("this machine", amounts.get("MemTotal:", 0) + amounts.get("SwapTotal:", 0), free)


def _groups() -> Iterator[Room]:
    """Each limited group of this process, in both versions, from its own to the outermost that can be seen."""
    swap_free = _amounts(f"{PROC}/meminfo", unit=1024).get("SwapFree:", 0)
    paths = {"": "/", "memory": "/"}  # what a container sees as its own
    for line in _lines(f"{PROC}/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for name in controllers.split(","):
            if name in paths:
                paths[name] = path
    for controller, path in paths.items():
        version = _second if controller == "" else _first
        while True:
            folder = os.path.join(GROUPS, controller, path.strip("/")).rstrip("/")
            if (room := version(folder, swap_free)) is not None:
                yield room
            if path in ("/", ""):
                break
            path = os.path.dirname(path)


def _second(folder: str, swap_free: int) -> Room | None:
    """A group of version 2."""
    limit, used = _number(f"{folder}/memory.max"), _number(f"{folder}/memory.current")
    if limit is None or used is None:
        return None
    most_swap = _number(f"{folder}/memory.swap.max")
    if most_swap is not None:
        swap_free = min(swap_free, max(0, most_swap - (_number(f"{folder}/memory.swap.current") or 0)))
    cache = _amounts(f"{folder}/memory.stat")
    reclaimable = cache.get("inactive_file", 0) + cache.get("active_file", 0)
    return Room(f"the control group {folder}", limit, max(0, limit - used + reclaimable + swap_free))


def _first(folder: str, swap_free: int) -> Room | None:
    """A group of version 1."""
    limit, used = _number(f"{folder}/memory.limit_in_bytes"), _number(f"{folder}/memory.usage_in_bytes")
    if limit is None or used is None:
        return None
    cache = _amounts(f"{folder}/memory.stat")
    reclaimable = cache.get("total_inactive_file", 0) + cache.get("total_active_file", 0)
    free = limit - used + swap_free
    with_swap = _number(f"{folder}/memory.memsw.limit_in_bytes")
    used_with_swap = _number(f"{folder}/memory.memsw.usage_in_bytes")
    if with_swap is not None and used_with_swap is not None:
        free = min(free, with_swap - used_with_swap)
    return Room(f"the control group {folder}", limit, max(0, free + reclaimable))


def _number(path: str) -> int | None:
    """The one number of a file; None when it is not there, or says that there is no limit."""
    for line in _lines(path):
        if line.isdigit() and int(line) < _UNLIMITED:
            return int(line)
    return None


def _amounts(path: str, unit: int = 1) -> dict[str, int]:
    """The numbers of a file of lines such as ``inactive_file 4096``."""
    rows = (line.split() for line in _lines(path))
    return {row[0]: int(row[1]) * unit for row in rows if len(row) > 1 and row[1].isdigit()}


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
