"""QQP: do both questions ask the same?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``qqp``."""
    from bertcore.contracts.evaluation import Metric

    from bertcore_tasks.glue.base import GlueTask

    # Some questions of the official training file hold line ends, which break their lines in two; everybody leaves
    # these few out.
    return [
        GlueTask(
            name="qqp",
            description="GLUE QQP: duplicate questions, F1 and accuracy",
            text_columns=("question1", "question2"),
            labels=("0", "1"),
            metric=Metric("f1"),
            label_column="is_duplicate",
            identifier_column="id",
            scores=("accuracy", "f1"),
            leaderboard={"test": "QQP.tsv"},
            leaves_out_ragged_lines=True,
        )
    ]
