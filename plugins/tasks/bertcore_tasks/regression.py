"""What tasks with one number for a text, or a pair of texts, share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bertcore.config import HeadConfig
from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch
from bertcore.contracts.dataset import Example, Split
from bertcore.contracts.evaluation import Accumulator, Evaluation, Metric
from bertcore.contracts.task import DataT, Encoding, Task
from bertcore.contracts.tokenizer import Tokenizer
from bertcore.errors import DataError, Origin
from bertcore.heads import Regression
from numpy.typing import NDArray

from bertcore_tasks import metrics
from bertcore_tasks.predictions import WORST_ERRORS, error_entry, prediction_entry, read_predictions
from bertcore_tasks.texts import encode_texts


class RegressionTask(Task[DataT, Regression]):
    """A task whose examples hold one or two texts and a float.

    Attributes:
        scores: names in ``metrics.REGRESSION``, in the order in which they are shown.
    """

    scores: tuple[str, ...] = ("pearson", "spearman")

    def head(self, labels: tuple[str, ...], options: HeadConfig) -> Regression:
        """One number and its squared error."""
        return Regression()

    def encode(
        self, examples: Sequence[Example], tokenizer: Tokenizer, head: Regression, max_length: int, data: DataT
    ) -> Encoding:
        """One row per example; column ``labels`` float32 ``[rows]`` where the examples are labeled."""
        return encode_texts(
            examples,
            tokenizer,
            max_length,
            lambda: np.array([example.label for example in examples], dtype=np.float32),
        )

    def accumulator(self, examples: Sequence[Example], head: Regression, data: DataT) -> Accumulator:
        """See :class:`RegressionAccumulator`."""
        return RegressionAccumulator(examples, self.scores)

    def metrics(self, examples: Sequence[Example], head: Regression, data: DataT) -> tuple[Metric, ...]:
        """The scores, of which errors are the better the smaller; see :meth:`bertcore.contracts.task.Task.metrics`."""
        return tuple(Metric(name, greater_is_better=name not in metrics.ERRORS) for name in self.scores)

    def score(self, examples: Split, labels: tuple[str, ...], predictions: Path, data: DataT) -> Evaluation:
        """Scores a file in one of the forms of :func:`bertcore_tasks.predictions.read_predictions`."""
        stored = read_predictions(predictions, examples)
        values = [parse_number(prediction.value, prediction.origin, "prediction") for prediction in stored]
        return evaluate_numbers(examples, np.array(values, dtype=np.float64), self.scores)


class RegressionAccumulator(Accumulator):
    """Collects one number of every example.

    Args:
        examples: of the split.
        scores: names in ``metrics.REGRESSION``.
    """

    def __init__(self, examples: Sequence[Example], scores: Sequence[str]) -> None:
        self._examples = examples
        self._scores = scores
        self._values = np.full(len(examples), np.nan, dtype=np.float64)

    def add(self, batch: Batch, outputs: Outputs) -> None:
        """Takes ``logits`` float32 ``[rows, 1]``."""
        self._values[batch.example_index] = outputs["logits"][:, 0]

    def predictions(self) -> list[dict[str, Any]]:
        """Identifier, texts and predicted number, and the gold number where there is one."""
        return number_predictions(self._examples, self._values)

    def result(self) -> Evaluation:
        """The scores over all examples, against those of the mean of the same examples."""
        return evaluate_numbers(self._examples, self._values, self._scores)


def evaluate_numbers(examples: Sequence[Example], predicted: NDArray[np.float64], scores: Sequence[str]) -> Evaluation:
    """Judges one predicted number of each example.

    Args:
        examples: each with a float as its label.
        predicted: float64 ``[examples]``.
        scores: names in ``metrics.REGRESSION``.
    """
    gold = np.array([example.label for example in examples], dtype=np.float64)
    values = {name: metrics.REGRESSION[name](gold, predicted) for name in scores}
    mean = np.full_like(gold, gold.mean()) if len(gold) else gold
    return Evaluation(
        metrics=values,
        total=len(gold),
        summary=f"total_num {len(gold)}, " + ", ".join(f"{name} {value:.6f}" for name, value in values.items()),
        baseline={name: metrics.REGRESSION[name](gold, mean) for name in scores},
        predictions=number_predictions(examples, predicted),
        errors=_worst_errors(examples, gold, predicted),
        notes=_one_number(gold, predicted),
    )


def _one_number(gold: NDArray[np.float64], predicted: NDArray[np.float64]) -> tuple[str, ...]:
    """Says that all examples get the same number, but for rounding, where they do not have the same."""
    if len(gold) < 2 or not np.ptp(gold) or not np.ptp(predicted) <= 1e-3 * np.ptp(gold):
        return ()
    return (f"all {len(predicted)} examples get the same number, {predicted.mean():.4g}",)


def number_predictions(examples: Sequence[Example], predicted: NDArray[np.float64]) -> list[dict[str, Any]]:
    """One JSON object per example, whether it has a label or not; ``predicted`` is float64 ``[examples]``."""
    return [prediction_entry(example, float(value)) for example, value in zip(examples, predicted, strict=True)]


def parse_number(
    value: Any, origin: Origin | None, field: str, low: float = -math.inf, high: float = math.inf
) -> float:
    """Reads a number of a file.

    Args:
        value: text or JSON value.
        origin: where it stands.
        field: what it is, for the error.
        low: smallest number allowed.
        high: largest number allowed.

    Raises:
        DataError: it is no finite number of this range.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        problem = f"{value!r} in the field {field!r} is no finite number"
        raise DataError(problem, "write it as 3.25", origin=origin, code="number-wrong")
    if not low <= number <= high:
        raise DataError(
            f"{value!r} in the field {field!r} is out of range",
            f"it goes from {low:g} to {high:g}",
            origin=origin,
            code="number-wrong",
        )
    return number


def _worst_errors(
    examples: Sequence[Example], gold: NDArray[np.float64], predicted: NDArray[np.float64]
) -> list[dict[str, Any]]:
    # Rounded, because a label such as 3.8 is no float32, which predictions are.
    distance = np.round(np.abs(gold - predicted), 4)
    order = np.argsort(-distance, kind="stable")[:WORST_ERRORS]
    return [error_entry(examples[index], float(predicted[index])) for index in order if distance[index] > 0]
