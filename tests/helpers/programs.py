"""Programs of others that tests run: where they are, and what to install where one is missing.

A test that needs one is skipped without it, and the end of the run says what was not tried. Where `CI` is set it fails:
there everything was to be installed.
"""

import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from typing import Final

import pytest

PACKAGES: Final = {
    "chromium": "chromium",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "promtool": "prometheus",
    "redis-server": "redis-server",
    "wrk": "wrk",
}
"""Each with Debian's package that has it."""

_PATH: Final = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])  # not every user's PATH has it
_REASON: Final = re.compile(r"without (.+ \(on Debian: .+\))")


def find(name: str) -> str | None:
    """Where a program is, or None."""
    return shutil.which(name, path=_PATH)


def path(name: str) -> str:
    """Where a program is, for a test that is marked with `needs`."""
    found = find(name)
    assert found, _lack([name])
    return found


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test where one of these programs is missing."""
    missing = [name for name in names if find(name) is None]
    return pytest.mark.skipif(bool(missing) and not os.environ.get("CI"), reason=_lack(missing))


def untried(reasons: Iterable[str]) -> list[str]:
    """What a run says at its end of the tests that were skipped for these reasons: a line for each set of programs."""
    counts = Counter(found[1] for reason in reasons if (found := _REASON.search(reason)))
    return [f"not run: {count} test{'s'[: count > 1]} for want of {what}" for what, count in counts.items()]


def _lack(missing: Iterable[str]) -> str:
    names = sorted(missing)
    packages = " ".join(sorted({PACKAGES[name] for name in names}))
    return f"cannot be run without {' and '.join(names)} (on Debian: apt-get install {packages})"
