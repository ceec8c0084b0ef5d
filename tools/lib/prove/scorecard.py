"""Reads what the tests noted: figures by promise, and how each test ended."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prove.promises import PROMISES, Promise

Figure = int | float | str
LARGEST = ("_ms", "_s", "_bytes")  # units of figures of which the largest counts; all others are added up

NO_FIGURES = ("seed",)  # what a run was given, not what it got

HOLDS, BROKEN, NOT_SHOWN = "holds", "BROKEN", "NOT SHOWN"


@dataclass
class Outcomes:
    """How the tests ended, by name."""

    seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def passed(self) -> int:
        return len(self.seconds.keys() - set(self.failed) - self.skipped.keys())


@dataclass
class Shown:
    """What was got for one promise."""

    promise: Promise
    notes: list[dict[str, Any]]
    figures: dict[str, Figure]
    tests: list[str]
    seconds: float
    failed: list[str]
    full: bool

    @property
    def verdict(self) -> str:
        """HOLDS only if every figure is there and every test that noted one has passed."""
        figures, promise = self.figures, self.promise
        if self.failed or any(number > promise.most.get(name, number) for name, number in numbers(figures).items()):
            return BROKEN
        is_there = figures.keys() >= promise.least.keys() | promise.most.keys()
        enough = is_there and all(
            numbers(figures)[name] >= number for name, number in promise.enough(self.full).items()
        )
        return HOLDS if enough else NOT_SHOWN


@dataclass
class Scorecard:
    """All that the tests noted."""

    shown: list[Shown]
    outcomes: Outcomes
    strays: list[str]
    """Tests that noted a figure for a promise that nobody made."""
    full: bool = True
    """Every run tried all cases, and took no samples."""

    @property
    def holds(self) -> bool:
        return all(shown.verdict == HOLDS for shown in self.shown) and not self.outcomes.failed and not self.strays


def read(path: Path) -> Scorecard:
    """Read the file that SHMSTORE_SCORECARD named. Raises ValueError when it holds something else."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    outcomes = outcomes_of(line for line in lines if "outcome" in line)
    notes = [line for line in lines if "row" in line]
    known = {promise.row for promise in PROMISES}
    full = all(line["full"] for line in lines if "full" in line)
    return Scorecard(
        [
            shown_of(promise, [note for note in notes if note["row"] == promise.row], outcomes, full)
            for promise in PROMISES
        ],
        outcomes,
        sorted({note["test"] for note in notes if note["row"] not in known}),
        full,
    )


def outcomes_of(lines: Iterable[Mapping[str, Any]]) -> Outcomes:
    outcomes = Outcomes()
    for line in lines:
        test = line["test"]
        outcomes.seconds[test] = outcomes.seconds.get(test, 0.0) + line["seconds"]
        if line["outcome"] == "failed":
            outcomes.failed.append(test)
        elif line["outcome"] == "skipped":
            outcomes.skipped[test] = line["reason"]
    return outcomes


def shown_of(promise: Promise, notes: list[dict[str, Any]], outcomes: Outcomes, full: bool) -> Shown:
    tests = list(dict.fromkeys(note["test"] for note in notes))
    # A test that noted something and whose end is not known was interrupted: that is no success.
    failed = [test for test in tests if test in outcomes.failed or test not in outcomes.seconds]
    seconds = sum(outcomes.seconds.get(test, 0.0) for test in tests)
    noted = [note["figures"] for note in notes]
    figures = together(noted)
    if noted and "missed_boundaries" in promise.most:
        figures["missed_boundaries"] = sum(_missed(each) for each in noted if "K" in each)
    return Shown(promise, notes, figures, tests, seconds, failed, full)


def together(noted: list[dict[str, Figure]]) -> dict[str, Figure]:
    """The figures of all notes of a promise in one."""
    figures: dict[str, Figure] = {}
    for name in dict.fromkeys(name for each in noted for name in each if name not in NO_FIGURES):
        values = [each[name] for each in noted if name in each]
        if any(isinstance(value, str) for value in values):
            figures[name] = ", ".join(dict.fromkeys(map(str, values)))
        else:
            figures[name] = (max if name.endswith(LARGEST) else sum)(values)  # type: ignore[type-var, arg-type]
    if operations := {each["operation"] for each in noted if "operation" in each}:
        figures["operations"] = len(operations)
    return figures


def numbers(figures: Mapping[str, Figure]) -> dict[str, int | float]:
    return {name: value for name, value in figures.items() if not isinstance(value, str)}


def _missed(stepped: Mapping[str, Any]) -> int:
    """Boundaries of an operation at which nothing was tried; one left out is the same as one that was tried."""
    return max(0, int(stepped["K"]) - int(stepped["runs"]) - int(stepped["left_out"]))
