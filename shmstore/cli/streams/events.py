"""Events, printed as they come: one form for every verb that lists some."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from shmstore import _core
from shmstore.arguments import units
from shmstore.cli.render import Column, Mode, Output

_BATCH_EVENTS = 500


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, str):
        return value
    import json  # only whoever has such events pays for it

    return json.dumps(value, ensure_ascii=False)


COLUMNS = (
    Column("version", "version", right=True),
    Column("timestamp", "timestamp"),
    Column("type", "type"),
    Column("event_id", "event id"),
    Column("data", "data", _shown),
    Column("metadata", "metadata", _shown),
)


class EventPrinter:
    """Prints events as they come, aligned with those before them; times are in UTC."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._widths: dict[str, int] = {}
        self._titled = False

    def print(self, events: Iterable[_core.Event]) -> None:
        """Print these events, the titles before the first."""
        remaining = iter(events)
        while batch := [row_of(event, self._out) for event in islice(remaining, _BATCH_EVENTS)]:
            if self._out.mode is Mode.JSON:
                for row in batch:
                    self._out.object(row)
            else:
                self._out.write(self._out.table(COLUMNS, batch, titles=not self._titled, widths=self._widths))
                self._titled = True


def row_of(event: _core.Event, out: Output) -> dict[str, Any]:
    """All of an event by name. JSON that cannot be read, as in a damaged segment, is told, and counts as none."""
    return {
        "stream": event.stream,
        "version": event.version,
        "position": event.position,
        "timestamp": units.iso(event.timestamp),
        "type": event.type,
        "event_id": event.event_id,
        "data": _read(event, "data", lambda: event.data, out),
        "metadata": _read(event, "metadata", lambda: event.metadata, out),
    }


def _read(event: _core.Event, part: str, read: Callable[[], Any], out: Output) -> Any:
    try:
        return read()
    except (ValueError, RecursionError) as error:
        out.message(
            f"the {part} of event {event.version} of stream {event.stream!r} cannot be read as JSON ({error}); run "
            "'shmstore-inspect check'"
        )
        return None


def no_stream(name: str, store: str) -> str:
    """What to say of a stream that is not there."""
    return f"there is no stream {name!r} in {store!r}; `shmstore-inspect streams ls {store}` lists those that there are"
