"""Waiting for what reads on: by sleeping, by a descriptor, and for event loops."""

from abc import abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType, coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, cast

from shmstore.arguments.alone import Alone
from shmstore.arguments.calls import checked_calls
from shmstore.arguments.checks import length_ns, real_number, refused
from shmstore.arguments.closing import Closing
from shmstore.errors import InvalidCall

if TYPE_CHECKING:
    import asyncio

_LONGEST_S = 1e9  # a longer timeout means no limit
_A_TIMEOUT = "seconds, a timedelta, or None"
FOR_EVER = -1.0


class Waited(Protocol):
    """What the core waits by: a cursor or a follower."""

    @property
    def closed(self) -> bool: ...
    def wait(self, timeout_s: float, /) -> bool: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def seconds_of(timeout: float | timedelta | None) -> float:
    """A timeout in seconds; FOR_EVER when there is no limit. Raises InvalidOption."""
    if timeout is None:
        return FOR_EVER
    if timeout.__class__ is float or timeout.__class__ is int:
        seconds = cast(float, timeout)
    else:
        length = length_ns("timeout", timeout)
        seconds = real_number("timeout", timeout, _A_TIMEOUT) if length is None else length / 1e9
    if seconds != seconds:
        raise refused("timeout", timeout, _A_TIMEOUT)
    return max(0.0, seconds) if seconds < _LONGEST_S else FOR_EVER


@coroutine
def _let_others() -> Iterator[None]:
    """Let a loop go round once."""
    yield


@checked_calls("wait")
class Waiting(Alone, Closing):
    """A base of classes that read on, and wait for more."""

    __slots__ = ("_waiting",)

    _CALLED: ClassVar[str]

    _waiting: "dict[asyncio.AbstractEventLoop, tuple[int, set[asyncio.Future[None]]]]"

    def __init__(self) -> None:
        self._waiting = {}

    @property
    @abstractmethod
    def _waits(self) -> Waited:
        """What waits."""

    def wait(self, timeout: float | timedelta | None = None) -> bool:
        """Block until `read` would find something, without polling and with the GIL released.

        Returns False when `timeout` (seconds or a timedelta; None: no limit) passed first. A handle that is attached
        read-only cannot announce that it waits, so it polls. Raises StoreClosed, and StoreUnlinked when the name was
        removed and everything is read.
        """
        return self._waits.wait(FOR_EVER if timeout is None else seconds_of(timeout))

    def fileno(self) -> int:
        """A descriptor to wait on, for select, poll, event loops and green threads, which `wait` would block.

        It is readable while `read` would return or raise something, and when this, the store or the store's name is
        gone. Only ever wait for it: never read from it or close it. A forked child must ask for it again. One thread of
        this process, which needs no GIL, sleeps for all that were asked of a store. Raises StoreClosed.
        """
        return self._waits.fileno()

    def close(self) -> None:
        """Stop: whoever iterates over this or waits on it is woken, in any thread. Idempotent."""
        self._waits.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    async def __anext__(self) -> Any: ...

    async def _later(self, turn: bool) -> Any:
        """The next one, when it has come; with `turn`, after others had theirs, in which they may have taken it."""
        if turn:
            await _let_others()
        return await self.__anext__()

    async def _news(self) -> None:
        """Let the loop wait for the descriptor; then all tasks that share this are told, and look."""
        if self._waits.wait(0.0):
            return
        import asyncio  # whoever runs a loop has it already

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError as error:
            raise InvalidCall(
                "there is nothing to read, and no asyncio loop runs here to wait for more; in another loop wait until "
                f"{self._CALLED}.fileno() is readable, as by trio.lowlevel.wait_readable, and read"
            ) from error
        if loop not in self._waiting:
            fd = self._waits.fileno()
            loop.add_reader(fd, self._tell, loop)
            self._waiting[loop] = fd, set()
        fd, tasks = self._waiting[loop]
        told: asyncio.Future[None] = loop.create_future()
        tasks.add(told)
        try:
            await told
        finally:
            tasks.discard(told)
            if not tasks:
                del self._waiting[loop]
                loop.remove_reader(fd)

    def _tell(self, loop: "asyncio.AbstractEventLoop") -> None:
        for told in self._waiting[loop][1]:
            if not told.done():
                told.set_result(None)
