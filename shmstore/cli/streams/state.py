"""What is to be known of a stream: its versions, and what is kept of it."""

from typing import Any, Final

from shmstore.arguments import units
from shmstore.cli.render import Column, Tone
from shmstore.errors import StreamDeleted
from shmstore.streams.stream import Stream


def _retention(kept: dict[str, Any]) -> str:
    events, age_s = kept["events"], kept["age"]
    said = [] if events is None else [f"{units.count(events)} events"]
    return ", ".join(said if age_s is None else [*said, units.duration(age_s)]) or "all"


STREAM: Final = Column("stream", "stream")
VERSION: Final = Column("version", "version", units.count, right=True)
FIRST: Final = Column("first_version", "first", units.count, right=True)
EVENTS: Final = Column("events", "events", units.count, right=True)
DISCARDED: Final = Column("discarded", "discarded", units.count, right=True)
COLUMNS: Final = (
    STREAM,
    VERSION,
    FIRST,
    EVENTS,
    DISCARDED,
    Column("reserve", "reserve", units.count, right=True),
    Column("retention", "retention", _retention),
    Column("last_append", "last append", units.when),
)
FACTS: Final = (
    STREAM,
    Column("state", "state", tone=lambda state: Tone.GOOD if state == "exists" else Tone.WARNING),
    VERSION,
    FIRST._replace(title="first version"),
    EVENTS,
    DISCARDED,
    Column("dedup_window", "dedup window", units.count),
    Column("reserve", "reserve", units.count),
    Column("retention", "retention", _retention),
    Column("last_append", "last append", units.when),
)


def of(stream: Stream) -> dict[str, Any]:
    """The state of a stream, with the keys of COLUMNS; `last_append` is None where no event can be read."""
    state, retention = stream.state(), stream.retention
    try:
        last = stream.last()
    except StreamDeleted:
        last = None
    return {
        "stream": stream.name,
        "version": state.versions - 1,
        "first_version": state.first,
        "events": state.versions - state.first,
        "discarded": state.discarded,
        "reserve": stream.reserve,
        "retention": {
            "events": retention.events,
            "age": None if retention.age is None else retention.age.total_seconds(),
        },
        "last_append": None if last is None else units.Time(last.timestamp),
    }


def facts_of(stream: Stream) -> dict[str, Any] | None:
    """The same, with the keys of FACTS; None when there never was such a stream."""
    state = stream.state()
    if not state.versions and not state.closed:
        return None
    word = "deleted for ever" if state.closed else "exists" if state.exists else "deleted"
    return of(stream) | {"state": word, "dedup_window": state.versions - state.lost}
