"""The description of the service for programs: `GET /openapi.json`, in OpenAPI 3.1."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from shmstore.http.dashboard.files import FILES, content_type_of
from shmstore.http.dashboard.lists import ORDERS
from shmstore.http.dashboard.windows import LATEST_MS, LONGEST_S

_WHOLE: Final = {"type": "integer", "minimum": 0}
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time", "description": "in ISO 8601, from 1970 to 2262"}
_NUMBER: Final = {"type": ["number", "null"]}
_LABEL: Final = {"type": "string", "minLength": 1, "maxLength": 64, "description": "at most 64 bytes of UTF-8"}
_TRUTH: Final = {"type": "boolean"}
_ANY: Final[dict[str, Any]] = {}

_STREAM: Final = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "may have slashes; at most 255 bytes of UTF-8",
}
_EXPECTED: Final = {"type": "string", "pattern": "^(any|no_stream|exists|-1|[0-9]{1,18})$"}
_SCOPE: Final = {"label": _TEXT, "from": _TIME, "to": _TIME}

_STATUSES: Final = {
    400: "the request is wrong; error says what",
    401: "a token is asked for",
    403: "not for whoever asks",
    404: "there is no such stream, or nothing at this path",
    405: "not by this method",
    409: "the stream is not at the expected version; actual says at which it is",
    410: "what is asked for is gone; firstVersion says what is there still, unless all was deleted for ever",
    412: "the stream is not as If-Match or If-None-Match has it",
    413: "larger than is taken",
    415: "the body is compressed",
    421: "the service is not known by this name",
    503: "not now; ask again",
    507: "there is no room for another name",
}
_ALWAYS: Final = (400, 401, 403, 405, 421, 503)


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _either(*schemas: Any) -> dict[str, Any]:
    return {"oneOf": list(schemas)}


def _with(schema: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """An object that may have more properties."""
    return {**schema, "properties": {**schema["properties"], **properties}}


_LABEL_OR_NULL: Final = {"type": ["string", "null"]}
_SUMMARY: Final = {"count": _WHOLE, "sum": _NUMBER, "min": _NUMBER, "max": _NUMBER, "avg": _NUMBER}
_BOUND: Final = {"type": ["string", "null"], "format": "date-time"}
_WINDOW: Final = {
    "type": "object",
    "properties": {"from": _BOUND, "to": _BOUND, "label": _LABEL_OR_NULL},
    "required": ["from", "to", "label"],
}
_EVENT: Final = _object(
    stream=_TEXT,
    version=_WHOLE,
    position=_WHOLE,
    eventId=_LABEL_OR_NULL,
    type=_LABEL_OR_NULL,
    data=_ANY,
    metadata=_ANY,
    timestamp=_TIME,
)
_AGGREGATE: Final = {"type": "object", "required": ["stream", "totalEvents", "durationMs"]}
_ERROR: Final = _object(error=_TEXT)
_ERRORS: Final = {  # what the answer of a status says beside the sentence
    404: ("NoStream", _with(_ERROR, stream=_TEXT)),
    409: ("Conflict", _object(error=_TEXT, expected={"type": ["string", "integer"]}, actual={"type": "integer"})),
    410: ("Gone", _with(_ERROR, firstVersion=_WHOLE)),
    412: ("Unmet", _object(error=_TEXT, actual={"type": "integer"})),
    413: ("TooLarge", _with(_ERROR, size=_WHOLE, limit=_WHOLE)),
}


def _parameters(place: str, named: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "in": place, "schema": schema} for name, schema in named.items()]


def _operation(
    summary: str,
    status: int,
    schema: Any,
    query: dict[str, Any] | None = None,
    headers: dict[str, Any] | None = None,
    body: Any = None,
    more: tuple[int, ...] = (),
    kinds: tuple[str, ...] = (),
) -> dict[str, Any]:
    """An operation; `more` are the statuses it may answer beside those of all. Without a schema there is no JSON."""
    content = {kind: {"schema": _TEXT} for kind in kinds}
    if schema is not None:
        content["application/json"] = {"schema": schema}
    responses: dict[str, Any] = {str(status): {"description": "done", "content": content}}
    for refusal in sorted({*_ALWAYS, *more}):
        error, _ = _ERRORS.get(refusal, ("Error", _ERROR))
        told = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
        responses[str(refusal)] = {"description": _STATUSES[refusal], "content": told}
        if refusal == 503:
            responses["503"]["headers"] = {"Retry-After": {"schema": _WHOLE, "description": "seconds"}}
    found: dict[str, Any] = {"summary": summary, "responses": responses}
    if parameters := [*_parameters("query", query or {}), *_parameters("header", headers or {})]:
        found["parameters"] = parameters
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


@cache
def document() -> dict[str, Any]:
    """The description of all routes."""
    append_query = {"expectedVersion": _EXPECTED, "eventId": _LABEL, "type": _LABEL, "many": _TRUTH}
    ids = {"Event-Id": _LABEL, "Idempotency-Key": _LABEL}
    conditions = {"If-Match": _TEXT, "If-None-Match": {"const": "*"}}
    append_headers = {"Expected-Version": _EXPECTED, **ids, "Event-Type": _LABEL, **conditions}
    read_query = {
        "from": _WHOLE,
        "limit": {**_WHOLE, "maximum": 10_000},
        "backwards": _TRUTH,
        "missing": {"enum": ["raise", "report"]},
        "follow": _TRUTH,
        "lastEventId": _TEXT,
        "aggregate": _TRUTH,
        "by": _TEXT,
        "sum": _TEXT,
    }
    read = _operation(
        "Events of a stream, or their count and sum, or those that come",
        200,
        _either(_list({"$ref": "#/components/schemas/Event"}), _AGGREGATE),
        read_query,
        {"If-None-Match": _TEXT, "Last-Event-ID": _TEXT},
        more=(404, 410),
        kinds=("application/x-ndjson", "text/event-stream"),
    )
    read["responses"]["304"] = {"description": "the stream is as it was"}
    appended = _either(
        _object(stream=_TEXT, version=_WHOLE, eventId=_LABEL_OR_NULL),
        _object(stream=_TEXT, versions=_list(_WHOLE)),
    )
    answers = {
        "/health": {"get": _operation("Whether the service runs", 200, _TEXT)},
        "/ready": {"get": _operation("Whether it has its stores", 200, _object(ready=_TRUTH))},
        "/openapi.json": {"get": _operation("This document", 200, {"type": "object"})},
        "/streams": {"get": _operation("Names of streams", 200, _object(streams=_list(_TEXT)), {"prefix": _TEXT})},
        "/streams/{name}": {
            "parameters": [_STREAM],
            "get": read,
            "post": _operation(
                "Append the body as an event, or, with many, its items as several, all or none; with the header "
                "Prefer: return=minimal the answer has no body, and its ETag begins with the newest version",
                202,
                appended,
                append_query,
                append_headers,
                body=_ANY,
                more=(404, 409, 410, 412, 413, 415, 507),
            ),
        },
        "/metrics": {
            "get": _operation(
                "Metrics of the service, for Prometheus",
                200,
                None,
                kinds=("text/plain", "application/openmetrics-text"),
            ),
            "post": _operation(
                "Append a record",
                202,
                _object(label=_LABEL, value={"type": "number"}, timestamp=_TIME),
                body={
                    "type": "object",
                    "properties": {
                        "label": _LABEL,
                        "value": {"type": "number", "minimum": -1e308, "maximum": 1e308},
                        "timestamp": {"anyOf": [_TIME, {"type": "null"}]},
                    },
                    "required": ["label", "value"],
                },
                more=(413, 415, 507),
            ),
        },
        "/metrics/sum": {"get": _operation("Sum of values", 200, _NUMBER, _SCOPE)},
        "/metrics/sum-window": {
            "get": _operation(
                "Sum of the newest minutes",
                200,
                _NUMBER,
                {"label": _TEXT, "minutes": {"type": "integer", "minimum": 1, "maximum": 10**7}},
            )
        },
        "/metrics/window": {"get": _operation("Summary of values", 200, _object(**_SUMMARY, window=_WINDOW), _SCOPE)},
        "/metrics/aggregate-zero-alloc": {"get": _operation("Summary of values", 200, _object(**_SUMMARY), _SCOPE)},
        "/metrics/process-events": {
            "get": _operation(
                "How many records, and how many high", 200, _object(processed=_WHOLE, highCpuCount=_WHOLE), _SCOPE
            )
        },
        "/metrics/top": {
            "get": _operation(
                "Labels with the largest sums",
                200,
                _list(_object(label=_TEXT, sum=_NUMBER)),
                {"k": {"type": "integer", "minimum": 1, "maximum": 10_000}, "from": _TIME, "to": _TIME},
            )
        },
        "/metrics/snapshot-views": {
            "get": _operation(
                "Records of each partition",
                200,
                _object(partitions=_WHOLE, totalEvents=_WHOLE, views=_list(_object(partition=_WHOLE, count=_WHOLE))),
            )
        },
        "/admin/clear": {"post": _operation("Empty the records", 200, _object(cleared=_TRUTH))},
        "/admin/reset": {"post": _operation("Empty the records", 200, _object(reset=_TRUTH))},
        "/admin/purge": {
            "post": _operation(
                "Forget old records",
                200,
                _object(purgedBefore=_TIME),
                {"olderThanMinutes": {"type": "integer", "minimum": 1, "maximum": 10**8}, "olderThan": _TIME},
            )
        },
    }
    answers |= _dashboard()
    return {
        "openapi": "3.1.0",
        "info": {"title": "shmstore", "version": _version(), "description": "Streams and records in shared memory"},
        "paths": answers,
        "components": {
            "schemas": {"Event": _EVENT, "Error": _ERROR, **dict(_ERRORS.values())},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _dashboard() -> dict[str, Any]:
    """The page and what it asks."""
    files: dict[str, Any] = {}
    for path, name in FILES.items():
        kinds = (content_type_of(name),)
        get = _operation(f"{name} of the dashboard", 200, None, headers={"If-None-Match": _TEXT}, kinds=kinds)
        get["responses"]["304"] = {"description": "the browser has it"}
        files[path] = {"get": get}
    listed = {"store": _TEXT, "filter": _TEXT, "limit": {"type": "integer", "minimum": 1, "maximum": 200}}
    over_time = {
        "range": {"type": "integer", "minimum": 1, "maximum": LONGEST_S, "description": "seconds"},
        "value": _TEXT,
    }
    rows = _object(rows={"type": "array"}, matching=_WHOLE, all=_WHOLE, again=_NUMBER)
    asked: dict[str, tuple[str, Any, dict[str, Any]]] = {
        "labels": ("Labels with the most records, or the largest values", rows, {**listed, **over_time}),
        "streams": ("Streams with their versions and rates", rows, listed),
        "series": ("Series of metrics with their rates", rows, listed),
        "chart": (
            "A label over time: counts, sums, means and quantiles of windows",
            _object(windows={"type": "object"}, whole={"type": "object"}, every=_WHOLE, again=_NUMBER),
            {
                "store": _TEXT,
                "label": _TEXT,
                **over_time,
                "until": {**_WHOLE, "maximum": LATEST_MS, "description": "ms since 1970"},
            },
        ),
        "events": (
            "The newest events of a stream",
            _object(events={"type": "array"}, version={"type": "integer"}, again=_NUMBER),
            {"store": _TEXT, "stream": _TEXT, "limit": {"type": "integer", "minimum": 1, "maximum": 100}},
        ),
        "health": ("What is found of the machine and its stores", _object(findings={"type": "array"}), {}),
    }
    for name, (summary, schema, query) in asked.items():
        order = {"order": {"enum": list(ORDERS[name])}} if name in ORDERS else {}
        files[f"/dashboard/{name}"] = {"get": _operation(summary, 200, schema, {**query, **order}, more=(404, 410))}
    live = _operation("A state a second, as it comes", 200, None, {"store": _TEXT}, kinds=("text/event-stream",))
    return {**files, "/dashboard/live": {"get": live}}


def _version() -> str:
    try:
        return version("shmstore")
    except PackageNotFoundError:
        return "unknown"
