"""No file and no list of arguments is longer than a reader takes in at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "bertcore").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
MOST_LINES = 330
MOST_ARGUMENTS = 8

# The suites for authors of plugins are read test by test.
SUITES = ("_suite.py",)
# What a user names one by one: keywords of the Python API.
NAMED_BY_USERS = ("bertcore/api/",)
# MindSpore takes each tensor of a graph, and of its gradient, as an argument of its own.
GRAPHS = ("construct", "bprop")


def functions(file: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]


def arguments_of(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> int:
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    extra = [given.vararg, given.kwarg]
    return len([name for name in names if name not in ("self", "cls")]) + sum(one is not None for one in extra)


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def test_no_file_is_longer_than_a_reader_takes_in() -> None:
    lengths = {place(file): file.read_text(encoding="utf-8").count("\n") for file in SOURCES}
    long = {name for name, lines in lengths.items() if lines > MOST_LINES}
    suites = {name for name in long if name.startswith("bertcore/testing/") and name.endswith(SUITES)}
    assert long - suites == set()


def test_no_function_takes_more_arguments_than_a_reader_remembers() -> None:
    many = {
        f"{place(file)}: {getattr(function, 'name', 'lambda')}"
        for file in SOURCES
        for function in functions(file)
        if arguments_of(function) > MOST_ARGUMENTS and getattr(function, "name", "") not in GRAPHS
    }
    assert {name for name in many if not name.startswith(NAMED_BY_USERS)} == set()


@pytest.mark.parametrize(
    ("code", "count"),
    [("def f(a, b, /, c, *, d): ...", 4), ("def f(self, *rest, **more): ...", 2), ("lambda a, b=1: a", 2)],
)
def test_arguments_are_counted_as_a_caller_sees_them(code: str, count: int) -> None:
    (function,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.Lambda)]
    assert arguments_of(function) == count
