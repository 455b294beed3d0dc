"""AX: the diagnostic sentences of GLUE, for a model that was trained on MNLI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``ax``."""
    from bertcore_tasks.glue.mnli_task import DiagnosticTask

    return [DiagnosticTask()]
