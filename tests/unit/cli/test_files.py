"""Files are replaced whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from shmstore.cli.files import replace


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    replace(str(file), b"one")
    file.chmod(0o600)
    replace(str(file), b"two")
    assert file.read_bytes() == b"two" and os.listdir(tmp_path) == ["picture.png"]


def test_a_new_file_has_the_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    replace(str(tmp_path / "new"), b"")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    replace(str(tmp_path / "link"), b"one")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_bytes() == b"one"


def test_what_is_no_plain_file_is_written_to(tmp_path: Path) -> None:
    read, write = os.pipe()
    replace(f"/dev/fd/{write}", b"through")
    os.close(write)
    with open(read, "rb") as pipe:
        assert pipe.read() == b"through"


def test_a_failure_names_the_path_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match=r"No such file.*missing/picture"):
        replace(str(tmp_path / "missing" / "picture"), b"")
    with pytest.raises(IsADirectoryError):
        replace(str(tmp_path), b"")
    (tmp_path / "old").write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device.*old"):
        replace(str(tmp_path / "old"), b"new")
    assert os.listdir(tmp_path) == ["old"] and (tmp_path / "old").read_bytes() == b"old"
