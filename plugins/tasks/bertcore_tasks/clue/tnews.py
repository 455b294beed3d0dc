"""TNEWS: what is the piece of news about?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``tnews``."""
    from bertcore_tasks.clue.tnews_task import TnewsTask

    return [TnewsTask()]
