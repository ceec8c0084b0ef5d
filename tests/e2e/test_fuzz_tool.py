"""`tools/fuzz --python` runs random work against plain Python, and repeats a run by its seed."""

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
