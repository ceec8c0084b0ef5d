"""Reads what the tests noted: figures by promise, and how each test ended."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prove.promises import PROMISES, Promise

Line = Mapping[str, Any]
Figures = dict[str, int | float]
LARGEST = ("_ms", "_s", "_bytes")  # units of figures of which the largest counts; all others are added up
NO_FIGURES = ("seed",)  # what a run was given, not what it got

HOLDS, BROKEN, NOT_SHOWN = "holds", "BROKEN", "NOT SHOWN"


@dataclass
class Shown:
    """What was got for one promise."""

    promise: Promise
    notes: list[Line]
    figures: Figures
    tests: list[str]
    seconds: float
    verdict: str
    """HOLDS only if every figure is there and every test that noted one has passed."""


class Scorecard:
    """All that the tests noted, line by line."""

    def __init__(self, lines: list[Line]) -> None:
        ended = [line for line in lines if "outcome" in line]
        self._notes = [line for line in lines if "row" in line]
        self.full = all(line["full"] for line in lines if "full" in line)
        """Every run tried all cases, and took no samples."""
        self.seconds: Counter[str] = Counter()
        for line in ended:
            self.seconds[line["test"]] += line["seconds"]
        self.failed = [line["test"] for line in ended if line["outcome"] == "failed"]
        self.skipped = {line["test"]: line["reason"] for line in ended if line["outcome"] == "skipped"}
        self.shown = [self._shown(promise) for promise in PROMISES]
        rows = {promise.row for promise in PROMISES}
        self.strays = sorted({note["test"] for note in self._notes if note["row"] not in rows})
        """Tests that noted a figure for a promise that nobody made."""

    @property
    def passed(self) -> int:
        """How many tests passed."""
        return len(self.seconds.keys() - set(self.failed) - self.skipped.keys())

    @property
    def holds(self) -> bool:
        """Whether all is shown that is promised."""
        return all(shown.verdict == HOLDS for shown in self.shown) and not self.failed and not self.strays

    def _shown(self, promise: Promise) -> Shown:
        notes = [note for note in self._notes if note["row"] == promise.row]
        noted = [note["figures"] for note in notes]
        figures = together(noted)
        if noted and "missed_boundaries" in promise.most:
            # Where nothing was tried; a boundary that was left out is the same as one that was tried.
            stepped = [each for each in noted if "K" in each]
            figures["missed_boundaries"] = sum(max(0, each["K"] - each["runs"] - each["left_out"]) for each in stepped)
        tests = list(dict.fromkeys(note["test"] for note in notes))
        seconds = sum(self.seconds[test] for test in tests)
        return Shown(promise, notes, figures, tests, seconds, self._verdict(promise, figures, tests))

    def _verdict(self, promise: Promise, figures: Figures, tests: list[str]) -> str:
        # A test that noted something and whose end is not known was interrupted: that is no success.
        failed = any(test in self.failed or test not in self.seconds for test in tests)
        if failed or any(number > promise.most.get(name, number) for name, number in figures.items()):
            return BROKEN
        enough = {**promise.enough(self.full), **dict.fromkeys(promise.most, 0)}
        return HOLDS if all(figures.get(name, -1) >= number for name, number in enough.items()) else NOT_SHOWN


def read(path: Path) -> Scorecard:
    """Read the file that SHMSTORE_SCORECARD named. Raises ValueError when it holds something else."""
    return Scorecard([json.loads(line) for line in path.read_text().splitlines()])


def together(noted: Iterable[Mapping[str, Any]]) -> Figures:
    """The figures of all notes of a promise in one; what is said in words is left out."""
    values: dict[str, list[int | float]] = {}
    for name, value in (item for each in noted for item in each.items()):
        if name not in NO_FIGURES and not isinstance(value, str):
            values.setdefault(name, []).append(value)
    figures: Figures = {name: (max if name.endswith(LARGEST) else sum)(each) for name, each in values.items()}
    if operations := {each["operation"] for each in noted if "operation" in each}:
        figures["operations"] = len(operations)
    return figures
