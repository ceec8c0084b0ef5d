"""Death, and standing still, at every instruction of every operation on the shared bytes: the rest works on.

The program in singlestep/ runs the real, optimized core in a victim process, which is killed, or stopped and later
resumed, before each of its machine instructions (ptrace; x86-64 Linux). Others then append laps, read, repair and take
over places, or use metrics or streams; every ticket, update, node and event must be accounted for. Where victims cannot
be stopped so, they are at named points.
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import tomllib
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash.planted import PLANTED, Planted
from tests.crash.planted_streams import STREAMS
from tests.helpers.effort import cases

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "shmstore" / "core"
HARNESS = Path(__file__).resolve().parent / "singlestep"
CC = shlex.split(os.environ.get("CC", "cc"))
FLAGS = (
    *tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"][0]["extra-compile-args"],
    f"-I{CORE.parent}",
    "-fPIC",
    "-pthread",
)
# At points it is of no interest how the code between them was compiled, so that is done fast.
STOPPERS = {"by_instruction": (), "by_point": ("-DSHMSTORE_POINTS", "-O1")}
OBSTACLE = 3  # exit status: victims cannot be stopped so; the reason is on stderr
PAIRS = 60

OPERATIONS = (
    "append",
    "append-discarding",
    "append-past-stalled",
    "append-over-dead",
    "append-over-void",
    "append-batch",
    "read-over-dead",
    "clear",
    "attach",
    "attach-over-dead",
    "close",
    "repair",
    "intern",
    "intern-outrun",
    "sample",
    "question",
    "question-outrun",
    "create",
    "metrics-insert",
    "metrics-insert-beaten",
    "metrics-remove",
    "metrics-add",
    "metrics-observe",
    "metrics-set",
    "metrics-take",
    "metrics-exemplar",
    "stream-append",
    "stream-conditional",
    "stream-idempotent",
    "stream-batch",
    "stream-help",
    "stream-keep",
    "stream-take",
    "stream-truncate",
    "stream-delete",
    "stream-repair",
    "stream-read",
)


def is_of_streams(operation: str) -> bool:
    return operation.startswith("stream-")


# Each so many-th of the boundaries at which others see nothing new, of the operations with the most of them.
SAMPLES = {
    "attach": cases(full=1, sample=3),
    "close": cases(full=1, sample=6),
    "create": cases(full=1, sample=3),
    "question": cases(full=1, sample=4),
    "question-outrun": cases(full=1, sample=4),
} | {operation: cases(full=1, sample=16) for operation in OPERATIONS if is_of_streams(operation)}
STREAMS_ROW = 27  # of the proof
SAMPLED_PAIRS = cases(full=PAIRS, sample=PAIRS // 3)


def layouts(operation: str) -> tuple[str, ...]:
    if is_of_streams(operation):
        return ("log",)
    return ("nodes",) if operation.startswith("metrics-") else ("rows", "columns")


def sample(operation: str, seed: int) -> tuple[object, ...]:
    return ("--sample", SAMPLES[operation], "--seed", seed) if operation in SAMPLES else ()


@dataclass(frozen=True)
class Program:
    """The harness and the core, compiled to stop victims in one way."""

    stopper: str
    folder: Path

    def compile(self, sources: Iterable[Path], folder: Path) -> list[Path]:
        """Compile each source to an object in `folder`, without a single warning."""

        def compile_one(source: Path) -> Path:
            target = folder / f"{source.parent.name}-{source.stem}.o"
            command = [*CC, f"-I{folder}", *FLAGS, *STOPPERS[self.stopper], "-Werror", "-c", source, "-o", target]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(compile_one, sources))

    def link(self, objects: Iterable[Path], folder: Path) -> None:
        # Bound at once: how often a victim has called a function of the C library shall not change its path.
        subprocess.run([*CC, *FLAGS, "-Wl,-z,now", *objects, "-lm", "-o", folder / "singlestep"], check=True)

    def run(self, *options: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [str((folder or self.folder) / "singlestep"), *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def build(stopper: str, folder: Path) -> Program:
    program = Program(stopper, folder)
    shared = [path for path in HARNESS.glob("*.c") if path.stem not in STOPPERS]
    program.link(program.compile([*CORE.rglob("*.c"), *shared, HARNESS / f"{stopper}.c"], folder), folder)
    return program


@pytest.fixture(scope="session")
def by_point(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return build("by_point", tmp_path_factory.mktemp("by_point"))


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Program:
    """By instruction if that works here, else by point, and then it is said why."""
    obstacle = f"single-stepping is written for x86-64 Linux, and this is {platform.machine()} {platform.system()}"
    if (platform.machine(), platform.system()) == ("x86_64", "Linux"):
        stepping = build("by_instruction", tmp_path_factory.mktemp("by_instruction"))
        done = stepping.run("--list")
        if done.returncode != OBSTACLE:
            return stepping
        obstacle = done.stderr.strip()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"{obstacle}: victims were stopped at named points only", stacklevel=1)
    fallback: Program = request.getfixturevalue("by_point")
    return fallback


def run_all(program: Program, name: str, jobs: list[list[object]]) -> list[dict[str, Any]]:
    """Run the harness once for each list of options, two at a time; nothing may be violated."""

    def run(number: int) -> dict[str, Any]:
        done = program.run(*jobs[number], "--name", f"/dev/shm/{name}-{number}")
        assert done.returncode == 0, f"{jobs[number]}: {done.stdout}{done.stderr}"
        result: dict[str, Any] = json.loads(done.stdout)
        print(done.stdout.strip())
        assert result["runs"] + result["left_out"] >= result["boundaries"] or result["mode"] == "pairs"
        return result

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(len(jobs))))


def in_each_layout(program: Program, name: str, operation: str, *options: object) -> list[dict[str, Any]]:
    each = layouts(operation)
    return run_all(program, name, [["--operation", operation, "--layout", layout, *options] for layout in each])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_death_at_any_instruction_leaves_the_rest_working(
    program: Program, name: str, operation: str, seed: int, scorecard: Callable[..., None]
) -> None:
    for done in in_each_layout(program, name, operation, *sample(operation, seed)):
        figures = {"K": done["boundaries"], "runs": done["runs"], "left_out": done["left_out"], "violations": 0}
        scorecard(3, operation=operation, layout=done["layout"], by=done["by"], **figures)
        if is_of_streams(operation):
            scorecard(STREAMS_ROW, deaths=done["runs"], violations=0)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_stands_still_at_any_instruction_is_not_dead_and_harms_nobody(
    program: Program, name: str, operation: str, seed: int, scorecard: Callable[..., None]
) -> None:
    for done in in_each_layout(program, name, operation, "--mode", "freeze", *sample(operation, seed)):
        figures = {"K": done["boundaries"], "runs": done["runs"], "left_out": done["left_out"], "violations": 0}
        scorecard(5, operation=operation, layout=done["layout"], by=done["by"], false_deaths=0, **figures)
        if is_of_streams(operation):
            scorecard(STREAMS_ROW, standstills=done["runs"], violations=0)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_repairs_may_die_at_any_instruction_too(
    program: Program, name: str, operation: str, seed: int, scorecard: Callable[..., None]
) -> None:
    pairs = SAMPLED_PAIRS if is_of_streams(operation) else PAIRS
    for done in in_each_layout(program, name, operation, "--pairs", pairs, "--seed", seed):
        scorecard(4, operation=operation, layout=done["layout"], by=done["by"], pairs=done["runs"], violations=0)
        if is_of_streams(operation):
            scorecard(STREAMS_ROW, double_deaths=done["runs"], violations=0)


@pytest.mark.parametrize("mode", ["kill", "freeze"])
def test_the_named_points_do_where_instructions_cannot_be_stepped(by_point: Program, name: str, mode: str) -> None:
    results = run_all(
        by_point, name, [["--layout", layouts(what)[0], "--operation", what, "--mode", mode] for what in OPERATIONS]
    )
    assert sum(result["boundaries"] for result in results) > 3 * len(OPERATIONS)


def test_every_operation_of_the_harness_is_run(program: Program) -> None:
    assert program.run("--list").stdout.split() == list(OPERATIONS)


@pytest.mark.parametrize("planted", (*PLANTED, *STREAMS), ids=lambda planted: planted.bug.replace(" ", "_"))
def test_a_planted_bug_is_found(
    program: Program, name: str, planted: Planted, tmp_path: Path, scorecard: Callable[..., None]
) -> None:
    if program.stopper == "by_point":
        pytest.skip("there are too few named points to find every planted bug by them")
    core = tmp_path / "core"
    shutil.copytree(CORE, core)
    text = (core / planted.file).read_text()
    for old, new in planted.changes.items():
        assert text.count(old) == 1, f"{planted.file} has not one but {text.count(old)} times: {old}"
        text = text.replace(old, new)
    (core / planted.file).write_text(text)
    sources = [core / planted.file] if planted.file.endswith(".c") else []
    sources += [HARNESS / user for user in planted.inlined_in]
    broken = {path.name: path for path in program.compile(sources, tmp_path)}
    program.link(({path.name: path for path in program.folder.glob("*.o")} | broken).values(), tmp_path)
    options = (
        "--operation",
        planted.operation,
        "--mode",
        planted.mode,
        "--layout",
        layouts(planted.operation)[0],
        "--name",
        f"/dev/shm/{name}",
        *(("--sample", str(planted.sample)) if is_of_streams(planted.operation) else ()),
    )
    found = program.run(*options, folder=tmp_path)
    assert found.returncode == 1 and planted.finding in found.stderr, found.stdout + found.stderr
    scorecard(3, planted=planted.bug, caught_by=f"{planted.mode} at each instruction of {planted.operation}")
    if is_of_streams(planted.operation):
        scorecard(STREAMS_ROW, errors_found=1)
