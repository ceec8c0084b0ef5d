"""Cells: updates, a later series, and what each process has for itself; the numbers are the sentences of cells.h.

A swap of both halves is one compare-exchange; a load of a half is a load of the same location of which only that half
is seen. How nodes are removed and used again is in nodes.py; here it is what happens to the node's word.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.operations import (
    Program,
    Scenario,
    cas_acq_rel,
    cas_release,
    fence_release,
    is_dead,
    load_acquire,
    load_relaxed,
    require,
)

LIVE, REMOVED, FREE, CLAIMED = "LIVE", "REMOVED", "FREE", "CLAIMED"
SUM, PID = "SUM", "PID"


class Word(NamedTuple):
    generation: int
    state: str


class Cell(NamedTuple):
    generation: int
    bits: int
    number: int


class Cells:
    """The protocol as it is. The series is in generation 0 of its node; `own` is its first cell, `dead` the second."""

    # [1] Updates.

    def load(self, cell: str) -> Program:
        """Returns what is there, or None when the series was removed."""
        tag = yield from self.tag_of(load_acquire("cell_load:tag", cell))
        number = yield from self.number_of(load_relaxed("", cell))
        word = yield load_relaxed("", "word")
        return Cell(*tag, number) if word == Word(0, LIVE) else None

    def tag_of(self, load: Any) -> Program:
        found = yield load
        return found.generation, found.bits

    def number_of(self, load: Any) -> Program:
        found = yield load
        return found.number

    def swap(self, cell: str, before: Cell, bits: int, number: int) -> Program:
        done, _ = yield cas_acq_rel("cell_swap:cell", cell, before, Cell(before.generation, bits, number))
        return done

    def add(self, cell: str, amount: int, count: int) -> Program:
        while True:
            before = yield from self.load(cell)
            if before is None:
                return False
            done = yield from self.swap(cell, before, before.bits + count, before.number + amount)
            if done:
                return True

    def set_latest(self, cell: str, number: int, time: int) -> Program:
        while True:
            before = yield from self.load(cell)
            if before is None:
                return False
            if before.bits > time:
                return True
            done = yield from self.swap(cell, before, time, number)
            if done:
                return True

    # [5] What anybody counts of a process.

    def bring_up(self, cell: str, incarnation: int, count: int) -> Program:
        """The bits are the incarnation and its count, of one digit each."""
        while True:
            before = yield from self.load(cell)
            if before is None:
                return False
            last, known = divmod(before.bits, 10)
            if self.is_late(last, known, incarnation, count):
                return True
            more = count - known if incarnation == last else count
            done = yield from self.swap(cell, before, 10 * incarnation + count, before.number + more)
            if done:
                return True

    def is_late(self, last: int, known: int, incarnation: int, count: int) -> bool:
        return incarnation < last or (incarnation == last and count < known)

    def read(self, cell: str) -> Program:
        """Returns the 52 bits and the number."""
        while True:
            tag = yield from self.tag_of(load_acquire("cell_read:tag", cell))
            number = yield from self.number_of(load_acquire("cell_read:number", cell))
            again = yield from self.tag_of(load_relaxed("cell_read:again", cell))
            if again == tag:
                return tag[1], number

    # Removed, and used again.

    def use_again(self, *cells: str) -> Program:
        yield cas_acq_rel("nodes_remove:word", "word", Word(0, LIVE), Word(0, REMOVED))
        yield cas_release("free_node:node", "word", Word(0, REMOVED), Word(1, FREE))
        yield cas_acq_rel("claim:node", "word", Word(1, FREE), Word(1, CLAIMED))
        yield fence_release("claim:fence")
        for cell in cells:
            yield from self.clear(cell)
        yield cas_release("link_node:live", "word", Word(1, CLAIMED), Word(1, LIVE))

    def clear(self, cell: str) -> Program:
        done = False
        while not done:
            before = yield load_relaxed("", cell)
            done, _ = yield cas_acq_rel("clear_cell:cell", cell, before, Cell(1, 0, 0))

    # [3] What each process has for itself.

    def take(self, mark: int, fold: str = SUM) -> Program:
        """Returns whether the series is there."""
        while True:
            mine = yield from self.load("own")
            if mine is None:
                return False
            theirs = yield from self.load("dead")
            if theirs is None:
                return False
            if mine.bits == mark:
                return True
            if mine.bits and fold == SUM and theirs.bits != mine.bits:
                yield from self.swap("dead", theirs, mine.bits, theirs.number + mine.number)
            elif mine.bits:
                yield from self.swap("own", mine, 0, 0)
            elif fold == PID and theirs.bits != mark:
                yield from self.swap("dead", theirs, mark, 100 * mark)
            else:
                taken = yield from self.swap("own", mine, mark, 0)
                if taken:
                    return True

    def own_read(self, fold: str = SUM) -> Program:
        """[4] Returns the mark and the own value, or 0 and 0, and what lies beside."""
        while True:
            mark, own = yield from self.read("own")
            of, dead = yield from self.read("dead")
            again = yield from self.tag_of(load_relaxed("own_read:again", "own"))
            if again[1] == mark:
                break
        return (mark, own, dead) if mark and (mark == of) == (fold == PID) else (0, 0, dead)

    # Threads.

    def adds(self) -> Program:
        """Returns how often it was added."""
        done = yield from self.add("own", 2, 1)
        return int(done)

    def sets(self, time: int) -> Program:
        yield from self.set_latest("own", -time, time)

    def brings_up(self, *counts: tuple[int, int]) -> Program:
        for incarnation, count in counts:
            yield from self.bring_up("own", incarnation, count)

    def reads_twice(self) -> Program:
        _, first = yield from self.read("own")
        _, second = yield from self.read("own")
        require(first <= second, f"{first} has fallen to {second}")

    def reads(self, factor: int) -> Program:
        bits, number = yield from self.read("own")
        require(number == factor * bits, f"{bits} were added, and their sum is {number}")

    def uses_again_and_adds(self) -> Program:
        yield from self.use_again("own")
        before = yield load_acquire("", "own")
        yield from self.swap("own", before, before.bits + 1, before.number + 3)

    def uses_again(self) -> Program:
        yield from self.use_again("own", "dead")

    def reads_while_it_is_there(self) -> Program:
        bits, number = yield from self.read("own")
        word = yield load_relaxed("", "word")
        require(word != Word(0, LIVE) or (bits, number) == (1, 2), f"{bits, number} is not of the series")

    def takes(self, mark: int, amount: int, after: int | None = None, fold: str = SUM) -> Program:
        """Take the series, when thread `after` is dead, and add to it. Returns whether that was done."""
        if after is not None:
            is_turn = yield is_dead(after)
            if not is_turn:
                return False
        taken = yield from self.take(mark, fold)
        if taken:
            taken = yield from self.add("own", amount, 0)
        return taken

    def reads_own(self, *sums: int) -> Program:
        _, own, dead = yield from self.own_read()
        require(own + dead in sums, f"own {own} and dead {dead} make {own + dead}")

    def reads_pid(self) -> Program:
        mark, _, pid = yield from self.own_read(PID)
        require(not mark or pid == 100 * mark, f"{mark} has pid {pid}")

    def scenario(
        self,
        *programs: Any,
        at_rest: Any,
        own: tuple[int, int] = (0, 0),
        dead: tuple[int, int] = (0, 0),
        mortal: Sequence[int] = (),
    ) -> Scenario:
        shared = {"word": Word(0, LIVE), "own": Cell(0, *own), "dead": Cell(0, *dead)}
        return Scenario(shared, programs, frozenset(mortal), at_rest=at_rest)


def scenarios(model: type[Cells] = Cells) -> Mapping[str, Scenario]:
    cells = model()

    def all_are_there(values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        count = sum(result or 0 for result in results)
        require(values["own"] == Cell(0, count, 2 * count), f"{count} updates left {values['own']}")

    def latest_is_there(values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        require(values["own"] == Cell(0, 2, -2), f"2 was the latest, and {values['own']} is there")

    def later_is_alone(values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        require(values["own"] == Cell(1, 1, 3), f"the later series has {values['own']}")

    def later_is_zero(values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        for cell in ("own", "dead"):
            require(values[cell] == Cell(1, 0, 0), f"the later series has {values[cell]}")

    def dead_are_in_once(values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        own, dead = values["own"], values["dead"]
        if results[-1]:
            require(own == Cell(0, 3, 4) and dead.number in (5, 8), f"own is {own}, dead {dead}")

    def both_have_added(values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        own, dead = values["own"], values["dead"]
        require((own, dead) == (Cell(0, 2, 6), Cell(0, 1, 5)), f"own is {own}, dead {dead}")

    def all_of_one_is_in(values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        require(values["own"] == Cell(0, 13, 3), f"3 were counted, and {values['own']} is there")

    def later_is_in(values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        require(values["own"] in (Cell(0, 21, 1), Cell(0, 21, 6)), f"1 was counted last, and {values['own']} is there")

    def nothing(_values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        pass

    return {
        "two add": cells.scenario(cells.adds, cells.adds, at_rest=all_are_there),
        "a reader meets updates": cells.scenario(cells.adds, cells.adds, lambda: cells.reads(2), at_rest=all_are_there),
        "two set": cells.scenario(
            lambda: cells.sets(1), lambda: cells.sets(2), lambda: cells.reads(-1), at_rest=latest_is_there
        ),
        "two bring up what they see": cells.scenario(
            lambda: cells.brings_up((1, 1), (1, 3)), lambda: cells.brings_up((1, 2)), at_rest=all_of_one_is_in
        ),
        "what is brought up is of one before": cells.scenario(
            lambda: cells.brings_up((1, 5)), lambda: cells.brings_up((2, 1)), cells.reads_twice, at_rest=later_is_in
        ),
        "an update is late": cells.scenario(cells.adds, cells.uses_again_and_adds, at_rest=later_is_alone),
        "a reader is late": cells.scenario(
            cells.reads_while_it_is_there, cells.uses_again_and_adds, own=(1, 2), at_rest=later_is_alone
        ),
        "whoever takes over is late": cells.scenario(
            lambda: cells.takes(2, 3), cells.uses_again, own=(1, 5), at_rest=later_is_zero
        ),
        "whoever takes over dies": cells.scenario(
            lambda: cells.takes(2, 3), lambda: cells.takes(3, 4, 0), own=(1, 5), mortal=(0,), at_rest=dead_are_in_once
        ),
        "two threads take over": cells.scenario(
            lambda: cells.takes(2, 3), lambda: cells.takes(2, 3), own=(1, 5), at_rest=both_have_added
        ),
        "a reader meets a takeover": cells.scenario(
            lambda: cells.takes(2, 3), lambda: cells.reads_own(5, 8), own=(1, 5), at_rest=nothing
        ),
        "a reader meets two takeovers": cells.scenario(
            lambda: cells.takes(2, 3),
            lambda: cells.takes(3, 4, 0),
            lambda: cells.reads_own(5, 8, 9, 12),
            own=(1, 5),
            mortal=(0,),
            at_rest=nothing,
        ),
        "a reader meets a new pid": cells.scenario(
            lambda: cells.takes(2, 3, fold=PID), cells.reads_pid, own=(1, 5), dead=(1, 100), at_rest=nothing
        ),
    }
