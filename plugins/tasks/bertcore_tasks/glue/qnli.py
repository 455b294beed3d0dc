"""QNLI: does the sentence answer the question?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``qnli``."""
    from bertcore_tasks.glue.base import GlueTask

    return [
        GlueTask(
            name="qnli",
            description="GLUE QNLI: does the sentence answer the question, accuracy",
            text_columns=("question", "sentence"),
            labels=("entailment", "not_entailment"),
            leaderboard={"test": "QNLI.tsv"},
        )
    ]
