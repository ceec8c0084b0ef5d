"""What several verbs ask about a segment from outside, or show of it: its partitions, who uses it, whose file it is."""

import os
from typing import Any, Final

from shmstore.cli import units
from shmstore.cli.machine import is_locked, owner_name
from shmstore.cli.render import Column, Output
from shmstore.errors import AccessDenied, ShmStoreError, StoreNotFound, WrongKind
from shmstore.events.store import EventStore, attach
from shmstore.segments import handle, names
from shmstore.segments.handle import Handle
from shmstore.segments.refusals import Kind
from shmstore.segments.segment import SegmentInfo, list_segments
from shmstore.streams.store import StreamStore, attach_streams

_HELD: Final[dict[Kind, str]] = {"events": "records", "metrics": "metrics", "streams": "streams"}


def look(name: str) -> EventStore[Any]:
    """The store, attached so that looking cannot disturb it: for reading, without a place in its process table.

    Raises WrongKind for a segment of another kind, in the words of this tool.
    """
    try:
        return attach(name, read_only=True)
    except WrongKind:
        raise _wrong_kind(name, "events") from None


def look_at_metrics(name: str) -> Handle:
    """A segment of metrics, attached in the same way. Raises WrongKind for another."""
    try:
        return handle.attach(name, kind="metrics", read_only=True)
    except WrongKind:
        raise _wrong_kind(name, "metrics") from None


def look_at_streams(name: str) -> StreamStore:
    """A store of streams, attached in the same way. Raises WrongKind for a segment of another kind."""
    return open_streams(name, read_only=True)


def open_streams(name: str, *, read_only: bool) -> StreamStore:
    """A store of streams. Raises WrongKind for a segment of another kind."""
    try:
        return attach_streams(name, read_only=read_only)
    except WrongKind:
        raise _wrong_kind(name, "streams") from None


def kind_of(name: str) -> Kind:
    """What a segment holds."""
    with handle.attach(name, read_only=True) as segment:
        return segment.kind


def _wrong_kind(name: str, wanted: Kind) -> WrongKind:
    held = _HELD[kind_of(name)]
    return WrongKind(
        f"{name!r} holds {held}, and this verb is for {_HELD[wanted]}; `shmstore-inspect show {name}` describes {held}"
    )


def look_at_any(name: str) -> EventStore[Any] | Handle:
    """The same for a segment of any kind: an EventStore where it is a store."""
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
            f"{path} may not be read by this user; ask its owner, {owner(os.lstat(path).st_uid)}"
        ) from None
    try:
        return is_locked(fd)
    finally:
        os.close(fd)


def partition_columns(out: Output, *counts: Column) -> tuple[Column, ...]:
    """The columns of a table of partitions; `counts` are those of what was appended."""
    return (
        Column("partition", "partition", right=True),
        Column("fill", "fill", lambda fill: f"{out.bar(fill)} {units.percent(fill):>5}"),
        Column("records", "records", units.count, right=True),
        *counts,
        Column("in_flight", "in flight", right=True),
        Column("skipped", "skipped", right=True),
        Column("voided", "voided", right=True),
    )


def owner(uid: int) -> str:
    """The user's name, or the number of one without a name."""
    return owner_name(uid)


def brief(error: ShmStoreError) -> str:
    """An error in a word or two, for a column: ``AbiMismatch`` is ``abi mismatch``."""
    name = type(error).__name__
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
