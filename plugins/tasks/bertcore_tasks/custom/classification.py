"""Your own texts: one label each, or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``classification``."""
    from bertcore_tasks.custom.classification_task import OwnClassificationTask

    return [OwnClassificationTask()]
