"""The file of the log: lines in one piece each, and another file once it was renamed."""

import os
import threading
from pathlib import Path

import pytest

from shmstore.http import request_log
from shmstore.http.request_log import LogFile, RequestLog


def test_lines_of_many_threads_are_whole(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"))
    threads = [threading.Thread(target=lambda: [file.write(f"{'é' * 999}\n") for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    assert set((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == {"é" * 999}
    assert len((tmp_path / "log").read_text(encoding="utf-8").splitlines()) == 400


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_file_that_was_renamed_is_left_within_a_moment(
    tmp_path: Path, is_removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"
    file = LogFile(str(path))
    file.write("1\n")
    path.unlink() if is_removed else path.rename(old)
    file.write("2\n")  # it looks once a second
    monkeypatch.setattr(request_log, "_LOOK_S", 0.0)
    file.reopen()
    file.write("3\n")
    path.rename(tmp_path / "log.2")
    file._look_at_s = 0.0
    file.write("4\n")
    file.close()
    assert (path.read_text(), (tmp_path / "log.2").read_text()) == ("4\n", "3\n")
    assert is_removed or old.read_text() == "1\n2\n"


def test_a_file_that_cannot_be_opened_again_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = LogFile(str(folder / "log"))
    folder.rename(tmp_path / "other")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        file.reopen()
    file.write("1\n")
    assert len(os.listdir("/proc/self/fd")) == before
    file.close()
    assert (tmp_path / "other" / "log").read_text() == "1\n"


def test_who_writes_after_the_end_harms_nobody(tmp_path: Path) -> None:
    file = LogFile(str(tmp_path / "log"))
    file.close()
    with open(tmp_path / "other", "w"):
        with pytest.raises(OSError, match="Bad file descriptor"):
            file.write("1\n")
        RequestLog(file).write("an error")
    assert (tmp_path / "other").read_text() == ""
