"""Every task is a plugin of its own: named by its entry point, and harmed by no other."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from bertcore_tasks.glue import tasks as glue_tasks

from bertcore.plugins.discovery import GROUP, Plugins
from bertcore.plugins.registry import Registry
from bertcore.testing.plugin_under_test import load_plugin

PROJECT = Path(__file__).resolve().parents[2] / "plugins" / "tasks" / "pyproject.toml"
ENTRY_POINTS = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]


def registry_of_all(*blocked: str) -> Registry:
    plugins = Plugins()
    plugins.load([metadata.EntryPoint(name, value, GROUP) for name, value in ENTRY_POINTS.items()], blocked)
    return Registry(plugins)


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_brings_the_task_of_its_name_alone(name: str) -> None:
    tasks = load_plugin(ENTRY_POINTS[name]).tasks
    assert list(tasks) == [name]
    assert tasks[name].item.name == name


def test_a_task_is_switched_off_alone() -> None:
    assert ENTRY_POINTS.keys() - registry_of_all("sst2").tasks.keys() == {"sst2"}


def test_a_mistake_in_a_description_harms_its_own_task_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glue_tasks, "cola", lambda: glue_tasks.GlueTask(name="cola", colour="red"))  # type: ignore[call-arg]
    registry = registry_of_all()
    assert ENTRY_POINTS.keys() - registry.tasks.keys() == {"cola"}
    (failed,) = registry.plugins.failures()
    assert failed.name == "cola"
    assert "colour" in failed.error
