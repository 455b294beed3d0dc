"""Any number of labels for a text, or a pair of texts: what is predicted, its threshold and its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator, Evaluation
from bertcore.contracts.head import Head
from bertcore.data.bad_examples import unknown_label
from bertcore.heads import SequenceClassification
from numpy.typing import NDArray

from bertcore_tasks import metrics
from bertcore_tasks.classification import by_label
from bertcore_tasks.predictions import WORST_ERRORS, error_entry, prediction_entry


class MultiLabelAccumulator(Accumulator):
    """Collects the logits of every example, whose label is a tuple of label names.

    The accuracy is that of whole examples: all their labels, and no other.

    Args:
        examples: of the split.
        head: labels in the order of the logits, and the threshold.
    """

    def __init__(self, examples: Sequence[Example], head: SequenceClassification) -> None:
        self._examples = examples
        self._head = head
        self._logits = np.full((len(examples), len(head.labels)), np.nan, dtype=np.float32)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, labels]``."""
        self._logits[batch.example_index] = outputs["logits"]

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, texts, predicted labels and all probabilities, and the gold labels where there are any."""
        probabilities = sigmoid(self._logits)
        return label_set_predictions(
            self._examples, self._head.labels, probabilities >= self._head.threshold, probabilities
        )

    def tune(self) -> Head:
        """Chooses the threshold of the greatest micro F1 on these examples."""
        gold = label_matrix(self._examples, self._head.labels)
        self._head = replace(self._head, threshold=metrics.best_threshold(gold, sigmoid(self._logits)))
        return self._head

    def result(self) -> Evaluation:
        """The scores over all examples, against those of the most frequent set of labels."""
        probabilities = sigmoid(self._logits)
        evaluation = evaluate_label_sets(
            self._examples, self._head.labels, probabilities >= self._head.threshold, probabilities
        )
        return replace(evaluation, thresholds={"threshold": self._head.threshold})


def evaluate_label_sets(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    predicted: NDArray[np.bool_],
    probabilities: NDArray[np.float64] | None = None,
) -> Evaluation:
    """Judges any number of predicted labels of each example.

    Args:
        examples: each with a tuple of labels.
        labels: names in the order of their ids.
        predicted: bool ``[examples, labels]``.
        probabilities: float64 ``[examples, labels]``, where they are known.
    """
    gold = label_matrix(examples, labels)
    counts = Counter(tuple(row) for row in gold.tolist())
    most_frequent = counts.most_common(1)[0][0] if counts else (False,) * len(labels)
    majority = np.tile(np.array(most_frequent, dtype=np.bool_), (len(gold), 1))
    values = _label_set_scores(gold, predicted)
    correct = int((gold == predicted).all(axis=1).sum())
    return Evaluation(
        metrics=values,
        total=len(gold),
        summary=f"acc_num {correct}, total_num {len(gold)}, "
        + ", ".join(f"{name} {value:.6f}" for name, value in values.items()),
        baseline=_label_set_scores(gold, majority),
        predictions=label_set_predictions(examples, labels, predicted, probabilities),
        errors=_worst_label_sets(examples, labels, gold, predicted, probabilities),
        per_class=metrics.per_label(gold, predicted, labels),
        notes=_one_set(gold, predicted, labels),
    )


def _one_set(gold: NDArray[np.bool_], predicted: NDArray[np.bool_], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Says that all examples get the same labels, where they do not have the same."""
    if len(gold) < 2 or (gold == gold[0]).all() or not (predicted == predicted[0]).all():
        return ()
    given = ", ".join(map(repr, _chosen(labels, predicted[0]))) or "no label"
    return (f"all {len(predicted)} examples get {given}",)


def label_set_predictions(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    predicted: NDArray[np.bool_],
    probabilities: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    """One JSON object per example; arguments as in :func:`evaluate_label_sets`, but the examples need no labels."""
    return [
        prediction_entry(example, _chosen(labels, predicted[index]), by_label(labels, probabilities, index))
        for index, example in enumerate(examples)
    ]


def _label_set_scores(gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> dict[str, float]:
    return {
        "accuracy": float((gold == predicted).all(axis=1).mean()) if len(gold) else float("nan"),
        "macro_f1": metrics.multi_label_macro_f1(gold, predicted),
        "micro_f1": metrics.multi_label_micro_f1(gold, predicted),
    }


def _worst_label_sets(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    gold: NDArray[np.bool_],
    predicted: NDArray[np.bool_],
    probabilities: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    certainty = predicted.astype(np.float64) if probabilities is None else probabilities
    distance = np.where(gold != predicted, np.abs(certainty - gold), 0).sum(axis=1)
    wrong = np.flatnonzero((gold != predicted).any(axis=1))
    worst = wrong[np.argsort(-distance[wrong], kind="stable")][:WORST_ERRORS]
    return [error_entry(examples[index], _chosen(labels, predicted[index])) for index in worst]


def _chosen(labels: tuple[str, ...], predicted: NDArray[np.bool_]) -> list[str]:
    return [label for label, chosen in zip(labels, predicted, strict=True) if chosen]


def label_matrix(examples: Sequence[Example], labels: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which labels each example has, bool ``[examples, labels]``; raises as :func:`label_ids`."""
    ids = {label: index for index, label in enumerate(labels)}
    found = np.zeros((len(examples), len(labels)), dtype=np.bool_)
    for index, example in enumerate(examples):
        for label in example.label:
            if label not in ids:
                raise unknown_label(example.origin, label, labels)
            found[index, ids[label]] = True
    return found


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of each label by itself, float64, of the shape of ``logits``."""
    wide = logits.astype(np.float64)
    small = np.exp(-np.abs(wide))
    return np.asarray(np.where(wide >= 0, 1 / (1 + small), small / (1 + small)))
