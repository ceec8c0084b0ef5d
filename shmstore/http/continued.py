"""An answer with which its client goes on when the server is done: then the connection is taken, and no thread of the
server waits.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from shmstore.http.detaching import Detached, HandedOver

DETACH: Final = "shmstore.detach"
"""In the environ: how the connection of the answer can be taken from the server, or None."""
GOING_ON: Final = "shmstore.going_on"
"""In the environ: what goes on behind the answer, on the connection that is taken then."""


class GoingOn(Protocol):
    """What comes behind the body of an answer."""

    @property
    def has_ended(self) -> bool:
        """Whether all has come already."""

    def close(self) -> None:
        """Nobody wants it."""


class Continued:
    """The body of such an answer. `take` is called when all of it was sent, and not for what has ended."""

    def __init__(
        self,
        body: Iterable[bytes],
        going_on: GoingOn,
        detach: Callable[[], Detached],
        take: Callable[[Detached], None],
    ) -> None:
        self._body = body
        self._pieces = iter(body)
        self._going_on: GoingOn | None = going_on
        self._detach = detach
        self._take = take

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Raises HandedOver where others stop."""
        try:
            return next(self._pieces)
        except StopIteration:
            going_on, self._going_on = self._going_on, None
            if going_on is None or going_on.has_ended:
                raise
        try:
            detached = self._detach()
        except BaseException:
            going_on.close()
            raise
        self._take(detached)
        raise HandedOver

    def close(self) -> None:
        """The server has all, or its client has gone."""
        if callable(close := getattr(self._body, "close", None)):
            close()
        if self._going_on is not None:
            self._going_on.close()
