"""`shmstore-inspect ls` lists every segment, also what it may not look into, with the reason."""

import argparse
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

from shmstore.cli.commands import ls
from shmstore.cli.render import Mode, Output
from tests.helpers.segments import METRICS, as_nobody, in_child, needs_root, path, segment


def listed(run_as: Callable[[Callable[[], object]], str], name: str) -> tuple[int, list[tuple[str, str | None]]]:
    """The exit code, and state and kind of the segments whose names begin so, as a user sees them."""

    def look() -> str:
        stream = io.StringIO()
        code = ls.run(argparse.Namespace(), Output(Mode.JSON, stream=stream))
        return json.dumps([code, stream.getvalue()])

    code, text = json.loads(run_as(look))
    rows = [row for row in map(json.loads, text.splitlines()) if row["name"].startswith(name)]
    return code, [(row["state"], row["kind"]) for row in rows]


@needs_root
def test_what_a_user_may_not_read_is_listed_with_the_reason(name: str) -> None:
    with segment.create(name, (), METRICS, mode=0o600):
        assert listed(in_child, name) == (0, [("ok", "metrics")])
        assert listed(as_nobody, name) == (0, [("access denied", None)])
        segment.unlink(name)


@needs_root
def test_what_can_be_no_segment_is_not_listed(name: str) -> None:
    path(name).write_bytes(b"another program's")
    os.mkdir(f"{path(name)}.d", mode=0)
    try:
        assert listed(as_nobody, name) == (0, [])
    finally:
        path(name).unlink()
        Path(f"{path(name)}.d").rmdir()
