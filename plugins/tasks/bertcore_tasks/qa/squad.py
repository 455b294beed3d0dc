"""SQuAD v1.1 and v2.0: a span of a paragraph that answers a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``squad``."""
    from bertcore_tasks.qa.base import QuestionAnsweringTask
    from bertcore_tasks.qa.metrics import squad_v1
    from bertcore_tasks.qa.options import QuestionAnsweringConfig

    return [
        QuestionAnsweringTask[QuestionAnsweringConfig](
            "squad",
            "SQuAD v1.1 and v2.0: answers as spans of a paragraph, exact match and F1",
            squad_v1,
            {"dev": "predictions.json"},
        )
    ]
