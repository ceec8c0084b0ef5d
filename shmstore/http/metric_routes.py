"""Records of a label, a value and a time over HTTP: append them, and ask for sums, windows and the largest."""

from time import time_ns
from typing import Any, NamedTuple

from shmstore.arguments.shown import shown
from shmstore.events.store import EventStore
from shmstore.expressions.expression import Expression, field
from shmstore.http.message import Answer, HttpError, Request, finite, json_answer, parsed, parsed_time, time_text
from shmstore.questions.aggregates import Summary
from shmstore.reading.selection import as_datetime
from shmstore.records.fields import Key, Timestamp
from shmstore.records.record import Record

_HIGH_PERCENT = 80.0  # of a CPU
_MINUTE_NS = 60 * 10**9


class Measurement(Record):
    """What `POST /metrics` appends."""

    label: Key
    value: float
    timestamp: Timestamp


class _Scope(NamedTuple):
    """Which records a question is about."""

    label: str | None
    since_ns: int | None
    until_ns: int | None

    def selection(self, where: Expression | None = None) -> dict[str, Any]:
        """What the store is asked with: these records, of those for which `where` holds."""
        if self.label is not None:
            of_label = field("label") == self.label
            where = of_label if where is None else where & of_label
        bounds = {"since": self.since_ns, "until": self.until_ns}
        return {"where": where, **{name: ns if ns is None else as_datetime(ns) for name, ns in bounds.items()}}


def append(records: EventStore[Any], request: Request) -> Answer:
    """`POST /metrics`"""
    given = parsed(request.body())
    if not isinstance(given, dict):
        raise HttpError(400, 'the body is no object; expected {"label": "cpu", "value": 12.5}')
    label, value = given.get("label"), given.get("value")
    if not isinstance(label, str) or not label:
        raise HttpError(400, f"label is {_shown(given, 'label')}; expected a text")
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e308:
        raise HttpError(400, f"value is {_shown(given, 'value')}; expected a finite number")
    at_ns = time_ns() if given.get("timestamp") is None else parsed_time("timestamp", given["timestamp"])
    records.append(label=label, value=float(value), timestamp=at_ns)
    return json_answer(202, {"label": label, "value": value, "timestamp": time_text(at_ns)})


def _shown(given: dict[str, Any], name: str) -> str:
    return shown(given[name]) if name in given else "missing"


def total(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/sum`"""
    return json_answer(200, finite(records.sum("value", **_scope(request).selection())))


def total_of_minutes(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/sum-window`"""
    minutes = request.number("minutes", 10, least=1, most=10**7)
    scope = _Scope(request.query.get("label"), time_ns() - minutes * _MINUTE_NS, None)
    return json_answer(200, finite(records.sum("value", **scope.selection())))


def window(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/window`"""
    scope = _scope(request)
    bounds = {
        "from": None if scope.since_ns is None else time_text(scope.since_ns),
        "to": None if scope.until_ns is None else time_text(scope.until_ns),
        "label": scope.label,
    }
    return json_answer(200, {**_summary(records.summary("value", **scope.selection())), "window": bounds})


def summary(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/aggregate-zero-alloc`"""
    return json_answer(200, _summary(records.summary("value", **_scope(request).selection())))


def top(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/top`"""
    count = request.number("k", 5, least=1, most=10_000)
    groups = records.group_by("label", **_scope(request).selection()).sum("value").top(count)
    return json_answer(200, [{"label": row["label"], "sum": finite(row["sum"])} for row in groups.to_dicts()])


def views(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/snapshot-views`"""
    partitions = records.statistics.partitions
    found = [{"partition": each.partition, "count": each.length} for each in partitions]
    answer = {"partitions": len(found), "totalEvents": sum(each["count"] for each in found), "views": found}
    return json_answer(200, answer)


def process(records: EventStore[Any], request: Request) -> Answer:
    """`GET /metrics/process-events`: high are those of more than 80, of the label that is asked for or else `cpu`."""
    scope = _scope(request)
    of_cpu = scope if scope.label is not None else scope._replace(label="cpu")
    high = records.count(**of_cpu.selection(field("value") > _HIGH_PERCENT))
    return json_answer(200, {"processed": records.count(**scope.selection()), "highCpuCount": high})


def _scope(request: Request) -> _Scope:
    since_ns, until_ns = request.time_ns("from"), request.time_ns("to")
    if since_ns is not None and until_ns is not None and since_ns > until_ns:
        raise HttpError(400, f"from is {time_text(since_ns)}, later than to, {time_text(until_ns)}; swap them")
    return _Scope(request.query.get("label"), since_ns, until_ns)


def _summary(found: Summary) -> dict[str, Any]:
    return {
        "count": found.count,
        "sum": finite(found.sum),
        "min": finite(found.min),
        "max": finite(found.max),
        "avg": finite(found.mean),
    }
