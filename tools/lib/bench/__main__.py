"""`tools/bench`: every benchmark's rows in one table, and what broke or missed its bar."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TITLES = ("question", "ours", "baseline", "unit", "ratio", "bar", "holds", "note")
NUMBERS = ("ours", "baseline", "ratio")
HOLDS = {True: "yes", False: "NO", None: ""}


def number(value: float) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"


def line_of(row: dict[str, Any]) -> list[str]:
    numbers = {key: "" if row.get(key) is None else number(row[key]) for key in NUMBERS}
    shown = {**row, **numbers, "holds": HOLDS[row.get("holds")]}
    return [shown.get(title) or "" for title in TITLES]


def main() -> int:
    """Run all and print the table. Returns 0 when none broke and, at full size, every bar was met."""
    if unknown := set(sys.argv[1:]) - {"--smoke"}:
        sys.exit(f"bench: {sorted(unknown)} is unknown; the only option is --smoke")
    rows: list[dict[str, Any]] = []
    broken = []
    for bench in sorted(Path("benchmarks").glob("bench_*.py")):
        print(f"{bench.stem} ...", file=sys.stderr, flush=True)
        command = [sys.executable, bench, "--json", *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        rows += map(json.loads, done.stdout.splitlines())
        broken += [bench.stem] if done.returncode else []
    lines = [list(TITLES), *map(line_of, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(TITLES, line, widths, strict=True)
        print("  ".join(f"{cell:{'>' if title in NUMBERS else '<'}{width}}" for title, cell, width in cells).rstrip())
    missed = [] if sys.argv[1:] else [row["question"] for row in rows if row.get("holds") is False]
    for what, which in (("broken", broken), ("below its bar", missed)):
        for name in which:
            print(f"{what}: {name}", file=sys.stderr)
    return int(bool(broken or missed))


if __name__ == "__main__":
    sys.exit(main())
