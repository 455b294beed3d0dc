"""WNLI: does the first sentence, with its pronoun, entail the second, where it is resolved?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.contracts.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``wnli``."""
    from bertcore_tasks.glue.base import GlueTask

    return [
        GlueTask(
            name="wnli",
            description="GLUE WNLI: pronouns resolved, accuracy",
            text_columns=("sentence1", "sentence2"),
            labels=("0", "1"),
            leaderboard={"test": "WNLI.tsv"},
        )
    ]
