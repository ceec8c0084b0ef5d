"""The page: what is promised, what was got, whether it holds, and on what it was shown, as Markdown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prove.scorecard import HOLDS, Line, Scorecard, Shown

_OF_STEPS = (
    "K is the number of instruction boundaries of an operation. In a long loop that changes no shared byte, the later "
    "passes are left out: to die there is to die in the first."
)
_STEPPED = {3: "killed", 5: "frozen", 4: "pairs with a repairer"}


def page(scorecard: Scorecard, facts: Mapping[str, str]) -> str:
    """The whole page. `facts` are what it was run with and on."""
    return "\n".join(_lines(scorecard, facts)) + "\n"


def verdict(scorecard: Scorecard) -> str:
    """The last word."""
    held = sum(shown.verdict == HOLDS for shown in scorecard.shown)
    words = f"{held} of {len(scorecard.shown)} promises hold."
    return words if scorecard.holds else f"{words} THE PROOF FAILS."


def _lines(scorecard: Scorecard, facts: Mapping[str, str]) -> Iterator[str]:
    yield from ("# Proof", "", "Written by `tools/prove` from what the tests noted; not edited by hand.", "")
    yield from _table(
        ("#", "promise", "", "s", "got"),
        (
            (shown.promise.row, shown.promise.says, shown.verdict, f"{shown.seconds:.1f}", _got(shown))
            for shown in scorecard.shown
        ),
    )
    yield from ("", f"**{verdict(scorecard)}**", "", "## Bars, and what shows that they are met", "")
    for shown in scorecard.shown:
        yield f"- **{shown.promise.row}** {shown.promise.bar(scorecard.full)}"
        yield from (f"  - {line}" for line in _tests(shown.tests))
    yield from _details(scorecard)
    yield from ("", "## Totals", "")
    yield from (f"- {name}: {value}" for name, value in {**_totals(scorecard), **facts}.items())


def _details(scorecard: Scorecard) -> Iterator[str]:
    yield from _stepped(scorecard)
    models: dict[str, dict[str, Any]] = {}
    for _, note in _notes(scorecard, "model"):
        models.setdefault(note["figures"]["model"], {}).update(note["figures"])
    if models:
        names = list(dict.fromkeys(name for figures in models.values() for name in figures))
        yield from ("", "## Models", "")
        yield from _table(
            [name.replace("_", " ") for name in names],
            ([each.get(name, "") for name in names] for each in models.values()),
        )
    if planted := _notes(scorecard, "planted"):
        yield from ("", "## Planted errors", "", "Each of these rules was broken on purpose, and this found it:", "")
        for _, note in planted:
            found_by = note["figures"].get("caught_by") or _name(note["test"])
            yield f"- {note['figures']['planted']} – `{found_by}`"
    for title, tests in (("Failed", scorecard.failed), ("Of no promise", scorecard.strays)):
        if tests:
            yield from ("", f"## {title}", "", *(f"- `{test}`" for test in sorted(tests)))
    if skipped := scorecard.skipped:
        yield from ("", "## Not run here", "", *(f"- `{test}`: {why}" for test, why in sorted(skipped.items())))


def _notes(scorecard: Scorecard, name: str) -> list[tuple[int, Line]]:
    """The notes that have a figure of this name, with the numbers of their promises."""
    return [(shown.promise.row, note) for shown in scorecard.shown for note in shown.notes if name in note["figures"]]


def _stepped(scorecard: Scorecard) -> Iterator[str]:
    """A line for each operation and layout: its boundaries, and how often it was stopped at them in each way."""
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row, figures in ((row, note["figures"]) for row, note in _notes(scorecard, "operation")):
        line = lines.setdefault((figures["operation"], figures["layout"]), Counter())
        line["K"] = max(line["K"], figures.get("K", 0))
        line["violations"] += figures["violations"]
        line[_STEPPED[row]] += figures.get("runs", figures.get("pairs", 0))
    if lines:
        names = ("K", *_STEPPED.values(), "violations")
        yield from ("", "## Every instruction", "", _OF_STEPS, "")
        rows = ((*key, *(line[name] for name in names)) for key, line in lines.items())
        yield from _table(("operation", "layout", *names), rows)


def _totals(scorecard: Scorecard) -> dict[str, str]:
    """Sums over all promises."""
    sums = Counter[str]()
    for shown in scorecard.shown:
        sums.update({name: int(value) for name, value in shown.figures.items() if name in _SUMMED})
    return {
        "tests": f"{scorecard.passed} passed, {len(scorecard.failed)} failed, {len(scorecard.skipped)} not run here",
        "seconds of tests": f"{sum(scorecard.seconds.values()):.0f}",
        **{words: f"{sums[name]:,}" for name, words in _SUMMED.items()},
        "planted errors caught": f"{len(_notes(scorecard, 'planted')):,}",
    }


_SUMMED = {
    "runs": "runs that were stopped at an instruction",
    "pairs": "pairs of deaths",
    "kills": "other kills",
    "violations": "violations",
    "states": "states explored",
    "mutants_caught": "mutants of models caught",
    "mutants_survived": "mutants survived",
}


def _got(shown: Shown) -> str:
    """The figures, those of the bar first."""
    bar = [*shown.promise.least, *shown.promise.most]
    names = [*(name for name in bar if name in shown.figures), *(name for name in shown.figures if name not in bar)]
    return ", ".join(_figure(name, shown.figures[name]) for name in names)


def _figure(name: str, value: int | float) -> str:
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return f"{number} {name.replace('_', ' ')}"


def _tests(tests: Iterable[str]) -> Iterator[str]:
    """A line for each file, with its tests; one with parameters once, with how many there were."""
    files: dict[str, Counter[str]] = {}
    for test in tests:
        files.setdefault(test.partition("::")[0], Counter())[_name(test)] += 1
    for file, names in files.items():
        yield f"`{file}`: " + ", ".join(
            f"{name}{f' (× {count})' if count > 1 else ''}" for name, count in names.items()
        )


def _name(test: str) -> str:
    return test.partition("::")[2].partition("[")[0]


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A Markdown table whose columns stand below each other in plain text too, all but the last."""
    lines = [titles, *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    widths = [*(max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]), 1]
    for number, line in enumerate(lines):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "| " + " | ".join("-" * max(3, width) for width in widths) + " |"
