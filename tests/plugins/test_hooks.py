"""Every hook is used by a shipped plugin, tested, and documented; and nothing else is written about."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from bertcore.plugins import hookspecs
from bertcore.plugins.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("bertcore", "bertcore-torch", "bertcore-mindspore", "bertcore-tasks")
HOOKS = [name for name in vars(hookspecs) if name.startswith("bertcore_")]


def texts_of(folder: Path, pattern: str) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.rglob(pattern)))


def test_all_hooks_are_found():
    assert len(HOOKS) >= 7
    assert all(hasattr(getattr(hookspecs, name), "bertcore_spec") for name in HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_what_it_returns(hook):
    function = getattr(hookspecs, hook)
    assert (function.__doc__ or "").startswith("Returns ")
    assert inspect.signature(function).return_annotation.startswith("list[")
    assert not inspect.signature(function).parameters


@pytest.mark.parametrize("hook", HOOKS)
def test_a_shipped_plugin_uses_the_hook(hook):
    callers = {record.distribution.partition(" ")[0] for record, items in Registry().plugins.call(hook) if items}
    assert callers & set(SHIPPED)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_plugin_uses_the_hook(hook):
    example = texts_of(ROOT / "tests" / "plugin_example" / "bertcore_example", "*.py")
    assert f"def {hook}(" in example or f'LazyPlugin("{hook}"' in example


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_is_tested(hook):
    own = Path(__file__).name
    tests = [file for file in (ROOT / "tests").rglob("test_*.py") if file.name != own]
    assert any(hook in file.read_text(encoding="utf-8") for file in tests)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_is_documented(hook):
    assert hook in texts_of(ROOT / "docs", "*.md")


def test_no_hook_is_documented_that_does_not_exist():
    named = set(re.findall(r"\bbertcore_register_\w+", texts_of(ROOT / "docs", "*.md")))
    assert named <= set(HOOKS)
