"""Completion scripts for bash, zsh and fish, generated from a tool's parser so that they cannot drift from it."""

import argparse
import re
from collections.abc import Iterator
from typing import NamedTuple

SHELLS = ("bash", "zsh", "fish")

_STORE_NAMES = "shmstore-inspect ls --plain 2>/dev/null | cut -f1"


class _Option(NamedTuple):
    flags: list[str]
    help: str
    takes_value: bool
    choices: list[str]


class _Verb(NamedTuple):
    """One verb, or ("") a tool without verbs; `takes_store` when its arguments are names of stores.

    `inner` are the verbs that it has itself; its options are theirs as well.
    """

    name: str
    help: str
    options: list[_Option]
    takes_store: bool
    inner: list[str]


class _CompletionAction(argparse.Action):
    """``--completion SHELL``: print the script for that shell and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Print the script; argparse calls this when it meets the option."""
        print(script(parser, str(values)))
        parser.exit()


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the option that prints a completion script."""
    parser.add_argument(
        "--completion", action=_CompletionAction, choices=SHELLS, help="print a completion script and exit"
    )


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion script of a parser for a shell of SHELLS."""
    verbs = list(_verbs(parser))
    root = _Verb("", "", _options(parser), _takes_store(parser), [])
    function = "_" + re.sub(r"\W", "_", parser.prog)
    make = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    return "\n".join(make(parser.prog, function, root, verbs))


def _bash(program: str, function: str, root: _Verb, verbs: list[_Verb]) -> Iterator[str]:
    yield f"{function}() {{"
    yield '    local word verb="" words="" current=${COMP_WORDS[COMP_CWORD]}'
    if verbs:
        yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
        yield "        [[ $word != -* ]] && { verb=$word; break; }"
        yield "    done"
    yield "    case ${COMP_WORDS[COMP_CWORD-1]} in"
    for option in {option.flags[0]: option for verb in (root, *verbs) for option in verb.options}.values():
        if option.choices:
            line = f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$current")); return'
            yield f"        {'|'.join(option.flags)}) {line} ;;"
    yield "    esac"
    yield '    case "$verb" in'
    for verb in (root, *verbs):
        words = [flag for option in verb.options for flag in option.flags]
        if verb is root:
            words += [each.name for each in verbs]
        yield f"        '{verb.name}') words=\"{' '.join(words)}\" ;;"
    yield "    esac"
    if takers := [verb.name for verb in (root, *verbs) if verb.takes_store]:
        yield '    case "$verb" in'
        yield f"        {'|'.join(repr(name) for name in takers)})"
        yield f"            [[ $current == -* ]] || words=$({_STORE_NAMES}) ;;"
        yield "    esac"
    for verb in verbs:
        if verb.inner:
            yield f"    [[ $verb == {verb.name} && $current != -* ]] && words+=' {' '.join(verb.inner)}'"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$current"))'
    yield "}"
    yield f"complete -F {function} {program}"


def _zsh(program: str, function: str, root: _Verb, verbs: list[_Verb]) -> Iterator[str]:
    yield f"#compdef {program}"
    yield f"{function}_stores() {{"
    yield f'    compadd -- ${{(f)"$({_STORE_NAMES})"}}'
    yield "}"
    yield f"{function}() {{"
    if not verbs:
        yield f"    {_zsh_arguments(function, root)}"
    else:
        yield "    if (( CURRENT == 2 )); then"
        yield "        local -a verbs=("
        yield from (f"            {_quoted(f'{verb.name}:{verb.help}')}" for verb in verbs)
        yield "        )"
        yield f"        _describe verb verbs; {_zsh_arguments(function, root)}; return"
        yield "    fi"
        yield "    shift words; (( CURRENT-- ))"
        yield "    case $words[1] in"
        yield from (f"        {verb.name}) {_zsh_arguments(function, verb)} ;;" for verb in verbs)
        yield "    esac"
    yield "}"
    yield f"compdef {function} {program}"


def _zsh_arguments(function: str, verb: _Verb) -> str:
    specs = []
    for option in verb.options:
        choices = f"({' '.join(option.choices)})" if option.choices else ""
        value = f":value:{choices}" if option.takes_value else ""
        text = re.sub(r"[\[\]:]", " ", option.help)
        specs += [_quoted(f"{flag}[{text}]{value}") for flag in option.flags]
    if verb.inner:
        specs.append(_quoted(f"1:verb:({' '.join(verb.inner)})"))
    if verb.takes_store:
        specs.append(_quoted(f"*:store:{function}_stores"))
    return f"_arguments {' '.join(specs)}"


def _fish(program: str, _function: str, root: _Verb, verbs: list[_Verb]) -> Iterator[str]:
    start = f"complete -c {program}"
    yield f"{start} -f"
    for verb in verbs:
        yield f"{start} -n __fish_use_subcommand -a {verb.name} -d {_quoted(verb.help)}"
    for verb in (root, *verbs):
        at_root = " -n __fish_use_subcommand" if verbs else ""
        condition = f" -n {_quoted(f'__fish_seen_subcommand_from {verb.name}')}" if verb.name else at_root
        for option in verb.options:
            flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
            choices = f" -a {_quoted(' '.join(option.choices))}" if option.choices else ""
            value = f" -r{choices}" if option.takes_value else ""
            yield f"{start}{condition} {flags}{value} -d {_quoted(option.help)}"
        if verb.inner:
            yield f"{start}{condition} -a {_quoted(' '.join(verb.inner))}"
        if verb.takes_store:
            yield f"{start}{condition} -a {_quoted(f'({_STORE_NAMES})')}"


def _verbs(parser: argparse.ArgumentParser) -> Iterator[_Verb]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, verb in action.choices.items():
                inner = list(_verbs(verb))
                options = {each.flags[0]: each for one in inner for each in one.options}
                options |= {each.flags[0]: each for each in _options(verb)}
                takes_store = _takes_store(verb) or any(one.takes_store for one in inner)
                yield _Verb(name, helps[name], list(options.values()), takes_store, [one.name for one in inner])


def _options(parser: argparse.ArgumentParser) -> list[_Option]:
    expand = parser._get_formatter()._expand_help
    return [
        _Option(list(action.option_strings), expand(action), action.nargs != 0, [str(c) for c in action.choices or ()])
        for action in parser._actions
        if action.option_strings
    ]


def _takes_store(parser: argparse.ArgumentParser) -> bool:
    return any(action.dest in ("name", "names") and not action.option_strings for action in parser._actions)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
