"""The rules of the cells of cells.py, and what shows that each is needed."""

from tests.core.models.cells import LIVE, PID, SUM, Cell, Cells, Word, scenarios
from tests.core.operations import (
    Program,
    cas_acq_rel,
    load_acquire,
    load_relaxed,
)

__all__ = ["BROKEN", "SUPERFLUOUS", "WEAKER", "scenarios"]


# One rule broken each; the docstring is the rule.


class AddsByStore(Cells):
    """An update is a compare-exchange of what was loaded: another may come between."""

    def swap(self, cell: str, before: Cell, bits: int, number: int) -> Program:
        now = yield load_relaxed("", cell)
        yield cas_acq_rel("cell_swap:cell", cell, now, Cell(before.generation, bits, number))
        return True


class CountsApart(Cells):
    """Both halves change as one."""

    def add(self, cell: str, amount: int, count: int) -> Program:
        for bits, more in ((count, 0), (0, amount)):
            yield from super().add(cell, more, bits)
        return True


class KeepsTheTag(Cells):
    """A cell that is used again bears another tag."""

    def clear(self, cell: str) -> Program:
        done = False
        while not done:
            before = yield load_relaxed("", cell)
            done, _ = yield cas_acq_rel("clear_cell:cell", cell, before, Cell(0, 0, 0))


class ClearsNothing(Cells):
    """All cells of a new series begin as zero, and void for late updates."""

    def clear(self, cell: str) -> Program:
        yield from ()


class UpdatesWithoutLooking(Cells):
    """An update looks, after it has loaded the cell, whether the series is still there."""

    def load(self, cell: str) -> Program:
        tag = yield from self.tag_of(load_acquire("cell_load:tag", cell))
        number = yield from self.number_of(load_relaxed("", cell))
        return Cell(*tag, number)


class LooksBeforeItLoads(Cells):
    """It looks after it has loaded the cell, and not before: the cell may be of a later series by then."""

    def load(self, cell: str) -> Program:
        word = yield load_relaxed("", "word")
        tag = yield from self.tag_of(load_acquire("cell_load:tag", cell))
        number = yield from self.number_of(load_relaxed("", cell))
        return Cell(*tag, number) if word == Word(0, LIVE) else None


class ReadsOnce(Cells):
    """A reader looks again at the tag, so that both halves are of one moment."""

    def read(self, cell: str) -> Program:
        tag = yield from self.tag_of(load_acquire("cell_read:tag", cell))
        number = yield from self.number_of(load_acquire("cell_read:number", cell))
        return tag[1], number


class SetsTheOlder(Cells):
    """A value that was set later stays."""

    def set_latest(self, cell: str, number: int, time: int) -> Program:
        done = False
        while not done:
            before = yield from self.load(cell)
            done = yield from self.swap(cell, before, time, number)
        return True


class BringsUpAllAgain(Cells):
    """What is in the number already is not added once more."""

    def bring_up(self, cell: str, incarnation: int, count: int) -> Program:
        done = False
        while not done:
            before = yield from self.load(cell)
            done = yield from self.swap(cell, before, 10 * incarnation + count, before.number + count)


class BringsUpTheOlder(Cells):
    """A count, or an incarnation, of before is known already."""

    def is_late(self, last: int, known: int, incarnation: int, count: int) -> bool:
        return False


class TakesBeforeItFolds(Cells):
    """The value of the dead is added to those of the dead before it is taken away."""

    def take(self, mark: int, fold: str = SUM) -> Program:
        mine = yield from self.load("own")
        if mine.bits != mark:
            yield from self.swap("own", mine, mark, 0)
            theirs = yield from self.load("dead")
            yield from self.swap("dead", theirs, mine.bits, theirs.number + mine.number)
        return True


class FoldsWithoutAMark(Cells):
    """Those of the dead bear the mark of the last one that is in: whoever comes after a death on the way sees it."""

    def swap(self, cell: str, before: Cell, bits: int, number: int) -> Program:
        done = yield from super().swap(cell, before, 0 if cell == "dead" else bits, number)
        return done

    def take(self, mark: int, fold: str = SUM) -> Program:
        mine = yield from self.load("own")
        if mine.bits not in (0, mark):
            theirs = yield from self.load("dead")
            yield from self.swap("dead", theirs, mine.bits, theirs.number + mine.number)
            yield from self.swap("own", mine, 0, 0)
            mine = yield from self.load("own")
        if mine.bits != mark:
            yield from self.swap("own", mine, mark, 0)
        return True


class FoldsNothing(Cells):
    """What a dead holder left is kept."""

    def take(self, mark: int, fold: str = SUM) -> Program:
        taken = yield from super().take(mark, "NOTHING")
        return taken


class MarksBeforeThePid(Cells):
    """The pid is there before the mark is."""

    def take(self, mark: int, fold: str = SUM) -> Program:
        taken = yield from super().take(mark, "NOTHING")
        theirs = yield from self.load("dead")
        yield from self.swap("dead", theirs, mark, 100 * mark)
        return taken

    def own_read(self, fold: str = SUM) -> Program:
        mark, own = yield from self.read("own")
        _, dead = yield from self.read("dead")
        return mark, own, dead


class ReadsTheDeadFirst(Cells):
    """The own value is read before those of the dead."""

    def own_read(self, fold: str = SUM) -> Program:
        of, dead = yield from self.read("dead")
        mark, own = yield from self.read("own")
        return (mark, own, dead) if mark and (mark == of) == (fold == PID) else (0, 0, dead)


class ReadsWithoutTheMark(Cells):
    """An own value whose mark those of the dead bear is in them already."""

    def own_read(self, fold: str = SUM) -> Program:
        mark, own = yield from self.read("own")
        _, dead = yield from self.read("dead")
        return mark, own, dead


class ReadsTheOwnOnce(Cells):
    """Whoever has read those of the dead looks again at the own mark: another of the dead may be in them."""

    def own_read(self, fold: str = SUM) -> Program:
        mark, own = yield from self.read("own")
        of, dead = yield from self.read("dead")
        return (mark, own, dead) if mark and (mark == of) == (fold == PID) else (0, 0, dead)


BROKEN = {
    AddsByStore: "two add",
    CountsApart: "a reader meets updates",
    KeepsTheTag: "an update is late",
    ClearsNothing: "an update is late",
    UpdatesWithoutLooking: "an update is late",
    LooksBeforeItLoads: "an update is late",
    ReadsOnce: "a reader meets updates",
    SetsTheOlder: "two set",
    BringsUpAllAgain: "two bring up what they see",
    BringsUpTheOlder: "what is brought up is of one before",
    TakesBeforeItFolds: "whoever takes over dies",
    FoldsWithoutAMark: "whoever takes over dies",
    FoldsNothing: "whoever takes over dies",
    MarksBeforeThePid: "a reader meets a new pid",
    ReadsTheDeadFirst: "a reader meets a takeover",
    ReadsWithoutTheMark: "a reader meets a takeover",
    ReadsTheOwnOnce: "a reader meets two takeovers",
}
WEAKER = {
    "cell_load:tag acquire": "an update is late",
    "cell_swap:cell release": "a reader meets a takeover",
    "clear_cell:cell release, claim:fence release": "an update is late",
    "cell_read:tag acquire, cell_read:number acquire": "a reader is late",
}
SUPERFLUOUS = {
    "cell_swap:cell acquire": "cell_load:tag has acquired what is replaced",
    "clear_cell:cell acquire": "claim:node has acquired what came before",
}
