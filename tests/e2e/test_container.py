"""The container files: what they say fits together, and their commands do outside of a container what they say."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
import pytest
import yaml

from tests.helpers.nginx import free_port
from tests.helpers.processes import eventually

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tools" / "samples" / "container"
LIMIT_S = 30.0
DOCKERS_ROOM = 64 << 20  # of /dev/shm, when nothing is said

Instruction = tuple[str, str]


def instructions() -> list[list[Instruction]]:
    """Those of the Dockerfile, by stage."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)
    lines = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line]
    stages: list[list[Instruction]] = []
    for word, rest in lines:
        if word == "FROM":
            stages.append([])
        stages[-1].append((word, rest))
    return stages


def only(word: str, stage: list[Instruction]) -> str:
    (found,) = (rest for name, rest in stage if name == word)
    return found


BUILD, RUN = instructions()
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_there_is_a_compiler_where_it_is_built_and_none_where_it_runs() -> None:
    assert "gcc" in str(BUILD) and not re.search(r"\bgcc\b|apt-get|curl", str(RUN))
    python = {only("FROM", stage).split()[0] for stage in (BUILD, RUN)}
    assert len(python) == 1  # a wheel fits the Python that built it


def test_what_is_copied_is_there_and_sent() -> None:
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [path for stage in (BUILD, RUN) for word, rest in stage if word == "COPY" for path in rest.split()[:-1]]
    assert "shmstore" in copied and sorted(copied) == sorted(sent)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    declared = COMPOSE["events"]["build"]
    assert (FOLDER / declared["context"]).resolve() == ROOT and (ROOT / declared["dockerfile"]).is_file()
    assert any(fnmatch("a/b/_core.abi3.so", line) for line in ignored)  # of another machine


def test_it_runs_as_somebody_who_is_there() -> None:
    words = [word for word, _ in RUN]
    user = only("USER", RUN)
    assert user not in ("root", "0") and f"useradd --uid 10001 --create-home {user}" in str(RUN)
    assert words.index("USER") < words.index("CMD")


def test_the_containers_share_what_a_store_needs() -> None:
    events, application = COMPOSE["events"], COMPOSE["application"]
    assert (events["ipc"], application["ipc"]) == ("shareable", "service:events")
    assert "shm_size" in events and "shm_size" not in application
    assert events["image"] == application["image"]  # and so the same user
    assert events["environment"] == application["environment"]
    assert events["environment"]["SHMSTORE_HOSTS"] == "events"  # what the network calls it, in each request from there
    assert application["depends_on"]["events"]["condition"] == "service_healthy"
    assert events["init"] is application["init"] is True
    grace_s = int(re.fullmatch(r"(\d+)s", events["stop_grace_period"])[1])  # type: ignore[index]
    words = json.loads(only("CMD", RUN))
    assert int(words[words.index("--graceful-timeout") + 1]) < grace_s
    assert events["ports"] == ["127.0.0.1:7070:7070"] and only("EXPOSE", RUN) == "7070"


def room() -> int:
    """The bytes of `shm_size`."""
    return int(COMPOSE["events"]["shm_size"].removesuffix("m")) << 20


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    """The Python of an environment with the wheel as the Dockerfile installs it; what it needs is that of this one."""
    folder = tmp_path / "installed"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (command,) = (rest for word, rest in RUN if word == "RUN" and "pip install" in rest)
    words = shlex.split(re.sub(r"^--mount=\S+ ", "", command))
    assert words[:2] == ["pip", "install"] and words[-2:] == ["shmstore", "gunicorn"]
    words = [str(wheel.parent) if word == "/wheels" else word for word in words[1:-1]]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    done = subprocess.run([*pip, *words, "--no-deps"], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


class Container:
    """A command of the image, outside of one: with its environment, at a port that is free."""

    def __init__(self, python: Path, port: int, name: str) -> None:
        self._python, self._port = python, port
        self._folder = python.parents[2]
        settings = {**COMPOSE["events"]["environment"], "SHMSTORE_NAME": name}
        self._environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **settings}

    def start(self, command: list[str]) -> "subprocess.Popen[str]":
        words = [word.replace("7070", str(self._port)).replace("0.0.0.0", "127.0.0.1") for word in command]
        program = [] if words[0] == "python" else ["-m", words[0]]
        words = [str(self._python), *program, *words[1:]]
        words = [str(FOLDER / "application.py") if word == "/app/application.py" else word for word in words]
        return subprocess.Popen(
            words,
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def is_healthy(self) -> bool:
        (words,) = re.findall(r" CMD (\[.*\])$", only("HEALTHCHECK", RUN))
        with self.start(json.loads(words)) as process:
            process.communicate(timeout=LIMIT_S)
            return process.returncode == 0


@pytest.fixture
def container(installed: Path, name: str) -> Iterator[Container]:
    yield Container(installed, free_port(), name)


def test_the_commands_do_what_they_say(container: Container, name: str) -> None:
    assert not container.is_healthy()
    with container.start(json.loads(only("CMD", RUN))) as events:
        try:
            assert eventually(container.is_healthy), events.poll()
            sizes = [path.stat().st_size for path in Path("/dev/shm").glob(f"{name}*")]
            assert len(sizes) == 3 and DOCKERS_ROOM < sum(sizes) < room()
            with container.start(COMPOSE["application"]["command"]) as application:
                try:
                    assert application.stdout is not None
                    assert application.stdout.readline() == f"following gateway/orders of {name}\n"
                    posted = Request(container.url("/streams/gateway/orders"), b'{"valor": 12.5}')
                    assert json.load(urlopen(posted, timeout=LIMIT_S))["version"] == 0
                    assert application.stdout.readline() == "0 {'valor': 12.5}\n"
                    seen = json.load(urlopen(container.url("/streams/gateway/seen"), timeout=LIMIT_S))
                    assert [event["data"] for event in seen] == [{"order": 0}]
                finally:
                    application.send_signal(signal.SIGTERM)
            workers = psutil.Process(events.pid).children()
            began_s = time.monotonic()
        finally:
            events.send_signal(signal.SIGTERM)
    assert events.returncode == 0 and time.monotonic() - began_s < LIMIT_S
    assert len(workers) == 2 and not any(worker.is_running() for worker in workers)
