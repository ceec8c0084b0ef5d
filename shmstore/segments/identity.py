"""Who this process is: what it writes into the process table for the kernel's judgement and for people."""

import os
import sys


def describe() -> tuple[int, int, int, str]:
    """This process as (pid, start time in clock ticks since boot, inode of its pid namespace, name for people)."""
    return os.getpid(), _start_time(), _pid_namespace(), _name()


def _start_time() -> int:
    try:
        with open("/proc/self/stat", "rb") as stat:
            # The second field is the program's name in parentheses and may itself hold spaces and parentheses;
            # the field after the last ")" is the third, the start time is the twenty-second.
            return int(stat.read().rpartition(b")")[2].split()[19])
    except OSError:  # no descriptor left, or no /proc: only people read it
        return 0


def _pid_namespace() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def _name() -> str:
    from multiprocessing import current_process  # whoever maps a segment has it already

    worker = current_process().name
    if worker != "MainProcess":
        return worker
    # argv is missing in embedded interpreters, "" in interactive ones; "-", "-c" and "-m" name no file.
    folder, program = os.path.split(sys.argv[0] if getattr(sys, "argv", None) else "")
    if program == "__main__.py":
        program = os.path.basename(folder)  # python -m package
    return program if program not in ("", "-", "-c", "-m") else "python"
