"""The user's own questions and contexts, in JSON or JSON lines of the forms that SQuAD and its kin have."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bertcore_tasks.qa.base import QuestionAnsweringTask
from bertcore_tasks.qa.cjrc import cjrc
from bertcore_tasks.qa.metrics import Scorer, cmrc2018, squad_v1
from bertcore_tasks.qa.options import QuestionAnsweringConfig

SCORERS = {"squad": squad_v1, "cmrc2018": cmrc2018, "cjrc": cjrc}


class OwnQuestionsConfig(QuestionAnsweringConfig):
    """Data options of the task ``qa``."""

    scoring: Literal["squad", "cmrc2018", "cjrc"] = Field(
        "squad",
        description="how answers are compared: by words (squad), by Chinese characters and words (cmrc2018), or by "
        "characters and against each annotator (cjrc: CAIL 2019)",
    )


class OwnQuestionsTask(QuestionAnsweringTask[OwnQuestionsConfig]):
    """Questions of the user's own, whose answers are compared as an option says."""

    def scorer(self, data: OwnQuestionsConfig) -> Scorer:
        """As the option ``scoring`` says."""
        return SCORERS[data.scoring]


def own_questions() -> OwnQuestionsTask:
    """The task ``qa``."""
    return OwnQuestionsTask(
        name="qa",
        description="your own files: answers as spans of a context, exact match and F1",
        score_answer=squad_v1,
        leaderboard={"test": "predictions.json"},
    )
