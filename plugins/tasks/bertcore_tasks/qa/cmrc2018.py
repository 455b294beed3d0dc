"""CMRC 2018: a span of a Chinese paragraph that answers a question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``cmrc2018``."""
    from bertcore_tasks.qa.base import QuestionAnsweringTask
    from bertcore_tasks.qa.metrics import cmrc2018

    return [
        QuestionAnsweringTask(
            "cmrc2018",
            "CMRC 2018: answers as spans of a Chinese paragraph, exact match and F1",
            cmrc2018,
            {"test": "cmrc2018_predict.json"},
        )
    ]
