"""Request lines and headers of HTTP/1.1, as RFC 9112 has them, into what PEP 3333 gives to an application.

Strict where a proxy in front might read the same bytes otherwise: what is ambiguous is refused, never mended.
"""

import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

LONGEST_LINE: Final = 8 << 10
LONGEST_OPENING: Final = 64 << 10
MOST_HEADERS: Final = 100

_CHUNKED: Final = -1
_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE: Final = re.compile(rf'({_TOKEN}) ([!"$-~]+) HTTP/([0-9])\.([0-9])')
_NAME: Final = re.compile(_TOKEN)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_ABSOLUTE: Final = re.compile(r"https?://([^/?@]+)((?:[/?].*)?)", re.IGNORECASE)
_HOST: Final = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|[A-Za-z0-9.\-_~!$&'()*+,;=%]*)(?::[0-9]*)?")

_UNTOLD: Final = ""  # of a header that applications do not get
_MOST_KEYS: Final = 1000
_keys: dict[str, str] = {}
"""The keys that names of headers have in an environ, as they were met."""


class Refused(Exception):
    """A request that is not taken: the status and the sentence of the answer, after which the connection ends."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Line(NamedTuple):
    """A request line. `host` is that of a target with one, else None."""

    environ: dict[str, Any]
    is_old: bool
    host: str | None


class Headers(NamedTuple):
    """The headers of a request; `length` is that of the body."""

    environ: dict[str, Any]
    length: int
    is_chunked: bool
    keeps_alive: bool
    awaits_continue: bool


def bad(sentence: str) -> Refused:
    """A refusal of what is malformed."""
    return Refused("400 Bad Request", sentence)


def read_line(data: bytes) -> Line:
    """A request line, without its end. Raises Refused."""
    if len(data) > LONGEST_LINE:
        raise _too_long_line()
    match = _REQUEST_LINE.fullmatch(data.decode("latin-1"))
    if match is None:
        raise bad("the first line is not METHOD TARGET HTTP/1.1 in visible ASCII; percent-encode what is not")
    method, target, major, minor = match.groups()
    if major != "1":
        raise Refused("505 HTTP Version Not Supported", "this server speaks HTTP/1.1 and HTTP/1.0")
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "RAW_URI": target, "REQUEST_URI": target}
    host = None
    if target[0] != "/":
        target, host = _other_form(method, target)
    path, _, environ["QUERY_STRING"] = target.partition("?")
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    environ["SERVER_PROTOCOL"] = "HTTP/1.0" if minor == "0" else "HTTP/1.1"
    return Line(environ, minor == "0", host)


def read_headers(data: bytes, is_old: bool, host: str | None) -> Headers:
    """The lines behind a request line, without the end of the last one. Raises Refused."""
    lines = data.decode("latin-1").split("\r\n") if data else []
    if len(lines) > MOST_HEADERS:
        raise Refused("431 Request Header Fields Too Large", f"a request may have {MOST_HEADERS} headers")
    if len(data) > LONGEST_OPENING or (len(data) > LONGEST_LINE and max(map(len, lines)) > LONGEST_LINE):
        raise _too_large()
    environ: dict[str, Any] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = _keys.get(name)
        if key is None or not colon:
            key = _key(name, colon)
        value = value.strip(" \t")
        if not value.isprintable() and _CONTROL.search(value):
            raise bad(f"the header {name} contains a control character")
        if key not in environ:
            environ[key] = value
        elif key in ("HTTP_HOST", "CONTENT_LENGTH"):
            raise bad(f"the header {name} came twice")
        else:
            environ[key] += ("; " if key == "HTTP_COOKIE" else ", ") + value
    environ.pop(_UNTOLD, None)
    _check_host(environ, host, is_old)
    length = _length(environ, is_old)
    connection = environ.get("HTTP_CONNECTION")
    options = {option.strip(" \t") for option in connection.lower().split(",")} if connection else ()
    keeps_alive = "close" not in options and (not is_old or "keep-alive" in options)
    awaits = environ.get("HTTP_EXPECT")
    if awaits is not None and awaits.lower() != "100-continue":
        raise Refused("417 Expectation Failed", "the header Expect may say 100-continue only")
    return Headers(environ, max(0, length), length == _CHUNKED, keeps_alive, awaits is not None and not is_old)


def check_unfinished(data: bytearray) -> None:
    """Whether what came so far, without the end of the headers, may still become a request. Raises Refused."""
    if len(data) > LONGEST_LINE and data.find(b"\r\n", 0, LONGEST_LINE + 2) < 0:
        raise _too_long_line()
    if len(data) > LONGEST_OPENING:
        raise _too_large()


def _too_long_line() -> Refused:
    return Refused("414 URI Too Long", f"a request line may have {LONGEST_LINE} bytes")


def _too_large() -> Refused:
    limits = f"{LONGEST_LINE} bytes a line and {LONGEST_OPENING} in all"
    return Refused("431 Request Header Fields Too Large", f"the headers of a request may have {limits}")


def _other_form(method: str, target: str) -> tuple[str, str | None]:
    """The path and the host of a target that does not begin with a slash."""
    if method == "CONNECT":
        raise Refused("501 Not Implemented", "this server is no proxy")
    if target == "*" and method == "OPTIONS":
        return target, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise bad("the target of the request does not begin with a slash")
    host, path = match.groups()
    return path if path.startswith("/") else "/" + path, host


def _key(name: str, colon: str) -> str:
    """The key of a header in an environ. Raises Refused when it is none."""
    if not colon or not _NAME.fullmatch(name):
        if name[:1] in (" ", "\t"):
            raise bad("a header is continued on a second line, which is not taken any more")
        raise bad("a line among the headers is not NAME: VALUE, without a space before the colon")
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        key = "HTTP_" + key
    if "_" in name or key == "HTTP_PROXY":
        key = _UNTOLD  # X_Y would pass for X-Y, and HTTP_PROXY for a variable of the process
    if len(_keys) < _MOST_KEYS:
        _keys[name] = key
    return key


def _check_host(environ: dict[str, Any], absolute: str | None, is_old: bool) -> None:
    host = environ.get("HTTP_HOST")
    if host is None and not is_old:
        raise bad("the header Host is missing")
    if absolute is not None:
        host = environ["HTTP_HOST"] = absolute
    if host and not _HOST.fullmatch(host):
        raise bad("the header Host is not that of a URL")


def _length(environ: dict[str, Any], is_old: bool) -> int:
    """The length of the body, or _CHUNKED."""
    told: str | None = environ.get("CONTENT_LENGTH")
    coding: str | None = environ.get("HTTP_TRANSFER_ENCODING")
    if coding is None:
        if told is None:
            return 0
        if not _LENGTH.fullmatch(told):
            raise bad("the header Content-Length is not a number of bytes")
        return int(told)
    if told is not None:
        raise bad("a request may not have both Content-Length and Transfer-Encoding")
    if is_old:
        raise bad("a request of HTTP/1.0 may not have Transfer-Encoding")
    codings = [each.strip(" \t").lower() for each in coding.split(",")]
    if codings == ["chunked"]:
        return _CHUNKED
    if codings[-1] != "chunked" or "chunked" in codings[:-1]:
        raise bad("the body of a request with Transfer-Encoding has no end, unless it says chunked once and last")
    raise Refused("501 Not Implemented", "the only Transfer-Encoding that this server reads is chunked")
