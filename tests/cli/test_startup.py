"""Commands that compute nothing import no framework, and so start at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

FRAMEWORKS = {"torch", "mindspore", "transformers", "tensorflow"}

# The clock on the wall measures what else a machine does. Starting is all computing, so the processor's seconds are
# what a command takes on an idle machine. The best of five counts, and half as much again passes on a slow processor.
PATIENCE = 1.5

DUMP = """
import atexit, json, sys
from bertcore.cli import main
atexit.register(lambda: print("\\n" + json.dumps(sorted(sys.modules))))
main()
"""


def modules_after(*arguments: str) -> set[str]:
    """Top-level modules and packages that a command imported."""
    done = subprocess.run([sys.executable, "-c", DUMP, *arguments], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["predict", "--help"], ["config", "--help"]]
)
def test_help_imports_next_to_nothing(arguments: list[str]) -> None:
    assert not modules_after(*arguments) & {*FRAMEWORKS, "numpy", "pydantic", "tokenizers", "matplotlib"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["tasks"],
        ["tasks", "--json"],
        ["backends"],
        ["backends", "--json"],
        ["plugins"],
        ["plugins", "--json"],
        ["config", "show", "--task", "rte"],
        ["config", "schema", "--json"],
    ],
)
def test_listings_import_no_framework(arguments: list[str]) -> None:
    imported = modules_after(*arguments)
    assert not imported & {*FRAMEWORKS, "matplotlib"}
    assert "bertcore" in imported


def test_importing_bertcore_imports_next_to_nothing() -> None:
    program = "import sys, bertcore; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert not imported & {*FRAMEWORKS, "numpy", "pydantic", "click", "pluggy", "tokenizers"}


def test_the_python_interface_imports_no_framework() -> None:
    program = "import sys, bertcore; bertcore.run; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & {*FRAMEWORKS, "matplotlib"}


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [(["--help"], 0.3), (["tasks"], 0.6), (["backends"], 0.6), (["plugins"], 0.6)],
)
def test_seconds(arguments: list[str], limit: float) -> None:
    command = [os.path.join(os.path.dirname(sys.executable), "bertcore"), *arguments]
    if not os.path.exists(command[0]):
        pytest.skip("needs the installed command")
    seconds = []
    for _ in range(5):
        before = os.times()
        subprocess.run(command, capture_output=True, check=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if seconds[-1] < limit:
            break
    assert min(seconds) < limit * PATIENCE
