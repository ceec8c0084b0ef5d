"""What is listed of one store: its labels, its streams and their newest events, its series; a few of them."""

import time
from collections.abc import Callable
from heapq import nlargest, nsmallest
from typing import Any, Final

from shmstore._core import Event
from shmstore.errors import InvalidOption
from shmstore.events.store import EventStore
from shmstore.http.dashboard.pace import Ask
from shmstore.http.dashboard.values import cut, milliseconds, number, rounded, text_of
from shmstore.http.dashboard.watched import fields_of
from shmstore.http.dashboard.windows import value_field
from shmstore.segments.handle import Handle
from shmstore.streams.store import StreamStore
from shmstore.survey.series import SeriesMeter
from shmstore.survey.streams import StreamsLooker

ORDERS: Final = {
    "labels": ("count", "sum", "mean", "max", "name"),
    "streams": ("rate", "events", "version", "name"),
    "series": ("rate", "value", "name"),
}
Row = dict[str, Any]


def labels(store: EventStore[Any], asked: str | None, range_s: int) -> Ask:
    """The question after all labels of the last seconds. Raises InvalidOption where there are none."""
    fields = fields_of(store.schema)
    label, value = fields["label"], value_field(store, asked)
    if label is None:
        raise InvalidOption(f"the records of {store.name!r} have no labels; declare a Key to have them")

    def ask() -> dict[str, Any]:
        since = time.time_ns() - range_s * 10**9 if fields["time"] else None
        groups = store.group_by(label, since=since)
        table = groups.count() if value is None else groups.summary(value)
        names = table.names[1:]
        rows = [{"name": name or "", **dict(zip(names, row, strict=True))} for name, *row in table.iter_rows()]
        return {"value": value, "rows": rows}

    return ask


def streams(store: StreamStore) -> Ask:
    """The question after all streams."""
    looker = StreamsLooker(store)

    def ask() -> dict[str, Any]:
        return {
            "rows": [
                {
                    "name": row["stream"],
                    "version": row["version"],
                    "first": row["first_version"],
                    "events": row["events"],
                    "discarded": row["discarded"],
                    "rate": rounded(row["appended_per_second"], 1),
                }
                for row in looker.look()["by_stream"]
            ]
        }

    return ask


def series(segment: Handle) -> Ask:
    """The question after all series of metrics."""
    meter = SeriesMeter(segment, None)

    def ask() -> dict[str, Any]:
        return {
            "rows": [
                {
                    "name": _series_name(row),
                    "type": row["type"],
                    "value": row["value"] if isinstance(row["value"], str) else number(row["value"]),
                    "sum": number(row.get("sum")),
                    "rate": rounded(row["per_second"]),
                }
                for row in meter.look()
            ]
        }

    return ask


def _series_name(row: Row) -> str:
    labelled = ",".join(f'{name}="{value}"' for name, value in row["labels"].items())
    return f"{row['metric']}{{{labelled}}}" if labelled else str(row["metric"])


def events(store: StreamStore, name: str, limit: int) -> Ask:
    """The question after the newest events of a stream."""
    stream = store[name]
    newest = stream.read(backwards=True, limit=limit, missing="report")

    def ask() -> dict[str, Any]:
        state = stream.state()
        return {
            "stream": name,
            "version": state.versions - 1,
            "first": state.first,
            "exists": state.exists,
            "events": [_event(event) for event in newest] if state.exists else [],
        }

    return ask


def _event(event: Event) -> Row:
    return {
        "version": event.version,
        "time": milliseconds(event.timestamp),
        "type": event.type,
        "id": event.event_id,
        "data": _text(lambda: event.data_json or text_of(event.data)),
        "metadata": _text(lambda: event.metadata_json or text_of(event.metadata)),
    }


def _text(read: Callable[[], str | None]) -> str | None:
    try:
        return cut(read())
    except (ValueError, RecursionError) as error:  # of a damaged store
        return f"cannot be read: {error}"


def chosen(answer: dict[str, Any], words: str, order: str, limit: int) -> dict[str, Any]:
    """An answer with those rows whose names have all the words, ordered, at most so many; and how many there are."""
    rows: list[Row] = answer["rows"]
    wanted = words.casefold().split()
    matching = [row for row in rows if all(word in row["name"].casefold() for word in wanted)] if wanted else rows
    if order == "name":
        first = nsmallest(limit, matching, key=lambda row: row["name"])
    else:
        first = nlargest(limit, matching, key=lambda row: _rank(row.get(order)))
    sent = [{name: number(it) if isinstance(it, float) else it for name, it in row.items()} for row in first]
    return {**answer, "rows": sent, "matching": len(matching), "all": len(rows)}


def _rank(value: Any) -> float:
    found = number(value)
    return float("-inf") if found is None else found
