"""Real servers for benchmarks, on ports of this machine that were free. They end with the `with` block."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import shmstore

HOST = "127.0.0.1"
WORKERS, THREADS = 2, 4
STREAMS, REDIS = "BENCH_STREAMS", "BENCH_REDIS"
"""Variables that tell `http_peers` which store of streams to append to, and where a Redis listens, if any."""

_READY_S = 20.0
_PATHS = os.pathsep.join(map(str, (Path(__file__).parent, Path(shmstore.__file__).parents[1])))


@contextmanager
def gunicorn(application: str, **environment: str) -> Iterator[int]:
    """An application under gunicorn, as `module:name`; yields its port, at which it answers."""
    with socket.create_server((HOST, 0)) as listener:
        port, fd = listener.getsockname()[1], listener.fileno()
        command = ["gunicorn", "--bind", f"fd://{fd}", "--no-control-socket", "--graceful-timeout", "1"]
        command += ["--workers", str(WORKERS), "--worker-class", "gthread", "--threads", str(THREADS)]
        with _running([*command, "--keep-alive", "60", application], port, fd, environment):
            yield port


@contextmanager
def shmstore_serve(**environment: str) -> Iterator[int]:
    """`shmstore-serve`; yields its port, at which it answers."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    with _running(["shmstore.cli.serve", "--host", HOST, "--port", str(port)], port, None, environment):
        yield port


@contextmanager
def _running(command: list[str], port: int, fd: int | None, environment: dict[str, str]) -> Iterator[None]:
    own = {variable: value for variable, value in os.environ.items() if not variable.startswith("SHMSTORE_")}
    with tempfile.TemporaryDirectory(prefix="shmstore-bench-") as folder, open(Path(folder, "log"), "w+b") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**own, "PYTHONPATH": _PATHS, **environment},
            pass_fds=() if fd is None else (fd,),
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is not for it: it is told to end below
        )
        try:
            if not _answers(process, port):
                log.seek(0)
                raise RuntimeError(f"{command[0]} does not answer: {log.read().decode()}")
            yield
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    """Wait for its first answer."""
    deadline = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=_READY_S) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if client.recv(1 << 16):
                return True
        time.sleep(0.02)
    return False
