"""Exemplars: several writers of one slot, some of which die, and readers; the numbers are the sentences of exemplars.h.

Every field of an exemplar is the number of its series, so that one of two writers shows itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tests.core.operations import (
    Program,
    Scenario,
    cas_acq_rel,
    cas_release,
    fence_acquire,
    fence_release,
    is_dead,
    load_acquire,
    load_relaxed,
    require,
    store_relaxed,
)

NOTHING, WRITTEN, MARKED, GIVEN_UP = "NOTHING", "WRITTEN", "MARKED", "GIVEN_UP"


class Word(NamedTuple):
    number: int
    state: str
    owner: int | None = None


class Exemplars:
    """The protocol as it is."""

    def put(self, me: int, series: int) -> Program:
        """[1] Returns whether it was written."""
        word = yield load_acquire("", "word")
        is_free = yield from self.may_be_marked(word)
        if not is_free:
            return False
        mine = self.marked(word, me)
        done, _ = yield cas_acq_rel("exemplar_put:mark", "word", word, mine)
        if not done:
            return False
        yield fence_release("exemplar_put:fence")
        yield from self.write(series)
        yield from self.publish(mine)
        return True

    def may_be_marked(self, word: Word) -> Program:
        if word.state != MARKED:
            return True
        owner_is_dead = yield is_dead(word.owner)
        return owner_is_dead

    def marked(self, word: Word, me: int) -> Word:
        return Word(word.number + 1, MARKED, me)

    def write(self, series: int) -> Program:
        yield store_relaxed("", "of", series)
        yield store_relaxed("exemplar_put:text", "text", series)

    def publish(self, mine: Word) -> Program:
        yield cas_release("exemplar_put:published", "word", mine, Word(mine.number, WRITTEN))

    def get(self, series: int) -> Program:
        """[2, 3] Returns the text, or None."""
        word = yield load_acquire("exemplar_get:before", "word")
        if word.state != WRITTEN:
            return None
        its = yield load_relaxed("", "of")
        if its != series:
            return None
        text = yield load_relaxed("exemplar_get:text", "text")
        yield fence_acquire("")
        after = yield load_relaxed("exemplar_get:after", "word")
        return text if after == word else None

    def sweep(self, owner: int) -> Program:
        word = yield load_acquire("", "word")
        if word.state == MARKED and word.owner == owner:
            yield cas_release("exemplars_sweep:word", "word", word, Word(word.number, GIVEN_UP))

    # Threads.

    def reads(self, series: int) -> Program:
        text = yield from self.get(series)
        require(text in (None, series), f"an exemplar of {series} has the text of {text}")

    def sweeps(self, owner: int) -> Program:
        owner_is_dead = yield is_dead(owner)
        if owner_is_dead:
            yield from self.sweep(owner)
            word = yield load_relaxed("", "word")
            require(word.state != MARKED or word.owner != owner, f"{word} is left of the dead")

    def sweeps_and_puts(self, owner: int, me: int, series: int) -> Program:
        yield from self.sweeps(owner)
        done = yield from self.put(me, series)
        return done

    def at_rest(self, values: Mapping[Any, Any], _results: Sequence[Any]) -> None:
        if values["word"].state == WRITTEN:
            require(values["of"] == values["text"], f"an exemplar of {values['of']} has the text of {values['text']}")

    def scenario(self, *programs: Any, mortal: Sequence[int] = ()) -> Scenario:
        shared = {"word": Word(0, WRITTEN), "of": 0, "text": 0}
        return Scenario(shared, programs, frozenset(mortal), at_rest=self.at_rest)


class WritesWithoutMarking(Exemplars):
    """Only the one whose mark is there writes the fields."""

    def put(self, me: int, series: int) -> Program:
        word = yield load_acquire("", "word")
        yield from self.write(series)
        yield cas_release("exemplar_put:published", "word", word, Word(word.number + 1, WRITTEN))
        return True


class WritesBeforeTheMark(Exemplars):
    """The mark is there before the fields are written."""

    def put(self, me: int, series: int) -> Program:
        word = yield load_acquire("", "word")
        yield from self.write(series)
        done, _ = yield cas_acq_rel("exemplar_put:mark", "word", word, self.marked(word, me))
        if done:
            yield from self.publish(self.marked(word, me))
        return done


class PublishesBeforeTheFields(Exemplars):
    """A slot is WRITTEN when all fields are."""

    def write(self, series: int) -> Program:
        yield store_relaxed("", "of", series)

    def put(self, me: int, series: int) -> Program:
        done = yield from super().put(me, series)
        if done:
            yield store_relaxed("exemplar_put:text", "text", series)
        return done


class TakesOverTheLiving(Exemplars):
    """A mark is left alone unless its owner is dead: it may go on at any moment."""

    def may_be_marked(self, word: Word) -> Program:
        yield from ()
        return True


class SweepsTheLiving(Exemplars):
    """A mark is given up only for the dead."""

    def sweeps(self, owner: int) -> Program:
        yield from self.sweep(owner)


class SweepsNothing(Exemplars):
    """What the dead had marked is given up when they are swept: their number may be another's soon."""

    def sweep(self, owner: int) -> Program:
        yield from ()


class SweepsToWritten(Exemplars):
    """What was given up is not shown."""

    def sweep(self, owner: int) -> Program:
        word = yield load_acquire("", "word")
        if word.state == MARKED and word.owner == owner:
            yield cas_release("exemplars_sweep:word", "word", word, Word(word.number, WRITTEN))


class KeepsTheNumber(Exemplars):
    """The number rises with each write."""

    def marked(self, word: Word, me: int) -> Word:
        return Word(word.number, MARKED, me)


class ReadsWhatIsMarked(Exemplars):
    """Only what is WRITTEN is read."""

    def get(self, series: int) -> Program:
        word = yield load_acquire("exemplar_get:before", "word")
        its = yield load_relaxed("", "of")
        text = yield load_relaxed("exemplar_get:text", "text")
        yield fence_acquire("")
        after = yield load_relaxed("exemplar_get:after", "word")
        return text if after == word and its == series else None


class ReadsWithoutASecondLook(Exemplars):
    """A reader looks again at the word."""

    def get(self, series: int) -> Program:
        word = yield load_acquire("exemplar_get:before", "word")
        its = yield load_relaxed("", "of")
        text = yield load_relaxed("exemplar_get:text", "text")
        return text if word.state == WRITTEN and its == series else None


class ShowsThoseOfOthers(Exemplars):
    """An exemplar bears the generation of its series."""

    def get(self, series: int) -> Program:
        word = yield load_acquire("exemplar_get:before", "word")
        if word.state != WRITTEN:
            return None
        text = yield load_relaxed("exemplar_get:text", "text")
        yield fence_acquire("")
        after = yield load_relaxed("exemplar_get:after", "word")
        return text if after == word else None


def scenarios(model: type[Exemplars] = Exemplars) -> Mapping[str, Scenario]:
    table = model()

    def puts(me: int) -> Any:
        return lambda: table.put(me, me + 1)

    return {
        "one writes": table.scenario(puts(0), lambda: table.reads(0)),
        "two write": table.scenario(puts(0), puts(1), lambda: table.reads(2)),
        "a writer dies": table.scenario(puts(0), puts(1), lambda: table.reads(1), mortal=(0,)),
        "the dead are swept": table.scenario(
            puts(0), lambda: table.sweeps_and_puts(0, 1, 2), lambda: table.reads(1), mortal=(0,)
        ),
    }


BROKEN = {
    WritesWithoutMarking: "two write",
    WritesBeforeTheMark: "one writes",
    PublishesBeforeTheFields: "two write",
    TakesOverTheLiving: "two write",
    SweepsTheLiving: "the dead are swept",
    SweepsNothing: "the dead are swept",
    SweepsToWritten: "the dead are swept",
    KeepsTheNumber: "two write",
    ReadsWhatIsMarked: "one writes",
    ReadsWithoutASecondLook: "one writes",
    ShowsThoseOfOthers: "one writes",
}
WEAKER = {
    "exemplar_put:fence release": "one writes",
    "exemplar_put:published release": "one writes",
    "exemplar_get:before acquire": "one writes",
}
SUPERFLUOUS = {
    "exemplar_put:mark acquire": "the load before has acquired what is replaced",
    "exemplar_put:mark release": "nothing is written before it, and a fence comes after it",
    "exemplars_sweep:word release": "nobody reads what the dead wrote",
}
