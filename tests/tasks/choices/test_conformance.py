"""The tasks of multiple choice against the conformance suite, on small files in their layouts."""

from __future__ import annotations

from typing import ClassVar

import pytest

from bertcore.testing import TaskConformance
from bertcore.testing.plugin_under_test import FRAMEWORKS, imported_modules


class SmallFiles(TaskConformance):
    """Takes its data from a fixture."""

    fixture: ClassVar[str]
    test_a_task_needs_no_framework = None  # type: ignore[assignment]  # one process for all of them, below

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, request: pytest.FixtureRequest) -> None:
        cls.data = request.getfixturevalue(cls.fixture)


class TestSwag(SmallFiles):
    plugin = "bertcore_tasks.plugins:swag"
    fixture = "swag"


class TestC3(SmallFiles):
    plugin = "bertcore_tasks.plugins:c3"
    fixture = "c3"


class TestOwnChoices(SmallFiles):
    plugin = "bertcore_tasks.plugins:multiple_choice"
    fixture = "own_choices"


def test_no_task_needs_a_framework() -> None:
    names = ("swag", "c3", "multiple_choice")
    code = "from bertcore.testing.plugin_under_test import load_plugin\n"
    code += "".join(f"assert load_plugin('bertcore_tasks.plugins:{name}').tasks\n" for name in names)
    assert imported_modules(code, FRAMEWORKS) == []
