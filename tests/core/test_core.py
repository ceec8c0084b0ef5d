"""The C core on plain memory: hard states, limits, deaths, walks, damage and threads, under each sanitizer.

The cases are in the C files beside; each says in its name what must hold.
"""

import re
import subprocess
from collections.abc import Callable

import pytest

from tests.core.conftest import CORE, KINDS, TESTS, Build
from tests.core.side_by_side import Together, chosen

Done = subprocess.CompletedProcess[str]

SUPPORT = {"fuzz_questions", "harness", "records", "scanning", "stopping", "streams_world"}
SUITES = sorted({path.stem for path in TESTS.glob("*.c")} - SUPPORT)
# In the others no two threads run, and ThreadSanitizer has nothing to see.
TOGETHER = {
    "buffers",
    "cells",
    "exemplars",
    "following",
    "nodes",
    "questions",
    "random_walks",
    "scrapes",
    "sharing",
    "streams_threads",
    "threads",
}
RUNS = [(kind, suite) for kind in KINDS for suite in SUITES if kind != "thread" or suite in TOGETHER]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, built: Callable[[str], Build], common_seed: int
) -> Together[tuple[str, str], Done]:
    def run(key: tuple[str, str]) -> Done:
        kind, suite = key
        return built(kind).run(suite, common_seed)

    return Together(run, chosen(request, test_every_case_holds, "kind", "suite"))


@pytest.mark.parametrize(("kind", "suite"), RUNS)
def test_every_case_holds(
    kind: str, suite: str, runs: Together[tuple[str, str], Done], scorecard: Callable[..., None]
) -> None:
    done = runs[kind, suite]
    assert done.returncode == 0, f"{done.args}\n{done.stdout}{done.stderr}"
    if suite == "limits":
        scorecard(20, wraps=sum("cross" in line or "wrap" in line for line in done.stdout.splitlines()), violations=0)
    if kind == "aarch64":
        scorecard(21, suites_on_aarch64=1)
    elif kind != "plain":
        scorecard(21, **{f"suites_with_{kind}_sanitizer": 1}, reports=0)


def test_every_point_is_where_some_test_stops() -> None:
    points = {name for path in CORE.rglob("*.c") for name in re.findall(r'POINT\("(.*?)"\)', path.read_text())}
    tests = "".join(path.read_text() for path in TESTS.glob("*.c"))
    assert points and sorted(name for name in points if f'"{name}"' not in tests) == []
