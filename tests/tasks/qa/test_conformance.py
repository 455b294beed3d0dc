"""The tasks of question answering against the conformance suite: on real files, or on small ones in their layout."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from bertcore.testing import TaskConformance
from bertcore.testing.plugin_under_test import FRAMEWORKS, imported_modules

SQUAD = Path(__file__).resolve().parents[4] / "shared" / "data" / "squad"


class Percent(TaskConformance):
    best_score = 100.0
    # The suite's tokenizer makes a token of each character.
    data_options: ClassVar = {"max_question_length": 4000, "max_answer_length": 400}
    test_a_task_needs_no_framework = None  # type: ignore[assignment]  # one process for all of them, below


class SmallFiles(Percent):
    """Takes its data from a fixture."""

    fixture: ClassVar[str]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def files(cls, request: pytest.FixtureRequest) -> None:
        cls.data = request.getfixturevalue(cls.fixture)


@pytest.mark.skipif(not SQUAD.is_dir(), reason="needs ../shared/data/squad beside the repository's root")
class TestSquad(Percent):
    plugin = "bertcore_tasks.plugins:squad"
    data = SQUAD
    examples = 25


class TestSquad2(SmallFiles):
    plugin = "bertcore_tasks.plugins:squad"
    fixture = "squad2"


class TestCmrc2018(SmallFiles):
    plugin = "bertcore_tasks.plugins:cmrc2018"
    fixture = "cmrc"


class TestOwnQuestions(SmallFiles):
    plugin = "bertcore_tasks.plugins:qa"
    fixture = "own_questions"


def test_no_task_needs_a_framework() -> None:
    code = "from bertcore.testing.plugin_under_test import load_plugin\n"
    code += "".join(f"assert load_plugin('bertcore_tasks.plugins:{n}').tasks\n" for n in ("squad", "cmrc2018", "qa"))
    assert imported_modules(code, FRAMEWORKS) == []
