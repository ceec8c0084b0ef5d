"""`tools/bench`: every benchmark's rows in one table, and what broke or missed its bar."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from report import machine, table


def main() -> int:
    """Run all and print the table. Returns 0 when none broke and, at full size, every bar was met."""
    print(machine(), flush=True)
    if unknown := set(sys.argv[1:]) - {"--smoke"}:
        sys.exit(f"bench: {sorted(unknown)} is unknown; the only option is --smoke")
    rows: list[dict[str, Any]] = []
    broken = []
    for bench in sorted(Path("benchmarks").glob("bench_*.py")):
        print(f"{bench.stem} ...", file=sys.stderr, flush=True)
        command = [sys.executable, str(bench), "--json", *sys.argv[1:]]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        rows += map(json.loads, done.stdout.splitlines())
        broken += [bench.stem] if done.returncode else []
    print(table(rows))
    missed = [] if sys.argv[1:] else [row["question"] for row in rows if row["holds"] is False]
    for what, which in (("broken", broken), ("below its bar", missed)):
        for name in which:
            print(f"{what}: {name}", file=sys.stderr)
    return int(bool(broken or missed))


if __name__ == "__main__":
    sys.exit(main())
