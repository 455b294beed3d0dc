"""What the page on one training step says, and what a traced run does."""

from __future__ import annotations

import ast
import itertools
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "one-step.md").read_text(encoding="utf-8")
COMPILED = "⚙"


@dataclass(frozen=True)
class Station:
    """A function that the page names.

    Attributes:
        file: relative to the root of the repository.
        name: with the class, as ``Trainer.train``.
        depth: how far it is indented in the tree.
        compiled: whether it is compiled into a graph, and so no function that runs.
    """

    file: str
    name: str
    depth: int = 0
    compiled: bool = False


def tree() -> list[Station]:
    """The stations of the tree, from top to bottom."""
    lines = re.findall(r"^([│├└─ ]*)([\w.]+) +(bertcore/\S+\.py)$", PAGE, re.MULTILINE)
    return [Station(file, name, len(indent) // 3) for indent, name, file in lines]


def callees(stations: list[Station]) -> list[tuple[Station, list[Station]]]:
    """Each station of a tree with those that are indented below it."""
    return [
        (caller, [station for station in _inside(stations[number + 1 :], caller) if station.depth == caller.depth + 1])
        for number, caller in enumerate(stations)
    ]


def _inside(following: list[Station], caller: Station) -> Iterator[Station]:
    return itertools.takewhile(lambda station: station.depth > caller.depth, following)


def column(backend: str) -> list[Station]:
    """The stations of one backend in the table, from top to bottom."""
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("|")]
    head = next(number for number, cells in enumerate(rows) if f"backend_{backend}" in "".join(cells))
    index = next(number for number, cell in enumerate(rows[head]) if f"backend_{backend}" in cell)
    folder = rows[head][index].strip("` ")
    cells = [row[index] for row in rows[head + 2 :] if len(row) == len(rows[head])]
    return [station for cell in cells for station in _stations(folder, cell)]


def _stations(folder: str, cell: str) -> Iterator[Station]:
    file = ""
    for code, mark in re.findall(r"`([^`]+)`( ⚙)?", cell):
        if code.endswith(".py"):
            file = f"{folder}/{code}"
        elif re.fullmatch(r"[A-Za-z_][\w.]*", code) and code != "value_and_grad":  # MindSpore's own
            yield Station(file, code, compiled=mark.strip() == COMPILED)


def defined_in(file: str) -> set[str]:
    """Names of all functions of a file, with those of their classes."""
    found = set()

    def walk(node: ast.AST, inside: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                found.add(inside + child.name)
                walk(child, f"{inside}{child.name}.")

    walk(ast.parse((ROOT / file).read_text(encoding="utf-8")), "")
    return found


@dataclass(frozen=True)
class Call:
    """One call of a function of the repository, and the numbers of the calls around it."""

    file: str
    name: str
    around: tuple[int, ...]


def traced(action: Callable[[], Any]) -> list[Call]:
    """All calls of functions of the repository in the order in which they began; a generator begins with each value."""
    calls: list[Call] = []
    open_calls: list[int] = []

    def notice(frame: FrameType, event: str, argument: Any) -> None:
        file = frame.f_code.co_filename
        if event not in ("call", "return") or not file.startswith(f"{ROOT}/"):
            return
        if event == "return":
            open_calls.pop()
            return
        calls.append(Call(file[len(f"{ROOT}/") :], frame.f_code.co_qualname, tuple(open_calls)))
        open_calls.append(len(calls) - 1)

    main = threading.get_ident()
    sys.setprofile(lambda *what: notice(*what) if threading.get_ident() == main else None)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def order_of(stations: list[Station], calls: list[Call]) -> list[Station]:
    """Those stations that are called, in the order in which they are first called."""
    first: dict[tuple[str, str], int] = {}
    for number, call in enumerate(calls):
        first.setdefault((call.file, call.name), number)
    reached = [station for station in stations if (station.file, station.name) in first]
    return sorted(reached, key=lambda station: first[station.file, station.name])


def below(calls: list[Call], file: str, name: str) -> list[Call]:
    """All calls that the calls of a function led to."""
    outer = {number for number, call in enumerate(calls) if (call.file, call.name) == (file, name)}
    return [call for call in calls if outer.intersection(call.around)]


def last_of(calls: list[Call], file: str, name: str) -> list[Call]:
    """The last call of a function, and all that it led to."""
    outer = max(number for number, call in enumerate(calls) if (call.file, call.name) == (file, name))
    return [call for number, call in enumerate(calls) if number == outer or outer in call.around]


def traced_run(backend: str, data: Path, model: Path, output: Path) -> list[Call]:
    """All calls of ``bertcore run`` with two steps on a backend."""
    from bertcore.cli import main

    places = ["--data", str(data), "--model", str(model), "--output", str(output)]
    sizes = ["--batch-size", "8", "--max-length", "64", "--set", "train.max_steps=2"]

    def run() -> None:
        try:
            main(["run", "--task", "rte", "--backend", backend, *places, *sizes])
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"the run ended with exit code {end.code}") from None

    return traced(run)
