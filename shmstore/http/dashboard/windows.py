"""A label over time: count, sum, mean and quantiles of each window of a range, and of the whole range."""

import time
from typing import Any, Final

from shmstore.errors import InvalidOption
from shmstore.events.store import EventStore
from shmstore.expressions.expression import field
from shmstore.http.dashboard.pace import Ask
from shmstore.http.dashboard.values import number
from shmstore.http.dashboard.watched import fields_of

QUANTILES: Final = (0.5, 0.9, 0.99)
LONGEST_S: Final = 400 * 86_400
LATEST_MS: Final = 9 * 10**12  # of what a Timestamp can say
_WINDOWS: Final = 60
_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_SECOND_NS: Final = 10**9
_COPIED: Final = 100_000  # records of a range that are copied, so that all windows are asked of the same ones


def step_s(range_s: int) -> int:
    """How long each window of a range is, so that there are about sixty."""
    return next((step for step in _STEPS_S if step * _WINDOWS >= range_s), range_s // _WINDOWS + 1)


def value_field(store: EventStore[Any], asked: str | None) -> str | None:
    """The field of numbers that is meant: the one that was asked for, else the first. Raises InvalidOption."""
    values = fields_of(store.schema)["values"]
    if asked is not None and asked not in values:
        raise InvalidOption(f"there are no numbers in a field {asked!r} of {store.name!r}; ask for one of {values}")
    return asked if asked is not None else next(iter(values), None)


def windows(store: EventStore[Any], label: str | None, asked: str | None, range_s: int, until_ms: int | None) -> Ask:
    """The question after the windows of a label, or of all records. Raises InvalidOption where there is no time."""
    fields = fields_of(store.schema)
    if not fields["time"]:
        raise InvalidOption(f"the records of {store.name!r} have no time; declare a Timestamp to see them over time")
    if label is not None and fields["label"] is None:
        raise InvalidOption(f"the records of {store.name!r} have no labels; leave label= out")
    value, every_s = value_field(store, asked), step_s(range_s)
    where = None if label is None else field(fields["label"]) == label

    def ask() -> dict[str, Any]:
        end_s = (time.time_ns() if until_ms is None else until_ms * 10**6) // _SECOND_NS
        end_s = (end_s // every_s + 1) * every_s
        begin_s = end_s - (range_s + every_s - 1) // every_s * every_s
        chosen: dict[str, Any] = {"since": begin_s * _SECOND_NS, "until": end_s * _SECOND_NS}
        source: Any = store
        if where is not None:
            chosen["where"] = where
        if store.count(**chosen) <= _COPIED:
            source, chosen = store.snapshot(**chosen), {}
        table = source.windows(value, every=every_s * _SECOND_NS, **chosen)
        rows = table.to_dicts()
        found: dict[str, list[Any]] = {"start": [row["start"] // 10**6 for row in rows]}
        found["count"] = [row["count"] for row in rows]
        whole: dict[str, Any] = {"count": sum(found["count"])}
        if value is not None:
            for answer in ("sum", "mean", "min", "max"):
                found[answer] = [number(row[answer]) for row in rows]
            bounds = [(row["start"], row["start"] + every_s * _SECOND_NS) for row in rows]
            quantiles = [
                source.quantiles(value, QUANTILES, **{**chosen, "since": since, "until": until})
                for since, until in bounds
            ]
            for at, part in enumerate(QUANTILES):
                found[f"p{part * 100:g}"] = [number(each[at]) for each in quantiles]
            whole |= _whole(source, value, chosen)
        complete = store.complete_since
        return {
            "label": label,
            "value": value,
            "every": every_s,
            "since": begin_s * 1000,
            "until": end_s * 1000,
            "complete": None if complete is None else int(complete.timestamp() * 1000),
            "windows": found,
            "whole": whole,
        }

    return ask


def _whole(source: Any, value: str, chosen: dict[str, Any]) -> dict[str, Any]:
    summary = source.summary(value, **chosen)
    quantiles = source.quantiles(value, QUANTILES, **chosen)
    figures = {"sum": summary.sum, "mean": summary.mean, "min": summary.min, "max": summary.max}
    figures |= {f"p{part * 100:g}": found for part, found in zip(QUANTILES, quantiles, strict=True)}
    return {name: number(found) for name, found in figures.items()}
