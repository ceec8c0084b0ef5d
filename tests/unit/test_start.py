"""What a program pays for at its start: `import shmstore` and the help of the tools load only what they surely need."""

import subprocess
import sys
from functools import cache

import pytest

SELDOM_NEEDED = {
    *("asyncio", "csv", "difflib", "fractions", "json", "logging", "multiprocessing", "psutil", "secrets", "socket"),
    *("ssl", "subprocess", "zoneinfo"),
}


@cache
def loaded_by(code: str) -> set[str]:
    """The top-level modules that a new interpreter has loaded when it has run this."""
    tell = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
    done = subprocess.run([sys.executable, "-c", tell + code], capture_output=True, check=True, text=True, timeout=30)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import shmstore", set()),
        ("from shmstore.cli.inspect import main; main(['--help'])", set()),
        ("from shmstore.cli.inspect import main; main(['top', '--help'])", set()),
        ("from shmstore.cli.coordinator import main; main(['--help'])", {"logging"}),
        ("from shmstore.cli.serve import main; main(['--help'])", set()),
    ],
)
def test_a_start_loads_nothing_that_is_seldom_needed(code: str, needed: set[str]) -> None:
    loaded = loaded_by(code) - loaded_by("pass")
    assert "shmstore" in loaded
    assert loaded & SELDOM_NEEDED == needed
