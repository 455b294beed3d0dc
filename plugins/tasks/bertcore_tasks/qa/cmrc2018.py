"""The task CMRC 2018 and its options."""

from __future__ import annotations

from typing import ClassVar

from bertcore.contracts.benchmark import Benchmark
from pydantic import Field

from bertcore_tasks.benchmarks import CLUE
from bertcore_tasks.qa.base import QuestionAnsweringTask
from bertcore_tasks.qa.options import QuestionAnsweringConfig


class Cmrc2018Config(QuestionAnsweringConfig):
    """Data options: answers may be longer than SQuAD's, since a token is a character; CLUE's baseline allows 50."""

    max_answer_length: int = Field(50, ge=1, description="tokens of the longest answer")


class Cmrc2018Task(QuestionAnsweringTask[Cmrc2018Config]):
    """Spans of a Chinese paragraph."""

    benchmark: ClassVar[Benchmark | None] = CLUE
