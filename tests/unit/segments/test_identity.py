"""What a process says of itself."""

import multiprocessing
import os
import sys
from pathlib import Path

import psutil
import pytest

from shmstore.segments.identity import describe


def test_it_names_this_process() -> None:
    pid, start_ticks, namespace, name = describe()
    assert pid == os.getpid()
    boot_s = psutil.boot_time()
    assert start_ticks / os.sysconf("SC_CLK_TCK") + boot_s == pytest.approx(psutil.Process().create_time(), abs=2)
    assert namespace == Path("/proc/self/ns/pid").stat().st_ino
    assert name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/usr/bin/worker.py", "-v"], "worker.py"),
        (["/usr/lib/python3/celery/__main__.py"], "celery"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_its_name_is_that_of_the_program(monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    assert describe()[3] == expected


def report(names: "multiprocessing.Queue[str]") -> None:
    names.put(describe()[3])


def test_its_name_is_that_of_the_worker_when_it_has_one() -> None:
    context = multiprocessing.get_context("fork")
    names = context.Queue()
    worker = context.Process(target=report, args=(names,), name="sampler-3")
    worker.start()
    assert names.get(timeout=30) == "sampler-3"
    worker.join()


def test_a_program_name_with_parentheses_does_not_hide_the_start_time(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = describe()[1]
    comm = Path("/proc/self/comm")
    before = comm.read_text()
    comm.write_text("a) b (c")
    try:
        assert describe()[1] == expected
    finally:
        comm.write_text(before)
