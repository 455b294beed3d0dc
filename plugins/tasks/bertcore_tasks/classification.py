"""What tasks with one label for a text, or a pair of texts, share; for several labels each see ``multi_label``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bertcore.config import HeadConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.evaluation import Accumulator, Confusion, Evaluation, Metric
from bertcore.contracts.task import DataT, Encoding, Task
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.data.bad_examples import unknown_label
from bertcore.heads import SequenceClassification
from numpy.typing import NDArray

from bertcore_tasks import metrics
from bertcore_tasks.fields import plain_text
from bertcore_tasks.predictions import WORST_ERRORS, StoredPrediction, error_entry, prediction_entry, read_predictions
from bertcore_tasks.texts import encode_texts


class ClassificationTask(Task[DataT, SequenceClassification]):
    """A task whose examples hold one or two texts and one label name.

    Attributes:
        scores: names in ``metrics.CLASSIFICATION``, in the order in which they are shown; the accuracy among them.
    """

    scores: tuple[str, ...] = ("accuracy",)

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> SequenceClassification:
        """A softmax over the labels."""
        return SequenceClassification(labels)

    def encode(
        self,
        examples: Sequence[Example],
        tokenizer: Tokenizer,
        head: SequenceClassification,
        max_length: int,
        data: DataT,
    ) -> Encoding:
        """One row per example; column ``labels`` int32 ``[rows]`` where the examples are labeled."""
        return encode_texts(examples, tokenizer, max_length, lambda: label_ids(examples, head.labels).astype(np.int32))

    def accumulator(self, examples: Sequence[Example], head: SequenceClassification, data: DataT) -> Accumulator:
        """See :class:`ClassificationAccumulator`."""
        return ClassificationAccumulator(examples, head.labels, self.scores)

    def metrics(self, examples: Sequence[Example], head: SequenceClassification, data: DataT) -> tuple[Metric, ...]:
        """The scores; see :meth:`bertcore.contracts.task.Task.metrics`."""
        return tuple(Metric(name) for name in self.scores)

    def score(self, examples: Split, labels: tuple[str, ...], predictions: Path, data: DataT) -> Evaluation:
        """Scores a file in one of the forms of :func:`bertcore_tasks.predictions.read_predictions`."""
        stored = read_predictions(predictions, examples)
        return self.score_stored(examples, labels, stored)

    def score_stored(
        self, examples: Sequence[Example], labels: tuple[str, ...], stored: Sequence[StoredPrediction]
    ) -> Evaluation:
        """Scores predictions that were read, one for each example."""
        ids = {label: index for index, label in enumerate(labels)}
        predicted = np.zeros(len(examples), dtype=np.int64)
        for index, prediction in enumerate(stored):
            label = plain_text(prediction.value)
            if label not in ids:
                raise unknown_label(prediction.origin, prediction.value, labels)
            predicted[index] = ids[label]
        return evaluate_labels(examples, labels, predicted, self.scores)


class ClassificationAccumulator(Accumulator):
    """Collects the logits of every example: a few numbers each.

    Args:
        examples: of the split.
        labels: in the order of the logits.
        scores: names in ``metrics.CLASSIFICATION``.
    """

    def __init__(
        self, examples: Sequence[Example], labels: tuple[str, ...], scores: Sequence[str] = ("accuracy",)
    ) -> None:
        self._examples = examples
        self._labels = labels
        self._scores = scores
        self._logits = np.full((len(examples), len(labels)), np.nan, dtype=np.float32)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, labels]``."""
        self._logits[batch.example_index] = outputs["logits"]

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, texts, predicted label and probabilities, and the gold label where there is one."""
        return label_predictions(self._examples, self._labels, self._logits.argmax(axis=1), softmax(self._logits))

    def result(self) -> Evaluation:
        """The scores over all examples, against those of the majority class of the same examples."""
        predicted = self._logits.argmax(axis=1).astype(np.int64)
        return evaluate_labels(self._examples, self._labels, predicted, self._scores, softmax(self._logits))


def evaluate_labels(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    predicted: NDArray[np.int64],
    scores: Sequence[str],
    probabilities: NDArray[np.float64] | None = None,
) -> Evaluation:
    """Judges one predicted label of each example.

    Args:
        examples: each with its label.
        labels: names in the order of their ids.
        predicted: int64 ``[examples]``.
        scores: names in ``metrics.CLASSIFICATION``; the accuracy among them.
        probabilities: float64 ``[examples, labels]``, where they are known.
    """
    gold = label_ids(examples, labels)
    total, correct = len(gold), int((gold == predicted).sum())
    values = {name: metrics.CLASSIFICATION[name](gold, predicted) for name in scores}
    majority = np.full_like(gold, np.bincount(gold, minlength=1).argmax())
    confusion = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(confusion, (gold, predicted), 1)
    further = "".join(f", {name} {value:.6f}" for name, value in values.items() if name != "accuracy")
    predictions = label_predictions(examples, labels, predicted, probabilities)
    return Evaluation(
        metrics=values,
        total=total,
        summary=f"acc_num {correct}, total_num {total}, accuracy {values['accuracy']:.6f}{further}",
        baseline={name: metrics.CLASSIFICATION[name](gold, majority) for name in scores},
        predictions=predictions,
        confusion=Confusion(labels, confusion),
        errors=_worst_errors(examples, labels, gold, predicted, probabilities),
        per_class=metrics.per_class(gold, predicted, labels),
        notes=_one_class(gold, predicted, labels),
    )


def _one_class(gold: NDArray[np.int64], predicted: NDArray[np.int64], labels: tuple[str, ...]) -> tuple[str, ...]:
    """Says that all examples are predicted alike, where they are not alike."""
    given, wanted = np.unique(predicted), np.unique(gold)
    if len(given) != 1 or len(wanted) < 2:
        return ()
    return (f"all {len(predicted)} examples are predicted as {labels[given[0]]!r}",)


def label_predictions(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    predicted: NDArray[np.integer[Any]],
    probabilities: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    """One JSON object per example; arguments as in :func:`evaluate_labels`, but the examples need no labels."""
    return [
        prediction_entry(example, labels[predicted[index]], by_label(labels, probabilities, index))
        for index, example in enumerate(examples)
    ]


def _worst_errors(
    examples: Sequence[Example],
    labels: tuple[str, ...],
    gold: NDArray[np.int64],
    predicted: NDArray[np.int64],
    probabilities: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    wrong = np.flatnonzero(gold != predicted)
    if probabilities is not None:
        wrong = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")]
    return [
        error_entry(
            examples[index],
            labels[predicted[index]],
            None if probabilities is None else float(probabilities[index, predicted[index]]),
        )
        for index in wrong[:WORST_ERRORS]
    ]


def label_ids(examples: Sequence[Example], labels: tuple[str, ...]) -> NDArray[np.int64]:
    """The id of each example's label, int64 ``[examples]``.

    Raises:
        DataError: a label that is not among the labels, with its line.
    """
    ids = {label: index for index, label in enumerate(labels)}
    found = np.zeros(len(examples), dtype=np.int64)
    for index, example in enumerate(examples):
        if example.label not in ids:
            raise unknown_label(example.origin, example.label, labels)
        found[index] = ids[example.label]
    return found


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities over the last axis, float64, of the shape of ``logits``."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def by_label(labels: tuple[str, ...], probabilities: NDArray[np.float64] | None, index: int) -> dict[str, float] | None:
    """The probabilities of one example by the names of the labels; None where they are not known."""
    return None if probabilities is None else dict(zip(labels, probabilities[index].tolist(), strict=True))
