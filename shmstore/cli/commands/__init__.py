"""The verbs of `shmstore-inspect`, one module each, in the order in which the help lists them."""

import argparse
from typing import Protocol

from shmstore.cli.commands import (
    check,
    doctor,
    gc,
    ls,
    metrics,
    plan,
    plot,
    processes,
    query,
    rm,
    show,
    streams,
    tail,
    top,
)
from shmstore.cli.render import Output


class Command(Protocol):
    """What a module of this package provides."""

    @property
    def HELP(self) -> str:
        """What the verb does, in one line."""

    @property
    def EXAMPLES(self) -> tuple[str, ...]:
        """Calls worth imitating, from the verb on."""

    def declare(self, parser: argparse.ArgumentParser, /) -> None:
        """Add the verb's own arguments."""

    def run(self, args: argparse.Namespace, out: Output, /) -> int:
        """Do it; the exit code. Raises ShmStoreError."""


COMMANDS: dict[str, Command] = {
    "ls": ls,
    "show": show,
    "top": top,
    "tail": tail,
    "query": query,
    "plot": plot,
    "streams": streams,
    "metrics": metrics,
    "processes": processes,
    "check": check,
    "plan": plan,
    "doctor": doctor,
    "gc": gc,
    "rm": rm,
}
