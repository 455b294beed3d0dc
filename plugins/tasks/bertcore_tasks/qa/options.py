"""Data options of extractive question answering."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field

from bertcore_tasks.own_files import OwnFilesConfig


class QuestionAnsweringConfig(OwnFilesConfig):
    """Data options of extractive question answering."""

    doc_stride: int = Field(128, ge=1, description="tokens between the beginnings of two windows of a context")
    max_question_length: int = Field(64, ge=1, description="tokens of the longest question; what is beyond is cut")
    max_answer_length: int = Field(30, ge=1, description="tokens of the longest answer")
    n_best: int = Field(20, ge=1, description="answers that are kept for each window and each question")
    null_threshold: float | None = Field(
        None, description="how far no answer must be ahead of the best one to be given; default: tuned on dev"
    )


QuestionsT = TypeVar("QuestionsT", bound=QuestionAnsweringConfig)
