"""What stands around a block or a function: its duration, its exceptions, how many are in progress."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from time import perf_counter
from types import TracebackType
from typing import Any, Literal, ParamSpec, Protocol, Self, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Counts(Protocol):
    """What exceptions are counted with."""

    def inc(self, amount: float = 1) -> None: ...


class CountsBothWays(Counts, Protocol):
    """What blocks in progress are counted with."""

    def dec(self, amount: float = 1) -> None: ...


class _Around:
    """A context manager that also wraps functions; a coroutine function counts until its coroutine ends."""

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        raise NotImplementedError

    def _once_more(self) -> Self:
        """What one call is put into: calls may run side by side."""
        return self

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if iscoroutinefunction(function):

            @wraps(function)
            async def coroutine(*values: P.args, **named: P.kwargs) -> Any:
                with self._once_more():
                    return await cast(Any, function(*values, **named))

            return cast(Callable[P, R], coroutine)

        @wraps(function)
        def wrapped(*values: P.args, **named: P.kwargs) -> R:
            with self._once_more():
                return function(*values, **named)

        return wrapped


class ExceptionCounter(_Around):
    """Counts the exceptions of a type that leave a block."""

    def __init__(self, counter: Counts, exception: type[BaseException] | tuple[type[BaseException], ...]) -> None:
        self._counter = counter
        self._exception = exception

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        if isinstance(error, self._exception):
            self._counter.inc()
        return False


class InprogressTracker(_Around):
    """Shows how many blocks are in progress."""

    def __init__(self, gauge: CountsBothWays) -> None:
        self._gauge = gauge

    def __enter__(self) -> None:
        self._gauge.inc()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self._gauge.dec()
        return False


class Timer(_Around):
    """Hands the seconds that a block took to a method of a metric; the labels may be chosen inside the block."""

    def __init__(self, metric: Any, method: str) -> None:
        self._metric = metric
        self._method = method
        self.duration: float | None = None

    def _once_more(self) -> Self:
        return type(self)(self._metric, self._method)

    def __enter__(self) -> Self:
        self._start = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        self.duration = max(perf_counter() - self._start, 0)
        getattr(self._metric, self._method)(self.duration)
        return False

    def labels(self, *labelvalues: object, **labelkwargs: object) -> None:
        self._metric = self._metric.labels(*labelvalues, **labelkwargs)
