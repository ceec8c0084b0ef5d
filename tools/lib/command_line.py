"""What the command lines of the tools share: arguments within bounds, signals that end a run, and exit statuses."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TextIO, TypeVar

import shmstore
from tests.helpers.processes import eventually

OK, FAILURE = 0, 1
_SIGNALED = 128  # plus the signal's number, as a shell has it
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_noted: list[int] = []

Number = TypeVar("Number", int, float)
T = TypeVar("T")


class Failed(Exception):
    """A run could not come to its end; says why."""


class _Interrupted(BaseException):
    """A signal came that ends the run; its number is the argument."""


def within(read: Callable[[str], Number], least: int, most: int, unit: str = "") -> Callable[[str], Number]:
    """How to read an argument that is a number from `least` to `most`."""

    def bounded(text: str) -> Number:
        with suppress(ValueError):
            if least <= (value := read(text)) <= most:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is out of bounds: give {least} to {most}{unit}")

    return bounded


def guard(program: str, run: Callable[[ExitStack], int]) -> int:
    """Run a tool and return its exit status; failures and signals that end it are told on stderr.

    What it leaves to the stack is cleaned up however it ends. A signal is noted whenever it comes, and raised only
    where nothing is half done: by `raise_noted` and `come_true`.
    """
    for number in _ENDING:
        signal.signal(number, lambda number, _frame: _noted.append(number))
    try:
        with ExitStack() as end:
            return run(end)
    except (shmstore.ShmStoreError, Failed) as error:
        return _say(program, str(error), FAILURE)
    except _Interrupted as interruption:
        return _say(program, "interrupted; nothing is left behind", _SIGNALED + int(interruption.args[0]))
    except BrokenPipeError:  # whoever read along has left, so nobody would see the result
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE


def raise_noted() -> None:
    """End the run here if a signal has come that ends it."""
    if _noted:
        raise _Interrupted(_noted[0])


def come_true(condition: Callable[[], object], limit_s: float) -> bool:
    """Whether the condition comes true within the limit; a signal that ends the run ends the wait too."""

    def is_true() -> object:
        raise_noted()
        return condition()

    return eventually(is_true, limit_s)


def forget_signals() -> None:
    """In a forked process: a Ctrl-C is for the first one, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def show_progress(line: str, stream: TextIO) -> None:
    """Show a line: on a terminal in place of the last one, elsewhere below it. An empty one ends this."""
    if stream.isatty():
        print(f"\r\x1b[K{line}", end="", file=stream, flush=True)
    elif line:
        print(line, file=stream, flush=True)


def teller(line: Callable[[T], str]) -> Callable[[T], None]:
    """What a run is given to tell of itself: the line is shown about once a second, and a signal that came ends it."""
    told_s = time.monotonic()

    def tell(found: T) -> None:
        nonlocal told_s
        raise_noted()
        if time.monotonic() - told_s >= 1:
            told_s = time.monotonic()
            show_progress(line(found), sys.stdout)

    return tell


def _say(program: str, message: str, status: int) -> int:
    print(f"{program}: {message}", file=sys.stderr)
    return status
