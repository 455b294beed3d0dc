"""Your own texts: a number each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``regression``."""
    from bertcore_tasks.custom.regression_task import OwnRegressionTask

    return [OwnRegressionTask()]
