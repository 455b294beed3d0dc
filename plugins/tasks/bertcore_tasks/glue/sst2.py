"""SST-2: is the sentence positive?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``sst2``."""
    from bertcore_tasks.glue.base import GlueTask

    return [
        GlueTask(
            name="sst2",
            description="GLUE SST-2: sentiment, accuracy",
            text_columns=("sentence",),
            labels=("0", "1"),
            leaderboard={"test": "SST-2.tsv"},
        )
    ]
