"""Which choices are right: scores, predictions and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example
from bertcore.contracts.evaluation import Accumulator, Evaluation
from numpy.typing import NDArray

from bertcore_tasks.choices.questions import choices_of
from bertcore_tasks.classification import evaluate_labels, softmax

SCORES = ("accuracy",)


class ChoiceAccumulator(Accumulator):
    """Collects the score of every choice, a number each.

    Args:
        examples: of the split.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples
        # A question of fewer choices than another has no others: their probability is 0.
        self._scores = np.full((len(examples), _most_choices(examples)), -np.inf, dtype=np.float32)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, 1]``."""
        self._scores[batch.example_index, batch.columns["choices"].values.astype(np.int64)] = outputs["logits"][:, 0]

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, texts, number and text of the choice, probabilities, and the right number where it is known."""
        return choice_predictions(self._examples, self._predicted, softmax(self._scores))

    def result(self) -> Evaluation:
        """The accuracy over all questions, against that of the choice that is right most often by its place."""
        return evaluate_choices(self._examples, self._predicted, softmax(self._scores))

    @property
    def _predicted(self) -> NDArray[np.int64]:
        return self._scores.argmax(axis=1).astype(np.int64) if len(self._examples) else np.zeros(0, dtype=np.int64)


def evaluate_choices(
    examples: Sequence[Example], predicted: NDArray[np.int64], probabilities: NDArray[np.float64] | None = None
) -> Evaluation:
    """Judges one choice of each question.

    Args:
        examples: each with its label.
        predicted: int64 ``[examples]``, numbers of choices.
        probabilities: float64 ``[examples, most choices]``, where they are known.
    """
    places = tuple(map(str, range(_most_choices(examples))))
    found = evaluate_labels(examples, places, predicted, SCORES, probabilities)
    return replace(
        found,
        predictions=choice_predictions(examples, predicted, probabilities),
        errors=[_with_choices(entry) for entry in found.errors],
    )


def choice_predictions(
    examples: Sequence[Example], predicted: NDArray[np.int64], probabilities: NDArray[np.float64] | None
) -> list[dict[str, Any]]:
    """One JSON object per example; arguments as in :func:`evaluate_choices`, but the examples need no labels."""
    entries = []
    for index, (example, number) in enumerate(zip(examples, predicted.tolist(), strict=True)):
        choices = choices_of(example.texts)
        entry = {"id": example.identifier, **example.texts, "prediction": number, "choice": choices[number]}
        if probabilities is not None:
            entry["probabilities"] = [round(value, 6) for value in probabilities[index, : len(choices)].tolist()]
        if example.label is not None:
            entry["label"] = int(example.label)
        entries.append(entry)
    return entries


def _with_choices(error: Mapping[str, Any]) -> dict[str, Any]:
    return {**error, "label": int(error["label"]), "prediction": int(error["prediction"])}


def _most_choices(examples: Sequence[Example]) -> int:
    return max((len(choices_of(example.texts)) for example in examples), default=0)
