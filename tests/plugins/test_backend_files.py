"""Both backends can be held side by side: files of one name, and a reason for each that has no counterpart."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
TORCH = PLUGINS / "backend_torch" / "bertcore_torch"
MINDSPORE = PLUGINS / "backend_mindspore" / "bertcore_mindspore"


def modules_of(package: Path) -> set[str]:
    """Modules without suffix, as ``crf/tree``."""
    return {str(file.relative_to(package).with_suffix("")) for file in package.rglob("*.py")}


@pytest.mark.parametrize("package", [TORCH, MINDSPORE], ids=["torch", "mindspore"])
def test_a_module_without_counterpart_is_named_with_its_reason(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
    assert text is not None
    named = text[text.index("Only here") :].split("``")[1::2]
    unlike = modules_of(TORCH) ^ modules_of(MINDSPORE)
    assert unlike, "then the docstrings say too much"
    assert [name for name in unlike if not any(fnmatch(name, pattern) for pattern in named)] == []
    assert [pattern for pattern in named if not any(fnmatch(name, pattern) for name in unlike)] == []
