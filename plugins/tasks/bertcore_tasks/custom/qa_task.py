"""The user's own questions and contexts: SQuAD JSON (``.json``) or JSON lines (``.jsonl``)."""

from __future__ import annotations

from typing import ClassVar, Literal

from bertcore.config import DataConfig
from pydantic import Field

from bertcore_tasks.qa.base import QuestionAnsweringConfig, QuestionAnsweringTask
from bertcore_tasks.qa.metrics import Scorer, cmrc2018, squad_v1


class OwnQuestionsConfig(QuestionAnsweringConfig):
    """Data options of the task ``qa``."""

    scoring: Literal["squad", "cmrc2018"] = Field(
        "squad", description="how answers are compared: by words (squad), or by Chinese characters and words (cmrc2018)"
    )


class OwnQuestionsTask(QuestionAnsweringTask):
    """The task ``qa``."""

    data_config: ClassVar[type[DataConfig]] = OwnQuestionsConfig

    def __init__(self) -> None:
        super().__init__(
            "qa",
            "your own files: answers as spans of a context, exact match and F1",
            squad_v1,
            {"test": "predictions.json"},
        )

    def scorer(self, data: QuestionAnsweringConfig) -> Scorer:
        """As the option ``scoring`` says."""
        assert isinstance(data, OwnQuestionsConfig)
        return cmrc2018 if data.scoring == "cmrc2018" else squad_v1
