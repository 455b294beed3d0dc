"""MRPC: do both sentences say the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``mrpc``."""
    from bertcore.contracts.evaluation import Metric

    from bertcore_tasks.glue.base import GlueTask

    return [
        GlueTask(
            name="mrpc",
            description="GLUE MRPC: paraphrases, F1 and accuracy",
            text_columns=("#1 String", "#2 String"),
            text_names=("sentence1", "sentence2"),
            labels=("0", "1"),
            metric=Metric("f1"),
            label_column="Quality",
            scores=("accuracy", "f1"),
            leaderboard={"test": "MRPC.tsv"},
        )
    ]
