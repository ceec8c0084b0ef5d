"""The page: what is promised, what was got, whether it holds, and on what it was shown, as Markdown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from proof.scorecard import HOLDS, Figure, Scorecard, Shown, numbers

_STEPPED = {3: "killed", 4: "killed while repairing", 5: "frozen"}
_OF_STEPS = ("operation", "layout", "K", "runs", "violations")


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
        yield f"{shown.promise.row}. {shown.promise.bar()} – {_tests(shown.tests) or 'no test noted anything'}"
    yield from _details(scorecard)
    yield from ("", "## Totals", "")
    yield from (f"- {name}: {value}" for name, value in {**_totals(scorecard), **facts}.items())


def _details(scorecard: Scorecard) -> Iterator[str]:
    notes = [(shown.promise.row, note) for shown in scorecard.shown for note in shown.notes]
    stepped = [(row, note["figures"]) for row, note in notes if "operation" in note["figures"]]
    if stepped:
        yield from ("", "## Every instruction", "", "K is the number of instruction boundaries of an operation.", "")
        yield from _table(
            (*_OF_STEPS, "how"),
            ((*(figures.get(name, "") for name in _OF_STEPS), _STEPPED.get(row, "")) for row, figures in stepped),
        )
    models = [note["figures"] for _, note in notes if "model" in note["figures"]]
    if models:
        names = list(dict.fromkeys(name for figures in models for name in figures))
        yield from ("", "## Models", "")
        yield from _table(
            [name.replace("_", " ") for name in names], ([each.get(name, "") for name in names] for each in models)
        )
    planted = [note for _, note in notes if "planted" in note["figures"]]
    if planted:
        yield from ("", "## Planted errors", "", "Each of these rules was broken on purpose, and this caught it:", "")
        for note in planted:
            figures = note["figures"]
            case = f"`{figures['caught_by']}` of " if "caught_by" in figures else ""
            yield f"- {figures['planted']} – {case}{_tests([note['test']])}"
    for title, tests in (("Failed", scorecard.outcomes.failed), ("Of no promise", scorecard.strays)):
        if tests:
            yield from ("", f"## {title}", "", *(f"- `{test}`" for test in sorted(tests)))
    if skipped := scorecard.outcomes.skipped:
        yield from ("", "## Not run here", "", *(f"- `{test}`: {why}" for test, why in sorted(skipped.items())))


def _totals(scorecard: Scorecard) -> dict[str, str]:
    """Sums over all promises."""
    outcomes, sums = scorecard.outcomes, Counter[str]()
    for shown in scorecard.shown:
        sums.update({name: int(value) for name, value in numbers(shown.figures).items() if name in _SUMMED})
    planted = sum("planted" in note["figures"] for shown in scorecard.shown for note in shown.notes)
    return {
        "tests": f"{outcomes.passed()} passed, {len(outcomes.failed)} failed, {len(outcomes.skipped)} not run here",
        "seconds of tests": f"{sum(outcomes.seconds.values()):.0f}",
        **{words: f"{sums[name]:,}" for name, words in _SUMMED.items()},
        "mutants survived": f"{sums['mutants_survived']:,}",
        "planted errors caught": f"{planted:,}",
    }


_SUMMED = {
    "K": "instruction boundaries",
    "runs": "runs that ended or stood still at one",
    "kills": "other kills",
    "violations": "violations",
    "states": "states explored",
    "mutants_caught": "mutants of models caught",
}


def _got(shown: Shown) -> str:
    """The figures, those of the bar first."""
    bar = [*shown.promise.least, *shown.promise.most]
    names = [*(name for name in bar if name in shown.figures), *(name for name in shown.figures if name not in bar)]
    return ", ".join(_figure(name, shown.figures[name]) for name in names if not isinstance(shown.figures[name], str))


def _figure(name: str, value: Figure) -> str:
    number = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return f"{number} {name.replace('_', ' ')}"


def _tests(tests: Iterable[str]) -> str:
    """Tests by file and name; one with parameters once, with how many there were."""
    times = Counter(test.partition("[")[0] for test in tests)
    return ", ".join(f"`{test}`{f' (× {count})' if count > 1 else ''}" for test, count in times.items())


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A Markdown table whose columns stand below each other in plain text too, all but the last."""
    lines = [titles, *([f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows)]
    widths = [*(max(map(len, column)) for column in list(zip(*lines, strict=True))[:-1]), 1]
    for number, line in enumerate(lines):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "| " + " | ".join("-" * max(3, width) for width in widths) + " |"
