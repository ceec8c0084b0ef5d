"""What only an administrator may do over HTTP: empty the records, and forget old ones."""

from time import time_ns
from typing import Any

from shmstore.events.store import EventStore
from shmstore.http.message import Answer, HttpError, Request, json_answer, time_text
from shmstore.reading.selection import as_datetime

_MINUTE_NS = 60 * 10**9


def clear(records: EventStore[Any], request: Request) -> Answer:
    """`POST /admin/clear`"""
    records.clear()
    return json_answer(200, {"cleared": True})


def reset(records: EventStore[Any], request: Request) -> Answer:
    """`POST /admin/reset`"""
    records.reset()
    return json_answer(200, {"reset": True})


def purge(records: EventStore[Any], request: Request) -> Answer:
    """`POST /admin/purge`"""
    minutes, before = request.number("olderThanMinutes", None, least=1, most=10**8), request.time_ns("olderThan")
    if (minutes is None) == (before is None):
        raise HttpError(400, "say what is purged by one of olderThanMinutes= and olderThan=, a time in ISO 8601")
    if minutes is not None:
        before = time_ns() - minutes * _MINUTE_NS
    assert before is not None
    records.purge(as_datetime(before))
    return json_answer(200, {"purgedBefore": time_text(before)})
