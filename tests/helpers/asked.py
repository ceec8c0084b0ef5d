"""One request to the service as a WSGI application, through the checker of the standard library."""

import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from shmstore.http.openapi import document
from shmstore.http.service import Service

OTHER_VARIABLES = {"remote": "REMOTE_ADDR", "raw_uri": "RAW_URI", "protocol": "SERVER_PROTOCOL"}
LIMIT = 10_000  # bytes of a body


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Answer]


def asked(service: Service, method: str, path: str, body: Any = None, query: str = "", **headers: str) -> Answer:
    """One request, through the checker of the standard library; `body` is JSON unless it is bytes."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:7070",
        "SCRIPT_NAME": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
    }
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    setup_testing_defaults(environ)
    environ |= {"wsgi.input": io.BytesIO(sent), "CONTENT_LENGTH": str(len(sent)), "wsgi.errors": io.StringIO()}
    for name, value in headers.items():
        environ[OTHER_VARIABLES.get(name) or f"HTTP_{name.upper()}"] = value
    told: list[Any] = []

    def start_response(status: str, found: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        told[:] = [int(status[:3]), dict(found)]
        return io.BytesIO().write

    checked: Any = validator(service)
    pieces = checked(environ, start_response)
    try:
        answer = Answer(told[0], told[1], b"".join(pieces))
    finally:
        pieces.close()
    require_described(path, method, answer)
    return answer


def require_described(path: str, method: str, answer: Answer) -> None:
    """An answer has a status that the description tells of, and an error is one sentence in JSON."""
    route = "/streams/{name}" if path.startswith("/streams/") else path
    operation = document()["paths"].get(route, {}).get(method.lower().replace("head", "get"))
    if operation is not None:
        assert str(answer.status) in operation["responses"], (path, answer)
    if answer.status >= 400 and method != "HEAD":
        assert isinstance(answer.json["error"], str) and answer.json["error"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
