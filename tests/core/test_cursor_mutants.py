"""What reading stands on, each rule broken in a build of the extension: the small test that stands for it fails.

The other files of the extension are compiled once; a mutant costs one file, and one run of a test. The first few are
for every day; SHMSTORE_READING_MUTANTS=99 plants them all, in a minute.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.core.mutant import changed

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "shmstore"
CC = shlex.split(os.environ.get("CC") or "cc")
FLAGS = ("-std=c11", "-O0", "-fPIC", "-fvisibility=hidden", "-I" + sysconfig.get_path("include"))
LIMIT_S = 60  # a mutant that hangs is caught too
PLANTED = int(os.environ.get("SHMSTORE_READING_MUTANTS", "3"))

FAILING = "tests/unit/reading/test_failing_reads.py::test_"
CURSOR = "tests/unit/reading/test_cursor.py::test_"
FOLLOWING = "tests/unit/reading/test_following.py::test_"
SIGNAL = FAILING + "a_signal_handler_that_raises_at_any_record_loses_none"
REFUSED = FAILING + "a_refused_record_is_raised_once_and_lies_in_one_gap"
DAMAGED = FAILING + "a_damaged_slot_costs_itself"
INTERRUPTED = FAILING + "an_iterator_goes_on_at_the_record_at_which_a_signal_handler_raised"
READABLE = CURSOR + "the_descriptor_is_readable_while_read_would_return_something"


@dataclass(frozen=True)
class Mutant:
    breaks: str  # the rule, in words
    caught_by: str  # the test that fails
    file: str
    changes: dict[str, str]  # each text occurs once


MUTANTS = (
    Mutant(
        "a place moves when its record is handed over, not before",
        SIGNAL + "[read_all]",
        "binding/cursors/take.c",
        {"failed = failed || PyErr_CheckSignals();": "hand_over_all(cursor); failed = failed || PyErr_CheckSignals();"},
    ),
    Mutant(
        "an iterator over a copy gives an interrupted record again",
        INTERRUPTED + "[snapshot-step]",
        "binding/reading/rows.c",
        {"rows->next == making.row + 1) rows->next--;": "rows->next == making.row + 1) {}"},
    ),
    Mutant(
        "who has settled without news is not readable",
        READABLE + "[False]",
        "core/waiting/watch.c",
        {"if (watched->told) untell(watched);": ""},
    ),
    Mutant(
        "what a failed read had made is kept",
        SIGNAL + "[read_all]",
        "binding/cursors/take.c",
        {"return failed ? NULL :": "if (failed) Py_CLEAR(cursor->made); return failed ? NULL :"},
    ),
    Mutant(
        "of what was made, just as many are handed over as were taken",
        FOLLOWING + "the_place_stands_behind_each_record_that_a_failed_read_had_made",
        "binding/cursors/take.c",
        {"run->first += part;": "run->first += part + 1;"},
    ),
    Mutant(
        "and no fewer",
        FOLLOWING + "the_place_stands_behind_each_record_that_a_failed_read_had_made",
        "binding/cursors/take.c",
        {"run->follow->next = run->first;": "run->follow->next = run->first - 1;"},
    ),
    Mutant(
        "what was made is handed over once",
        FOLLOWING + "the_place_stands_behind_each_record_that_a_failed_read_had_made",
        "binding/cursors/take.c",
        {"PyList_GetItem(made, cursor->made_row++)": "PyList_GetItem(made, 0)"},
    ),
    Mutant(
        "a damaged ticket is passed",
        DAMAGED + "[read_all]",
        "binding/cursors/ahead.c",
        {"store_relaxed(&follow->ahead, ticket + 1);": ""},
    ),
    Mutant(
        "a damaged ticket is a gap",
        DAMAGED + "[read_all]",
        "binding/cursors/ahead.c",
        {
            "gap_list_report(&cursor->gaps, follow->partition, ticket, ticket + 1, GAP_DAMAGED)": "ticket + 1",
        },
    ),
    Mutant(
        "a refused ticket is a gap",
        REFUSED + "[iterate]",
        "binding/cursors/take.c",
        {
            "if (!gap_list_report(&cursor->gaps, held->follow->partition, ticket, ticket + 1,"
            " damaged ? GAP_DAMAGED : GAP_REFUSED)) return;": "(void)damaged; (void)ticket;"
        },
    ),
    Mutant(
        "a refused ticket is passed",
        REFUSED + "[take_next]",
        "binding/cursors/take.c",
        {"return; cursor->row++; move_place(held->follow, cursor);": "return; move_place(held->follow, cursor);"},
    ),
    Mutant(
        "the records before a refused one come first",
        FOLLOWING + "the_records_before_a_refused_one_come_first",
        "binding/cursors/take.c",
        {"if (PyList_Size(records)) { /* these": "if (!records) { /* these"},
    ),
    Mutant(
        "whoever refuses is asked twice",
        SIGNAL + "[iterate]",
        "binding/values/decode.c",
        {"if (again) {": "if (again && !type) {"},
    ),
    Mutant(
        "Ctrl-C is no refusal",
        FAILING + "ctrl_c_never_counts_as_a_refusal",
        "binding/values/decode.c",
        {"return PyErr_ExceptionMatches(PyExc_Exception) &&": "return"},
    ),
    Mutant(
        "a read that has ended is not running",
        CURSOR + "read_takes_at_most_what_is_asked",
        "binding/cursors/take.c",
        {"static void end(Cursor *cursor) { cursor->busy = false;": "static void end(Cursor *cursor) {"},
    ),
    Mutant(
        "nor is the making of one record that has ended",
        CURSOR + "iteration_reports_gaps_too",
        "binding/cursors/take.c",
        {"cursor->busy = false; if (cursor->row == cursor->held.count &&": "if (cursor->row == cursor->held.count &&"},
    ),
    Mutant(
        "whoever reads in the middle of a read is refused",
        FAILING + "a_record_class_that_reads_from_its_own_cursor_is_told",
        "binding/cursors/take.c",
        {"cursor->busy = true; return 0;": "return 0;"},
    ),
    Mutant(
        "what was copied and cleared since is not handed over",
        FOLLOWING + "what_is_cleared_is_not_handed_over_though_it_was_copied",
        "binding/cursors/take.c",
        {"if (cursor->row < cursor->held.count && pass_cleared(cursor)) return -1;": ""},
    ),
    Mutant(
        "a read ends where the tail was when it began",
        FOLLOWING + "a_read_ends_where_the_tail_was_when_it_began",
        "binding/cursors/take.c",
        {"bool refused = false;": "bool refused = false; note_ends(cursor);"},
    ),
    Mutant(
        "who is asked to be awaited raises when it is awaited",
        DAMAGED + "[iterate_async]",
        "binding/cursors/following.c",
        {"if (ready < 0 && !is_over(following->store->state)) return fail_later(following);": ""},
    ),
    Mutant(
        "a removed name ends an iteration",
        CURSOR + "iteration_waits_and_ends_when_the_name_is_gone_and_all_is_read",
        "binding/cursors/iterate.c",
        {"if (!record && PyErr_Occurred() && is_over(cursor->store->state)) PyErr_Clear();": ""},
    ),
    Mutant(
        "a file that was removed is news to whoever polls",
        FOLLOWING + "the_descriptor_alone_hears_of_a_removed_file[True]",
        "binding/store/waiter.c",
        {"&& handle_is_unlinked(&waiter->store->handle) ? NEWS_SOME": "&& false ? NEWS_SOME"},
    ),
    Mutant(
        "the first append after a while looks for the name",
        FOLLOWING + "the_first_append_after_the_file_was_removed_is_told[append]",
        "binding/appending/append.c",
        {"if (!store->closed) handle_look_for_name(handle, now);": ""},
    ),
    Mutant(
        "so does the first batch",
        FOLLOWING + "the_first_append_after_the_file_was_removed_is_told[records]",
        "binding/appending/batch.c",
        {"if (!store->closed) handle_look_for_name(&store->handle, now);": ""},
    ),
    Mutant(
        "a long batch wakes whoever waits before its end",
        FOLLOWING + "a_long_batch_wakes_whoever_waits_before_its_end",
        "binding/appending/batch.c",
        {"if (!(outcome.done++ % WAKE_RECORDS))": "if (!outcome.done++)"},
    ),
    Mutant(
        "whoever ends is told",
        CURSOR + "close_makes_the_descriptor_readable[cursor]",
        "core/waiting/watch.c",
        {"*at = watched->next; tell(watched);": "*at = watched->next;"},
    ),
    Mutant(
        "another's descriptor is left alone",
        CURSOR + "a_descriptor_that_the_program_closed_and_reused_is_left_alone",
        "core/waiting/watch.c",
        {"found.st_dev == end->device && found.st_ino == end->inode;": "true;"},
    ),
    Mutant(
        "a forked child makes its own pipes",
        CURSOR + "a_forked_child_has_a_descriptor_of_its_own[asked]",
        "core/waiting/watch.c",
        {"each->pid != watch->pid": "false"},
    ),
    Mutant(
        "a limit counts what was handed over",
        FAILING + "a_limit_counts_what_was_handed_over",
        "binding/reading/rows.c",
        {"if (record) rows->left--;": "rows->left--;"},
    ),
)


@dataclass(frozen=True)
class Extension:
    """The object files of the extension as it is."""

    folder: Path
    sources: tuple[str, ...]

    def compile(self, source: Path, target: Path, package: Path = PACKAGE) -> Path:
        done = subprocess.run(
            [*CC, *FLAGS, f"-I{package}", "-c", source, "-o", target], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return target

    def object_of(self, source: str) -> Path:
        return self.folder / (source.replace("/", "-") + ".o")

    def link(self, mutant: Mutant, folder: Path) -> None:
        """A package in `folder` that differs from ours in its extension alone."""
        copy = folder / "sources" / "shmstore"
        for room in ("core", "binding"):
            shutil.copytree(PACKAGE / room, copy / room)
        (copy / mutant.file).write_text(changed((PACKAGE / mutant.file).read_text(), mutant.changes, mutant.file))
        broken = self.compile(copy / mutant.file, folder / "broken.o", copy)
        package = folder / "shmstore"
        package.mkdir()
        for part in PACKAGE.iterdir():
            if part.suffix != ".so" and part.name not in ("core", "binding", "__pycache__"):
                (package / part.name).symlink_to(part)
        whole = [self.object_of(source) for source in self.sources if source != "shmstore/" + mutant.file]
        library = package / "_core.abi3.so"
        subprocess.run([*CC, "-shared", "-pthread", broken, *whole, "-lm", "-o", library], check=True)


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Extension:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    sources = tuple(project["tool"]["setuptools"]["ext-modules"][0]["sources"])
    made = Extension(tmp_path_factory.mktemp("extension"), sources)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda source: made.compile(ROOT / source, made.object_of(source)), sources))
    return made


def fails(test: str, package: Path) -> bool:
    """Whether a test fails with the package in this folder."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        f"pythonpath={package} {ROOT}",
        test,
    ]
    environment = {name: value for name, value in os.environ.items() if name != "SHMSTORE_SCORECARD"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return True
    assert re.search("^1 (passed|failed)", done.stdout, re.MULTILINE) or done.returncode < 0, done.stdout
    return done.returncode != 0


@pytest.mark.parametrize("mutant", MUTANTS[:PLANTED], ids=lambda mutant: mutant.breaks.replace(" ", "_"))
def test_a_broken_rule_of_reading_is_caught(
    mutant: Mutant, extension: Extension, tmp_path: Path, scorecard: Callable[..., None]
) -> None:
    extension.link(mutant, tmp_path)
    assert fails(mutant.caught_by, tmp_path)
    scorecard(23, planted=mutant.breaks, caught_by=mutant.caught_by, rules_broken_in_the_extension_and_caught=1)


def test_where_nothing_is_broken_a_test_that_catches_passes(extension: Extension, tmp_path: Path) -> None:
    extension.link(Mutant("nothing", SIGNAL, "core/waiting/watch.c", {}), tmp_path)
    assert not fails(SIGNAL + "[read_all]", tmp_path)


def test_each_mutant_names_a_place_that_is_there() -> None:
    for mutant in MUTANTS:
        assert changed((PACKAGE / mutant.file).read_text(), mutant.changes, mutant.file)
