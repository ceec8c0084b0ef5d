"""Runs what tests wait for on all processors at once.

What a test starts ends with it, so that nothing is left: the jobs of several tests that follow each other are done
together in the first of them.
"""

import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

import pytest

_AT_ONCE = 4  # jobs that are done in the time of one test

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

_jobs: Sequence[Callable[[], Any]] = ()  # a forked process has them from its parent, for they cannot be sent


def _run(number: int) -> Any:
    return _jobs[number]()


def in_processes(jobs: Sequence[Callable[[], Result]]) -> list[Result]:
    """What jobs in Python return, in their order; the largest should come first."""
    global _jobs
    _jobs = jobs
    with get_context("fork").Pool(os.cpu_count()) as pool:
        results = pool.map(_run, range(len(jobs)), chunksize=1)
        pool.close()
        pool.join()
    _jobs = ()
    return results


class Together(Generic[Key, Result]):
    """The results of jobs that mostly wait for programs, by key: asked for one, it does the next ones as well."""

    def __init__(self, job: Callable[[Key], Result], keys: Sequence[Key]) -> None:
        self._job = job
        self._keys = keys
        self._done: dict[Key, Future[Result]] = {}

    def __getitem__(self, key: Key) -> Result:
        if key not in self._done:
            first = self._keys.index(key)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for each in self._keys[first : first + _AT_ONCE]:
                    self._done[each] = pool.submit(self._job, each)
        return self._done[key].result()


def chosen(request: pytest.FixtureRequest, test: Callable[..., object], *names: str) -> list[Any]:
    """The parameters with which a test will be run, in order; a tuple where it has several."""
    found = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.originalname == test.__name__:
            values = tuple(item.callspec.params[name] for name in names)
            found.append(values if len(names) > 1 else values[0])
    return found
