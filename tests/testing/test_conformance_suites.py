"""The conformance suites find faults: each of many faulty plugins fails the test that is there for its fault."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bertcore.testing.plugin_under_test import imported_modules, load_plugin

FAULTY = Path(__file__).parent / "faulty"
EXAMPLE = Path(__file__).parents[1] / "plugin_example"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{EXAMPLE}"}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)


def test_every_fault_is_found():
    process = run("-c", "import faulty_plugins, json; print(json.dumps(faulty_plugins.FOUND_BY))")
    assert process.returncode == 0, process.stderr
    found_by: dict[str, str] = json.loads(process.stdout)
    assert len(found_by) > 30
    tests = [f"{FAULTY / 'run_suites.py'}::Test{name}::{test}" for name, test in found_by.items()]
    process = run("-m", "pytest", "--tb=no", "-q", "-rf", "-p", "no:cacheprovider", *tests)
    failed = set(re.findall(r"^FAILED .*::Test(\w+)::(\w+)", process.stdout, re.MULTILINE))
    unnoticed = {name: test for name, test in found_by.items() if (name, test) not in failed}
    assert unnoticed == {}, process.stdout + process.stderr


def test_the_package_is_imported_without_pytest():
    modules = ["pytest", "hypothesis", "torch", "mindspore"]
    assert imported_modules("import bertcore.testing\nimport bertcore.testing.reference", modules) == []
    assert imported_modules("import bertcore.testing\nbertcore.testing.TaskConformance", modules) == ["pytest"]


def test_a_suite_shows_the_error_of_a_plugin_that_cannot_be_loaded():
    with pytest.raises(AssertionError, match=r"(?s)a_module_that_nobody_has: import error.*Traceback"):
        load_plugin("a_module_that_nobody_has")
