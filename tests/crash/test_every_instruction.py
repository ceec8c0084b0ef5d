"""Death, and standing still, at every instruction of every operation on the shared bytes: the rest works on.

The program in singlestep/ runs the real, optimized core in a victim process, which is killed, or stopped and later
resumed, before each of its machine instructions (ptrace; x86-64 Linux). Others then append laps, read, repair and take
over places, or use metrics; every ticket, update and node must be accounted for. Where victims cannot be stopped so,
they are at named points.
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
)


def layouts(operation: str) -> tuple[str, ...]:
    return ("nodes",) if operation.startswith("metrics-") else ("rows", "columns")


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
    program: Program, name: str, operation: str, scorecard: Callable[..., None]
) -> None:
    for done in in_each_layout(program, name, operation):
        figures = {"K": done["boundaries"], "runs": done["runs"], "left_out": done["left_out"], "violations": 0}
        scorecard(3, operation=operation, layout=done["layout"], by=done["by"], **figures)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_stands_still_at_any_instruction_is_not_dead_and_harms_nobody(
    program: Program, name: str, operation: str, scorecard: Callable[..., None]
) -> None:
    for done in in_each_layout(program, name, operation, "--mode", "freeze"):
        figures = {"K": done["boundaries"], "runs": done["runs"], "left_out": done["left_out"], "violations": 0}
        scorecard(5, operation=operation, layout=done["layout"], by=done["by"], false_deaths=0, **figures)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_who_repairs_may_die_at_any_instruction_too(
    program: Program, name: str, operation: str, seed: int, scorecard: Callable[..., None]
) -> None:
    for done in in_each_layout(program, name, operation, "--pairs", PAIRS, "--seed", seed):
        scorecard(4, operation=operation, layout=done["layout"], by=done["by"], pairs=done["runs"], violations=0)


@pytest.mark.parametrize("mode", ["kill", "freeze"])
def test_the_named_points_do_where_instructions_cannot_be_stepped(by_point: Program, name: str, mode: str) -> None:
    results = run_all(
        by_point, name, [["--layout", layouts(what)[0], "--operation", what, "--mode", mode] for what in OPERATIONS]
    )
    assert sum(result["boundaries"] for result in results) > 3 * len(OPERATIONS)


def test_every_operation_of_the_harness_is_run(program: Program) -> None:
    assert program.run("--list").stdout.split() == list(OPERATIONS)


@dataclass(frozen=True)
class Planted:
    """A bug, planted by replacing texts of one file of the core, and the run that finds it."""

    bug: str
    file: str
    changes: dict[str, str]  # each text occurs once
    operation: str
    mode: str
    finding: str  # a part of what is told
    inlined_in: tuple[str, ...] = ()  # of the harness


STORE = "    store_payload(g, slots, claim.where.slot, record);\n"
PUBLISH = "    if (cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED)))"
SKIP_COUNTED = "    if (word_lap(word) == lap &&\n"
SWEEP = "sweep(table, place_owner(index, word), &voided, &released);\n"
ENTERING = "    store_relaxed(&place->word, place_word(generation, PLACE_ENTERING)); /* take_place:entering */\n"
LEFT = "    } else if (owner) {\n"
PID = "        *pid = load_relaxed(&place->pid);\n"
SUMMARY_CHECKED = "    return mix(bounds, sum << 32 | sum >> 32);"
FORGET = "            if (t->spare) store_relaxed(t->spare, 0);\n"
PART_LINKED = "        store_relaxed(&last->more, next + 1);"
NODE_KEPT = "        if (load_relaxed(&node->word) != word) return;\n"
FREEING = "    while ((part = last_part(nodes, index, &found))) {\n"
LINKING = "    if (node_state(word) == NODE_CLAIMED) {\n"
MARKED = "        if (its == mark) return true;\n"
TAKING = "if (its && folds) return cell_swap(own, mine, mark, 0) && cell_swap(dead, theirs, its, number_of(mine.high));"
SUMMED = "    while (!cell_swap(at, before, before.low + count, number_of(before.high) + amount));\n"
UNMARKED = " && !(load_relaxed(cell_of(t, spare - 1)) & CELL_PUBLISHED)"

PLANTED = (
    Planted(
        "publish before payload",
        "ring/ring.c",
        {
            STORE: "",
            PUBLISH: (
                "    bool done = cas_release(shared, &word, slot_word(claim.where.lap, 0, PUBLISHED));\n"
                f"{STORE}    if (done)"
            ),
        },
        "append",
        "kill",
        "is torn",
    ),
    Planted(
        "tail moved before the claim",
        "ring/ring.c",
        {'POINT("before claim");': "uint64_t old = t; cas_acq_rel(&control->tail, &old, t + 1);"},
        "append",
        "kill",
        "breaks the invariant of the ring",
    ),
    Planted(
        "tail moved before the skip is counted",
        "ring/ring.c",
        {SKIP_COUNTED: f"    uint64_t old = ticket; cas_acq_rel(&partition->tail, &old, ticket + 1);\n{SKIP_COUNTED}"},
        "append-past-stalled",
        "kill",
        "appends",
    ),
    Planted(
        "repair by timeout",
        "processes/process.c",
        {"    return !processes_is_locked(table, index);": "    return true;"},
        "append",
        "freeze",
        "called dead",
    ),
    Planted(
        "place taken over before its claims are swept",
        "processes/process.c",
        {f"    if (place_state(word) == PLACE_USED) {SWEEP}": "", ENTERING: f"{ENTERING}    {SWEEP}"},
        "attach-over-dead",
        "kill",
        "has left its place",
    ),
    Planted(
        "place freed before its claims are swept",
        "processes/process.c",
        {PID: f"{PID}        store_release(&place->word, freed(word));\n"},
        "repair",
        "kill",
        "has left its place",
    ),
    Planted(
        "place unlocked before it is freed",
        "processes/process.c",
        {LEFT: f"{LEFT}        locks_let_go(&table->own->place_lock);\n"},
        "close",
        "freeze",
        "called dead",
    ),
    Planted(
        "reader without the second check",
        "ring/read.c",
        {"if (ticket + slots >= tail) return count;": "if (tail + 1) return count;"},
        "read-over-dead",
        "freeze",
        "the victim's operation failed",
    ),
    Planted(
        "key published before its text is written",
        "store/keys.c",
        {
            "    write_cell(t, mine, text, length);\n": "",
            'POINT("key published");': "write_cell(t, mine, text, length);",
        },
        "intern",
        "kill",
        "which has no text",
    ),
    Planted(
        "summary believed without its words",
        "questions/batches/summary.c",
        {SUMMARY_CHECKED: "    return bounds == sum ? bounds : about;"},
        "question-outrun",
        "kill",
        "a question was answered by",
    ),
    Planted(
        "spare key cell used twice",
        "store/keys.c",
        {FORGET: "", UNMARKED: ""},
        "intern-outrun",
        "kill",
        "is not found under its own text",
    ),
    Planted(
        "part linked after it is a part",
        "metrics/changes.c",
        {PART_LINKED: "", "        last = part;\n": f"{PART_LINKED}\n        last = part;\n"},
        "metrics-insert",
        "kill",
        "is part of a node that has it not",
    ),
    Planted(
        "node freed before its parts",
        "metrics/changes.c",
        {NODE_KEPT: "", FREEING: f"    free_node(nodes, node, word);\n{FREEING}"},
        "metrics-remove",
        "kill",
        "is part of a node that has it not",
    ),
    Planted(
        "step of a change that is over",
        "metrics/changes.c",
        {f"    if (!is_still(nodes, change)) return;\n{LINKING}": LINKING},
        "metrics-insert",
        "freeze",
        "is live, and not in its chain",
    ),
    Planted(
        "own place marked before the dead are folded",
        "metrics/cells.c",
        {MARKED: f"{MARKED}        {TAKING}\n"},
        "metrics-take",
        "kill",
        "updates of the own values returned",
    ),
    Planted(
        "count and sum of a bucket by two adds",
        "metrics/cells.h",
        {SUMMED: f"{SUMMED.replace(' + count', '')}    add_relaxed(&at->cell->low, count);\n"},
        "metrics-observe",
        "kill",
        "of different moments",
        inlined_in=("series.c",),
    ),
)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.bug.replace(" ", "_"))
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
    )
    found = program.run(*options, folder=tmp_path)
    assert found.returncode == 1 and planted.finding in found.stderr, found.stdout + found.stderr
    scorecard(3, planted=planted.bug, caught_by=f"{planted.mode} at each instruction of {planted.operation}")
