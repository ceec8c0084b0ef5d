"""`./tools/prove` as people run it: one page, which says what was shown and what was not, and an honest exit status."""

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROVE = str(ROOT / "tools" / "prove")
QUICK = "tests/crash/test_read_only.py"  # shows a promise within a second
ROW = 19  # the one that QUICK shows

GIVEN: dict[int, list[dict[str, Any]]] = {
    19: [{"looks": 6, "bytes_changed": 0}],
    17: [{"signals": 900, "long_questions_ended": 3, "violations": 0}],
}


def prove(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([PROVE, *arguments], capture_output=True, encoding="utf-8", timeout=100, check=False)


def lines_of(row: int, figures: Iterable[dict[str, Any]], outcome: str = "passed") -> list[dict[str, Any]]:
    """What a test notes."""
    test = f"tests/test_of_{row}.py::test_it"
    noted = [{"row": row, "test": test, "seconds": 0.5, "figures": each} for each in figures]
    return [*noted, {"test": test, "outcome": outcome, "seconds": 1.0, "reason": ""}]


def prove_from(path: Path, lines: Iterable[dict[str, Any]]) -> "subprocess.CompletedProcess[str]":
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return prove("--from", str(path), "--to", "-")


def verdict(page: str, row: int) -> str:
    """What a page says of a promise."""
    [line] = re.findall(rf"^\| {row} .*", page, re.MULTILINE)
    return str(line).split("|")[3].strip()


def promises(page: str) -> list[tuple[str, str]]:
    """The promises that a page lists, with their numbers."""
    return re.findall(r"^\| (\d+) +\| (.+?) +\|", page, re.MULTILINE)


def test_it_runs_the_tests_that_note_figures_and_says_which_promises_they_leave_open(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    done = prove("--seed", "7", "--to", str(page), QUICK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert page.read_text() in done.stdout and "- seed: 7\n" in done.stdout
    assert verdict(done.stdout, ROW) == "holds" and verdict(done.stdout, 1) == "NOT SHOWN"
    assert "test_a_reader_changes_no_byte" in done.stdout, "the page does not say what shows it"
    assert "test_a_user_without_the_right_to_read_is_refused" not in done.stdout, "it notes nothing, and was run"
    assert re.search(r"\n.*\b1 of \d+ promises hold\. THE PROOF FAILS\.\n\Z", done.stdout)


def test_figures_of_several_tests_are_taken_together(tmp_path: Path) -> None:
    lines = [
        *lines_of(17, [{"signals": 300, "violations": 0}, {"signals": 300, "long_questions_ended": 3, "violations": 0}])
    ]
    assert verdict(prove_from(tmp_path / "noted", lines).stdout, 17) == "holds"


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"signals": 900, "long_questions_ended": 3, "violations": 0}, "holds"),
        ({"signals": 9, "long_questions_ended": 3, "violations": 0}, "NOT SHOWN"),
        ({"signals": 900, "long_questions_ended": 3}, "NOT SHOWN"),
        ({"signals": 900, "long_questions_ended": 3, "violations": 1}, "BROKEN"),
    ],
)
def test_a_figure_is_held_against_its_bar(tmp_path: Path, figures: dict[str, int], expected: str) -> None:
    assert verdict(prove_from(tmp_path / "noted", lines_of(17, [figures])).stdout, 17) == expected


@pytest.mark.parametrize(("full", "expected"), [(True, "NOT SHOWN"), (False, "holds")])
def test_a_sample_does_for_a_run_of_the_tests_and_not_for_the_proof(tmp_path: Path, full: bool, expected: str) -> None:
    lines = [{"full": full}, *lines_of(1, [{"kills": 1300, "lost": 0, "doubled": 0}])]
    page = prove_from(tmp_path / "noted", lines).stdout
    assert verdict(page, 1) == expected
    assert ("a sample: tools/prove tries 5,000 kills" in page) is not full


def test_a_boundary_at_which_nothing_was_tried_is_told(tmp_path: Path) -> None:
    step = {"operation": "append", "layout": "rows", "K": 10, "runs": 8, "left_out": 1, "violations": 0}
    done = prove_from(tmp_path / "noted", lines_of(3, [step]))
    assert verdict(done.stdout, 3) == "BROKEN" and "1 missed boundaries" in done.stdout


def test_figures_of_a_test_that_failed_show_nothing(tmp_path: Path) -> None:
    done = prove_from(tmp_path / "noted", lines_of(17, GIVEN[17], "failed"))
    assert done.returncode == 1 and verdict(done.stdout, 17) == "BROKEN"
    assert "## Failed\n\n- `tests/test_of_17.py::test_it`" in done.stdout


def test_figures_of_a_test_that_never_ended_show_nothing(tmp_path: Path) -> None:
    lines = [*lines_of(17, GIVEN[17])[:-1], *lines_of(19, GIVEN[19])]
    done = prove_from(tmp_path / "noted", lines)
    assert (verdict(done.stdout, 17), verdict(done.stdout, 19)) == ("BROKEN", "holds")


def test_a_promise_that_nobody_made_fails_the_proof(tmp_path: Path) -> None:
    done = prove_from(tmp_path / "noted", lines_of(99, [{"reads": 1}]))
    assert done.returncode == 1 and "## Of no promise" in done.stdout


def test_a_scorecard_without_a_test_is_refused(tmp_path: Path) -> None:
    done = prove_from(tmp_path / "noted", [])
    assert (done.returncode, done.stdout) == (1, "") and "holds no test's end" in done.stderr


def test_the_page_names_no_path_of_the_machine(tmp_path: Path) -> None:
    page = prove_from(tmp_path / "noted", lines_of(17, GIVEN[17])).stdout
    assert str(ROOT) not in page and str(tmp_path) not in page


def test_the_page_that_is_kept_is_about_these_promises(tmp_path: Path) -> None:
    kept = (ROOT / "tests" / "PROOF.md").read_text()
    made = prove_from(tmp_path / "noted", lines_of(17, GIVEN[17])).stdout
    assert promises(kept) == promises(made)
    assert f"{len(promises(made))} of {len(promises(made))} promises hold" in kept
