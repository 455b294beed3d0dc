"""The classification tasks of CLUE: each a description of its official files.

Its other tasks are ``cluener`` (in ``ner/tasks.py``) and ``cmrc2018`` (in ``qa/tasks.py``).
"""

from __future__ import annotations

from bertcore.config import DataConfig

from bertcore_tasks.clue.base import ClueTask
from bertcore_tasks.clue.ocnli_task import OcnliTask
from bertcore_tasks.clue.tnews_task import TnewsTask


def tnews() -> TnewsTask:
    """TNEWS: what is the piece of news about?"""
    return TnewsTask()


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
    return OcnliTask()
