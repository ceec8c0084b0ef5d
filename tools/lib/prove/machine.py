"""What the proof ran on: the kind of machine, never its name or its places."""

import os
import platform
import subprocess
import sysconfig
from pathlib import Path


def machine() -> dict[str, str]:
    """The processor, its cores, kernel, Python and compiler, in words."""
    return {
        "processor": f"{_processor()}, {platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": _compiler(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return "unknown processor"


def _compiler() -> str:
    words = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    done = subprocess.run([words[0], "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.stdout else words[0]
