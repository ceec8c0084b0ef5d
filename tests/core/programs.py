"""Where the thread of an explored program stands, told by its generator's frames.

A thread is a generator that yields operations and is sent their results. Where it stands is the instruction and the
local variables of each of its frames. Two histories that lead there are one, so a program may loop. For this a result
must go straight into a variable (`x = yield ...`), and what is yielded, kept and returned must be hashable. What was
forgotten in a frame that has returned merges states, so programs are written as many small generators.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from tests.core.operations import Operation, Program


class Node:
    """Where a program stands: its next operation, or how it ended. Compared and hashed as the one object that it is."""

    __slots__ = ("history", "next", "operation", "result")

    def __init__(self, history: tuple[Any, ...], operation: Operation | None, result: Any = None) -> None:
        self.history, self.operation, self.result = history, operation, result
        self.next: dict[Any, Node] = {}


class Places:
    """Where each of some programs may stand. `weakened` maps labels to the orders that their operations lose."""

    def __init__(self, programs: Sequence[Callable[[], Program]], weakened: Mapping[str, Sequence[str]]) -> None:
        self.programs, self.weakened = programs, weakened
        self.nodes: list[dict[Hashable, Node]] = [{} for _ in programs]
        self.labels: dict[str, Operation] = {}

    def node(self, t: int, history: tuple[Any, ...]) -> Node:
        """Where program `t` stands after these results."""
        program = self.programs[t]()
        try:
            operation = next(program)
            for result in history:
                operation = program.send(result)
        except StopIteration as end:
            return self.nodes[t].setdefault(("ended", end.value), Node(history, None, end.value))
        frames = []
        frame: Any = program
        while frame is not None:
            frames.append((frame.gi_code, frame.gi_frame.f_lasti, *frame.gi_frame.f_locals.items()))
            frame = frame.gi_yieldfrom
        self.labels.setdefault(operation.label, operation)
        lost = self.weakened.get(operation.label, ())
        operation = operation._replace(
            acquire=operation.acquire and "acquire" not in lost, release=operation.release and "release" not in lost
        )
        return self.nodes[t].setdefault(tuple(frames), Node(history, operation))

    def follow(self, t: int, node: Node, result: Any) -> Node:
        if result not in node.next:
            node.next[result] = self.node(t, (*node.history, result))
        return node.next[result]
