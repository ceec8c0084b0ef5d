"""README.md and the guides of the rooms tell the truth: commands, examples and links work, and lists are whole."""

import argparse
import ast
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import shmstore
from shmstore import EventStore, Key, Record, StreamStore, Text, Timestamp, _core, errors
from shmstore.cli import coordinator, inspect
from shmstore.cli.commands import COMMANDS
from shmstore.events.options import Creation
from shmstore.metrics.declaration import Declaration
from shmstore.records import fields
from shmstore.segments import segment
from shmstore.segments.handle import Handle
from tests.helpers.segments import METRICS

ROOT = Path(__file__).resolve().parents[2]
GUIDES = {
    path.parent.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [
        ROOT / "README.md",
        *sorted((ROOT / "shmstore").rglob("README.md")),
        ROOT / "benchmarks" / "README.md",
        *sorted((ROOT / "tools").rglob("README.md")),
    ]
}  # by their folders; that of README.md itself is "."
EVERYTHING = "\n".join(GUIDES.values())
PROOF = (ROOT / "tests" / "PROOF.md").read_text(encoding="utf-8")
MOST_LINES = 350  # of README.md: it stays short, and leads on
LIMIT_S = 60.0
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
    "PYTHONIOENCODING": "utf-8",
    # From Python 3.12 on a fork beside other threads, such as those of polars, warns.
    "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
}

# Commands of the guides that are not run here, and why.
NOT_RUN = {
    "./tools/demo": "tests/e2e/test_demo.py runs it",
    **{f"./tools/samples/{which}": "tests/e2e/test_samples.py runs it" for which in ("orders", "client", "sensors")},
    **{
        f"./tools/samples/gateway{options}": "tests/e2e/test_gateway_sample.py runs it"
        for options in ("", " --port 8080", " --check")
    },
    "./tools/test": "it runs this",
    "./tools/bench": "it takes minutes; the tests run its smoke size",
    "./tools/prove": "it runs the tests; tests/e2e/test_prove.py runs a selection",
    "./tools/stress": "tests/e2e/test_stress_tool.py runs it",
    "./tools/stress --gunicorn 500": "tests/e2e/test_stress_tool.py runs it, with fewer kills",
    "./tools/stress --streams 10_000_000": "tests/e2e/test_stress_tool.py runs it, with fewer calls",
    "./tools/stress --http 1_000_000": "tests/e2e/test_stress_tool.py runs it, with fewer requests",
    "./tools/fuzz": "it needs clang; tests/core runs its target with random inputs",
    "./tools/fuzz --python": "tests/e2e/test_fuzz_tool.py runs it",
    "shmstore-serve --name orders --port 7070": "tests/e2e/test_serve.py runs it, at ports that are free",
    "gunicorn --workers 2 --worker-class gthread --threads 8 --bind 127.0.0.1:7071 --env SHMSTORE_NAME=orders "
    "shmstore.http.service:app": "tests/e2e/test_service.py runs it",
    "pip install .": "it needs the network; tests/unit/test_build.py builds the wheel that it installs",
    "docker compose": "Docker is the reader's",
    "docker compose -f tools/samples/container/compose.yaml up --build": "Docker is the reader's",
    "docker run --shm-size=1g": "Docker is the reader's",
    "docker run --ipc=container:NAME": "Docker is the reader's",
}
# What is asked of samples that run: tests/e2e/test_gateway_sample.py and tests/e2e/test_container.py ask it.
NOT_RUN |= dict.fromkeys(re.findall(r"^curl .*$", EVERYTHING, re.M), "nobody serves it here")
# Those that go on until they are interrupted, as the guides say.
ENDLESS = (
    *("shmstore-inspect top orders", "shmstore-inspect tail orders -f", "shmstore-coordinator orders"),
    "shmstore-inspect metrics web http_requests --watch",
    "shmstore-inspect streams tail orders-ledger gateway/orders -f",
)
# Other stores of the machine may be unhealthy, which is what this one is for.
ABOUT_ALL_STORES = {"shmstore-inspect doctor": {0, 5}}


class Order(Record):
    gateway: Key
    id: Text[40]  # type: ignore[valid-type]  # as the guides write it
    value: float
    timestamp: Timestamp


@pytest.fixture
def store(name: str) -> Iterator[EventStore[Order]]:
    with shmstore.create(name, Order, capacity=100, partitions=2) as store:
        store.append(gateway="gw-1", id="o-1", value=12.5)
        yield store


@pytest.fixture
def metrics(name: str) -> Iterator[Handle]:
    declared = Declaration("counter", "http_requests", "Requests.").packed(b"http_requests", "", "default")
    with Handle(segment.create(f"{name}-metrics", (), METRICS)) as metrics:
        _core.Metrics(metrics.core).declare(declared, len(b"http_requests"))
        yield metrics
        segment.unlink(metrics.name)


@pytest.fixture
def ledger(name: str, tmp_path: Path) -> Iterator[StreamStore]:
    (tmp_path / "fills.jsonl").write_text('{"id": "o-1"}\n{"id": "o-2"}\n', encoding="utf-8")
    with shmstore.create_streams(f"{name}-ledger", capacity=100, partitions=1) as ledger:
        ledger["gateway/orders"].append({"id": "o-1"})
        yield ledger
        shmstore.unlink(ledger.name)


def blocks(language: str, text: str = EVERYTHING) -> list[str]:
    return [block for found, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S) if found == language]


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def section(guide: str, title: str) -> str:
    found = re.search(rf"^#+ {title}\n(.*?)(?=^## |\Z)", GUIDES[guide], re.M | re.S)
    assert found, f"README.md of {guide} has no section {title!r}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """Rows of all tables in a part of a guide, without their titles."""
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in re.findall(r"^\|.*\|$", text, re.M)
    ]
    return [row for at, row in enumerate(rows) if not set("".join(row)) <= set("-: ") and not is_title(rows, at)]


def is_title(rows: list[list[str]], at: int) -> bool:
    return at + 1 < len(rows) and set("".join(rows[at + 1])) <= set("-: ")


def spans(text: str) -> list[str]:
    """What stands between single backticks, outside of blocks."""
    return re.findall(r"`([^`\n]+)`", without_blocks(text))


def renamed(text: str, name: str) -> str:
    """The same with names of a store and of metrics that no other run has."""
    text = re.sub(r"""(?<=["' ])orders(?=["' -]|$)""", name, text, flags=re.M)
    return re.sub(r"(?<=metrics )web(?= |$)", f"{name}-metrics", text, flags=re.M)


# -- Python


def files() -> dict[str, str]:
    """The examples that are files of their own, by their name."""
    named = ((re.match(r"# ([\w.]+\.py)\n", text), text) for text in blocks("python"))
    return {found[1]: text for found, text in named if found}


def session(guide: str) -> str:
    """All other examples of a guide, one after the other."""
    return "\n".join(text for text in blocks("python", GUIDES[guide]) if not re.match(r"# [\w.]+\.py\n", text))


def checked(source: str) -> str:
    """The source with each `expression  # -> value` turned into a check of that value's repr."""
    lines = source.splitlines()
    expected = {number: found[1] for number, line in enumerate(lines, 1) if (found := re.search(r"# -> (.*)$", line))}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and node.end_lineno in expected:
            value = expected.pop(node.end_lineno)
            indent = " " * node.col_offset
            lines[node.end_lineno - 1] = f"{indent}_check(({ast.unparse(node.value)}), {value!r})"
            assert node.lineno == node.end_lineno, "an expression with a value is one line"
    assert not expected, f"no expressions: {expected}"
    check = "def _check(found, expected):\n    assert repr(found) == expected, f'{found!r}, not {expected}'\n"
    return check + "\n".join(lines)


def run(script: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT
    )


@pytest.mark.parametrize("guide", [guide for guide in GUIDES if session(guide)])
def test_the_examples_of_a_guide_run_one_after_the_other(guide: str, tmp_path: Path, name: str) -> None:
    script = tmp_path / "session.py"
    script.write_text(checked(renamed(session(guide), name)), encoding="utf-8")
    with run(script) as process:
        output, messages = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, messages) == (0, ""), messages
    assert ("attached for reading only" in output) == (guide == "shmstore/events")
    assert not [left for left in shmstore.list_stores() if name in left], "the last example removes every store"


def test_the_two_processes_run_as_two_processes(tmp_path: Path, name: str) -> None:
    for file in ("writer.py", "reader.py"):
        (tmp_path / file).write_text(renamed(files()[file], name), encoding="utf-8")
    with run(tmp_path / "writer.py") as writer:
        while name not in shmstore.list_stores():
            time.sleep(0.01)
        with run(tmp_path / "reader.py") as reader:
            output, messages = reader.communicate(timeout=LIMIT_S)
        assert writer.communicate(timeout=LIMIT_S) == ("", "")
    assert (writer.returncode, reader.returncode, messages) == (0, 0, "")
    *orders, summary = output.splitlines()
    assert "gw-0 last 0.0" in orders and len(set(orders)) == len(orders)
    assert summary == "1001 orders, 249750.0 in all"


def test_a_coordinator_runs_in_a_thread(tmp_path: Path, store: EventStore[Order]) -> None:
    (tmp_path / "coordinating.py").write_text(renamed(files()["coordinating.py"], store.name), encoding="utf-8")
    with run(tmp_path / "coordinating.py") as process:
        assert process.communicate(timeout=LIMIT_S) == (f"{store.name} 0\n", "")


def test_a_wrong_value_of_an_example_is_found() -> None:
    with pytest.raises(AssertionError, match="2, not 3"):
        exec(checked("1 + 1  # -> 3"), {})
    with pytest.raises(AssertionError, match="no expressions"):
        checked("x = 1  # -> 1")


# -- commands


def commands() -> list[str]:
    """Every line of the shell blocks, and every example of the tables."""
    found = [line for text in blocks("sh") for line in text.splitlines() if line]
    found += [
        span
        for span in spans(EVERYTHING)
        if re.match(r"(shmstore-inspect \w+ |shmstore-coordinator )\S|(\./|pip|docker)", span)
    ]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("command", [command for command in commands() if command not in NOT_RUN])
@pytest.mark.usefixtures("metrics", "ledger")
def test_every_command_runs(store: EventStore[Order], command: str, tmp_path: Path) -> None:
    line = renamed(command, store.name)
    if line.startswith("shmstore-inspect rm") and "--force" not in line:
        store.close()
    with subprocess.Popen(
        shlex.split(line),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
    ) as process:
        if command.startswith(ENDLESS) and "--count" not in command:
            said, _, _ = select.select([process.stdout, process.stderr], [], [], LIMIT_S)
            assert said  # it has begun
            time.sleep(0.5)
            assert process.poll() is None, process.communicate()
            process.send_signal(signal.SIGINT)
        output, messages = process.communicate(timeout=LIMIT_S)
    assert process.returncode in ABOUT_ALL_STORES.get(command, {0, 130}), messages
    assert "Traceback" not in messages and output + messages


def test_what_is_not_run_is_in_a_guide() -> None:
    assert sorted(set(NOT_RUN) - set(commands())) == []


# -- what it lists is what there is


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Every verb's parser by its name, and the coordinator's."""
    (verbs,) = (
        action.choices for action in inspect.build_parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return {**verbs, "": coordinator.build_parser()}


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Those of its own, and of the verbs that it has."""
    found = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")}
    inner = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return found.union(*(options(verb) for verbs in inner for verb in verbs.values()))


COMMON = {"--help", "--json", "--plain", "--no-color"}


def test_the_verbs_are_those_of_the_help() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table(section("shmstore/cli", "Verbs"))}
    assert list(rows) == list(COMMANDS)
    for verb, (meaning, example) in rows.items():
        text, _, listed = meaning.partition("; `--")
        assert text == COMMANDS[verb].HELP
        assert example.strip("`").removeprefix("shmstore-inspect ") in COMMANDS[verb].EXAMPLES
        assert set(re.findall(r"--[a-z-]+", listed and f"--{listed}")) == options(parsers()[verb]) - COMMON


def test_the_options_of_the_coordinator_are_those_of_the_help() -> None:
    (listed,) = re.findall(r"It takes (.*?)\.", section("shmstore/cli", "The coordinator"))
    assert set(re.findall(r"--[a-z-]+", listed)) == options(parsers()[""]) - COMMON
    assert COMMON - {"--help"} <= set(spans(section("shmstore/cli", "Verbs")))


def test_the_exit_codes_are_those_of_the_help() -> None:
    codes = " ".join(inspect.build_parser().format_help().split())
    (listed,) = re.findall(r"Exit codes: (.*?)\.", " ".join(section("shmstore/cli", "Verbs").split()))
    assert f"exit codes: {listed} " in codes


def test_the_errors_are_those_that_there_are() -> None:
    listed = {
        name.strip("`"): set(re.findall(r"`(\w+)`", bases)) for name, bases, _ in table(section("shmstore", "Errors"))
    }
    there = {
        name: {base.__name__ for base in kind.__bases__} - {"ShmStoreError"}
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ShmStoreError) and kind is not errors.ShmStoreError
    }
    assert listed == there


def test_the_options_of_creation_are_those_that_there_are() -> None:
    rows = section("shmstore/events", "Create, open, attach")
    listed = {option for row in table(rows) for option in re.findall(r"`(\w+)`", row[0])}
    callbacks = {name for name in Creation.__annotations__ if name.startswith("on_")}
    assert listed == set(Creation.__annotations__) - callbacks
    assert callbacks <= set(spans(EVERYTHING))


def test_the_annotations_are_those_that_there_are() -> None:
    rows = table(section("shmstore/records", "Records"))
    listed = {re.sub(r"\[n\]", "", span) for row in rows for span in re.findall(r"`([^`]+)`", row[0])}
    assert listed == {kind.marker for kind in fields.KINDS.values()} | {"int", "float", "bool"}


def test_the_reasons_of_a_gap_are_those_that_there_are() -> None:
    listed = [row[0].strip("`") for row in table(section("shmstore/reading", "Gaps"))]
    assert sorted(listed) == sorted(shmstore.GapReason)


def test_every_public_name_is_in_a_guide() -> None:
    words = set(re.findall(r"\w+", EVERYTHING))
    inner = {
        "Snapshot",
        "Table",
        "Cursor",
        "Schema",
        "Statistics",
        "PartitionStatistics",
        "Gap",
        "GapReason",
    }  # not called by name
    assert sorted(set(shmstore.__all__) - words - inner) == []


# -- where it leads


@pytest.mark.parametrize(
    ("guide", "path"),
    [
        (guide, span)
        for guide, text in GUIDES.items()
        for span in sorted(set(spans(text)) - set(files()))
        if re.fullmatch(r"\w+[\w./]*(/|\.(py|pyi|c|h|md))", span)
    ],
)
def test_every_file_that_is_named_is_there(guide: str, path: str) -> None:
    assert any((folder / path).exists() for folder in (ROOT, ROOT / "shmstore", ROOT / guide))


def test_every_test_that_the_proof_names_is_there() -> None:
    named = re.findall(r"^  - `(tests/[\w/]+\.py)`: (.*)$", PROOF, re.M)
    missing = [
        f"{file}::{test}"
        for file, tests in named
        for test in re.findall(r"\btest_\w+", tests)
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert named and missing == []


def anchors(path: Path) -> set[str]:
    """What a code host makes of the titles of a page: lower case, without signs, with hyphens for spaces."""
    titles = re.findall(r"^#+ (.*)$", without_blocks(path.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def lost(guide: str, text: str) -> list[str]:
    """The links of a guide that lead to no file of the project, or to no title of it."""
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text)):
        target, _, anchor = link.partition("#")
        path = (ROOT / guide / target).resolve() if target else ROOT / guide / "README.md"
        inside = path.is_relative_to(ROOT) and path.exists()
        if not inside or (anchor and anchor not in anchors(path)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("guide", GUIDES)
def test_every_link_leads_somewhere(guide: str) -> None:
    assert lost(guide, GUIDES[guide]) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[a](README.md) [b](nowhere.md) [c](#limits) [d](README.md#no-such-title) [e](../outside.md)"
    assert lost(".", text) == ["nowhere.md", "README.md#no-such-title", "../outside.md"]


def test_every_guide_can_be_found_from_the_readme() -> None:
    found, ahead = set(), ["."]
    while ahead:
        guide = ahead.pop()
        found.add(guide)
        for target in re.findall(r"\]\(([^)#\s]*README\.md)[^)]*\)", GUIDES[guide]):
            folder = (ROOT / guide / target).resolve().parent.relative_to(ROOT).as_posix()
            ahead += {folder} - found
    assert sorted(set(GUIDES) - found) == []


def test_the_readme_stays_short() -> None:
    assert len(GUIDES["."].splitlines()) <= MOST_LINES


def test_the_promises_are_those_of_the_proof() -> None:
    cited = {int(row) for group in re.findall(r"\(proof ([\d, ]+)\)", GUIDES["."]) for row in group.split(",")}
    assert cited == {int(row) for row in re.findall(r"^\| (\d+) ", PROOF, re.M)}
