"""A pytest plugin: of all tests only those that note figures are run, and runs that go side by side share them.

Whoever first makes a file of its name in SHMSTORE_PROVE_CLAIMS has a module: so both runs end at about the same time.
"""

import os
from functools import cache
from pathlib import Path

import pytest

CLAIMS = Path(os.environ["SHMSTORE_PROVE_CLAIMS"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = [item for item in items if "scorecard" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = sorted(chosen, key=lambda item: item.path)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """What another run has claimed counts as done here; else pytest goes on as usual."""
    return None if is_ours(item.path) else True


@cache
def is_ours(module: Path) -> bool:
    """Claim a module, unless another run has done so."""
    try:
        (CLAIMS / str(module).replace(os.sep, ".")).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
