"""What is shipped, built once for all tests of a run: the source distribution, and a wheel of it."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"


def build(what: str, source: Path, target: Path) -> Path:
    """Call a hook of the build backend in the folder `source`, as pip does. Returns the file it made in `target`."""
    command = [sys.executable, "-c", BUILD, what, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder to which a source distribution of this tree unpacks."""
    pytest.importorskip("setuptools", minversion="77.0.3")
    tree, target = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("sdist")
    shutil.copytree(ROOT / "shmstore", tree / "shmstore", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, tree)
    with tarfile.open(build("build_sdist", tree, target)) as archive:
        archive.extractall(target, filter="data")
    return target / f"shmstore-{PROJECT['project']['version']}"


@pytest.fixture(scope="session")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the source distribution alone."""
    return build("build_wheel", sdist, tmp_path_factory.mktemp("wheel"))
