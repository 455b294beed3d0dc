"""Measures the structure of one or several checkouts, side by side, as Markdown.

    python scripts/structure.py . ../another-checkout [--step]

Counts the packages alone, without tests and benchmarks. An import runs upward where a room of ``bertcore`` (a folder or
module at its top level) imports one that stands on a higher floor: the floors are found from the imports themselves, as
the order of rooms that leaves the fewest imports upward (greedily, from what imports least and is imported most).
"""

from __future__ import annotations

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from step_files import files_of_a_step

Figures = dict[str, str]


def figures(root: Path) -> Figures:
    """All figures of one checkout."""
    files = [file for folder in ("bertcore", "plugins") for file in sorted((root / folder).rglob("*.py"))]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    lines = sorted(text.count("\n") for text in texts.values())
    functions = sorted(length for text in texts.values() for length in function_lengths(ast.parse(text)))
    comments = sum(comment_lines(text) for text in texts.values())
    documented = sum(docstring_lines(ast.parse(text)) for text in texts.values())
    upward, arrows, rooms = imports_between_rooms(root / "bertcore", texts)
    return {
        "files": str(len(lines)),
        "lines of a file: median, 90 %, largest": spread(lines, 0.9),
        "functions": str(len(functions)),
        "lines of a function: median, 99 %, largest": spread(functions, 0.99),
        "share of comment lines": f"{100 * comments / sum(lines):.1f} %",
        "share of lines of docstrings": f"{100 * documented / sum(lines):.1f} %",
        "rooms at the top level of bertcore": str(rooms),
        "arrows between rooms": str(arrows),
        "arrows upward": str(upward),
    }


def step_figures(root: Path) -> Figures:
    """Files that a reader opens who follows one training step on torch from the command to the update."""
    found = files_of_a_step(root)
    names = {*found["between"], *found["inside"]}
    lines = sum((root / name).read_text(encoding="utf-8").count("\n") for name in names)
    return {
        "files from the command to the step": str(len(found["between"])),
        "files that compute the step": str(len(found["inside"])),
        "lines of all these files": str(lines),
    }


def spread(values: Sequence[int], share: float) -> str:
    """Median, a quantile and the largest of sorted values."""
    return f"{statistics.median(values):.0f}, {values[int(share * (len(values) - 1))]}, {values[-1]}"


def function_lengths(tree: ast.AST) -> Iterator[int]:
    """Lines of each function, decorators apart."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1


def comment_lines(text: str) -> int:
    """Lines that hold a comment and no code."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT and token.line.lstrip().startswith("#") for token in tokens)


def docstring_lines(tree: ast.AST) -> int:
    """Lines of the strings that document modules, classes, functions and names."""
    return sum(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def imports_between_rooms(core: Path, texts: dict[Path, str]) -> tuple[int, int, int]:
    """Arrows that run upward, all arrows, and rooms."""
    arrows: set[tuple[str, str]] = set()
    rooms = set()
    for file, text in texts.items():
        if core not in file.parents:
            continue
        room = file.relative_to(core).with_suffix("").parts[0]
        rooms.add(room)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bertcore"):
                parts = (node.module or "").split(".")
                targets = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
                arrows |= {(room, target) for target in targets if target != room}
    arrows = {(room, target) for room, target in arrows if target in rooms}
    order: list[str] = []
    left = set(rooms)
    while left:
        outgoing, incoming = Counter(dict.fromkeys(left, 0)), Counter(dict.fromkeys(left, 0))
        outgoing.update(room for room, target in arrows if room in left and target in left)
        incoming.update(target for room, target in arrows if room in left and target in left)
        lowest = min(left, key=lambda room: (outgoing[room], -incoming[room], room))
        order.append(lowest)
        left.remove(lowest)
    upward = sum(order.index(target) > order.index(room) for room, target in arrows)
    return upward, len(arrows), len(rooms)


def main() -> int:
    """Prints a table with a column for each checkout."""
    names = [name for name in sys.argv[1:] if name != "--step"] or ["."]
    columns = {name: figures(Path(name)) for name in names}
    if "--step" in sys.argv:
        columns = {name: {**column, **step_figures(Path(name))} for name, column in columns.items()}
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for row in next(iter(columns.values())):
        print(f"| {row} | " + " | ".join(column[row] for column in columns.values()) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
