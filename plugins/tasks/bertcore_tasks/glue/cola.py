"""CoLA: is the sentence acceptable English?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``cola``."""
    from bertcore.contracts.evaluation import Metric

    from bertcore_tasks.glue.base import GlueTask

    # The official training and development files have no header, the test file has one.
    columns = ("source", "label", "mark", "sentence")
    return [
        GlueTask(
            name="cola",
            description="GLUE CoLA: linguistic acceptability, Matthews correlation",
            text_columns=("sentence",),
            labels=("0", "1"),
            metric=Metric("matthews"),
            scores=("accuracy", "matthews"),
            headers={"train": columns, "dev": columns},
            leaderboard={"test": "CoLA.tsv"},
        )
    ]
