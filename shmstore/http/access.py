"""Who may do what: tokens, this machine alone, and requests that a browser was tricked into."""

import hmac
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shmstore.arguments.shown import shown
from shmstore.http.message import HttpError

if TYPE_CHECKING:
    from collections.abc import Collection

    from shmstore.http.message import Request

_FORWARDED = (
    *("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port"),
    *("X-Forwarded-Proto", "X-Forwarded-Server", "X-Original-Forwarded-For"),
    *("X-Real-IP", "Via", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"),
)
_ORIGIN = re.compile("https?://[^/]*", re.IGNORECASE)
_DOT = re.compile("%2e", re.IGNORECASE)
_HIDDEN = re.compile(r"/(\.{1,2}(?=/|$)|(?=/))")
_SAFE = ("GET", "HEAD", "OPTIONS")


def require_token(request: "Request", token: str, what: str) -> None:
    """Raise HttpError unless the request bears this token."""
    if has_token(request, token):
        return
    error = HttpError(401, f"{what} takes a token: send it as 'Authorization: Bearer TOKEN'")
    error.headers.append(("WWW-Authenticate", "Bearer"))
    raise error


def has_token(request: "Request", token: str) -> bool:
    """Whether the request bears this token."""
    scheme, _, found = (request.header("Authorization") or "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(found.strip().encode("latin-1"), token.encode())


def require_this_machine(request: "Request") -> None:
    """Raise HttpError unless the request comes from this machine, and through no proxy."""
    if is_of_this_machine(request):
        return
    raise HttpError(
        403, "without an admin token only this machine itself may ask for this, through no proxy; configure one"
    )


def is_of_this_machine(request: "Request") -> bool:
    """Whether the request comes from this machine, and through no proxy.

    A proxy on this machine that says nothing of itself mostly speaks HTTP/1.0, as nginx does where it is not told more.
    """
    is_old = request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
    is_forwarded = is_old or any(request.header(name) is not None for name in _FORWARDED)
    is_local = _is_loopback(request.environ.get("REMOTE_ADDR", "")) and _is_local_name(_host(request))
    return is_local and not is_forwarded


def require_known_host(request: "Request", hosts: "Collection[str]") -> None:
    """Raise HttpError for a host name that nobody gave this service, and for what another site's page sends.

    A page can have its own name lead to this machine (DNS rebinding), and then read what is here: its name is in the
    Host header. Addresses and localhost cannot be made to lead elsewhere.
    """
    environ = request.environ
    given = environ.get("HTTP_HOST", "")
    host = _name_in(given)
    if not _is_safe(host) and "*" not in hosts and host not in hosts:
        raise HttpError(
            421, f"this service is not known as {shown(host)}; add the name to its hosts (SHMSTORE_HOSTS) if it is"
        )
    if request.method in _SAFE:
        return
    origin = environ.get("HTTP_ORIGIN")
    is_foreign = origin is not None and _place_in(origin) != given.lower()
    if is_foreign or environ.get("HTTP_SEC_FETCH_SITE") in ("cross-site", "same-site"):
        raise HttpError(403, f"a page of {shown(origin)} may not send this; pages of this service may")


def require_plain_steps(request: "Request") -> None:
    """Raise HttpError for a path with steps that proxies and browsers leave out: others would see another path in it.

    A name may have such steps; then its slashes are sent as %2F.
    """
    target = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or ""
    path = _ORIGIN.sub("", target.partition("?")[0])
    if found := _HIDDEN.search(_DOT.sub(".", path)):
        raise HttpError(400, f"the path has the step {shown(found[1])}; if a name has it, send its slashes as %2F")


def _place_in(origin: str) -> str | None:
    """The name and the port of an Origin; None when it is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _host(request: "Request") -> str:
    """The name in the Host header, without its port."""
    return _name_in(request.header("Host") or "")


@lru_cache(256)
def _name_in(text: str) -> str:
    try:
        return (urlsplit(f"//{text}").hostname or "").rstrip(".")
    except ValueError:
        raise HttpError(400, f"Host is {shown(text)}; expected a name or an address") from None


@lru_cache(256)
def _is_safe(host: str) -> bool:
    return _is_address(host) or _is_local_name(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return host == ""  # HTTP/1.0: no browser
    return True


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)


def _is_local_name(host: str) -> bool:
    return host in ("", "localhost") or host.endswith(".localhost") or _is_loopback(host)
