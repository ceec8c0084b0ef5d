"""Segments from outside: attached so that looking disturbs nothing; who uses one; whose file it is."""

import os
from typing import Any

from shmstore.errors import AccessDenied, ShmStoreError, StoreNotFound, WrongKind
from shmstore.events.store import EventStore, attach
from shmstore.segments import handle, names
from shmstore.segments.handle import Handle
from shmstore.segments.refusals import Kind
from shmstore.segments.segment import SegmentInfo, list_segments
from shmstore.survey.machine import is_locked, owner_name


def kind_of(name: str) -> Kind:
    """What a segment holds."""
    with handle.attach(name, read_only=True) as segment:
        return segment.kind


def look_at_any(name: str) -> EventStore[Any] | Handle:
    """A segment of any kind, attached for reading, without a place in its process table; an EventStore where it is a
    store.
    """
    return open_any(name, read_only=True)


def open_any(name: str, *, read_only: bool) -> EventStore[Any] | Handle:
    """A segment of any kind, as an EventStore where it is a store."""
    try:
        return attach(name, read_only=read_only)
    except WrongKind:
        return handle.attach(name, read_only=read_only)


def find(name: str) -> SegmentInfo | None:
    """What is known of this segment without relying on what it holds; None when it cannot be listed."""
    return next((info for info in list_segments() if info.name == names.check_name(name)), None)


def in_use(name: str) -> bool:
    """True while a process is attached for writing, or coordinates. The kernel tells, so the segment may be damaged.

    Processes that only look are not counted: they lose nothing when the name goes. Raises StoreNotFound and
    AccessDenied.
    """
    path = names.path_of(names.check_name(name))
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise StoreNotFound(f"there is no {path} any more; `shmstore-inspect ls` lists what there is") from None
    except PermissionError:
        raise AccessDenied(
            f"{path} may not be read by this user; ask its owner, {owner_name(os.lstat(path).st_uid)}"
        ) from None
    try:
        return is_locked(fd)
    finally:
        os.close(fd)


def brief(error: ShmStoreError) -> str:
    """An error in a word or two, for a column: ``AbiMismatch`` is ``abi mismatch``."""
    name = type(error).__name__
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
