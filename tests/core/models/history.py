"""The history ring: one sample, written twice and read. The rule is at the top of history.h.

The sample holds two values, each the number of the sample that it belongs to. Writers take the coordinator's lock.
"""

from collections.abc import Mapping
from typing import Any

from tests.core.operations import (
    FREE,
    Program,
    Scenario,
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    lock,
    require,
    store_relaxed,
    store_release,
    unlock,
)

VALUES = ("time_ns", "appended")


class History:
    """The protocol as it is."""

    def locations(self) -> dict[Any, Any]:
        return {"coordinator": FREE, "number": 0, "history_next": 0} | dict.fromkeys(VALUES)

    def coordinate(self) -> Program:
        """Hold the lock for one sample."""
        locked = yield lock("coordinator")
        if locked:
            yield from self.history_write()
            yield unlock("coordinator")

    def history_write(self) -> Program:
        number = yield load_acquire("history_next:next", "history_next")
        yield from self.take()
        yield from self.write_values(number)
        yield store_release("history_write:number", "number", number + 1)
        yield store_release("history_write:next", "history_next", number + 1)

    def take(self) -> Program:
        """While the values change the number is nobody's."""
        yield store_relaxed("history_write:taken", "number", 0)
        yield fence_release("history_write:fence")

    def write_values(self, number: int) -> Program:
        for name in VALUES:
            yield store_relaxed("history_write:values", name, number)

    def history_read(self, number: int) -> Program:
        end = yield load_acquire("history_next:next", "history_next")
        if number >= end:
            return None
        before = yield load_acquire("history_read:number", "number")
        if before != number + 1:
            return None
        values: tuple[int, ...] = ()
        while len(values) < len(VALUES):
            value = yield load_relaxed("history_read:values", VALUES[len(values)])
            values += (value,)
        is_same = yield from self.is_still(number)
        if is_same:
            require(values == (number, number), f"sample {number} was read as {values}")
        return values if is_same else None

    def is_still(self, number: int) -> Program:
        yield fence_acquire("history_read:fence")
        after = yield load_relaxed("history_read:again", "number")
        return after == number + 1


class LeavesTheNumber(History):
    """The number is 0 while the values change."""

    def take(self) -> Program:
        yield fence_release("history_write:fence")


class LooksOnce(History):
    """A reader looks at the number a second time."""

    def is_still(self, number: int) -> Program:
        yield fence_acquire("history_read:fence")
        return True


class WritesWithoutTheLock(History):
    """Only the holder of the coordinator's lock writes."""

    def coordinate(self) -> Program:
        yield from self.history_write()


def scenarios(model: type[History] = History) -> Mapping[str, Scenario]:
    history = model()
    writer, locks = history.coordinate, frozenset({"coordinator"})

    def twice() -> Program:
        yield from history.coordinate()
        yield from history.coordinate()

    def reads() -> Program:
        for number in (0, 1):
            yield from history.history_read(number)

    return {
        "a sample is replaced": Scenario(history.locations(), (twice, reads), locks=locks),
        "a coordinator dies": Scenario(history.locations(), (writer, twice, reads), frozenset({0}), locks),
    }


BROKEN = {
    LeavesTheNumber: "a sample is replaced",
    LooksOnce: "a sample is replaced",
    WritesWithoutTheLock: "a coordinator dies",
}
WEAKER = {
    "history_write:fence release": "a sample is replaced",
    "history_read:fence acquire": "a sample is replaced",
    "history_write:number release, history_write:next release": "a sample is replaced",
    "history_read:number acquire, history_next:next acquire": "a sample is replaced",
}
SUPERFLUOUS = {
    "history_write:number release": "history_write:next shows the values as well; one of the two is enough",
    "history_read:number acquire": "history_next:next shows the values as well; one of the two is enough",
    "history_write:next release": "history_write:number shows the values as well; one of the two is enough",
    "history_next:next acquire": "history_read:number shows the values as well; one of the two is enough",
}
