"""What a handler is given and what it returns: a request, taken apart with clear errors, and an answer in JSON."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from shmstore.arguments.moments import iso_ns
from shmstore.arguments.shown import shown
from shmstore.reading.selection import as_datetime

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

T = TypeVar("T")

JSON: Final = "application/json"
_MOST_PARAMETERS: Final = 64
_NAMES: Final = ("eventId", "expectedVersion", "lastEventId", "olderThan", "olderThanMinutes")
_PLAIN_NAMES: Final = (
    *("aggregate", "backwards", "by", "filter", "follow", "from", "k", "label", "limit", "many", "minutes", "missing"),
    *("order", "prefix", "range", "store", "stream", "sum", "to", "type", "until", "value"),
)
_PARAMETERS: Final = {name: name.lower() for name in (*_NAMES, *_PLAIN_NAMES)}
"""Names of parameters, and what is left of them when they are misspelt as `expected_version`."""
_BAD_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_LOST_PLUS: Final = re.compile(r"(.{10}[T ]\d\d\S*) (\d\d(?::?\d\d)?)", re.ASCII)  # of a zone: + is a space in a query
_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_A_TIME: Final = "expected a time in ISO 8601, of the years from 1970 to 2261"
_QUALITY: Final = re.compile(r"[01](?:\.\d{0,3})?", re.ASCII)
_TRUTHS: Final = {"true": True, "1": True, "false": False, "0": False, "": True}


class HttpError(Exception):
    """A request that is refused: a status, a sentence for its sender, and what else the answer says."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.more = status, more
        self.headers: list[tuple[str, str]] = []


class Answer(NamedTuple):
    """A status, headers beside those of each answer, and a body: bytes, or pieces that are sent as they come."""

    status: int
    body: bytes | Iterable[bytes] = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"it has {text}")


def _float(text: str) -> float:
    number = float(text)
    if number - number:
        raise ValueError(f"it has {shown(text)}, which is beyond all numbers")
    return number


to_json: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_of_json: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_float)
_scan: Final[Callable[[str, int], tuple[Any, int]]] = _of_json.scan_once  # type: ignore[attr-defined]


def json_answer(status: int, value: Any, *headers: tuple[str, str]) -> Answer:
    """An answer whose body is a value as JSON."""
    return Answer(status, to_json(value).encode("utf-8", "replace"), headers=headers)


def finite(number: float | None) -> float | None:
    """JSON has no infinite sums: null stands for one that is beyond all numbers, and for one that is none."""
    return number if number is not None and abs(number) < float("inf") else None


@cache
def _variable(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"


class Request:
    """One request of a WSGI server."""

    __slots__ = ("_body_limit", "_query", "environ", "method", "path")

    def __init__(self, environ: "WSGIEnvironment", body_limit: int) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path = _path(environ)
        self._body_limit = body_limit
        self._query: Mapping[str, str] | None = None

    # -- query and headers

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters after `?`. Raises HttpError: one that is given twice, or is no UTF-8."""
        if self._query is None:
            text = self.environ.get("QUERY_STRING", "")
            if not text:
                self._query = {}
                return self._query
            if "%" in text and _BAD_PERCENT.search(text):
                raise _badly_encoded("query")
            if text.count("&") >= _MOST_PARAMETERS:
                raise HttpError(400, f"the query has more than {_MOST_PARAMETERS} parameters; leave some out")
            pairs: list[Any] = [piece.partition("=")[::2] for piece in text.split("&") if piece]
            if "%" in text or "+" in text:
                try:
                    pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
                except UnicodeDecodeError:
                    raise _badly_encoded("query") from None
            found = dict(pairs)
            if not found.keys() <= _PARAMETERS.keys():
                _require_spelling(found)
            if len(found) < len(pairs):
                raise HttpError(400, "the query gives a parameter twice; give each once")
            self._query = found
        return self._query

    def header(self, name: str) -> str | None:
        """A header, or None."""
        value: str | None = self.environ.get(_variable(name))
        return value

    def text(self, name: str, *headers: str) -> str | None:
        """A parameter of the query, or of one of these headers, as UTF-8; None when it is given nowhere.

        Raises HttpError when it is given in two places, and not the same.
        """
        found = self.query.get(name)
        for header in headers:
            value = self.environ.get(_variable(header))
            if value is not None:
                try:
                    value = str(value).encode("latin-1").decode()
                except UnicodeError:
                    raise HttpError(400, f"header {header} is not UTF-8; give {name}= in the query instead") from None
                if found is not None and found != value:
                    raise HttpError(400, f"{name} is {shown(found)}, and {shown(value)} in {header}; give it once")
                found = value
        return found

    def number(self, name: str, default: T, least: int = 0, most: int = 2**63 - 1) -> int | T:
        """A whole number of the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 20 and least <= int(text) <= most:
            return int(text)
        raise HttpError(400, f"{name} is {shown(text)}; expected a whole number from {least} to {most}")

    def truth(self, name: str) -> bool:
        """Whether a parameter is given as true."""
        text = self.query.get(name)
        if text is None:
            return False
        if text.lower() not in _TRUTHS:
            raise HttpError(400, f"{name} is {shown(text)}; expected true or false")
        return _TRUTHS[text.lower()]

    def time_ns(self, name: str) -> int | None:
        """A time of the query, as nanoseconds since 1970."""
        text = self.query.get(name)
        return None if text is None else parsed_time(name, _LOST_PLUS.sub(r"\1+\2", text))

    def knows(self, tag: str) -> bool:
        """Whether If-None-Match names this ETag, or what proxies that compress make of it: W/"7-a", or "7-a-gzip"."""
        given = self.header("If-None-Match")
        if given is None:
            return False
        inner = tag.strip('"')
        return (
            given == tag
            or given.strip() == "*"
            or any(known == inner or known.rpartition("-")[0] == inner for known in _TAG.findall(given))
        )

    def prefers(self, kind: str, to: str) -> bool:
        """Whether Accept names a type, and not another one before it, or with a higher q."""
        accept = self.header("Accept")
        if accept is None or kind not in (accept := accept.lower()):
            return False
        qualities: dict[str, float] = {}
        for part in accept.split(","):
            name, *parameters = (each.strip() for each in part.split(";"))
            quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
            qualities.setdefault(name, float(quality) if _QUALITY.fullmatch(quality) else 0.0)
        wanted, other = qualities.get(kind, 0.0), qualities.get(to, 0.0)
        return wanted > other or (wanted == other > 0 and [*qualities].index(kind) < [*qualities].index(to))

    # -- body

    def body(self) -> bytes:
        """All of the body, without a byte order mark. Raises HttpError: compressed, larger than is taken, or it ends
        too early.
        """
        coding = self.environ.get("HTTP_CONTENT_ENCODING")
        if coding and coding.lower() != "identity":
            error = HttpError(415, f"the body is compressed (Content-Encoding: {shown(coding)}); send it as it is")
            error.headers.append(("Accept-Encoding", "identity"))
            raise error
        length = self.environ.get("CONTENT_LENGTH") or ""
        source = self.environ["wsgi.input"]
        if length:
            if not (length.isascii() and length.isdigit()):
                raise HttpError(400, f"Content-Length is {shown(length)}; expected a number of bytes")
            count = int(length)
            if count > self._body_limit:
                raise self._too_large(f"{count} bytes")
            body = _read(source, count)
            if len(body) < count:
                raise HttpError(400, f"the body ends after {len(body)} of {count} bytes; send all of it")
            return body.removeprefix(_BYTE_ORDER_MARK)
        if not self.environ.get("wsgi.input_terminated"):
            return b""
        body = _read(source, self._body_limit + 1)  # chunked
        if len(body) > self._body_limit:
            raise self._too_large("more")
        return body.removeprefix(_BYTE_ORDER_MARK)

    def _too_large(self, found: str) -> HttpError:
        return HttpError(
            413,
            f"the body has {found}, and {self._body_limit} are taken at most: send less at once, or start the service "
            "with a larger body limit",
        )


def parsed(body: bytes) -> Any:
    """A body as JSON. Raises HttpError."""
    if not body:
        raise HttpError(400, "the body is empty; expected JSON")
    try:
        text = body.decode()
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            end = -1
        return value if end == len(text) else _of_json.decode(text)  # the whole way: with space around it, or wrong
    except UnicodeDecodeError as error:
        raise HttpError(400, f"the body is not UTF-8 from byte {error.start} on; send JSON in UTF-8") from None
    except RecursionError:
        raise HttpError(400, "the body is nested too deep; send flatter JSON") from None
    except ValueError as error:
        digits = sys.get_int_max_str_digits()
        is_long = "sys." in str(error)  # Python's own advice, which is of no use to a client
        told = f"a number of it has more than {digits} digits; send it as a text" if is_long else error
        raise HttpError(400, f"the body is no JSON: {told}") from None


def _read(source: Any, count: int) -> bytes:
    """So much of a body. Raises HttpError when the server cannot make it out, as of chunks that are none."""
    try:
        body: bytes = source.read(count)
    except Exception as error:  # each server has its own
        raise HttpError(
            400, f"the body cannot be read ({shown(str(error))}); send all of it, as its headers say"
        ) from None
    return body


def parsed_time(name: str, value: Any) -> int:
    """A time in ISO 8601 as nanoseconds since 1970; one without a zone is in UTC. Raises HttpError."""
    found = None
    for zone in ("Z", "T00:00:00Z", "") if isinstance(value, str) else ():
        if (found := iso_ns(f"{value}{zone}")) is not None:
            break
    if found is None or not 0 <= found < 2**63:
        raise HttpError(400, f"{name} is {shown(value)}; {_A_TIME}, as 2030-01-31T10:00:00Z")
    return found


def time_text(time_ns: int) -> str:
    """Nanoseconds since 1970 in ISO 8601, in UTC, to the microsecond."""
    second, us = divmod(time_ns // 1000, 10**6)
    return f"{_second(second)}.{us:06d}Z" if us else f"{_second(second)}Z"


@lru_cache(64)  # events come by the second
def _second(second: int) -> str:
    return as_datetime(second * 10**9).isoformat().removesuffix("+00:00")


def _path(environ: "WSGIEnvironment") -> str:
    """The path as text."""
    raw = environ.get("RAW_URI") or ""
    if "%" in raw and _BAD_PERCENT.search(raw.partition("?")[0]):
        raise _badly_encoded("path")
    try:
        return str(environ.get("PATH_INFO", "")).encode("latin-1").decode()
    except UnicodeError:
        raise _badly_encoded("path") from None


def _require_spelling(found: Iterable[str]) -> None:
    """Others are not heeded, and whoever expects a version, say, must not be left without an answer to that."""
    for name in found:
        plain = name.lower().replace("_", "").replace("-", "")
        for known, its_plain in _PARAMETERS.items():
            if name != known and plain == its_plain:
                raise HttpError(400, f"there is no parameter {shown(name)}; it is called {known}")


def _badly_encoded(part: str) -> HttpError:
    return HttpError(400, f"the {part} is not percent-encoded UTF-8; encode it so, and % itself as %25")
