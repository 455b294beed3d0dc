"""Your own questions: each answered by a span of its context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``qa``."""
    from bertcore_tasks.custom.qa_task import OwnQuestionsTask

    return [OwnQuestionsTask()]
