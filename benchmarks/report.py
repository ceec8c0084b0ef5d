"""How a benchmark is run and says what it found: rows with bars, a readable table or JSON lines, and the machine."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from harness import CPUS

BUSY_SHARE = 0.05  # from here on, what other programs do shows in the figures


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit for a figure: for ours alone, or for the ratio of ours and the baseline."""

    sign: str
    limit: float
    of: str  # "ratio": ours / baseline; "speed": baseline / ours, for times that should be short; "ours"

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}{'' if self.of == 'ours' else ' ×'}"

    def holds(self, figure: float) -> bool:
        return figure <= self.limit if self.sign == "≤" else figure >= self.limit


def at_most(limit: float) -> Bar:
    """Ours is at most this many times the baseline."""
    return Bar("≤", limit, "ratio")


def at_least(limit: float) -> Bar:
    """Ours is at least this many times the baseline."""
    return Bar("≥", limit, "ratio")


def faster(limit: float) -> Bar:
    """The baseline takes at least this many times as long as ours."""
    return Bar("≥", limit, "speed")


def within(limit: float) -> Bar:
    """Ours is at most this, whatever the baseline."""
    return Bar("≤", limit, "ours")


def above(limit: float) -> Bar:
    """Ours is at least this, whatever the baseline."""
    return Bar("≥", limit, "ours")


@dataclass(frozen=True, slots=True)
class Row:
    """One answer: our figure, the baseline of the same run, and the bar. Without a bar it is there for comparison."""

    question: str
    ours: float
    unit: str
    baseline: float | None = None
    bar: Bar | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        if self.baseline is None:
            return None
        if self.bar is not None and self.bar.of == "speed":
            return self.baseline / self.ours
        return self.ours / self.baseline

    @property
    def holds(self) -> bool | None:
        figure = self.ours if self.bar is not None and self.bar.of == "ours" else self.ratio
        return None if self.bar is None or figure is None else self.bar.holds(figure)

    def found(self) -> dict[str, Any]:
        return {
            "question": self.question,
            "bar": None if self.bar is None else str(self.bar),
            "ours": self.ours,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "unit": self.unit,
            "note": self.note,
            "holds": self.holds,
        }


def main(rows: Callable[[bool], Iterable[Row]]) -> None:
    """The program of a benchmark; `rows(smoke)` measures. What it used is cleaned up also on Ctrl-C and SIGTERM."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes: shows that it works, not how fast")
    parser.add_argument("--json", action="store_true", help="one object a line instead of a table")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    if len(CPUS) < 2:
        print("warning: fewer than two CPUs, so processes that should run side by side take turns", file=sys.stderr)
    before = _busy_seconds()
    try:
        found = []
        for row in rows(options.smoke):
            found.append(row)
            if options.json:
                print(json.dumps(row.found(), ensure_ascii=False), flush=True)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    if not options.json:
        print(machine(), table([row.found() for row in found]), sep="\n\n")
    _warn_of_others(before)


def machine() -> str:
    """What the figures were measured on, in one line."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    system = f"{platform.system()} {platform.release()}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{model}, {os.cpu_count()} CPUs ({len(CPUS)} for us), {system}, {python}, gc on"


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """All rows, as JSON has them, under one another, with figures to the right."""
    titles = ("question", "ours", "baseline", "unit", "ratio", "bar", "holds", "note")
    lines = [titles, *([_cell(row[title]) for title in titles] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = "<>><><<<"
    formats = [f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True)]
    return "\n".join("  ".join(formats).format(*line).rstrip() for line in lines)


def _cell(value: str | float | bool | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "NO"
        case str():
            return value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _busy_seconds() -> tuple[float, float, float]:
    """Since boot: what all CPUs did and what they could have done; since our start: what we did, in CPU seconds."""
    with open("/proc/stat") as stat:
        ticks = [int(word) for word in stat.readline().split()[1:9]]
    idle, tick = ticks[3] + ticks[4], os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - idle) / tick, sum(ticks) / tick, sum(os.times()[:4])


def _warn_of_others(before: tuple[float, float, float]) -> None:
    all_s, most_s, ours_s = (late - early for late, early in zip(_busy_seconds(), before, strict=True))
    share = max(0.0, all_s - ours_s) / most_s if most_s else 0.0
    if share >= BUSY_SHARE:
        print(f"warning: other programs used {share:.0%} of the CPUs; run it on a quiet machine", file=sys.stderr)
