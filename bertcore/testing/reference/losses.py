"""Losses as sums, to be divided by whatever is counted, and their gradients with respect to what is predicted."""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertcore.testing.reference.functions import Array, softmax


def softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike, ignore_value: int = -100) -> float:
    """`-sum_i log softmax(logits_i)[label_i]` over all i whose label is not `ignore_value`.

    Args:
        logits: [..., classes].
        labels: [...], each from 0 to classes - 1, or `ignore_value`.
        ignore_value: marks what has no label.

    Raises:
        ValueError: a label is no class, or the shapes do not fit.
    """
    logits, chosen, kept = _classes(logits, labels, ignore_value)
    highest = logits.max(axis=-1, keepdims=True)
    log_normalizer = highest[..., 0] + np.log(np.exp(logits - highest).sum(axis=-1))
    return float(((log_normalizer - (logits * chosen).sum(axis=-1)) * kept).sum())


def softmax_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike, ignore_value: int = -100) -> Array:
    """`softmax(logits_i) - one_hot(label_i)`, and 0 where the label is `ignore_value`; shaped like the logits."""
    logits, chosen, kept = _classes(logits, labels, ignore_value)
    return (softmax(logits) - chosen) * kept[..., None]


def _classes(logits: ArrayLike, labels: ArrayLike, ignore_value: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Logits, one-hot labels (0 where ignored) and which are kept."""
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.shape[:-1] != labels.shape:
        raise ValueError(f"logits of shape {logits.shape} do not fit labels of shape {labels.shape}")
    kept = labels != ignore_value
    classes = logits.shape[-1]
    if np.any(kept & ((labels < 0) | (labels >= classes))):
        raise ValueError(f"a label is neither from 0 to {classes - 1} nor {ignore_value}")
    return logits, (labels[..., None] == np.arange(classes)).astype(np.float64), kept


def binary_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """`-sum [y log s(z) + (1 - y) log(1 - s(z))]` with the logistic function s, `= sum [log(1 + exp(z)) - y z]`.

    Args:
        logits: z, of any shape.
        labels: y, of the same shape, each 0 or 1 or a probability.

    Raises:
        ValueError: the shapes differ.
    """
    logits, labels = _same_shape(logits, labels)
    return float((np.logaddexp(0, logits) - labels * logits).sum())


def binary_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike) -> Array:
    """`s(z) - y`, shaped like the logits."""
    logits, labels = _same_shape(logits, labels)
    return np.exp(-np.logaddexp(0, -logits)) - labels


def squared_error(predictions: ArrayLike, labels: ArrayLike) -> float:
    """`sum (prediction - label)^2`.

    Args:
        predictions: of any shape.
        labels: of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    predictions, labels = _same_shape(predictions, labels)
    return float(((predictions - labels) ** 2).sum())


def squared_error_gradient(predictions: ArrayLike, labels: ArrayLike) -> Array:
    """`2 (prediction - label)`, shaped like the predictions."""
    predictions, labels = _same_shape(predictions, labels)
    return 2 * (predictions - labels)


def softmax_divergence(logits: ArrayLike, towards: ArrayLike) -> float:
    """`sum_i KL(q_i || p_i) = sum_i sum_c q_ic log(q_ic / p_ic)`, with `p = softmax(logits)`, `q = softmax(towards)`.

    Args:
        logits: [..., classes].
        towards: of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    logits, towards = _same_shape(logits, towards)
    p, q = softmax(logits), softmax(towards)
    return float((q * (np.log(q) - np.log(p))).sum())


def softmax_divergence_gradient(logits: ArrayLike, towards: ArrayLike) -> tuple[Array, Array]:
    """`p - q`, and `q_c (log(q_c / p_c) - KL(q || p))`: with respect to the logits, and to what they move towards."""
    logits, towards = _same_shape(logits, towards)
    p, q = softmax(logits), softmax(towards)
    ratio = np.log(q) - np.log(p)
    return p - q, q * (ratio - (q * ratio).sum(axis=-1, keepdims=True))


def binary_divergence(logits: ArrayLike, towards: ArrayLike) -> float:
    """`sum KL(q || p) = sum [q log(q / p) + (1 - q) log((1 - q) / (1 - p))]`, with `p = s(logits)`, `q = s(towards)`.

    Args:
        logits: of any shape.
        towards: of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    logits, towards = _same_shape(logits, towards)
    return softmax_divergence(_yes_and_no(logits), _yes_and_no(towards))


def binary_divergence_gradient(logits: ArrayLike, towards: ArrayLike) -> tuple[Array, Array]:
    """`p - q`, and `q (1 - q) (towards - logits)`: with respect to the logits, and to what they move towards."""
    logits, towards = _same_shape(logits, towards)
    gradients = softmax_divergence_gradient(_yes_and_no(logits), _yes_and_no(towards))
    return gradients[0][..., 0], gradients[1][..., 0]


def _yes_and_no(logits: Array) -> Array:
    """The same probabilities as a softmax over two classes."""
    return np.stack([logits, np.zeros_like(logits)], axis=-1)


def _same_shape(predictions: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Both in float64: [n, 1] against [n] would broadcast to [n, n] unnoticed."""
    predictions, labels = np.asarray(predictions, dtype=np.float64), np.asarray(labels, dtype=np.float64)
    if predictions.shape != labels.shape:
        raise ValueError(f"predictions of shape {predictions.shape} do not fit labels of shape {labels.shape}")
    return predictions, labels
