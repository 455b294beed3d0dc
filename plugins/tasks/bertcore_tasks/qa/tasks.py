"""The tasks of extractive question answering on official files."""

from __future__ import annotations

from bertcore_tasks.qa.base import QuestionAnsweringTask
from bertcore_tasks.qa.cmrc2018_task import Cmrc2018Task
from bertcore_tasks.qa.metrics import squad_v1
from bertcore_tasks.qa.options import QuestionAnsweringConfig


def squad() -> QuestionAnsweringTask[QuestionAnsweringConfig]:
    """SQuAD v1.1 and v2.0: a span of a paragraph that answers a question."""
    return QuestionAnsweringTask(
        "squad",
        "SQuAD v1.1 and v2.0: answers as spans of a paragraph, exact match and F1",
        squad_v1,
        {"dev": "predictions.json"},
    )


def cmrc2018() -> Cmrc2018Task:
    """CMRC 2018: a span of a Chinese paragraph that answers a question."""
    return Cmrc2018Task()
