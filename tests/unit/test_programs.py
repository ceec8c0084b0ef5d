"""Programs of others: a test without its program is skipped, the run tells it, and where CI is set it fails."""

import pytest

from tests.helpers import programs


def test_the_end_of_a_run_tells_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", {"wrk": "/usr/bin/wrk"}.get)
    monkeypatch.delenv("CI", raising=False)
    assert programs.needs("wrk").mark.args == (False,)
    without = programs.needs("nginx", "wrk", "chromium").mark
    assert without.args == (True,)
    reasons = [f"Skipped: {without.kwargs['reason']}"] * 2 + ["Skipped: only root can"]
    assert programs.untried(reasons) == [
        "not run: 2 tests for want of chromium and nginx (on Debian: apt-get install chromium nginx-light)"
    ]
    assert programs.untried(reasons[1:])[0].startswith("not run: 1 test for want of")


def test_where_all_was_to_be_installed_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda name: None)
    monkeypatch.setenv("CI", "true")
    assert programs.needs("nginx").mark.args == (False,)
    with pytest.raises(AssertionError, match="apt-get install nginx-light"):
        programs.path("nginx")
