"""Signals that end a run early: noted whenever they come, raised only where nothing is half done."""

import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_noted: list[int] = []


class Interrupted(BaseException):
    """A signal came that ends the run; its number is the argument."""


def listen() -> None:
    """From now on they are noted."""
    for number in ENDING:
        signal.signal(number, lambda number, _frame: _noted.append(number))


def forget() -> None:
    """In a new process: a Ctrl-C is for the first one, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def raise_noted() -> None:
    """Raise Interrupted if one has come."""
    if _noted:
        raise Interrupted(_noted[0])
