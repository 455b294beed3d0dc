"""RTE: does the first text entail the second?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``rte``."""
    from bertcore_tasks.glue.base import GlueTask

    return [
        GlueTask(
            name="rte",
            description="GLUE RTE: recognizing textual entailment, accuracy",
            text_columns=("sentence1", "sentence2"),
            labels=("entailment", "not_entailment"),
            sample="sample",
            leaderboard={"test": "RTE.tsv"},
        )
    ]
