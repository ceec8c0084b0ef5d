"""What several verbs attach to, refused in the words of this tool when of another kind; and the table of partitions."""

from typing import Any, Final

from shmstore.arguments import units
from shmstore.cli.render import Column, Output
from shmstore.errors import WrongKind
from shmstore.events.store import EventStore, attach
from shmstore.segments import handle
from shmstore.segments.handle import Handle
from shmstore.segments.refusals import Kind
from shmstore.streams.store import StreamStore, attach_streams
from shmstore.survey.segments import kind_of

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


def _wrong_kind(name: str, wanted: Kind) -> WrongKind:
    held = _HELD[kind_of(name)]
    return WrongKind(
        f"{name!r} holds {held}, and this verb is for {_HELD[wanted]}; `shmstore-inspect show {name}` describes {held}"
    )


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
