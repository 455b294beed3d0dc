"""No task imports a framework: one process for all of them, where the conformance suite would start one for each."""

from __future__ import annotations

from importlib.metadata import distribution

from bertcore.testing.plugin_under_test import FRAMEWORKS, imported_modules


def test_no_task_needs_a_framework() -> None:
    plugins = [point.value for point in distribution("bertcore-tasks").entry_points if point.group == "bertcore"]
    assert len(plugins) >= 25
    code = "from bertcore.testing.plugin_under_test import load_plugin\n"
    code += "".join(f"assert load_plugin({plugin!r}).tasks\n" for plugin in plugins)
    assert imported_modules(code, FRAMEWORKS) == []
