"""Waiting for news without missing any; the numbers are the sentences of wait.h.

Waiters wait until a number of records is there. An append is one step, as publishing is; the ring itself is in ring.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.operations import (
    Program,
    Scenario,
    barrier,
    cas_acq_rel,
    load_acquire,
    load_relaxed,
    require,
    sleep,
    update_acq_rel,
    wake,
)


class News(NamedTuple):
    """The news word."""

    waiters: bool
    wakes: int


QUIET = News(False, 0)


class Waiting:
    """The protocol as it is."""

    def locations(self) -> dict[Any, Any]:
        return {"news": QUIET, "published": 0}

    # Appending.

    def appends(self) -> Program:
        yield from self.publish()
        yield from self.notify()

    def publish(self) -> Program:
        yield update_acq_rel("", "published", lambda count: count + 1)

    def notify(self) -> Program:
        """[2]"""
        news = yield load_relaxed("wait_notify:flag", "news")
        if news.waiters:
            yield from self.wake()

    def wake(self) -> Program:
        """[3]"""
        seen = yield load_relaxed("", "news")
        woken = False
        while not woken:
            woken, seen = yield cas_acq_rel("wait_wake:count", "news", seen, self.after_wake(seen))
        yield wake("news")

    def after_wake(self, seen: News) -> News:
        return News(False, seen.wakes + 1)

    # Waiting.

    def waits(self, records: int) -> Program:
        """Returns whether it napped."""
        napped = False
        while True:
            kept = yield from self.announce()
            is_there = yield from self.look(records)
            if is_there:
                return napped
            reason = yield from self.sleep(kept)
            require(reason != "never", f"sleeps for ever, waiting for record {records}")
            napped = napped or reason == "nap"

    def announce(self) -> Program:
        """[1] Returns the word to sleep on."""
        before = yield update_acq_rel("wait_announce:flag", "news", lambda news: News(True, news.wakes))
        yield barrier()
        return News(True, before.wakes)

    def look(self, records: int) -> Program:
        published = yield load_acquire("", "published")
        return published >= records

    def sleep(self, kept: News) -> Program:
        """[4] Only a time limit ends a sleep that nobody ends; "never" is a time limit that was not needed."""
        reason = yield sleep("news", kept)
        return reason


class SetsNoFlag(Waiting):
    """A waiter sets the flag before it looks."""

    def announce(self) -> Program:
        news = yield load_relaxed("", "news")
        yield barrier()
        return news


class LooksBeforeTheFlag(Waiting):
    """A waiter looks after it has set the flag."""

    def waits(self, records: int) -> Program:
        while True:
            is_there = yield from self.look(records)
            if is_there:
                return False
            kept = yield from self.announce()
            reason = yield from self.sleep(kept)
            require(reason != "never", f"sleeps for ever, waiting for record {records}")


class IssuesNoBarrier(Waiting):
    """A barrier in every process lies between the flag and the look."""

    def announce(self) -> Program:
        before = yield update_acq_rel("wait_announce:flag", "news", lambda news: News(True, news.wakes))
        return News(True, before.wakes)


class BarsBeforeTheFlag(Waiting):
    """The barrier comes after the flag."""

    def announce(self) -> Program:
        yield barrier()
        before = yield update_acq_rel("wait_announce:flag", "news", lambda news: News(True, news.wakes))
        return News(True, before.wakes)


class NotifiesBeforePublishing(Waiting):
    """An appender looks for waiters after it has published."""

    def appends(self) -> Program:
        yield from self.notify()
        yield from self.publish()


class CountsNoWakes(Waiting):
    """The count keeps a waiter from sleeping on a flag that another has set since."""

    def after_wake(self, seen: News) -> News:
        return News(False, seen.wakes)


class SleepsOnTheWordItFinds(Waiting):
    """A waiter sleeps on the word that it kept when it announced itself."""

    def sleep(self, kept: News) -> Program:
        found = yield load_relaxed("", "news")
        reason = yield sleep("news", found)
        return reason


class WakesByTheFlagAlone(Waiting):
    """Who clears the flag wakes the sleepers."""

    def wake(self) -> Program:
        seen = yield load_relaxed("", "news")
        yield cas_acq_rel("wait_wake:count", "news", seen, self.after_wake(seen))


class WakesBeforeTheCount(Waiting):
    """The flag is cleared and counted before the sleepers are woken."""

    def wake(self) -> Program:
        yield wake("news")
        seen = yield load_relaxed("", "news")
        woken = False
        while not woken:
            woken, seen = yield cas_acq_rel("wait_wake:count", "news", seen, self.after_wake(seen))


class SleepsWithoutLimit(Waiting):
    """Nobody sleeps without a time limit: who should wake may have died."""

    def sleep(self, kept: News) -> Program:
        reason = yield sleep("news", kept)
        require(reason != "nap", "sleeps for ever beside a waker that died")
        return reason


def scenarios(model: type[Waiting] = Waiting) -> Mapping[str, Scenario]:
    waiting = model()

    def waits(records: int) -> Any:
        return lambda: waiting.waits(records)

    def nobody_naps(_values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        require(True not in results, "a waiter naps though nobody died")

    def scenario(*programs: Any, mortal: Sequence[int] = ()) -> Scenario:
        at_rest = {} if mortal else {"at_rest": nobody_naps}
        return Scenario(waiting.locations(), programs, frozenset(mortal), has_barriers=True, **at_rest)

    return {
        "one waits": scenario(waiting.appends, waits(1)),
        "two wait": scenario(waiting.appends, waits(1), waits(1)),
        "two append and two wait": scenario(waiting.appends, waiting.appends, waits(1), waits(2)),
        "the waker dies": scenario(waiting.appends, waits(1), waits(1), mortal=[0]),
    }


BROKEN = {
    SetsNoFlag: "one waits",
    LooksBeforeTheFlag: "one waits",
    IssuesNoBarrier: "one waits",
    BarsBeforeTheFlag: "one waits",
    NotifiesBeforePublishing: "one waits",
    CountsNoWakes: "two wait",
    SleepsOnTheWordItFinds: "two wait",
    WakesByTheFlagAlone: "one waits",
    WakesBeforeTheCount: "one waits",
    SleepsWithoutLimit: "the waker dies",
}
WEAKER: Mapping[str, str] = {}
SUPERFLUOUS = {
    "wait_announce:flag acquire": "the barrier orders more",
    "wait_announce:flag release": "the barrier orders more",
    "wait_wake:count acquire": "the word is all that matters; the kernel orders the sleep and the wake",
    "wait_wake:count release": "the word is all that matters; the kernel orders the sleep and the wake",
}
