"""An exhaustive explorer of small concurrent programs under C11's atomics and fences, with mortal threads.

It is a view machine. A location is its modification order: a list of messages, each a value and the view it carries. A
view is a position in every location. A thread has three views: what it knows, what an acquire fence would add, and what
a release fence has sealed.

1. A load may take any message that is not older than what the thread knows; an acquire adds the message's view to it.
2. A store may go anywhere after what the thread knows, but never between a message and the read-modify-write of it.
3. A read-modify-write takes a message and goes right after it. A compare-exchange that fails is a load.
4. A mortal thread may stop for ever before any of its operations. Stopped and slow look alike until somebody asks the
   kernel (`is_dead`, `lock`, `is_locked`), so it dies when asked, or never; and whatever holds at the end must hold
   wherever the mortal ones then stand.
5. Loads are not taken from stores that come later in the program (no load buffering), and nothing is sequentially
   consistent but `barrier`, which is membarrier: a full fence in every thread at once.

States that differ only by messages that no thread can read any more are one. A fence concerns its thread alone, and is
executed together with the operation before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from tests.core.operations import (
    BARRIER,
    CAS,
    FENCE,
    FREE,
    IS_DEAD,
    IS_LOCKED,
    LOAD,
    LOCK,
    NAMES,
    SLEEP,
    STORE,
    UNLOCK,
    UPDATE,
    WAKE,
    Operation,
    Scenario,
    Violation,
)
from tests.core.programs import Node, Places


class Status(IntEnum):
    RUNNING = 0
    SLEEPING = 1
    ENDED = 2
    DEAD = 3


RUNNING, SLEEPING, ENDED, DEAD = Status

View = tuple[int, ...]


class Thread(NamedTuple):
    node: Node
    status: Status
    knows: View
    after_acquire: View  # what it would know after an acquire fence
    sealed: View  # what it knew at its last release fence


class Message(NamedTuple):
    value: Any
    is_update: bool  # of a read-modify-write: nothing comes between it and what it read
    view: View


class State(NamedTuple):
    memory: tuple[tuple[Message, ...], ...]
    threads: tuple[Thread, ...]
    kernel: View  # what those who woke sleepers knew


class Found(NamedTuple):
    states: int
    violation: str = ""
    steps: tuple[str, ...] = ()  # that led to the violation


def join(a: View, b: View) -> View:
    return a if a == b else tuple(map(max, a, b))


def put(view: View, at: int, position: int) -> View:
    return (*view[:at], position, *view[at + 1 :])


class Explorer:
    """All executions of a scenario. `weakened` maps labels to the orders that their operations lose."""

    def __init__(self, scenario: Scenario, weakened: Mapping[str, Sequence[str]] | None = None) -> None:
        self.scenario = scenario
        self.index = {name: at for at, name in enumerate(scenario.locations)}
        self.zero = (0,) * len(self.index)
        self.locks = [self.index[name] for name in scenario.locks]
        self.places = Places(scenario.programs, weakened or {})
        self.steps_of = {
            LOAD: self.load, STORE: self.store, CAS: self.cas, UPDATE: self.update, FENCE: self.fence,
            IS_DEAD: self.is_dead, LOCK: self.lock, UNLOCK: self.unlock, IS_LOCKED: self.is_locked,
            BARRIER: self.barrier, SLEEP: self.sleep, WAKE: self.wake,
        }  # fmt: skip

    @property
    def labels(self) -> Mapping[str, Operation]:
        """The operation of each label that was met."""
        return self.places.labels

    def explore(self) -> Found:
        """Visit every state, or stop at the first that violates something."""
        start = self.start()
        came_from: dict[State, State | None] = {start: None}
        waiting = [start]
        state = start
        try:
            while waiting:
                state = waiting.pop()
                for after in self.successors(state):
                    if after not in came_from:
                        came_from[after] = state
                        waiting.append(after)
        except Violation as violation:
            return Found(len(came_from), str(violation), self.steps_to(state, came_from))
        return Found(len(came_from))

    def start(self) -> State:
        memory = tuple((Message(value, False, self.zero),) for value in self.scenario.locations.values())
        threads = []
        for t in range(len(self.scenario.programs)):
            threads.append(self.arrive(t, Thread(self.places.node(t, ()), RUNNING, self.zero, self.zero, self.zero)))
        return State(memory, tuple(threads), self.zero)

    def steps_to(self, state: State, came_from: Mapping[State, State | None]) -> tuple[str, ...]:
        steps = []
        while (before := came_from[state]) is not None:
            for t, (old, new) in enumerate(zip(before.threads, state.threads, strict=True)):
                if old.node is not new.node and old.node.operation:
                    done = old.node.operation
                    steps.append(f"{t}: {done.label or NAMES[done.kind]} {done.location} {new.node.history[-1:]}")
                elif new.status is DEAD and old.status is not DEAD:
                    steps.append(f"{t}: dies")
            state = before
        return tuple(reversed(steps))

    def arrive(self, t: int, thread: Thread) -> Thread:
        """The thread once it has executed the fences that come next, or has ended. That a mortal thread has passed an
        acquire fence is not taken for granted: it may die before."""
        node, status, knows, after_acquire, sealed = thread
        while (
            node.operation
            and node.operation.kind == FENCE
            and not (node.operation.acquire and t in self.scenario.mortal)
        ):
            if node.operation.acquire:
                knows = after_acquire
            if node.operation.release:
                sealed = knows
            node = self.places.follow(t, node, None)
        if node.operation:
            return Thread(node, status, knows, after_acquire, sealed)
        remembered = self.scenario.has_barriers or t in self.scenario.mortal
        return Thread(node, ENDED, knows if remembered else self.zero, self.zero, self.zero)

    # States.

    def successors(self, state: State) -> Iterator[State]:
        going = resting = False
        for t, thread in enumerate(state.threads):
            if thread.status is RUNNING and thread.node.operation:
                going = going or t not in self.scenario.mortal
                yield from self.steps_of[thread.node.operation.kind](state, t, thread, thread.node.operation)
            resting = resting or thread.status is SLEEPING
        if going:
            return
        if resting:
            stopped = any(thread.status in (RUNNING, DEAD) for thread in state.threads)
            for t, thread in enumerate(state.threads):
                if thread.status is SLEEPING:
                    yield self.went_on(state, t, thread._replace(status=RUNNING), "nap" if stopped else "never")
        else:
            values = {name: state.memory[at][-1].value for name, at in self.index.items()}
            self.scenario.at_rest(values, [thread.node.result for thread in state.threads])

    def went_on(self, state: State, t: int, thread: Thread, result: Any) -> State:
        """The state after thread `t`, with these views, got this result."""
        thread = self.arrive(t, thread._replace(node=self.places.follow(t, thread.node, result)))
        threads = (*state.threads[:t], thread, *state.threads[t + 1 :])
        return self.without_the_unreadable(State(state.memory, threads, state.kernel))

    def without_the_unreadable(self, state: State) -> State:
        """The state without messages that are older than what every thread knows."""
        views = [thread.knows for thread in state.threads if thread.status < ENDED]
        least = tuple(map(min, *views)) if len(views) > 1 else views[0] if views else None
        if least is None:
            least = tuple(len(messages) - 1 for messages in state.memory)
        if least == self.zero:
            return state

        def cut(view: View) -> View:
            if view not in done:
                done[view] = tuple([a - b if a > b else 0 for a, b in zip(view, least, strict=True)])
            return done[view]

        done = {self.zero: self.zero}
        memory = tuple(
            [
                tuple([Message(v, is_update and i > 0, cut(view)) for i, (v, is_update, view) in enumerate(kept)])
                for kept in [m[first:] if first else m for m, first in zip(state.memory, least, strict=True)]
            ]
        )
        threads = tuple([Thread(n, status, cut(k), cut(a), cut(s)) for n, status, k, a, s in state.threads])
        return State(memory, threads, cut(state.kernel))

    def with_room(self, state: State, at: int, position: int) -> State:
        """The state with the messages of a location from `position` on one further."""
        if position == len(state.memory[at]):
            return state

        def shift(view: View) -> View:
            return put(view, at, view[at] + 1) if view[at] >= position else view

        memory = tuple(tuple(Message(v, u, shift(w)) for v, u, w in messages) for messages in state.memory)
        threads = tuple(Thread(n, status, shift(k), shift(a), shift(s)) for n, status, k, a, s in state.threads)
        return State(memory, threads, shift(state.kernel))

    def written(
        self,
        state: State,
        t: int,
        operation: Operation,
        at: int,
        position: int,
        value: Any,
        result: Any,
        read: Message | None,
    ) -> State:
        """The state after thread `t` put a message at a position; `read` is what a read-modify-write took before it."""
        state = self.with_room(state, at, position)
        thread = state.threads[t]
        knows, after_acquire = thread.knows, thread.after_acquire
        carried = self.zero
        if read is not None:
            carried = state.memory[at][position - 1].view
            after_acquire = join(after_acquire, carried)
            if operation.acquire:
                knows = join(knows, carried)
        knows, after_acquire = put(knows, at, position), put(after_acquire, at, position)
        view = knows if operation.release else put(thread.sealed, at, position)
        messages = state.memory[at]
        message = Message(value, read is not None, join(view, carried))
        messages = (*messages[:position], message, *messages[position:])
        memory = (*state.memory[:at], messages, *state.memory[at + 1 :])
        thread = Thread(thread.node, RUNNING, knows, after_acquire, thread.sealed)
        return self.went_on(state._replace(memory=memory), t, thread, result)

    def readable(self, state: State, at: int, thread: Thread) -> Iterator[tuple[int, Message, Thread]]:
        """Each message that the thread may load, with the thread after a relaxed load of it."""
        node, status, knows, after_acquire, sealed = thread
        for position in range(knows[at], len(state.memory[at])):
            message = state.memory[at][position]
            seen = put(knows, at, position)
            yield (
                position,
                message,
                Thread(
                    node,
                    status,
                    seen,
                    join(put(after_acquire, at, max(position, after_acquire[at])), message.view),
                    sealed,
                ),
            )

    # Operations: each gives the states that may follow.

    def load(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        for _, message, after in self.readable(state, self.index[operation.location], thread):
            if operation.acquire:
                after = after._replace(knows=join(after.knows, message.view))
            yield self.went_on(state, t, after, message.value)

    def store(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        at = self.index[operation.location]
        messages = state.memory[at]
        for position in range(thread.knows[at] + 1, len(messages) + 1):
            if position == len(messages) or not messages[position].is_update:
                yield self.written(state, t, operation, at, position, operation.values[0], None, None)

    def cas(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        at, (expected, desired) = self.index[operation.location], operation.values
        messages = state.memory[at]
        for position, message, after in self.readable(state, at, thread):
            if message.value != expected:
                if operation.acquire:
                    after = after._replace(knows=join(after.knows, message.view))
                yield self.went_on(state, t, after, (False, message.value))
            elif position + 1 == len(messages) or not messages[position + 1].is_update:
                yield self.written(state, t, operation, at, position + 1, desired, (True, expected), message)

    def update(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        at, (change,) = self.index[operation.location], operation.values
        messages = state.memory[at]
        for position, message, _ in self.readable(state, at, thread):
            if position + 1 == len(messages) or not messages[position + 1].is_update:
                yield self.written(state, t, operation, at, position + 1, change(message.value), message.value, message)

    def fence(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        """An acquire fence of a mortal thread; `arrive` executes the others."""
        yield self.went_on(state, t, thread._replace(knows=thread.after_acquire), None)

    def died(self, state: State, t: int) -> State:
        """The state after thread `t` died: the kernel drops its locks."""
        thread = state.threads[t]
        memory = list(state.memory)
        knows = thread.knows
        for at in self.locks:
            if memory[at][-1].value == t:
                knows = put(knows, at, len(memory[at]))
                memory[at] = (*memory[at], Message(FREE, True, knows))
        dead = Thread(thread.node, DEAD, knows, self.zero, self.zero)
        return State(tuple(memory), (*state.threads[:t], dead, *state.threads[t + 1 :]), state.kernel)

    def may_die(self, state: State, t: int) -> bool:
        return t in self.scenario.mortal and state.threads[t].status is not DEAD

    def is_dead(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        (whom,) = operation.values
        if state.threads[whom].status is not DEAD:
            yield self.went_on(state, t, thread, False)
            if not self.may_die(state, whom):
                return
            state = self.died(state, whom)
        dead = state.threads[whom].knows
        after = thread._replace(knows=join(thread.knows, dead), after_acquire=join(thread.after_acquire, dead))
        yield self.went_on(state, t, after, True)

    def holders_fates(self, state: State, t: int, at: int) -> Iterator[State]:
        """The state, and, when another mortal thread holds the lock, the one in which it has died."""
        yield state
        holder = state.memory[at][-1].value
        if holder is not FREE and holder != t and self.may_die(state, holder):
            yield self.died(state, holder)

    def lock(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        at = self.index[operation.location]
        for fate in self.holders_fates(state, t, at):
            last = fate.memory[at][-1]
            if last.value is FREE:
                yield self.written(fate, t, operation, at, len(fate.memory[at]), t, True, last)
            else:
                yield self.went_on(fate, t, thread, False)

    def unlock(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        at = self.index[operation.location]
        yield self.written(state, t, operation, at, len(state.memory[at]), FREE, None, state.memory[at][-1])

    def is_locked(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        at = self.index[operation.location]
        for fate in self.holders_fates(state, t, at):
            for _, message, after in self.readable(fate, at, thread):
                after = after._replace(knows=join(after.knows, message.view))
                yield self.went_on(fate, t, after, message.value is not FREE)

    def barrier(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        known = state.kernel
        for other in state.threads:
            known = join(known, other.knows)
        threads = tuple(
            other._replace(knows=known, after_acquire=join(known, other.after_acquire))
            if other.status < ENDED
            else other
            for other in state.threads
        )
        yield self.went_on(state._replace(threads=threads, kernel=known), t, threads[t], None)

    def sleep(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        (kept,) = operation.values
        thread = thread._replace(knows=join(thread.knows, state.kernel))
        for _, message, after in self.readable(state, self.index[operation.location], thread):
            if message.value != kept:
                yield self.went_on(state, t, after, "changed")
            else:
                sleeper = after._replace(status=SLEEPING)
                yield state._replace(threads=(*state.threads[:t], sleeper, *state.threads[t + 1 :]))

    def wake(self, state: State, t: int, thread: Thread, operation: Operation) -> Iterator[State]:
        state = state._replace(kernel=join(state.kernel, thread.knows))
        for other, sleeper in enumerate(state.threads):
            if sleeper.status is SLEEPING and sleeper.node.operation.location == operation.location:
                known = join(sleeper.knows, state.kernel)
                awake = Thread(sleeper.node, RUNNING, known, join(known, sleeper.after_acquire), sleeper.sealed)
                state = self.went_on(state, other, awake, "woken")
        yield self.went_on(state, t, state.threads[t], None)
