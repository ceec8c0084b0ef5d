"""What only an administrator may do over HTTP: empty the records, and forget old ones."""

from time import time_ns
from typing import Any

from shmstore.events.store import EventStore
from shmstore.http.message import Answer, HttpError, Request, json_answer, parsed_time, time_text
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
    minutes, moment = request.number("olderThanMinutes", None, least=1, most=10**8), request.query.get("olderThan")
    if (minutes is None) == (moment is None):
        raise HttpError(400, "say what is purged by one of olderThanMinutes= and olderThan=, a time in ISO 8601")
    before = time_ns() - minutes * _MINUTE_NS if minutes is not None else parsed_time("olderThan", moment)
    records.purge(as_datetime(before))
    return json_answer(200, {"purgedBefore": time_text(before)})
