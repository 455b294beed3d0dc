"""OCNLI: does the first sentence entail the second, contradict it, or neither?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``ocnli``."""
    from bertcore_tasks.clue.ocnli_task import OcnliTask

    return [OcnliTask()]
