"""What import-linter cannot say: thin entry points, public names only, and no framework before a backend is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PLUGIN_SOURCES = sorted((ROOT / "plugins").glob("*/bertcore_*/**/*.py"))
OWN_DISTRIBUTIONS = ("bertcore", "bertcore-torch", "bertcore-mindspore", "bertcore-tasks")


def own_entry_points() -> list[metadata.EntryPoint]:
    return [
        point
        for point in metadata.entry_points(group="bertcore")
        if point.dist is not None and point.dist.name in OWN_DISTRIBUTIONS
    ]


def module_level_imports(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def source_of(module: str) -> Path:
    stem = Path(*module.split("."))
    candidates = [ROOT / stem, *(folder / stem for folder in (ROOT / "plugins").iterdir())]
    return next(path.with_suffix(".py") for path in candidates if path.with_suffix(".py").is_file())


def test_every_distribution_of_the_project_is_installed() -> None:
    assert {point.dist.name for point in own_entry_points() if point.dist} == set(OWN_DISTRIBUTIONS)


@pytest.mark.parametrize("point", own_entry_points(), ids=lambda point: point.name)
def test_an_entry_point_imports_the_hooks_and_the_standard_library_alone(point: metadata.EntryPoint) -> None:
    tree = ast.parse(source_of(point.module).read_text(encoding="utf-8"))
    foreign = {
        name
        for name in module_level_imports(tree)
        if name not in ("bertcore.plugins.hookspecs", "bertcore.plugins.lazy", "bertcore")
        and name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert foreign == set()


@pytest.mark.parametrize("file", PLUGIN_SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_plugins_use_public_names_of_the_core(file: Path) -> None:
    private: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "bertcore":
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            private += [name for name in names if name.startswith("_") and not name.startswith("__")]
    assert private == []


def test_registering_everything_imports_no_framework() -> None:
    program = (
        "import sys; from bertcore.plugins.registry import Registry; registry = Registry(); registry.gather_all();"
        "assert registry.backends and registry.tasks;"
        "print(*{'torch', 'mindspore', 'transformers', 'tensorflow', 'bertcore_kernels'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_both_backends_have_the_same_files() -> None:
    torch_files = {file.name for file in (ROOT / "plugins/backend_torch/bertcore_torch").glob("*.py")}
    mindspore_files = {file.name for file in (ROOT / "plugins/backend_mindspore/bertcore_mindspore").glob("*.py")}
    shared = {"__init__.py", "backend.py", "devices.py", "dropout.py", "encoder.py", "heads.py", "rows.py"}
    shared |= {"attention.py", "linear.py", "objectives.py", "optimizer.py", "plugin.py", "session.py"}
    assert shared <= torch_files
    assert shared <= mindspore_files


def test_the_floors_are_those_that_contributors_read() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = [contract for contract in linter["contracts"] if contract["type"] == "layers"]
    (shown,) = re.findall(r"## Layers\n.*?```text\n(.*?)```", CONTRIBUTING, re.DOTALL)
    held = [layer.replace(" | (version) | (__version__)", " | version") for layer in contract["layers"]]
    assert shown.splitlines() == held
    assert contract["exhaustive"]


def test_every_part_of_the_core_is_in_the_table_of_folders() -> None:
    (table,) = re.findall(r"## Layout\n(.*?)\n## ", CONTRIBUTING, re.DOTALL)
    named = {re.sub(r"^bertcore/|/$", "", name) for name in re.findall(r"`([\w./]+)`", table)}
    parts = [path for path in (ROOT / "bertcore").iterdir() if not path.name.startswith("_")]
    assert {path.name for path in parts if path.name != "py.typed"} - named == set()
    assert [name for name in re.findall(r"`(bertcore/[\w./]+)`", table) if not (ROOT / name).exists()] == []
