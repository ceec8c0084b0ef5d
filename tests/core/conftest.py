"""Builds the C tests of the core: plain, and under each sanitizer that the compiler can link. Fixture `built`."""

import functools
import os
import random
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
CORE = TESTS.parents[1] / "shmstore" / "core"
CC = shlex.split(os.environ.get("CC", "cc"))
FLAGS = ("-std=c11", "-g", "-pthread", "-DSHMSTORE_POINTS", f"-I{CORE.parent}")
KINDS = {
    "plain": ("-O1",),
    # gcc warns that it does not model fences: it reports data races, and payloads are copied by atomic units.
    "thread": ("-O1", "-fsanitize=thread", "-Wno-tsan"),
    "address": ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "aarch64": ("-O1", "-static"),
}
EFFORT_PERCENT = {"plain": 100, "thread": 10, "address": 30, "aarch64": 10}
# For another processor: its compiler, and what runs its programs here.
CROSS = {"aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64")}


def compiler(kind: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [CROSS[kind][0]] if kind in CROSS else CC
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Build:
    """The C tests, compiled and linked in one way."""

    kind: str
    folder: Path
    launcher: Sequence[str]

    def objects(self, sources: Iterable[Path], folder: Path) -> list[Path]:
        """Compile each source to an object in `folder`."""

        def compile_one(source: Path) -> Path:
            target = folder / f"{source.parent.name}-{source.stem}.o"
            done = compiler(self.kind, f"-I{folder}", *FLAGS, *KINDS[self.kind], "-c", source, "-o", target)
            assert done.returncode == 0, done.stderr
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(compile_one, sources))

    def link(self, objects: Iterable[Path], folder: Path) -> Path:
        program = folder / "core_tests"
        done = compiler(self.kind, *FLAGS, *KINDS[self.kind], *objects, "-lm", "-o", program)
        assert done.returncode == 0, done.stderr
        return program

    def run(
        self, what: str, seed: int, program: Path | None = None, limit_s: int = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run the cases of one C file, or one case, each of which fails when it takes longer than the limit."""
        command = [*self.launcher, program or self.folder / "core_tests"]
        options = ["--seed", str(seed), "--effort", str(EFFORT_PERCENT[self.kind]), "--limit", str(limit_s), what]
        return subprocess.run([*command, *options], capture_output=True, text=True, errors="replace", check=False)


def launcher(kind: str, folder: Path) -> Sequence[str]:
    """What must stand before a program of this kind so that it runs here. Skips when it cannot even be linked."""
    if kind in CROSS:
        if missing := [tool for tool in CROSS[kind] if not shutil.which(tool)]:
            pytest.skip(f"{' and '.join(missing)} are not here (on Debian: gcc-aarch64-linux-gnu, qemu-user)")
        return CROSS[kind][1:]
    source, program = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    done = compiler(kind, *FLAGS, *KINDS[kind], source, "-o", program)
    if done.returncode:
        pytest.skip(f"{CC[0]} cannot link {KINDS[kind][1]}: {done.stderr.strip().splitlines()[-1]}")
    fixed = [setarch, "-R"] if (setarch := shutil.which("setarch")) else []
    runs = not subprocess.run([program], capture_output=True, check=False).returncode
    return [] if runs else fixed  # an older ThreadSanitizer knows no widely randomized addresses


def make_build(kind: str, folder: Path) -> Build:
    build = Build(kind, folder, launcher(kind, folder))
    build.link(build.objects([*CORE.rglob("*.c"), *TESTS.glob("*.c")], folder), folder)
    return build


@pytest.fixture(scope="session")
def common_seed() -> int:
    """As `seed`, for runs that several tests share: who fails tells it."""
    return int(os.environ.get("SHMSTORE_SEED") or random.randrange(2**32))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Build]:
    """Builds of each kind, made when they are first asked for, by whichever thread."""
    turn = threading.Lock()
    once = functools.cache(lambda kind: make_build(kind, tmp_path_factory.mktemp(kind)))

    def build(kind: str) -> Build:
        with turn:
            return once(kind)

    return build
