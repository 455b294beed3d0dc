"""Scores of classification and regression, in numpy.

Where a score is not defined because nothing varies (all predictions alike, no positive example), it is 0, as in
scikit-learn; scipy gives NaN for its correlations there, by which no best checkpoint could be chosen. Over no examples
at all every score is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from bertcore.contracts.class_score import ClassScore
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def accuracy(gold: Integers, predicted: Integers) -> float:
    """Part of the predictions that are right; both arguments int64 ``[examples]``."""
    return float((gold == predicted).mean()) if len(gold) else math.nan


def f1(gold: Integers, predicted: Integers) -> float:
    """F1 of the class 1 of two classes; both arguments int64 ``[examples]`` of 0 and 1."""
    return _f1(gold == 1, predicted == 1) if len(gold) else math.nan


def matthews(gold: Integers, predicted: Integers) -> float:
    """Matthews' correlation of any number of classes (Gorodkin 2004); both arguments int64 ``[examples]``."""
    if not len(gold):
        return math.nan
    size = int(max(gold.max(), predicted.max())) + 1
    counts = np.zeros((size, size), dtype=np.float64)
    np.add.at(counts, (gold, predicted), 1)
    total, of_gold, of_predicted = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    covariance = np.trace(counts) * total - of_gold @ of_predicted
    spread = (total**2 - of_gold @ of_gold) * (total**2 - of_predicted @ of_predicted)
    return float(covariance / math.sqrt(spread)) if spread else 0.0


def macro_f1(gold: Integers, predicted: Integers) -> float:
    """Mean F1 of the classes that occur in either argument, int64 ``[examples]``."""
    classes = np.union1d(gold, predicted)
    if not len(classes):
        return math.nan
    return float(np.mean([_f1(gold == one, predicted == one) for one in classes]))


def multi_label_macro_f1(gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Mean F1 of all labels; both arguments bool ``[examples, labels]``."""
    if not len(gold):
        return math.nan
    return float(np.mean([_f1(gold[:, label], predicted[:, label]) for label in range(gold.shape[1])]))


def multi_label_micro_f1(gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """F1 over the decisions for all labels together; both arguments bool ``[examples, labels]``."""
    return _f1(gold, predicted) if len(gold) else math.nan


def per_class(gold: Integers, predicted: Integers, labels: tuple[str, ...]) -> dict[str, ClassScore]:
    """How well each class is found; both arguments int64 ``[examples]``, indices into ``labels``."""
    right, found, wanted = (
        np.bincount(values, minlength=len(labels)).tolist() for values in (gold[gold == predicted], predicted, gold)
    )
    return {label: ClassScore(*counts) for label, *counts in zip(labels, right, found, wanted, strict=True)}


def per_label(gold: NDArray[np.bool_], predicted: NDArray[np.bool_], labels: tuple[str, ...]) -> dict[str, ClassScore]:
    """How well each of several labels is found; both arguments bool ``[examples, labels]``."""
    right, found, wanted = (values.sum(axis=0).tolist() for values in (gold & predicted, predicted, gold))
    return {label: ClassScore(*counts) for label, *counts in zip(labels, right, found, wanted, strict=True)}


def best_threshold(gold: NDArray[np.bool_], probabilities: Floats) -> float:
    """The threshold from which on a label is given that makes :func:`multi_label_micro_f1` greatest.

    Between two probabilities of equal right it lies in their middle; of several best thresholds it is the one nearest
    to 0.5.

    Args:
        gold: bool ``[examples, labels]``.
        probabilities: float64 ``[examples, labels]``.
    """
    positives = int(gold.sum())
    if not positives:
        return 0.5
    order = np.argsort(-probabilities, axis=None, kind="stable")
    sorted_probabilities = probabilities.reshape(-1)[order]
    hits = np.cumsum(gold.reshape(-1)[order])
    given = np.arange(1, len(order) + 1)
    scores = 2 * hits / (given + positives)
    below = np.append(sorted_probabilities[1:], 0.0)
    scores[:-1][sorted_probabilities[:-1] == below[:-1]] = -1  # equal probabilities are given together
    best = np.flatnonzero(scores == scores.max())
    upper, lower = sorted_probabilities[best], below[best]
    if np.any((lower < 0.5) & (upper >= 0.5)):
        return 0.5
    middles = (upper + lower) / 2
    middles = np.where(middles > lower, middles, upper)  # two neighbouring floats have no middle
    return float(middles[np.abs(middles - 0.5).argmin()])


def pearson(gold: Floats, predicted: Floats) -> float:
    """Linear correlation; both arguments float64 ``[examples]``."""
    if not len(gold):
        return math.nan
    if not (np.isfinite(gold).all() and np.isfinite(predicted).all()):
        return math.nan
    one, other = _centered(gold), _centered(predicted)
    if one is None or other is None:
        return 0.0
    return float(np.clip(one @ other / math.sqrt((one @ one) * (other @ other)), -1.0, 1.0))


def spearman(gold: Floats, predicted: Floats) -> float:
    """Correlation of ranks, where equal values share the mean of theirs; both arguments float64 ``[examples]``."""
    if not (np.isfinite(gold).all() and np.isfinite(predicted).all()):
        return math.nan
    return pearson(_ranks(gold), _ranks(predicted))


def mean_squared_error(gold: Floats, predicted: Floats) -> float:
    """Mean squared difference; both arguments float64 ``[examples]``."""
    return float(np.mean((gold - predicted) ** 2)) if len(gold) else math.nan


def mean_absolute_error(gold: Floats, predicted: Floats) -> float:
    """Mean absolute difference; both arguments float64 ``[examples]``."""
    return float(np.mean(np.abs(gold - predicted))) if len(gold) else math.nan


CLASSIFICATION: Mapping[str, Callable[[Integers, Integers], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
    "macro_f1": macro_f1,
    "micro_f1": accuracy,  # every example has one label, so what is wrongly given to one is missing at another
}
"""Scores of one label per example by name."""

REGRESSION: Mapping[str, Callable[[Floats, Floats], float]] = {
    "pearson": pearson,
    "spearman": spearman,
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
}
"""Scores of one number per example by name."""

ERRORS = frozenset({"mse", "mae"})
"""Those that are the better the smaller they are."""


def _f1(gold: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    sizes = int(gold.sum()) + int(predicted.sum())
    return 2 * int((gold & predicted).sum()) / sizes if sizes else 0.0


def _centered(values: Floats) -> Floats | None:
    """Differences from the mean, scaled so that their squares stay in range; None where all values are equal."""
    if values.max() == values.min():
        return None
    scaled = values / np.abs(values).max()
    centered = scaled - scaled.mean()
    largest = np.abs(centered).max()
    return centered / largest if largest else None


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
