"""A pytest plugin: of all tests only those that note figures are run, and runs that go side by side share them.

Whoever first makes a file of its name in SHMSTORE_PROVE_CLAIMS has a module: so both runs end at about the same time.
"""

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

CLAIMS = Path(os.environ["SHMSTORE_PROVE_CLAIMS"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = [item for item in items if "scorecard" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = sorted(chosen, key=lambda item: item.path)


def pytest_runtestloop(session: pytest.Session) -> bool:
    """pytest's own loop, but over the modules that this run claims; the next is claimed while the last is at work."""
    ours = claimed(session.items)
    item = next(ours, None)
    while item is not None:
        following = next(ours, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


def claimed(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    for path, tests in groupby(items, key=lambda item: item.path):
        try:
            (CLAIMS / str(path).replace(os.sep, ".")).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from tests
