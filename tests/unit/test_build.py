"""What is built and shipped: the stable ABI, the typed contract, nothing that does not belong."""

import ast
import importlib
import importlib.metadata
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from shmstore.http.dashboard.files import FILES
from tests.helpers.wheels import PROJECT, ROOT

(EXTENSION,) = PROJECT["tool"]["setuptools"]["ext-modules"]


def declared(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """The public names that the statements of a stub declare."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return {name: node for name, node in found.items() if not name.startswith("_")}


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def c_files(suffix: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "shmstore").rglob(f"*{suffix}"))


def test_every_c_file_is_compiled_and_every_header_is_known() -> None:
    assert sorted(EXTENSION["sources"]) == c_files(".c")
    assert sorted(EXTENSION["depends"]) == c_files(".h")


def test_the_extension_uses_the_stable_abi() -> None:
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        pytest.skip("free-threaded CPython has no stable ABI")
    path = importlib.import_module("shmstore._core").__file__
    assert path is not None and path.endswith("_core.abi3.so")


@pytest.mark.parametrize("module", ["errors", "arguments.shown", "arguments.moments"])
def test_a_core_whose_helpers_are_missing_says_which(module: str) -> None:
    code = (
        "import sys, types\n"
        f"package = types.ModuleType('shmstore'); package.__path__ = [{str(ROOT / 'shmstore')!r}]\n"
        f"sys.modules.update({{'shmstore': package, 'shmstore.{module}': None}})\n"
        "import shmstore._core"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        f"ModuleNotFoundError: import of shmstore.{module} halted; None in sys.modules"
    )


def test_the_typed_contract_names_what_the_extension_has() -> None:
    core = importlib.import_module("shmstore._core")
    body = ast.parse((ROOT / "shmstore" / "_core.pyi").read_text()).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    assert set(declared(body)) == public(core)
    for name in ("Columns", "Cursor", "Program", "Store"):
        shared = [classes[base.id] for base in classes[name].bases if isinstance(base, ast.Name)]
        told = {member for node in (classes[name], *shared) for member in declared(node.body)}
        assert told == public(getattr(core, name)), name


def test_nothing_but_posix_ipc_and_psutil_is_needed_to_run() -> None:
    required = importlib.metadata.requires("shmstore") or []
    assert sorted(name.replace("-", "_") for name in required) == ["posix_ipc", "psutil"]


def test_the_build_is_declared_in_pyproject_alone() -> None:
    assert [name for name in ("setup.py", "setup.cfg", "MANIFEST.in") if (ROOT / name).exists()] == []


@pytest.mark.parametrize("target", PROJECT["project"]["scripts"].values())
def test_a_command_names_a_function_that_is_there(target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_source_distribution_holds_all_sources(sdist: Path) -> None:
    sources = {*c_files(".c"), *c_files(".h")}
    assert sorted(path for path in sources | {"LICENSE", "pyproject.toml"} if not (sdist / path).is_file()) == []


def test_the_guides_stay_in_the_repository_where_their_links_lead_somewhere(sdist: Path) -> None:
    assert [path.relative_to(sdist).as_posix() for path in sdist.rglob("README.md")] == ["README.md"]


def test_one_wheel_serves_every_python_from_3_11_on(wheel: Path) -> None:
    assert "-cp311-abi3-linux_" in wheel.name


def test_the_wheel_holds_the_package_and_no_c(wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    python = {path.relative_to(ROOT).as_posix() for path in (ROOT / "shmstore").rglob("*.py")}
    page = {f"shmstore/http/dashboard/page/{name}" for name in FILES.values()}
    assert shipped == python | page | {"shmstore/_core.abi3.so", "shmstore/_core.pyi", "shmstore/py.typed"}


def test_the_wheel_imports_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import shmstore; print(shmstore._core.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(tmp_path / "shmstore" / "_core.abi3.so"), done.stderr
