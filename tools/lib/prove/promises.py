"""What is promised, in order, and for each promise the figures that count as shown.

A promise is shown when its tests passed and noted each figure of `least` (added up: at least so much) and of `most`
(at most so much). Of what tools/prove tries in thousands, a run of tools/test takes a sample: for that, `sample` has
the figures in place of those of `least`. Figures are noted by tests through the fixture `scorecard`, under the number
of the promise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Promise:
    """One promise and its bar."""

    row: int
    says: str
    least: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    sample: Mapping[str, int] = field(default_factory=dict)

    def enough(self, full: bool) -> dict[str, int]:
        """What there must be at least, of a run that tried everything or of one that took samples."""
        return {**self.least, **({} if full else self.sample)}

    def bar(self, full: bool) -> str:
        """The bar in short."""
        least = [f"{name.replace('_', ' ')} ≥ {number:,}" for name, number in self.enough(full).items()]
        if not full and self.sample:
            whole = ", ".join(f"{self.least[name]:,} {name.replace('_', ' ')}" for name in self.sample)
            least.append(f"a sample: tools/prove tries {whole}")
        most = [f"{name.replace('_', ' ')} {'≤' if number else '='} {number:,}" for name, number in self.most.items()]
        return ", ".join([*least, *most]) + (f" ({self.note})" if self.note else "")


def none(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 0)


PROMISES = (
    Promise(
        1,
        "an append that returned survives any death",
        {"kills": 5000},
        none("lost", "doubled"),
        sample={"kills": 1250},
    ),
    Promise(
        2,
        "no read is torn, foreign or stale, and no question is answered from one that is",
        {"reads": 10_000_000, "answers": 120, "answers_of_several_passes": 40},
        none("torn", "unexplained"),
    ),
    Promise(
        3,
        "death at any instruction leaves the rest working",
        {"operations": 7, "runs": 10_000},
        none("missed_boundaries", "violations"),
        "killed at every instruction boundary of each operation, of questions too, in both layouts",
    ),
    Promise(4, "whoever repairs may die too, and two may repair at once", {"pairs": 500}, none("violations")),
    Promise(
        5,
        "a frozen process is not dead, and corrupts nothing when it goes on",
        {"operations": 7, "runs": 10_000},
        none("missed_boundaries", "violations"),
        "frozen at every instruction boundary of each operation, of questions too, in both layouts, lapped and resumed",
    ),
    Promise(
        6,
        "a frozen process stops nobody, and costs one slot a lap",
        {"frozen_writers": 5, "appends_beside_them": 20_000},
        none("slots_lost_beyond_one_a_lap"),
    ),
    Promise(7, "loss is counted exactly, by cause", {"tickets": 100_000}, none("unexplained")),
    Promise(
        10,
        "the protocol holds under C11, not only on this processor",
        {"states": 1, "mutants_caught": 1},
        none("mutants_survived", "violations"),
        "each model is explored whole",
    ),
    Promise(
        11,
        "death is noticed soon",
        {"kills": 50, "meetings": 15},
        {"slowest_repair_ms": 2500},
        "meant are 250 ms; ten times that is the limit, for the tests share the machine",
    ),
    Promise(
        12, "identity survives reuse of numbers, zombies, forks and namespaces", {"ways": 10}, none("false_deaths")
    ),
    Promise(13, "creation is atomic", {"rounds": 300}, none("half_made", "stuck_names"), sample={"rounds": 100}),
    Promise(14, "a full /dev/shm is an exception at creation", {"sizes": 10}, none("signals", "bytes_left")),
    Promise(
        15,
        "a corrupted, truncated or foreign segment is an error, and no wrong answer",
        {"mutants": 2000, "scribbled_summaries": 200},
        none("crashes", "hangs", "wrong_answers"),
        sample={"mutants": 500},
    ),
    Promise(
        16, "nobody removes a segment that is not theirs, however they end", {"ends": 24}, none("removed", "warnings")
    ),
    Promise(
        17,
        "signals do not break operations, and end long questions",
        {"signals": 500, "long_questions_ended": 3},
        none("violations"),
    ),
    Promise(19, "looking and asking do not disturb", {"looks": 6}, none("bytes_changed")),
    Promise(20, "numbers wrap safely", {"wraps": 4}, none("violations")),
    Promise(
        21,
        "the core is free of data races and of undefined behaviour",
        {"suites_with_thread_sanitizer": 3, "suites_with_address_sanitizer": 9},
        none("reports"),
    ),
    Promise(
        22, "nothing leaks", {"lifetimes": 500}, none("places_lost", "descriptors_grown"), sample={"lifetimes": 160}
    ),
    Promise(
        23,
        "whoever fails in the middle of reading loses nothing",
        {"failures": 200},
        none("lost", "doubled"),
        "raising handlers, refusing record classes and damaged slots at each record of read, for, async for and others",
    ),
    Promise(
        24,
        "what the program does with descriptors harms neither it nor the store",
        {"operations": 30, "ways": 60},
        none("foreign_descriptors_touched", "false_deaths"),
        "all closed, reused by other files or overwritten, before each operation and at close, also in a fork",
    ),
    Promise(
        25,
        "a refused value leaves nothing",
        {"refused": 300},
        none("traces"),
        "each way to append refused at each field and row: keys, tickets and bytes are as before",
    ),
    Promise(
        29,
        "closing, forking or signalling in the middle of any call crashes nothing",
        {"functions": 70, "disturbances": 2000},
        note="each function of the core, at each place where other Python code may run",
    ),
)
