"""The key table: interning, finding and reading back; the numbers are the sentences of keys.h.

Two texts with the same hash, two buckets, a cell for each intern that may die. A text is one unit, all as long.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.operations import (
    Program,
    Scenario,
    cas_acq_rel,
    cas_release,
    load_acquire,
    load_relaxed,
    require,
    store_relaxed,
    store_release,
)

BUCKETS = (0, 1)
CELLS = (0, 1, 2)


class Length(NamedTuple):
    """The first word of a cell."""

    is_written: bool
    is_marked: bool


UNUSED, WRITTEN, MARKED = Length(False, False), Length(True, False), Length(True, True)


class Table:
    """The protocol as it is."""

    def locations(self) -> dict[Any, Any]:
        shared: dict[Any, Any] = {"keys_reserved": 0}
        for cell in CELLS:
            shared |= {("cell", cell): UNUSED, ("text", cell): None}
        return shared | {("bucket", at): None for at in BUCKETS} | {("spare", process): None for process in (0, 1)}

    def intern(self, me: int, text: str) -> Program:
        """Returns the id."""
        at, found = yield from self.probe(0, text)
        if found is None:
            mine = yield from self.reserve(me)
            yield from self.write_cell(mine, text)
            found = yield from self.publish(me, mine, at, text)
        if found is not None:
            yield from self.mark_published(found)
        return found

    def probe(self, at: int, text: str) -> Program:
        """[1] Returns the bucket where it stopped, and the id or None."""
        while True:
            cell = yield load_acquire("probe:bucket", ("bucket", at))
            if cell is None:
                return at, None
            is_equal = yield from self.cell_equals(cell, text)
            if is_equal:
                return at, cell
            require(at + 1 < len(BUCKETS), f"{text} is not in the full table: a cell changed, or is there twice")
            at += 1

    def cell_equals(self, cell: int, text: str) -> Program:
        length = yield load_relaxed("", ("cell", cell))
        if not length.is_written:
            return False
        found = yield load_relaxed("cell_equals:text", ("text", cell))
        return found == text

    def reserve(self, me: int) -> Program:
        """[2] The spare belongs to this process alone."""
        spare = yield load_relaxed("", ("spare", me))
        if spare is not None:
            return spare
        reserved = yield load_relaxed("", "keys_reserved")
        done = False
        while not done:
            cell = reserved
            require(cell < len(CELLS), "no cell is left")
            done, reserved = yield cas_acq_rel("reserve:cell", "keys_reserved", cell, cell + 1)
        yield store_relaxed("", ("spare", me), cell)
        return cell

    def write_cell(self, cell: int, text: str) -> Program:
        """[3]"""
        yield store_relaxed("write_cell:text", ("text", cell), text)
        yield store_relaxed("", ("cell", cell), WRITTEN)

    def publish(self, me: int, mine: int, at: int, text: str) -> Program:
        """[3, 4] Returns the id: ours, or that of who was faster with the same text."""
        while True:
            done, _ = yield cas_release("table_intern:publish", ("bucket", at), None, mine)
            if done:
                yield from self.mark_published(mine)
                yield store_relaxed("", ("spare", me), None)
                return mine
            at, found = yield from self.probe(at, text)
            if found is not None:
                return found

    def mark_published(self, cell: int) -> Program:
        """[5]"""
        length = yield load_relaxed("", ("cell", cell))
        if not length.is_marked:
            yield store_release("mark_published:mark", ("cell", cell), MARKED)

    def text_of(self, cell: int) -> Program:
        length = yield load_acquire("table_text:cell", ("cell", cell))
        if not length.is_marked:
            return None
        text = yield load_relaxed("table_text:text", ("text", cell))
        require(text is not None, f"cell {cell} is marked, but has no text")
        return text

    # Threads: each ends with what it learned, ids under their texts.

    def interns(self, me: int, *texts: str) -> Program:
        learned: tuple[tuple[int, str], ...] = ()
        for text in texts:
            cell = yield from self.intern(me, text)
            learned += ((cell, text),)
        return learned

    def reads(self) -> Program:
        """Read the texts of two ids."""
        learned: tuple[tuple[int, str], ...] = ()
        for cell in (1, 0):
            text = yield from self.text_of(cell)
            if text is not None:
                learned += ((cell, text),)
        return learned

    def interns_and_reads(self, me: int, text: str) -> Program:
        """An id that was returned has a text from then on."""
        cell = yield from self.intern(me, text)
        found = yield from self.text_of(cell)
        require(found == text, f"{text} has id {cell}, which reads {found}")
        return ((cell, text),)

    def at_rest(self, values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        learned = {pair for result in results for pair in result or ()}
        ids, texts = {cell for cell, _ in learned}, {text for _, text in learned}
        require(len(ids) == len(texts) == len(learned), f"not one id for each text: {sorted(learned)}")
        for cell, text in learned:
            require(values["text", cell] == text, f"id {cell} was {text} and is {values['text', cell]}")
            require(values["cell", cell].is_marked, f"id {cell} of {text} was returned, but is not marked")
        named = [values["bucket", at] for at in BUCKETS if values["bucket", at] is not None]
        require(len({values["text", cell] for cell in named}) == len(named), "one text is in two buckets")


class PublishesBeforeTheText(Table):
    """A cell is written before its bucket names it."""

    def write_cell(self, cell: int, text: str) -> Program:
        yield from ()

    def publish(self, me: int, mine: int, at: int, text: str) -> Program:
        done, _ = yield cas_release("table_intern:publish", ("bucket", at), None, mine)
        yield from super().write_cell(mine, text)
        yield from self.mark_published(mine)
        return mine if done else None


class MarksBeforeTheText(Table):
    """A cell is marked only when it will not change."""

    def write_cell(self, cell: int, text: str) -> Program:
        yield store_release("mark_published:mark", ("cell", cell), MARKED)
        yield store_relaxed("write_cell:text", ("text", cell), text)


class MarksWhatItMayReuse(Table):
    """A cell is marked after it was published: until then it may become the spare and change."""

    def write_cell(self, cell: int, text: str) -> Program:
        yield store_relaxed("write_cell:text", ("text", cell), text)
        yield store_release("mark_published:mark", ("cell", cell), MARKED)


class LeavesTheMarkToThePublisher(Table):
    """Who finds a text in an unmarked cell marks it: its publisher may be dead."""

    def intern(self, me: int, text: str) -> Program:
        at, found = yield from self.probe(0, text)
        if found is None:
            mine = yield from self.reserve(me)
            yield from self.write_cell(mine, text)
            found = yield from self.publish(me, mine, at, text)
        return found


class PublishesByStore(Table):
    """A bucket is taken by compare-exchange: another may be faster."""

    def publish(self, me: int, mine: int, at: int, text: str) -> Program:
        yield store_release("table_intern:publish", ("bucket", at), mine)
        yield from self.mark_published(mine)
        yield store_relaxed("", ("spare", me), None)
        return mine


class ProbesOnWithoutLooking(Table):
    """Who lost a bucket looks whether it was lost to the same text."""

    def publish(self, me: int, mine: int, at: int, text: str) -> Program:
        done = False
        while not done:
            done, _ = yield cas_release("table_intern:publish", ("bucket", at), None, mine)
            at += not done
            require(at < len(BUCKETS), "the table is full")
        return mine


class KeepsThePublishedCell(Table):
    """A cell that was published is no spare any more."""

    def publish(self, me: int, mine: int, at: int, text: str) -> Program:
        while True:
            done, _ = yield cas_release("table_intern:publish", ("bucket", at), None, mine)
            if done:
                return mine
            at, found = yield from self.probe(at, text)
            if found is not None:
                return found


class SharesTheSpare(Table):
    """A spare cell belongs to one process, and not to its forked child."""

    def reserve(self, me: int) -> Program:
        cell = yield from super().reserve(0)
        return cell


class ReservesByStore(Table):
    """A cell is reserved by compare-exchange: two must not get the same."""

    def reserve(self, me: int) -> Program:
        cell = yield load_relaxed("", "keys_reserved")
        yield store_relaxed("reserve:cell", "keys_reserved", cell + 1)
        return cell


class ReadsUnmarkedCells(Table):
    """From the id to the text only marked cells are read: another may be a spare that changes."""

    def text_of(self, cell: int) -> Program:
        length = yield load_acquire("table_text:cell", ("cell", cell))
        if not length.is_written:
            return None
        text = yield load_relaxed("table_text:text", ("text", cell))
        return text


def scenarios(model: type[Table] = Table) -> Mapping[str, Scenario]:
    table = model()

    def scenario(*programs: Any, mortal: Sequence[int] = ()) -> Scenario:
        return Scenario(table.locations(), programs, frozenset(mortal), at_rest=table.at_rest)

    return {
        "two intern one text": scenario(
            lambda: table.interns_and_reads(0, "a"), lambda: table.interns_and_reads(1, "a")
        ),
        "two intern two texts": scenario(lambda: table.interns(0, "a"), lambda: table.interns(1, "b"), table.reads),
        "a publisher dies": scenario(
            lambda: table.interns(0, "a"), lambda: table.interns_and_reads(1, "a"), mortal=[0]
        ),
        "a spare is used": scenario(lambda: table.interns(0, "a", "b"), lambda: table.interns(1, "a"), table.reads),
    }


BROKEN = {
    PublishesBeforeTheText: "two intern one text",
    MarksBeforeTheText: "two intern two texts",
    MarksWhatItMayReuse: "a spare is used",
    LeavesTheMarkToThePublisher: "a publisher dies",
    PublishesByStore: "two intern one text",
    ProbesOnWithoutLooking: "two intern one text",
    KeepsThePublishedCell: "a spare is used",
    SharesTheSpare: "two intern two texts",
    ReservesByStore: "two intern two texts",
    ReadsUnmarkedCells: "a spare is used",
}
WEAKER = {
    "mark_published:mark release": "two intern two texts",
    "table_text:cell acquire": "two intern two texts",
    "table_intern:publish release": "two intern one text",
    "probe:bucket acquire": "two intern one text",
}
SUPERFLUOUS = {
    "reserve:cell acquire": "a cell is its reserver's alone until its bucket is published",
    "reserve:cell release": "a cell is its reserver's alone until its bucket is published",
}
