"""Every function of the core, with one allocation refused: the first, then the second, until it needs no more.

It ends with its answer or with MemoryError, and with no other error; handle and segment are in order after it.
"""

import sys
import traceback
from collections.abc import Iterator

import pytest

import shmstore
from shmstore import EventStore
from tests.crash.test_in_the_middle import CALLS, RECORDS, Reading, Target
from tests.helpers.processes import Child
from tests.helpers.segments import may_fork

pytestmark = may_fork

testcapi = pytest.importorskip("_testcapi")

MOST = 400  # allocations of one function
ENOUGH = 8  # answers in a row: it has no more to refuse


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Reading]]:
    with shmstore.create(name, Reading, capacity=RECORDS, partitions=2, keys=16, processes=8) as store:
        store.append_many([(f"gw-{number % 3}", number, number, "fine") for number in range(RECORDS * 3 // 2)])
        yield store
        shmstore.unlink(name)


def is_of_the_interpreter(error: BaseException) -> bool:
    """CPython 3.11 forgets to raise MemoryError when it has none for a frame of Python code, as that of `Values`."""
    return (
        isinstance(error, SystemError) and "_collections_abc" in traceback.extract_tb(error.__traceback__)[-1].filename
    )


def refuse_each(target: Target, function: str) -> int:
    """How many calls were refused memory."""
    refused = answers = 0
    for number in range(MOST):
        testcapi.set_nomemory(number, number + 1)
        try:
            CALLS[function](target)
        except BaseException as error:
            testcapi.remove_mem_hooks()
            if not isinstance(error, MemoryError) and not is_of_the_interpreter(error):
                raise
            refused, answers = refused + 1, 0
        else:
            testcapi.remove_mem_hooks()
            answers += 1
        if answers == ENOUGH:
            return refused
        target.cursor = target.core.cursor([(0, 0), (1, 0)])
    raise AssertionError(f"{function} needs more than {MOST} allocations")


@pytest.mark.parametrize("function", [name for name in CALLS if name not in ("Store.close", "Cursor.close")])
def test_short_memory_is_a_memory_error_and_leaves_all_in_order(store: EventStore[Reading], function: str) -> None:
    def life() -> None:
        sys.unraisablehook = lambda _: None  # the callbacks have no memory either
        with shmstore.attach(store.name, Reading) as handle:
            refuse_each(Target(handle), function)
            assert handle._core.check() == [] and handle._core.keys() == store._core.keys()
            handle.append(gateway="gw-1", value=1.0, at=1, note="")

    assert Child(life).wait() == 0
