"""`tools/fuzz` says how it is called; with `--python` it runs random work against plain Python, repeated by seed."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_runs_for_a_time_and_says_its_seed() -> None:
    done = subprocess.run(
        [ROOT / "tools" / "fuzz", "--python", "2", "--seed", "5"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("seed 5\n") and "nothing differs" in done.stdout


def test_bad_arguments_are_refused_in_words() -> None:
    done = subprocess.run([ROOT / "tools" / "fuzz", "--python", "soon"], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2 and "soon" in done.stderr and "Traceback" not in done.stderr


def test_what_is_no_time_does_not_start_the_fuzzer() -> None:
    def fuzz(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run([ROOT / "tools" / "fuzz", *arguments], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout, done.stderr

    status, shown, complaint = fuzz("--help")
    assert (status, complaint) == (0, "") and "tools/fuzz [seconds]" in shown and "set -" not in shown
    for wrong in ("soon", "10m", "-1", "-runs=1"):
        status, shown, complaint = fuzz(wrong)
        assert (status, shown) == (2, "") and f"'{wrong}'" in complaint
