"""The routes of the dashboard: the files of its page, the states that are sent to it, and what it asks."""

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from shmstore.arguments.shown import shown
from shmstore.errors import StoreNotFound, WrongKind
from shmstore.events.store import EventStore
from shmstore.http.continued import DETACH, GOING_ON
from shmstore.http.dashboard import lists
from shmstore.http.dashboard.files import FILES, answer_with_file
from shmstore.http.dashboard.handles import Attached
from shmstore.http.dashboard.live import LOOKING, Viewing, states
from shmstore.http.dashboard.sampler import Sampler
from shmstore.http.dashboard.scope import Scope, scope_of
from shmstore.http.dashboard.windows import LATEST_MS, LONGEST_S, windows
from shmstore.http.message import Answer, HttpError, Request, json_answer
from shmstore.http.settings import Settings
from shmstore.segments.handle import Handle
from shmstore.streams.store import StreamStore
from shmstore.survey.findings import of_segments
from shmstore.survey.machine import examine

_NO_STORE: Final = ("Cache-Control", "no-store")
_RANGE_S: Final = 300
_MOST_ROWS: Final = 200
_MOST_EVENTS: Final = 100
_HEALTH_S: Final = 15.0
_EVENTS_S: Final = 1.0


class Dashboard:
    """What the viewers of one process share."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sampler = Sampler()
        self._is_open = True

    def close(self) -> None:
        """Let viewers go. They ask again, and are answered."""
        self._is_open = False

    def answer(self, request: Request) -> Answer:
        """The answer to a GET of one of ROUTES. Raises HttpError and ShmStoreError."""
        if request.path in FILES:
            return answer_with_file(request)
        scope = scope_of(request, self._settings)
        if request.path == "/dashboard/live":
            return self._live(request, scope)
        try:
            with self._sampler.looking():
                return json_answer(200, _QUESTIONS[request.path](self._sampler, request, scope), _NO_STORE)
        except StoreNotFound as error:
            raise HttpError(404, str(error)) from error
        except WrongKind as error:
            raise HttpError(400, str(error)) from error

    def _live(self, request: Request, scope: Scope) -> Answer:
        name = request.query.get("store") or None
        service = {
            "name": self._settings.name,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "all": scope.is_all,
        }
        headers = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
        if request.method == "HEAD":
            return Answer(200, b"", "text/event-stream", headers)
        looks = partial(states, self._sampler, scope, name, service)
        body: Iterable[bytes] = iter((LOOKING,))  # of one piece, but no length: more comes
        if request.environ.get(DETACH):
            request.environ[GOING_ON] = Viewing(looks, lambda: self._is_open)
        else:
            is_wanted = request.environ.get("shmstore.is_wanted", lambda: True)  # of a server that tells
            body = _begun(looks(is_wanted))
        return Answer(200, body, "text/event-stream", headers)


def _begun(states: Iterable[bytes]) -> Iterator[bytes]:
    """The first piece and the states; closing it, as servers do, closes those."""
    yield LOOKING
    yield from states


Question = Callable[[Sampler, Request, Scope], dict[str, Any]]


def _chart(sampler: Sampler, request: Request, scope: Scope) -> dict[str, Any]:
    store = sampler.handles.of_kind(_store(request, scope), EventStore)
    label, value = request.query.get("label"), request.query.get("value")
    range_s, until_ms = _range(request), request.number("until", None, most=LATEST_MS)
    key = ("chart", _id(store), label, value, range_s, until_ms)
    return sampler.questions.answer(key, lambda: windows(store, label, value, range_s, until_ms))


def _labels(sampler: Sampler, request: Request, scope: Scope) -> dict[str, Any]:
    store = sampler.handles.of_kind(_store(request, scope), EventStore)
    value, range_s = request.query.get("value"), _range(request)
    key = ("labels", _id(store), value, range_s)
    return _listed(request, "labels", sampler.questions.answer(key, lambda: lists.labels(store, value, range_s)))


def _streams(sampler: Sampler, request: Request, scope: Scope) -> dict[str, Any]:
    store = sampler.handles.of_kind(_store(request, scope), StreamStore)
    return _listed(request, "streams", sampler.questions.answer(("streams", _id(store)), lambda: lists.streams(store)))


def _series(sampler: Sampler, request: Request, scope: Scope) -> dict[str, Any]:
    segment = sampler.handles.of_kind(_store(request, scope), Handle)
    return _listed(request, "series", sampler.questions.answer(("series", _id(segment)), lambda: lists.series(segment)))


def _events(sampler: Sampler, request: Request, scope: Scope) -> dict[str, Any]:
    store = sampler.handles.of_kind(_store(request, scope), StreamStore)
    name, limit = request.query.get("stream", ""), request.number("limit", 20, least=1, most=_MOST_EVENTS)
    key = ("events", _id(store), name, limit)
    return sampler.questions.answer(key, lambda: lists.events(store, name, limit), _EVENTS_S)


def _health(sampler: Sampler, request: Request, scope: Scope) -> dict[str, Any]:
    def ask() -> dict[str, Any]:
        findings = [*(examine() if scope.is_all else ()), *of_segments(scope.names)]
        return {"findings": [finding._asdict() for finding in findings]}

    return sampler.questions.answer(("health", scope.is_all), lambda: ask, _HEALTH_S)


_QUESTIONS: Final[dict[str, Question]] = {
    "/dashboard/chart": _chart,
    "/dashboard/labels": _labels,
    "/dashboard/streams": _streams,
    "/dashboard/events": _events,
    "/dashboard/series": _series,
    "/dashboard/health": _health,
}
ROUTES: Final = (*FILES, "/dashboard/live", *_QUESTIONS)
"""Every path, each for GET alone."""


def _id(store: Attached) -> bytes:
    return store.core.header().store_id


def _store(request: Request, scope: Scope) -> str:
    name = request.query.get("store")
    if not name:
        raise HttpError(400, "the query names no store; give one, as store=orders")
    return scope.require(name)


def _range(request: Request) -> int:
    return request.number("range", _RANGE_S, least=1, most=LONGEST_S)


def _listed(request: Request, what: str, answer: dict[str, Any]) -> dict[str, Any]:
    orders = lists.ORDERS[what]
    order = request.query.get("order", orders[0])
    if order not in orders:
        raise HttpError(400, f"order is {shown(order)}; expected one of {', '.join(orders)}")
    limit = request.number("limit", 20, least=1, most=_MOST_ROWS)
    return lists.chosen(answer, request.query.get("filter", ""), order, limit)
