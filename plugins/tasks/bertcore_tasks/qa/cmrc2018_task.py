"""The task CMRC 2018 and its options."""

from __future__ import annotations

from typing import ClassVar

from bertcore.contracts.benchmark import Benchmark
from pydantic import Field

from bertcore_tasks.benchmarks import CLUE
from bertcore_tasks.qa.base import QuestionAnsweringTask
from bertcore_tasks.qa.metrics import cmrc2018
from bertcore_tasks.qa.options import QuestionAnsweringConfig


class Cmrc2018Config(QuestionAnsweringConfig):
    """Data options: answers may be longer than SQuAD's, since a token is a character; CLUE's baseline allows 50."""

    max_answer_length: int = Field(50, ge=1, description="tokens of the longest answer")


class Cmrc2018Task(QuestionAnsweringTask[Cmrc2018Config]):
    """Spans of a Chinese paragraph."""

    benchmark: ClassVar[Benchmark | None] = CLUE

    def __init__(self) -> None:
        super().__init__(
            "cmrc2018",
            "CMRC 2018: answers as spans of a Chinese paragraph, exact match and F1",
            cmrc2018,
            {"test": "cmrc2018_predict.json"},
        )
