"""What `doctor` says of a machine, on machines made for the test."""

import os
from pathlib import Path

import pytest

from shmstore.segments import memory
from shmstore.survey import machine
from shmstore.survey.machine import Health

MIB = 1 << 20


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user that systemd-logind knows, on a machine without any setting."""
    for place in ("_ETC", "_RUN", "_LIB", "_LINGER"):
        monkeypatch.setattr(machine, place, str(tmp_path / place))
    (tmp_path / "_RUN/systemd/users").mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine, "owner_name", lambda uid: f"user-{uid}")
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_logind_removes_stores_at_logout_unless_told_otherwise(user: Path) -> None:
    (finding,) = machine._logout()
    assert finding.health is Health.WARNING and "RemoveIPC=no" in finding.advice
    put(user / "_LIB/systemd/logind.conf", "[Login]\n#RemoveIPC=yes\nRemoveIPC=no\n")
    assert machine._logout()[0].health is Health.OK
    put(user / "_ETC/systemd/logind.conf", "[Login]\nRemoveIPC = yes\n")
    assert machine._logout()[0].health is Health.WARNING, "the administrator's word is the last"
    put(user / "_ETC/systemd/logind.conf.d/10-ipc.conf", "[Login]\nRemoveIPC=no\n")
    assert machine._logout()[0].health is Health.OK


def test_who_lingers_or_is_no_user_of_logind_keeps_its_stores(user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(user / "_LINGER/user-1000", "")
    assert machine._logout()[0].health is Health.OK
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert machine._logout() == []
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine, "_RUN", "/nowhere")
    assert machine._logout() == []


def test_a_group_that_is_nearly_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, health in ((100 * MIB, Health.OK), (10 * MIB, Health.WARNING)):
        monkeypatch.setattr(machine, "group_room", lambda free=free: memory.Room("the group", 128 * MIB, free))
        assert machine._memory().health is health
