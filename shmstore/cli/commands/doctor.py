"""`doctor`: whether this machine and the stores on it are in good health."""

import argparse

from shmstore.cli.exits import OK, UNHEALTHY
from shmstore.cli.render import Column, Output, Tone
from shmstore.survey.findings import of_segments
from shmstore.survey.machine import Health, examine

HELP = "examine /dev/shm, limits, kernel features, all stores, streams and metrics (exit code 5 when something is bad)"
EXAMPLES = ("doctor", "doctor --json | jq 'select(.health != \"ok\")'")

_TONES = {Health.OK: Tone.GOOD, Health.WARNING: Tone.WARNING, Health.BAD: Tone.BAD}

_COLUMNS = (
    Column("health", "health", tone=lambda health: _TONES[health]),
    Column("what", "what"),
    Column("found", "found"),
    Column("advice", "advice"),
)


def declare(_parser: argparse.ArgumentParser) -> None:
    """This verb has no arguments of its own."""


def run(_args: argparse.Namespace, out: Output) -> int:
    """Report every finding, good ones too: they say what was looked at."""
    findings = [*examine(), *of_segments()]
    out.rows(_COLUMNS, [finding._asdict() for finding in findings], "nothing was looked at")
    return UNHEALTHY if any(finding.health is Health.BAD for finding in findings) else OK
