"""The tasks of GLUE: each a description of its official files, with the labels in the order of ``run_glue``.

A description is made when its own plugin is asked for it, so that a mistake in one leaves the others alone.
"""

from __future__ import annotations

from bertcore.contracts.evaluation import Metric

from bertcore_tasks.glue.base import GlueRegressionTask, GlueTask
from bertcore_tasks.glue.mnli import DIAGNOSTIC_NAMES, DiagnosticTask, MnliTask

MNLI_LABELS = ("entailment", "neutral", "contradiction")


def cola() -> GlueTask:
    """CoLA: is the sentence acceptable English?"""
    # The official training and development files have no header, the test file has one.
    columns = ("source", "label", "mark", "sentence")
    return GlueTask(
        name="cola",
        description="GLUE CoLA: linguistic acceptability, Matthews correlation",
        text_columns=("sentence",),
        labels=("0", "1"),
        metric=Metric("matthews"),
        scores=("accuracy", "matthews"),
        headers={"train": columns, "dev": columns},
        leaderboard={"test": "CoLA.tsv"},
    )


def sst2() -> GlueTask:
    """SST-2: is the sentence positive?"""
    return GlueTask(
        name="sst2",
        description="GLUE SST-2: sentiment, accuracy",
        text_columns=("sentence",),
        labels=("0", "1"),
        leaderboard={"test": "SST-2.tsv"},
    )


def mrpc() -> GlueTask:
    """MRPC: do both sentences say the same?"""
    return GlueTask(
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


def stsb() -> GlueRegressionTask:
    """STS-B: how similar are both sentences, from 0 to 5?"""
    return GlueRegressionTask(
        name="stsb",
        description="GLUE STS-B: similarity from 0 to 5, Pearson and Spearman correlation",
        text_columns=("sentence1", "sentence2"),
        low=0.0,
        high=5.0,
        leaderboard={"test": "STS-B.tsv"},
    )


def qqp() -> GlueTask:
    """QQP: do both questions ask the same?"""
    return GlueTask(
        name="qqp",
        description="GLUE QQP: duplicate questions, F1 and accuracy",
        text_columns=("question1", "question2"),
        labels=("0", "1"),
        metric=Metric("f1"),
        label_column="is_duplicate",
        identifier_column="id",
        scores=("accuracy", "f1"),
        leaderboard={"test": "QQP.tsv"},
        # Some questions of the official training file hold line ends, which break their lines in two; everybody
        # leaves these few out.
        leaves_out_ragged_lines=True,
    )


def mnli() -> MnliTask:
    """MNLI: does the first sentence entail the second, contradict it, or neither?"""
    return MnliTask(
        name="mnli",
        description="GLUE MNLI: entailment, neutral or contradiction, matched and mismatched accuracy",
        text_columns=("sentence1", "sentence2"),
        labels=MNLI_LABELS,
        label_column="gold_label",
        file_names={
            split: (f"{split}.tsv",)
            for split in ("train", "dev_matched", "dev_mismatched", "test_matched", "test_mismatched")
        },
        leaderboard={"test_matched": "MNLI-m.tsv", "test_mismatched": "MNLI-mm.tsv", "ax": "AX.tsv"},
        evaluation_split="dev_matched",
    )


def qnli() -> GlueTask:
    """QNLI: does the sentence answer the question?"""
    return GlueTask(
        name="qnli",
        description="GLUE QNLI: does the sentence answer the question, accuracy",
        text_columns=("question", "sentence"),
        labels=("entailment", "not_entailment"),
        leaderboard={"test": "QNLI.tsv"},
    )


def rte() -> GlueTask:
    """RTE: does the first text entail the second?"""
    return GlueTask(
        name="rte",
        description="GLUE RTE: recognizing textual entailment, accuracy",
        text_columns=("sentence1", "sentence2"),
        labels=("entailment", "not_entailment"),
        sample="sample",
        leaderboard={"test": "RTE.tsv"},
    )


def wnli() -> GlueTask:
    """WNLI: does the first sentence, with its pronoun, entail the second, where it is resolved?"""
    return GlueTask(
        name="wnli",
        description="GLUE WNLI: pronouns resolved, accuracy",
        text_columns=("sentence1", "sentence2"),
        labels=("0", "1"),
        leaderboard={"test": "WNLI.tsv"},
    )


def ax() -> DiagnosticTask:
    """AX: the diagnostic sentences of GLUE, for a model that was trained on MNLI."""
    return DiagnosticTask(
        name="ax",
        description="GLUE AX: diagnostic sentences for a model of MNLI, Matthews correlation",
        text_columns=("sentence1", "sentence2"),
        labels=MNLI_LABELS,
        metric=Metric("matthews"),
        scores=("accuracy", "matthews"),
        file_names={"full": ("diagnostic-full.tsv",), "test": DIAGNOSTIC_NAMES},
        evaluation_split="full",
        leaderboard={"test": "AX.tsv"},
    )
