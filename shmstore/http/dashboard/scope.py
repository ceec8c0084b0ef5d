"""Who sees what: all stores of this machine, or those of the service alone."""

from typing import NamedTuple

from shmstore.errors import StoreNotFound
from shmstore.http import access
from shmstore.http.message import Request
from shmstore.http.settings import Settings


class Scope(NamedTuple):
    """The stores that a request may be about; `names` is None where it may be about all."""

    own: frozenset[str]
    names: frozenset[str] | None

    @property
    def is_all(self) -> bool:
        """Whether every store of this machine is in it, and what is found of the machine itself."""
        return self.names is None

    def has(self, name: str) -> bool:
        """Whether a store is in it."""
        return self.names is None or name in self.names

    def require(self, name: str) -> str:
        """The name of a store that is in it. Raises StoreNotFound: nobody learns here of others that there are."""
        if not self.has(name):
            raise StoreNotFound(
                f"there is no store {name!r} that this request may be about; the service has {', '.join(self.own)}"
            )
        return name


def scope_of(request: Request, settings: Settings) -> Scope:
    """What a request may be about. Raises HttpError where it may be about nothing.

    Whoever may administrate sees all: with the admin token, or, where there is none, from this machine itself.
    """
    name, admin = settings.name, settings.admin_token
    own = frozenset((name, f"{name}-records", f"{name}-metrics"))
    if admin and admin != "off" and access.has_token(request, admin):
        return Scope(own, None)
    if settings.read_token:
        access.require_token(request, settings.read_token, request.path)
    return Scope(own, None if not admin and access.is_of_this_machine(request) else own)
