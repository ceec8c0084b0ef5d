"""`streams`: the streams of a store, one of them, its events; and appending to it."""

import argparse
from typing import Final

from shmstore.cli import style
from shmstore.cli.render import Output
from shmstore.cli.streams import append, ls, show, tail

HELP = "list the streams of a store, show or tail one of them, or append to it"
_VERBS: Final = {"ls": ls, "show": show, "tail": tail, "append": append}
EXAMPLES = tuple(example for verb in _VERBS.values() for example in verb.EXAMPLES)


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of streams, each with its own arguments."""
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, verb in _VERBS.items():
        inner = verbs.add_parser(
            name,
            parents=[style.parent(nested=True)],
            help=verb.HELP,
            description=verb.HELP[:1].upper() + verb.HELP[1:] + ".",
            epilog="\n".join(["examples:", *(f"  {parser.prog.split()[0]} {example}" for example in verb.EXAMPLES)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.declare(inner)
        inner.set_defaults(run_verb=verb.run)


def run(args: argparse.Namespace, out: Output) -> int:
    """Do what the verb says."""
    code: int = args.run_verb(args, out)
    return code
