"""A store of streams for each test: small, with one partition unless the test is about several."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

import shmstore
from shmstore import Stream, StreamStore

Make = Callable[..., StreamStore]


@pytest.fixture
def make(name: str) -> Iterator[Make]:
    """Makes the store of the test with these options."""
    with ExitStack() as stack:

        def make(**options: Any) -> StreamStore:
            sizes = {"capacity": 100, "partitions": 1, "streams": 20, "processes": 8} | options
            store = stack.enter_context(shmstore.create_streams(name, **sizes))
            return store

        yield make
        with suppress(shmstore.StoreNotFound):
            shmstore.unlink(name)


@pytest.fixture
def streams(make: Make) -> StreamStore:
    return make()


@pytest.fixture
def stream(streams: StreamStore) -> Stream:
    return streams["gateway/orders"]
