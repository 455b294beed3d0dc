"""What ``bertcore`` itself exports: every name there is, and enough to write a plugin with."""

from __future__ import annotations

import ast
import builtins
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import bertcore
from bertcore.version import __version__

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = sorted((ROOT / "tests" / "plugin_example").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What a plugin or a program may import beside the names of bertcore itself: its own modules, and these.
DOCUMENTED = re.compile(r"bertcore(\.testing(\.\w+)*)?|bertcore_\w+(\.\w+)*")


def imports(tree: ast.AST) -> list[tuple[str, list[str]]]:
    return [
        (node.module or "", [alias.name for alias in node.names])
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    ]


@pytest.mark.parametrize("name", [name for name in dir(bertcore) if not name.startswith("__")])
def test_every_public_name_is_there(name: str) -> None:
    home = bertcore.home_of(name)
    expected = import_module(f"bertcore.{name}") if home is None else getattr(import_module(home), name)
    assert getattr(bertcore, name) is expected


def test_a_type_checker_sees_the_same_names_as_python() -> None:
    tree = ast.parse((ROOT / "bertcore" / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    typed = {(module, name) for module, names in imports(block) for name in names}
    assert typed == {(home, name) for name in dir(bertcore) if (home := bertcore.home_of(name)) is not None}


@pytest.mark.parametrize("file", EXAMPLE, ids=lambda file: file.name)
def test_a_plugin_of_a_third_party_needs_public_names_alone(file: Path) -> None:
    others = {
        module
        for module, _ in imports(ast.parse(file.read_text(encoding="utf-8")))
        if module.startswith("bertcore") and not DOCUMENTED.fullmatch(module)
    }
    assert others == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_imports_public_names_alone(page: Path) -> None:
    modules = re.findall(r"^\s*from (bertcore[\w.]*) import", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [module for module in modules if not DOCUMENTED.fullmatch(module)] == []


def test_all_distributions_are_of_one_version() -> None:
    own = project(ROOT / "pyproject.toml")
    plugins = [project(file) for file in ROOT.glob("plugins/*/pyproject.toml")]
    needs = [need for plugin in plugins for need in plugin["dependencies"]]
    needs += [need for extra in own["optional-dependencies"].values() for need in extra]
    pinned = {need.partition("==")[2] for need in needs if need.startswith("bertcore")}
    kernels = (ROOT / "plugins/kernels/bertcore_kernels/__init__.py").read_text(encoding="utf-8")
    versions = {plugin["version"] for plugin in plugins if "version" in plugin}
    versions |= set(re.findall(r'^__version__ = "(.*)"$', kernels, re.MULTILINE))
    assert pinned | versions == {__version__}


def project(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return found


def test_a_star_import_leaves_the_builtins_as_they_are():
    names: dict[str, object] = {}
    exec("from bertcore import *", names)
    assert names["run"] is bertcore.run
    assert not {*names} - {"__builtins__"} & {*dir(builtins)}
