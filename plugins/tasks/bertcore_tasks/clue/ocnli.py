"""OCNLI: does the first sentence entail the second, contradict it, or neither?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertcore.hookspecs import hookimpl

if TYPE_CHECKING:
    from bertcore.task import Task


@hookimpl
def bertcore_register_tasks() -> list[Task]:
    """The task ``ocnli``."""
    from bertcore_tasks.clue.base import FILE_NAMES, ClueTask

    return [
        ClueTask(
            name="ocnli",
            description="CLUE OCNLI: Chinese natural language inference, accuracy",
            text_fields=("sentence1", "sentence2"),
            leaderboard={"test": "ocnli_50k_predict.json"},
            labels=("neutral", "entailment", "contradiction"),
            file_names={**FILE_NAMES, "train": ("train.50k.json", "train.json")},
        )
    ]
