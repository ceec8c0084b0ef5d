"""How output is drawn, as arguments of every verb."""

import argparse

from shmstore.cli.render import Mode, Output

_MODES = {"json": Mode.JSON, "plain": Mode.PLAIN, "csv": Mode.CSV}


def parent(*, nested: bool = False) -> argparse.ArgumentParser:
    """A parser to be a parent of a verb's; `nested` when that verb is part of another one, which takes them as well."""
    parser = argparse.ArgumentParser(add_help=False)
    unsaid = argparse.SUPPRESS if nested else False
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--json", action="store_true", default=unsaid, help="one JSON object per line")
    style.add_argument(
        "--plain",
        action="store_true",
        default=unsaid,
        help="tab-separated values without titles, units or colour",
    )
    parser.add_argument(
        "--no-color", action="store_true", default=unsaid, help="no colour; the variable NO_COLOR says the same"
    )
    return parser


def output(args: argparse.Namespace) -> Output:
    """Where the results of a verb with these arguments go."""
    mode = next((mode for name, mode in _MODES.items() if getattr(args, name, False)), Mode.PEOPLE)
    return Output(mode, color=not args.no_color)
