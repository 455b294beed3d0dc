"""STS-B: how similar are both sentences, from 0 to 5?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``stsb``."""
    from bertcore_tasks.glue.base import GlueRegressionTask

    return [
        GlueRegressionTask(
            name="stsb",
            description="GLUE STS-B: similarity from 0 to 5, Pearson and Spearman correlation",
            text_columns=("sentence1", "sentence2"),
            low=0.0,
            high=5.0,
            leaderboard={"test": "STS-B.tsv"},
        )
    ]
