"""Named entities in the user's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``ner``."""
    from bertcore_tasks.custom.ner_task import OwnNerTask

    return [OwnNerTask()]
