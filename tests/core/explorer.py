"""An exhaustive explorer of small concurrent programs under C11's relaxed, acquire and release atomics, with mortal threads.

It is a view machine. A location is its modification order: a list of messages, each a value and the view it carries. A
view is a position in every location. A thread has three views: what it knows, what an acquire fence would add, and what a
release fence has sealed.

1. A load may take any message that is not older than the thread's view; an acquire adds the message's view to the thread's.
2. A store may go anywhere after the thread's view, but never between a message and the read-modify-write that read it.
3. A read-modify-write takes a message and goes right after it. A compare-exchange that fails is a load of another value.
4. A mortal thread may stop for ever before any of its operations. Stopped and slow look alike until somebody asks the
   kernel (`is_dead`, `lock`, `is_locked`), so it dies when asked, or never; and whatever holds at the end must hold
   wherever the mortal ones then stand.
5. Loads are not taken from stores that come later in the program (no load buffering), and nothing is sequentially
   consistent but `barrier`, which is membarrier: a full fence in every thread at once.

A thread is a generator that yields operations and is sent their results. Where it stands is told by its frames: the
instruction and the local variables of each. Two histories that lead there are one state, so a program may loop. For this a
result must go straight into a variable (`x = yield ...`), and what is yielded, kept and returned must be hashable. What was
forgotten in a frame that has returned merges states, so programs are written as many small generators.

States that differ only by messages that no thread can read any more are one. A fence concerns its thread alone, and is
executed together with the operation before it.
"""

from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

LOAD, STORE, CAS, UPDATE, FENCE, IS_DEAD, LOCK, UNLOCK, IS_LOCKED, BARRIER, SLEEP, WAKE = range(12)
FREE = None  # what a location bears that is used as a lock and is held by nobody


class Operation(NamedTuple):
    """One step that others can see. The label is that of the C source, or empty where the order buys nothing."""

    kind: int
    label: str
    location: Hashable = None
    values: tuple[Any, ...] = ()
    acquire: bool = False
    release: bool = False


Program = Generator[Operation, Any, Any]


class Violation(Exception):
    """Something that must hold does not."""


def require(holds: bool, what: str) -> None:
    if not holds:
        raise Violation(what)


# Operations, named as in atomics.h.


def load_relaxed(label: str, location: Hashable) -> Operation:
    return Operation(LOAD, label, location)


def load_acquire(label: str, location: Hashable) -> Operation:
    return Operation(LOAD, label, location, acquire=True)


def store_relaxed(label: str, location: Hashable, value: Hashable) -> Operation:
    return Operation(STORE, label, location, (value,))


def store_release(label: str, location: Hashable, value: Hashable) -> Operation:
    return Operation(STORE, label, location, (value,), release=True)


def cas_release(label: str, location: Hashable, expected: Hashable, desired: Hashable) -> Operation:
    """The result is (whether it was exchanged, the value seen)."""
    return Operation(CAS, label, location, (expected, desired), release=True)


def cas_acq_rel(label: str, location: Hashable, expected: Hashable, desired: Hashable) -> Operation:
    """The result is (whether it was exchanged, the value seen)."""
    return Operation(CAS, label, location, (expected, desired), acquire=True, release=True)


def add_relaxed(label: str, location: Hashable, count: int) -> Operation:
    return Operation(UPDATE, label, location, (lambda value: value + count,))


def update_acq_rel(label: str, location: Hashable, change: Callable[[Any], Hashable]) -> Operation:
    """The result is the value before."""
    return Operation(UPDATE, label, location, (change,), acquire=True, release=True)


def fence_acquire(label: str) -> Operation:
    return Operation(FENCE, label, acquire=True)


def fence_release(label: str) -> Operation:
    return Operation(FENCE, label, release=True)


# What the kernel does.


def is_dead(thread: int) -> Operation:
    """Has this thread stopped for ever? Who learns that it has sees all that it did."""
    return Operation(IS_DEAD, "", values=(thread,))


def lock(location: Hashable) -> Operation:
    """Take a lock that its holder's death drops; the result is whether it could be had."""
    return Operation(LOCK, "", location, acquire=True, release=True)


def unlock(location: Hashable) -> Operation:
    return Operation(UNLOCK, "", location, release=True)


def is_locked(location: Hashable) -> Operation:
    """Ask, without taking it. The answer may be older than what others know, but not older than what the asker knows."""
    return Operation(IS_LOCKED, "", location, acquire=True)


def barrier() -> Operation:
    """membarrier."""
    return Operation(BARRIER, "")


def sleep(location: Hashable, kept: Hashable) -> Operation:
    """Sleep while the location bears `kept`. The result is why it ended: "changed" (it slept not at all), "woken", or, when
    nothing else can happen, "nap" (a mortal thread stands still) or "never" (none does: only a time limit ends it)."""
    return Operation(SLEEP, "", location, (kept,))


def wake(location: Hashable) -> Operation:
    return Operation(WAKE, "", location)


class Node:
    """Where a program stands: its next operation, or how it ended."""

    __slots__ = ("ends", "history", "next", "operation", "place", "result")

    def __init__(self, history: tuple[Any, ...], operation: Operation | None, place: int, result: Any) -> None:
        self.history, self.operation, self.place, self.result = history, operation, place, result
        self.ends = operation is None
        self.next: dict[Any, Node] = {}


class Thread(NamedTuple):
    """A running program; `view` is None when nothing it knows matters any more."""

    node: Node
    view: tuple[int, ...] | None
    after_acquire: tuple[int, ...] = ()
    after_release: tuple[int, ...] = ()
    state: int = 0


RUNNING, DEAD, SLEEPING, WOKEN = range(4)

Views = tuple[int, ...]
Message = tuple[Any, bool, Views]  # value, whether it is a read-modify-write's, the view it carries
State = tuple[tuple[tuple[Message, ...], ...], tuple[Thread, ...], Views]


class Found(NamedTuple):
    states: int
    violation: str | None
    steps: tuple[str, ...]  # that led to the violation


def join(a: Views, b: Views) -> Views:
    return a if a == b else tuple(map(max, a, b))


def put(view: Views, at: int, position: int) -> Views:
    return (*view[:at], position, *view[at + 1 :])


class Explorer:
    """All executions of some programs that share some locations. `weakened` maps labels to what their order loses."""

    def __init__(
        self,
        locations: Mapping[Any, Hashable],
        programs: Sequence[Callable[[], Program]],
        *,
        mortal: Sequence[int] = (),
        held: Mapping[Any, int] | None = None,
        at_rest: Callable[[dict[Any, Any], tuple[Any, ...]], None] | None = None,
        weakened: Mapping[str, str] | None = None,
    ) -> None:
        self.index = {name: at for at, name in enumerate(locations)}
        self.zero = (0,) * len(self.index)
        self.values = [*locations.values()]
        self.programs, self.mortal, self.at_rest = programs, frozenset(mortal), at_rest
        self.weakened = weakened or {}
        self.locks = [self.index[name] for name in held or ()]
        self.nodes: list[dict[Hashable, Node]] = [{} for _ in programs]
        self.labels: set[str] = set()
        for name, thread in (held or {}).items():
            self.values[self.index[name]] = FREE if thread is None else thread

    # Programs.

    def node(self, thread: int, history: tuple[Any, ...]) -> Node:
        """Where a program stands after these results."""
        program = self.programs[thread]()
        try:
            operation = next(program)
            for result in history:
                operation = program.send(result)
        except StopIteration as end:
            key: Hashable = ("ended", end.value)
            return self.nodes[thread].setdefault(key, Node(history, None, -1, end.value))
        frames = []
        frame: Any = program
        while frame is not None:
            frames.append((frame.gi_code, frame.gi_frame.f_lasti, *frame.gi_frame.f_locals.items()))
            frame = frame.gi_yieldfrom
        return self.nodes[thread].setdefault(tuple(frames), self.prepared(history, operation))

    def prepared(self, history: tuple[Any, ...], operation: Operation) -> Node:
        self.labels.add(operation.label)
        lost = self.weakened.get(operation.label, "")
        operation = operation._replace(
            acquire=operation.acquire and "acquire" not in lost, release=operation.release and "release" not in lost
        )
        return Node(history, operation, self.index.get(operation.location, -1), None)

    def follow(self, thread: int, node: Node, result: Any) -> Node:
        found = node.next.get(result)
        if found is None:
            found = node.next[result] = self.node(thread, (*node.history, result))
        return found

    # Steps.

    def moved(self, t: int, thread: Thread, result: Any, view: Views, acquire: Views, release: Views) -> Thread:
        """The thread after an operation with this result, and after the fences that follow it."""
        node = self.follow(t, thread.node, result)
        while node.operation and node.operation.kind == FENCE and not (node.operation.acquire and t in self.mortal):
            if node.operation.acquire:
                view = join(view, acquire)
            if node.operation.release:
                release = view
            node = self.follow(t, node, None)
        if node.ends and t not in self.mortal:
            return Thread(node, None)
        return Thread(node, view, join(view, acquire), release)

    def insert(self, state: State, at: int, position: int, value: Any, update: bool) -> tuple[Any, list[Thread], Views]:
        """Make room in a location and all views for a message at a position; its own view is still to be set."""
        memory, threads, barred = state
        messages = memory[at]
        if position < len(messages):

            def shift(view: Views) -> Views:
                return put(view, at, view[at] + 1) if view[at] >= position else view

            memory = tuple(tuple((v, u, shift(w)) for v, u, w in location) for location in memory)
            threads = tuple(
                h if h.view is None else h._replace(
                    view=shift(h.view), after_acquire=shift(h.after_acquire), after_release=shift(h.after_release)
                )
                for h in threads
            )  # fmt: skip
            barred = shift(barred)
            messages = memory[at]
        messages = (*messages[:position], (value, update, self.zero), *messages[position:])
        return (*memory[:at], messages, *memory[at + 1 :]), list(threads), barred

    def write(
        self, state: State, t: int, at: int, position: int, value: Any, update: bool, view: Views, result: Any,
        acquire: bool, release: bool, carried: Views | None = None,
    ) -> State:  # fmt: skip
        """The state after thread `t` put a message at a position; a read-modify-write carries on what it read."""
        memory, threads, barred = self.insert(state, at, position, value, update)
        thread = threads[t]
        if carried is not None:
            carried = memory[at][position - 1][2]
            view = join(thread.view, carried) if acquire else thread.view
            after_acquire = join(thread.after_acquire, carried)
        else:
            view, after_acquire = thread.view, thread.after_acquire
        view = put(view, at, position)
        sealed = view if release else put(thread.after_release, at, position)
        message = (value, update, join(sealed, carried) if carried is not None else sealed)
        messages = memory[at]
        memory = (*memory[:at], (*messages[:position], message, *messages[position + 1 :]), *memory[at + 1 :])
        threads[t] = self.moved(t, thread, result, view, put(after_acquire, at, position), thread.after_release)
        return memory, tuple(threads), barred
