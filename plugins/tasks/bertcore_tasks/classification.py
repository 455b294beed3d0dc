"""What tasks with one label per text, or pair of texts, share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from bertcore.backend import Outputs
from bertcore.batch import Batch, Column, from_rows
from bertcore.config import DataConfig, HeadConfig
from bertcore.data.tokenizer import Tokenizer
from bertcore.heads import Head, SequenceClassification
from bertcore.task import Accumulator, Encoding, Evaluation, Example, Task
from numpy.typing import NDArray

WORST_ERRORS = 20


class ClassificationTask(Task):
    """A task whose examples hold one or two texts and one label name."""

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> Head:
        """A softmax over the labels."""
        return SequenceClassification(labels)

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: Head, max_length: int, data: DataConfig
    ) -> Encoding:
        """One row per example; column ``labels`` int32 ``[rows]`` where the examples are labeled."""
        assert isinstance(head, SequenceClassification)
        texts = [list(example.texts.values()) for example in examples]
        pairs = [text[1] for text in texts] if texts and len(texts[0]) > 1 else None
        rows = tokenizer.encode([text[0] for text in texts], pairs, max_length)
        columns: dict[str, Column] = {}
        if all(example.label is not None for example in examples):
            ids = {label: index for index, label in enumerate(head.labels)}
            labels = np.array([ids[example.label] for example in examples], dtype=np.int32)
            columns["labels"] = Column(labels, "row")
        return Encoding(from_rows(rows.input_ids, rows.token_type_ids, columns), rows.truncated)

    def accumulator(self, examples: Sequence[Example], head: Head, data: DataConfig) -> Accumulator:
        """See :class:`ClassificationAccumulator`."""
        assert isinstance(head, SequenceClassification)
        return ClassificationAccumulator(examples, head.labels)


class ClassificationAccumulator(Accumulator):
    """Collects the logits of every example: a few numbers each."""

    def __init__(self, examples: Sequence[Example], labels: tuple[str, ...]) -> None:
        self._examples = examples
        self._labels = labels
        self._logits = np.full((len(examples), len(labels)), np.nan, dtype=np.float32)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, labels]``."""
        self._logits[batch.example_index] = outputs["logits"]

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, texts, predicted label and probabilities, and the gold label where there is one."""
        probabilities = softmax(self._logits)
        result: list[dict[str, Any]] = []
        for example, row in zip(self._examples, probabilities, strict=True):
            entry: dict[str, Any] = {
                "id": example.identifier,
                **example.texts,
                "prediction": self._labels[int(row.argmax())],
                "probabilities": {
                    label: round(float(value), 6) for label, value in zip(self._labels, row, strict=True)
                },
            }
            if example.label is not None:
                entry["label"] = example.label
            result.append(entry)
        return result

    def result(self) -> Evaluation:
        """Accuracy over all examples, against the majority class of the same examples."""
        ids = {label: index for index, label in enumerate(self._labels)}
        gold = np.array([ids[example.label] for example in self._examples], dtype=np.int64)
        predicted = self._logits.argmax(axis=1)
        total = len(gold)
        correct = int((gold == predicted).sum())
        counts = np.bincount(gold, minlength=len(self._labels))
        accuracy = correct / total if total else float("nan")
        majority = int(counts.max()) / total if total else float("nan")
        confusion = np.zeros((len(self._labels), len(self._labels)), dtype=np.int64)
        np.add.at(confusion, (gold, predicted), 1)
        return Evaluation(
            metrics={"accuracy": accuracy},
            total=total,
            summary=f"acc_num {correct}, total_num {total}, accuracy {accuracy:.6f}",
            baseline={"accuracy": majority},
            predictions=self.predictions(),
            confusion=(self._labels, confusion),
            errors=self._worst_errors(gold, predicted),
        )

    def _worst_errors(self, gold: NDArray[np.int64], predicted: NDArray[np.int64]) -> list[dict[str, Any]]:
        probabilities = softmax(self._logits)
        wrong = np.flatnonzero(gold != predicted)
        worst = wrong[np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")][:WORST_ERRORS]
        return [
            {
                "id": self._examples[index].identifier,
                "origin": self._examples[index].origin,
                "label": self._labels[gold[index]],
                "prediction": self._labels[predicted[index]],
                "probability": round(float(probabilities[index, predicted[index]]), 4),
                **self._examples[index].texts,
            }
            for index in worst
        ]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities over the last axis, float64, of the shape of ``logits``."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
