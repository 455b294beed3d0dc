"""AFQMC and OCNLI: pairs of Chinese sentences."""

from __future__ import annotations

from collections.abc import Mapping

from bertcore_tasks.clue.base import ClueTask


class AfqmcTask(ClueTask):
    """AFQMC: do both questions to a bank ask the same?"""

    name = "afqmc"
    description = "CLUE AFQMC: Chinese questions that ask the same, accuracy"
    text_fields = ("sentence1", "sentence2")
    labels = ("0", "1")
    file_names: Mapping[str, tuple[str, ...]] = {
        "train": ("train.json",),
        "dev": ("dev.json",),
        "test": ("test.json",),
    }
    leaderboard: Mapping[str, str] = {"test": "afqmc_predict.json"}


class OcnliTask(ClueTask):
    """OCNLI: does the first sentence entail the second, contradict it, or neither?"""

    name = "ocnli"
    description = "CLUE OCNLI: Chinese natural language inference, accuracy"
    text_fields = ("sentence1", "sentence2")
    labels = ("neutral", "entailment", "contradiction")
    file_names: Mapping[str, tuple[str, ...]] = {
        "train": ("train.50k.json", "train.json"),
        "dev": ("dev.json",),
        "test": ("test.json",),
    }
    leaderboard: Mapping[str, str] = {"test": "ocnli_50k_predict.json"}
