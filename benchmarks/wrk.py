"""wrk, which asks a server as fast as it answers, and says how fast that was."""

import json
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from http_servers import HOST

_LONGER_S = 600  # than anybody measures
_LIMIT_S = 30.0  # for its last answers
_DONE = """
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format('\\n{"answers":%d,"us":%d,"median_us":%d,"failed":%d}\\n', summary.requests, summary.duration,
      latency:percentile(50), errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""


class Load(NamedTuple):
    """What is asked: a script of wrk says it. Connections are shared out among threads."""

    script: str
    connections: int = 8
    threads: int = 1


class Answered(NamedTuple):
    """Answers a second, and how long half of them took at most."""

    rate: float
    median_us: float


def is_there() -> bool:
    """Whether it is installed."""
    return shutil.which("wrk") is not None


def ask(port: int, load: Load, seconds: float) -> Answered:
    """Raises RuntimeError when a request was not answered, or refused."""
    with tempfile.NamedTemporaryFile("w", prefix="shmstore-bench-", suffix=".lua") as script:
        script.write(load.script + _DONE)
        script.flush()
        options = ["-t", str(load.threads), "-c", str(load.connections), "-d", f"{_LONGER_S}s", "-s", script.name]
        command = ["wrk", *options, f"http://{HOST}:{port}"]
        # Ctrl-C is not for it: it is told to end below.
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            while process.poll() is None and not _has_begun(process.pid):
                time.sleep(0.005)
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)  # it takes whole seconds only
            output, _ = process.communicate(timeout=_LIMIT_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode:
        raise RuntimeError(f"wrk has ended with exit code {process.returncode}")
    found = json.loads(output.splitlines()[-1])
    if found["failed"] or not found["answers"]:
        raise RuntimeError(f"requests were not answered as they should be:\n{load.script}\n{output}")
    return Answered(found["answers"] * 1e6 / found["us"], found["median_us"])


def _has_begun(pid: int) -> bool:
    """Whether SIGINT would have it say what it found: its threads ask by then."""
    caught = Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()
    return bool(caught) and bool(int(caught[0], 16) >> (signal.SIGINT - 1) & 1)
