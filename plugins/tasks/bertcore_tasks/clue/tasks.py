"""The classification tasks of CLUE: each a description of its official files.

Its other tasks are ``cluener`` (in ``ner/tasks.py``) and ``cmrc2018`` (in ``qa/tasks.py``).
"""

from __future__ import annotations

from bertcore.config import DataConfig

from bertcore_tasks.clue.base import FILE_NAMES, ClueTask
from bertcore_tasks.clue.ocnli import OcnliTask
from bertcore_tasks.clue.tnews import TnewsTask


def tnews() -> TnewsTask:
    """TNEWS: what is the piece of news about?"""
    return TnewsTask(
        name="tnews",
        description="CLUE TNEWS: topics of Chinese news, accuracy",
        text_fields=("sentence",),
        leaderboard={"test": "tnews11_predict.json", "test1.0": "tnews10_predict.json"},
        file_names={**FILE_NAMES, "test1.0": ("test1.0.json",)},
    )


def afqmc() -> ClueTask[DataConfig]:
    """AFQMC: do both questions to a bank ask the same?"""
    return ClueTask(
        name="afqmc",
        description="CLUE AFQMC: Chinese questions that ask the same, accuracy",
        text_fields=("sentence1", "sentence2"),
        leaderboard={"test": "afqmc_predict.json"},
        labels=("0", "1"),
    )


def ocnli() -> OcnliTask:
    """OCNLI: does the first sentence entail the second, contradict it, or neither?"""
    return OcnliTask(
        name="ocnli",
        description="CLUE OCNLI: Chinese natural language inference, accuracy",
        text_fields=("sentence1", "sentence2"),
        leaderboard={"test": "ocnli_50k_predict.json"},
        labels=("neutral", "entailment", "contradiction"),
        file_names={
            **FILE_NAMES,
            "train": (
                "train.50k.json",
                "train.json",
                "train.30k.json",
                "train.10k.json",
                "train.3k.json",
                "train.1k.json",
            ),
        },
    )
