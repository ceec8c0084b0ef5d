"""Prometheus' own tool reads an exposition: text 0.0.4, and OpenMetrics with the parser of its server."""

import re
import subprocess
import tempfile
from pathlib import Path

from tests.helpers import programs

_LINT = 3  # exit status: it can be read, and a name is not as Prometheus' guide for names has it
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SAMPLE = re.compile(rf'^[^#\s{{]+(?:\{{(?:[^"}}]|{_QUOTED})*\}})? \S+', re.MULTILINE)


def complaints(text: str, openmetrics: bool = False) -> str:
    """What promtool finds wrong, or nothing. Whoever chooses a name answers for it: hints about names are no errors."""
    return _of_openmetrics(text) if openmetrics else _of_text(text)


def _of_text(text: str) -> str:
    done = _run("check", "metrics", given=text)
    return "" if done.returncode in (0, _LINT) else f"status {done.returncode}: {done.stdout}{done.stderr}"


def _of_openmetrics(text: str) -> str:
    """It is read as a file of samples to be stored, each of which needs a time: that is put behind its value."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "samples")
        path.write_text(_SAMPLE.sub(r"\g<0> 1", text))
        done = _run("tsdb", "create-blocks-from", "openmetrics", str(path), folder)
    return "" if done.returncode == 0 else f"status {done.returncode}: {done.stdout}{done.stderr}"


def _run(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [programs.path("promtool"), *arguments],
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
