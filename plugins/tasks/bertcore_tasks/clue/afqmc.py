"""AFQMC: do both questions to a bank ask the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``afqmc``."""
    from bertcore.config import DataConfig

    from bertcore_tasks.clue.base import ClueTask

    return [
        ClueTask[DataConfig](
            name="afqmc",
            description="CLUE AFQMC: Chinese questions that ask the same, accuracy",
            text_fields=("sentence1", "sentence2"),
            leaderboard={"test": "afqmc_predict.json"},
            labels=("0", "1"),
        )
    ]
