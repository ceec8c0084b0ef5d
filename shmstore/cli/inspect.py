"""`shmstore-inspect`: look at stores from outside. Reads the command line, picks the verb, ends with its exit code.

Looking never writes and takes no place in a store's process table; only `gc` and `rm` remove, and only when told to.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from shmstore.cli import completion, style
from shmstore.cli.commands import COMMANDS
from shmstore.cli.exits import EXIT_CODES_HELP, USAGE, guard

PROGRAM = "shmstore-inspect"


class _Verb(argparse.ArgumentParser):
    """A verb's parser. With `arranged`, which may put words in order, its arguments may stand behind options too."""

    arranged: Callable[[list[str]], list[str]] | None = None
    _is_parsing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, from the words in order."""
        if self.arranged is None or self._is_parsing or args is None:
            return super().parse_known_args(args, namespace)
        self._is_parsing = True  # that parses in two rounds, by this very method
        try:
            return self.parse_known_intermixed_args(self.arranged(list(args)), namespace)
        finally:
            self._is_parsing = False


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool on these arguments (those of the process when None) and return its exit code."""
    return guard(PROGRAM, lambda: _run(argv))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole tool; completion scripts and tests read it too."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Look at the shared-memory event stores of this machine.",
        epilog=f"{EXIT_CODES_HELP}\nresults go to stdout, messages to stderr; `{PROGRAM} VERB --help` has examples",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.declare(parser)
    drawing: list[Any] = [style.parent()]
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", parser_class=_Verb)
    for name, command in COMMANDS.items():
        verb = verbs.add_parser(
            name,
            parents=drawing,
            help=command.HELP,
            description=command.HELP[:1].upper() + command.HELP[1:] + ".",
            epilog="\n".join(["examples:", *(f"  {PROGRAM} {example}" for example in command.EXAMPLES)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.declare(verb)
        verb.arranged = getattr(command, "arranged", None)
        verb.set_defaults(run=command.run)
    return parser


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    args = parser.parse_args(argv)
    if "run" not in args:
        parser.print_help(sys.stderr)
        return USAGE
    code: int = args.run(args, style.output(args))
    return code


if __name__ == "__main__":
    sys.exit(main())
