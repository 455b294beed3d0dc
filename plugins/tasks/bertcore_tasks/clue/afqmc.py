"""AFQMC: do both questions ask the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``afqmc``."""
    from bertcore_tasks.clue.pairs import AfqmcTask

    return [AfqmcTask()]
