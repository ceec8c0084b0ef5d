"""A second build of the core, in which a process dies or stops at a named point of an operation.

It is loaded beside the usual one, whose segments it shares: one process of a test has the points, another has not.
"""

import ctypes
import functools
import os
import shlex
import signal
import subprocess
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from unittest import mock

import shmstore
from shmstore import ANY, EXISTS, NO_STREAM, NewEvent
from shmstore.segments import mapping, segment
from shmstore.streams.data import encoded, id_text

EXIT = 0  # in place of a signal: end by _exit, which runs no handler either
EXIT_CODE = 3

_ROOT = Path(__file__).resolve().parents[2]


class Points:
    """The core with points. Only processes that `arm` one are touched."""

    def __init__(self, library: Path) -> None:
        spec = spec_from_file_location("shmstore_with_points._core", library)
        assert spec and spec.loader
        self._core = module_from_spec(spec)
        spec.loader.exec_module(self._core)
        self._held: list[object] = []
        self._arm = ctypes.CDLL(str(library)).arm_point

    def attach(self, name: str) -> "shmstore.EventStore[Any]":
        """Attach to a store by the core with points; children forked from now on may use the handle too."""
        with mock.patch.object(mapping, "_core", self._core):
            return shmstore.attach(name)

    def attach_stream(self, name: str, stream: str) -> Callable[[str], int]:
        """What appends a text to a stream by the core with points, here and in children forked from now on."""
        with mock.patch.object(mapping, "_core", self._core):
            mapped = segment.attach(name, kind="streams", writable=True, populate=False)
            core = mapped.open_core()
        self._held.append(mapped)
        streams = self._core.Streams(
            core, encode=encoded, id_text=id_text, new_event=NewEvent, expected=(ANY, NO_STREAM, EXISTS)
        )
        append: Callable[[str], int] = streams.stream(self._core.Stream, stream).append
        return append

    def arm(self, point: str, arrival: int = 1, number: int = signal.SIGKILL) -> None:
        """At this arrival at the point, send this process the signal `number`, or EXIT; armed again, after that."""
        self._arm(point.encode(), arrival, number)


@functools.cache
def points() -> Points:
    """Build the core with points, once a run."""
    directory = tempfile.TemporaryDirectory(prefix="shmstore-points-")
    library = Path(directory.name) / "_core.so"
    extension = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"][0]
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    includes = [f"-I{folder}" for folder in (sysconfig.get_path("include"), *extension["include-dirs"])]
    options = [*extension["extra-compile-args"], "-O1", "-DSHMSTORE_POINTS", "-fPIC"]

    def compile_one(source: str) -> Path:
        target = Path(directory.name) / f"{source.replace('/', '.')}.o"
        subprocess.run([*compiler, *options, *includes, "-c", source, "-o", target], cwd=_ROOT, check=True)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = [*pool.map(compile_one, [*extension["sources"], "tests/helpers/points.c"])]
    subprocess.run([*compiler, *options, "-shared", *objects, "-o", library], check=True)
    built = Points(library)
    directory.cleanup()  # it is mapped; the file is not needed any more
    return built
