"""The rules of the house that no tool knows: floors, words, where a memory order may be spelled, what lies where.

Each rule is a function that takes text and returns what is wrong with it, in words. The first half of the tests shows
that the rules can say no; the second half holds the project to them.
"""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "shmstore"

# From the ground up: each room, and the order inside it. A module imports from the rooms below its own, and inside its
# room from what stands before a comma to its left. A room that names nothing is the package itself.
ROOMS = (
    ("", "errors public"),
    ("arguments", "shown, alone calls closing moments, checks, calendars, units"),
    ("", "_core"),
    ("segments", "identity memory names sizes, mapping refusals, segment, handle"),
    ("records", "fields, record, schema"),
    ("tables", "arrow text, tabular, column, table"),
    ("expressions", "comparison expression, arithmetic parse, compiler"),
    ("reading", "gap selection waiting, detached, cursor"),
    ("questions", "aggregates, source, groups, windows, questions, snapshot, query"),
    ("events", "append reach, statistics, options, builder view, store, series"),
    ("streams", "columns event options position, data reading, following, stream, store"),
    (
        "metrics",
        "routes text, checks, families, registry timing declaration, memory, configure instrument, "
        "exposition instruments, core middleware process runtime serving",
    ),
    ("", "metrics"),
    ("", "prometheus_client_bridge"),
    ("", "coordinator"),
    ("survey", "machine series processes, segments records streams, findings inventory"),
    (
        "http",
        "connections detaching local pool request_log requests settings message, continued incoming remote access",
    ),
    (
        "http.dashboard",
        "values scope files handles pace, watched, windows sampler, lists live, routes",
    ),
    (
        "http",
        "openapi, event_text, "
        "accepted following replies remote_following admin_routes metric_routes, followers stream_routes, "
        "blocking_client server service, async_client, client",
    ),
    ("", "gunicorn"),
    ("cli", "completion exits files, render, style meter records survey, question"),
    ("cli.streams", "events lines state, append ls show tail top"),
    ("cli.charts", "axis drawing font, raster svg terminal, figure measure png"),
    ("cli.commands", "check doctor gc ls metrics plan plot processes query rm show streams tail top"),
    ("cli", "commands, coordinator inspect serve"),
)
FLOORS = [(room, names.split()) for room, order in ROOMS for names in order.split(",")]
FLOOR_OF = {f"{room}.{name}".lstrip("."): floor for floor, (room, names) in enumerate(FLOORS) for name in names}
DOORS = {room for room, _ in ROOMS} - FLOOR_OF.keys()  # an __init__ that imports nothing

# The same for the rooms of the core: a file includes headers of its own room, and of those before a comma to its left.
CORE_ROOMS = (
    "base, ring waiting, processes, store, metrics streams questions/batches, questions/programs questions/order, "
    "questions/tallies, questions"
)
CORE_FLOOR_OF = {room: floor for floor, rooms in enumerate(CORE_ROOMS.split(",")) for room in rooms.split()}

_THEMSELVES = ("self", "cls")
# What the standard library offers under such a name: of named tuples, of frames, and of parsers for completion.
PRIVATE_BY_CUSTOM = {
    *("_asdict", "_make", "_replace", "_getframe"),
    *("_actions", "_choices_actions", "_expand_help", "_get_formatter", "_SubParsersAction"),
}

RUNTIME_DEPENDENCIES = {"posix_ipc", "psutil"}

SAY_INSTEAD = {
    "head": "oldest, tail or ticket",
    "commit": "publish",
    "committed": "published",
    "epoch": "lap or generation (or say Unix epoch)",
    "entry": "slot or place",
    "entries": "slots or places",
}
ALLOWED_WORDS = re.compile(
    r"[Uu]nix epoch|unix_epoch|UNIX_EPOCH|Py\w+_HEAD\w*|\bHEAD\b|Object\.entries"
)  # named so by others

MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home|Users|work|mnt|opt)/\w+")
MEMORY_ORDER = re.compile(r"\bmemory_order_\w+|\b__ATOMIC_\w+|\b__sync_\w+")

OURS = {
    *("pyproject.toml", "shmstore", "tools", "tests", "benchmarks", "README.md"),
    *(".ci", ".gitignore", "LICENSE", "CHANGELOG.md"),
}
FOLDERS = ("shmstore", "tools", "tests", "benchmarks", ".ci")
GENERATED = {
    *(".git", ".venv", "build", "dist", "shmstore.egg-info", "__pycache__"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache"),
}


parsed = cache(ast.parse)  # several rules look at the same files


def imports_of(source: str, is_module: frozenset[str] | set[str]) -> Iterator[str]:
    """The absolute name of every module that Python source imports, at its top or inside a function."""
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = node.module or ""
            for alias in node.names:
                inner = f"{above}.{alias.name}"
                yield "." * node.level + (inner if inner in is_module else above)


def upward_imports(module: str, source: str) -> list[str]:
    """Imports of a module of shmstore (named without the package) that do not go down, or leave the allowed world."""
    if module in DOORS:
        return [f"shmstore.{module} is the door of a room and imports {name}" for name in imports_of(source, set())]
    if module not in FLOOR_OF:
        return [f"shmstore.{module} has no place; give it one in ROOMS of {Path(__file__).name}"]
    wrong = []
    for name in set(imports_of(source, {f"shmstore.{known}" for known in FLOOR_OF})):
        package, _, inner = name.partition(".")
        if package != "shmstore":
            if package not in sys.stdlib_module_names | RUNTIME_DEPENDENCIES:
                wrong.append(
                    f"shmstore.{module} imports {name}: write shmstore imports in full, and use no other package"
                )
        elif inner not in FLOOR_OF or FLOOR_OF[inner] >= FLOOR_OF[module]:
            wrong.append(f"shmstore.{module} (floor {FLOOR_OF[module]}) imports {name} (floor {FLOOR_OF.get(inner)})")
    return sorted(wrong)


def upward_includes(room: str, source: str) -> list[str]:
    """Includes of a C file in a room of the core that do not go down."""
    if room not in CORE_FLOOR_OF:
        return [f"core/{room} has no place; give it one in CORE_ROOMS of {Path(__file__).name}"]
    return [
        f"core/{room} includes {name}"
        for name, inner in re.findall(r'#include "((?:core/)?(.*?)/?[^/"]*)"', source)
        if inner != room and CORE_FLOOR_OF.get(inner, len(CORE_FLOOR_OF)) >= CORE_FLOOR_OF[room]
    ]


def private_names(source: str) -> set[str]:
    """What a module defines: its functions and classes, and whatever it assigns to."""
    found = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in found if is_private(name)}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def touched_elsewhere(source: str, own: set[str]) -> list[str]:
    """Private names of another room that a module takes from objects or imports; `own` are those of its own room."""
    wrong = []
    for node in ast.walk(parsed(source)):
        names: list[str] = []
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id in _THEMSELVES):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names if alias.name != "_core"]
        wrong += [
            f"line {node.lineno} touches {name}, which is private to another room: give it a public name there"
            for name in names
            if is_private(name) and name not in own | PRIVATE_BY_CUSTOM
        ]
    return wrong


def banned_words(text: str) -> list[str]:
    """Words that have another name here, in identifiers, comments and messages alike."""
    wrong = []
    for number, line in enumerate(text.splitlines(), 1):
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", ALLOWED_WORDS.sub("", line)):
            if instead := SAY_INSTEAD.get(word.lower()) or SAY_INSTEAD.get(word.lower().removesuffix("s")):
                wrong.append(f"line {number} says {word}; the word is {instead}")
    return wrong


def table_of_contents(source: str) -> list[str]:
    """What makes an __init__ more, or less, than imports and a sorted __all__ of just the imported names."""
    docstring, *body = ast.parse(source).body
    wrong = [] if isinstance(docstring, ast.Expr) else ["it begins without a docstring"]
    imported: list[str] = []
    listed: list[str] | None = None
    for node in body:
        if isinstance(node, ast.ImportFrom):
            imported += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = ast.literal_eval(node.value)
        else:
            wrong.append(f"line {node.lineno} is neither an import nor __all__")
    if listed is None:
        return [*wrong, "it has no __all__"]
    if listed != sorted(listed):
        wrong.append("__all__ is not sorted")
    if difference := set(listed) ^ set(imported):
        wrong.append(f"in only one of the imports and __all__: {sorted(difference)}")
    return wrong


def has_first_sentence(path: Path, text: str) -> bool:
    """Whether a file says at its top what it is for: a docstring in Python, else a comment (after #! in a script)."""
    if path.suffix in (".py", ".pyi") or re.match("#!.*python", text):
        return bool(ast.get_docstring(ast.parse(text)))
    return bool(re.match(r"/[/*]\s*\w" if path.suffix in (".c", ".h") else r"(#!.*\n)?# \w", text))


def files(*suffixes: str, under: tuple[str, ...] = ("shmstore",)) -> list[Path]:
    """Files of the project below the folders `under`, without what tools generate; no suffix means all."""
    found = [path for folder in under for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    kept = [
        path
        for path in found
        if not GENERATED & set(path.relative_to(ROOT).parts) and path.suffix not in (".so", ".pyc")
    ]
    return [path for path in kept if not suffixes or path.suffix in suffixes]


def module_name(path: Path) -> str:
    """The name of a module of shmstore, without the package; empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def shown(path: Path, wrong: list[str]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {what}" for what in wrong]


# The rules can say no.


@pytest.mark.parametrize(
    "source",
    [
        "from shmstore.events.store import EventStore",
        "def late():\n    import shmstore.events.store",
        "from shmstore.events import store",
        "from shmstore.records.record import Record",
        "from shmstore.nowhere import thing",
        "from shmstore import EventStore",
        "from . import errors",
        "from .errors import NoSpace",
        "import numpy",
    ],
)
def test_an_import_that_does_not_go_down_is_found(source: str) -> None:
    assert upward_imports("records.record", source)


def test_imports_that_go_down_are_accepted() -> None:
    ours = "from shmstore import _core, errors\nfrom shmstore.records.fields import Key"
    source = f"import os, psutil\n{ours}\nimport posix_ipc"
    assert upward_imports("records.record", source) == []


def test_a_module_without_a_place_is_found() -> None:
    assert upward_imports("attic", "")


@pytest.mark.parametrize("header", ["core/store/store.h", "core/waiting/wait.h", "binding/store.h", "ring.h"])
def test_an_include_that_does_not_go_down_is_found(header: str) -> None:
    assert upward_includes("ring", f'#include "{header}"\n')


def test_includes_that_go_down_are_accepted() -> None:
    assert upward_includes("ring", '#include <time.h>\n#include "core/base/point.h"\n#include "core/ring/ring.h"') == []


def test_a_room_of_the_core_without_a_place_is_found() -> None:
    assert upward_includes("attic", "")


@pytest.mark.parametrize(
    "source", ["store._core.check()", "self._store._core", "x._y = 1", "from shmstore.events.store import _again"]
)
def test_a_private_name_of_another_room_is_found(source: str) -> None:
    assert touched_elsewhere(source, {"_store"})


@pytest.mark.parametrize("source", ["self._core", "cls._of", "other._rows", "row._asdict()", "x.__dict__", "x.y"])
def test_private_names_of_the_own_room_are_accepted(source: str) -> None:
    assert touched_elsewhere(source, {"_rows"}) == []


@pytest.mark.parametrize(
    "text", ["x = head", "ring_head", "ringHead", "HEAD_SIZE", "# two entries", "the epoch", "Commit"]
)
def test_a_banned_word_is_found(text: str) -> None:
    assert banned_words(text)


@pytest.mark.parametrize(
    "text", ["header ahead", "since the Unix epoch", "_UNIX_EPOCH", "PyObject_HEAD", "Object.entries(x)", "reentry"]
)
def test_words_that_only_look_alike_are_accepted(text: str) -> None:
    assert banned_words(text) == []


@pytest.mark.parametrize(
    "source",
    [
        'from a import b\n__all__ = ["b"]',
        '"""Doc."""\nfrom a import b',
        '"""Doc."""\nfrom a import b\n__all__ = []',
        '"""Doc."""\nfrom a import b, c\n__all__ = ["c", "b"]',
        '"""Doc."""\nfrom a import b\n__all__ = ["b"]\nb()',
    ],
)
def test_an_init_that_is_no_table_of_contents_is_found(source: str) -> None:
    assert table_of_contents(source)


@pytest.mark.parametrize(("name", "text"), [("a.py", "x = 1"), ("a.c", "#include <a.h>"), ("a", "#!/bin/sh\nset -e")])
def test_a_file_that_does_not_say_what_it_is_for_is_found(name: str, text: str) -> None:
    assert not has_first_sentence(Path(name), text)


def test_a_path_of_one_machine_is_found() -> None:
    assert MACHINE_PATH.search("see " + "/".join(["", "home", "me", "x"]))
    assert not MACHINE_PATH.search("see docs/home/me and /dev/shm/name")


@pytest.mark.parametrize("text", ["memory_order_relaxed", "__ATOMIC_SEQ_CST", "__sync_synchronize()"])
def test_a_spelled_memory_order_is_found(text: str) -> None:
    assert MEMORY_ORDER.search(text)


# The project keeps them.


def test_imports_go_down() -> None:
    modules = [path for path in files(".py") if path != PACKAGE / "__init__.py"]
    assert [what for path in modules for what in upward_imports(module_name(path), path.read_text())] == []


def test_includes_of_the_core_go_down() -> None:
    core = {
        path: path.parent.relative_to(PACKAGE / "core").as_posix()
        for path in files(".c", ".h")
        if path.is_relative_to(PACKAGE / "core")
    }
    assert [what for path, room in core.items() for what in shown(path, upward_includes(room, path.read_text()))] == []
    assert set(core.values()) == CORE_FLOOR_OF.keys()


def test_no_room_touches_what_is_private_to_another() -> None:
    inherited = private_names((PACKAGE / "_core.pyi").read_text())  # what types of the core leave to their subclasses
    own: dict[Path, set[str]] = {}
    for path in files(".py"):
        own.setdefault(path.parent, set(inherited)).update(private_names(path.read_text()))
    wrong = [
        what for path in files(".py") for what in shown(path, touched_elsewhere(path.read_text(), own[path.parent]))
    ]
    assert wrong == []


def test_every_floor_is_lived_on() -> None:
    modules = {module_name(path) for path in files(".py", ".pyi")}
    assert sorted((set(FLOOR_OF) | DOORS) - modules) == []


@pytest.mark.parametrize("public", [".", "metrics"])
def test_the_package_is_a_table_of_contents(public: str) -> None:
    assert table_of_contents((PACKAGE / public / "__init__.py").read_text()) == []


@pytest.mark.parametrize("public", ["shmstore", "shmstore.metrics"])
def test_every_name_of_the_table_of_contents_is_there(public: str) -> None:
    package = importlib.import_module(public)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


def test_one_word_has_one_meaning() -> None:
    assert [what for path in files() for what in shown(path, banned_words(path.read_text()))] == []


def test_only_atomics_h_and_wide_h_spell_a_memory_order() -> None:
    spelling = {
        path.relative_to(PACKAGE).as_posix() for path in files(".c", ".h") if MEMORY_ORDER.search(path.read_text())
    }
    assert spelling == {"core/base/atomics.h", "core/base/wide.h"}


def test_the_core_knows_no_python() -> None:
    core = files(".c", ".h", under=("shmstore/core",))
    assert (
        core and [path.name for path in core if re.search(r"Python\.h|Py[A-Z_]\w+\(|binding/", path.read_text())] == []
    )


def test_every_file_says_what_it_is_for() -> None:
    everything = files(".py", ".pyi", ".c", ".h", ".sh", "", under=FOLDERS)
    silent = [path for path in everything if not has_first_sentence(path, path.read_text())]
    assert [path.relative_to(ROOT).as_posix() for path in silent] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    top = (path for path in ROOT.iterdir() if path.is_file() and path.name not in GENERATED)
    everything = [*files(under=FOLDERS), *top]
    assert [path.relative_to(ROOT).as_posix() for path in everything if MACHINE_PATH.search(path.read_text())] == []


def test_nothing_else_lies_at_the_top() -> None:
    assert sorted({path.name for path in ROOT.iterdir()} - OURS - GENERATED) == []
