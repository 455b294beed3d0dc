"""The tasks of extractive question answering on official files."""

from __future__ import annotations

from bertcore_tasks.qa import metrics
from bertcore_tasks.qa.base import QuestionAnsweringTask
from bertcore_tasks.qa.cmrc2018 import Cmrc2018Task
from bertcore_tasks.qa.options import QuestionAnsweringConfig


def squad() -> QuestionAnsweringTask[QuestionAnsweringConfig]:
    """SQuAD v1.1 and v2.0: a span of a paragraph that answers a question."""
    return QuestionAnsweringTask(
        name="squad",
        description="SQuAD v1.1 and v2.0: answers as spans of a paragraph, exact match and F1",
        score_answer=metrics.squad_v1,
        leaderboard={"dev": "predictions.json"},
    )


def cmrc2018() -> Cmrc2018Task:
    """CMRC 2018: a span of a Chinese paragraph that answers a question."""
    return Cmrc2018Task(
        name="cmrc2018",
        description="CMRC 2018: answers as spans of a Chinese paragraph, exact match and F1",
        score_answer=metrics.cmrc2018,
        leaderboard={"test": "cmrc2018_predict.json"},
    )
