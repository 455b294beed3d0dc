"""Losses as sums, to be divided by whatever is counted, and their gradients with respect to what is predicted."""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertcore.testing.reference.functions import Array, softmax


@dataclass(frozen=True)
class Shape:
    """How a cross entropy is changed; by default not at all.

    Attributes:
        smoothing: e, the part of a label that all classes share.
        gamma: g, the exponent of a focal loss.
        weights: w, one for each class, or 1 for all.
    """

    smoothing: float = 0.0
    gamma: float = 0.0
    weights: ArrayLike = 1.0


PLAIN = Shape()


def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, ignore_value: int = -100, shape: Shape = PLAIN
) -> float:
    """`-sum_i sum_c t_ic w_c (1 - p_ic)^g log p_ic` over all i whose label is not `ignore_value`.

    With `p = softmax(logits)` and `t_ic = (1 - e) [c = label_i] + e / classes`: `-sum_i log p_i,label_i` if nothing is
    changed.

    Args:
        logits: [..., classes].
        labels: [...], each from 0 to classes - 1, or `ignore_value`.
        ignore_value: marks what has no label.
        shape: e, g and w.

    Raises:
        ValueError: a label is no class, or the shapes do not fit.
    """
    logits, chosen, kept = _classes(logits, labels, ignore_value)
    terms = _shares(chosen, shape) * (1 - softmax(logits)) ** shape.gamma * _log_softmax(logits)
    return float(-(terms.sum(axis=-1) * kept).sum())


def softmax_cross_entropy_gradient(
    logits: ArrayLike, labels: ArrayLike, ignore_value: int = -100, shape: Shape = PLAIN
) -> Array:
    """Shaped like the logits, 0 where the label is `ignore_value`: `softmax(logits_i) - one_hot(label_i)` if unchanged.

    With `a_c = t_c w_c` and `f(p) = -(1 - p)^g log p` it is `b_k - p_k sum_c b_c` for `b_c = a_c p_c f'(p_c)`.
    """
    logits, chosen, kept = _classes(logits, labels, ignore_value)
    p, slopes = softmax(logits), -((1 - softmax(logits)) ** shape.gamma)
    if shape.gamma:
        slopes = slopes + shape.gamma * p * (1 - p) ** (shape.gamma - 1) * _log_softmax(logits)
    b = _shares(chosen, shape) * slopes
    return (b - p * b.sum(axis=-1, keepdims=True)) * kept[..., None]


def _shares(chosen: Array, shape: Shape) -> Array:
    """`t_c w_c`."""
    return (chosen * (1 - shape.smoothing) + shape.smoothing / chosen.shape[-1]) * np.asarray(shape.weights)


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


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


def binary_cross_entropy(logits: ArrayLike, labels: ArrayLike, shape: Shape = PLAIN) -> float:
    """`-sum [w t (1 - p)^g log p + (1 - t) p^g log(1 - p)]` with the logistic function `p = s(z)`.

    `t = (1 - e) y + e / 2`; `sum [log(1 + exp(z)) - y z]` if nothing is changed.

    Args:
        logits: z, [..., classes].
        labels: y, of the same shape, each 0 or 1 or a probability.
        shape: e, g and w.

    Raises:
        ValueError: the shapes differ.
    """
    logits, labels = _same_shape(logits, labels)
    yes, no = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)  # the logarithms of both probabilities
    targets = labels * (1 - shape.smoothing) + shape.smoothing / 2
    of_yes = np.asarray(shape.weights) * targets * np.exp(shape.gamma * no) * yes
    return float(-(of_yes + (1 - targets) * np.exp(shape.gamma * yes) * no).sum())


def binary_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike, shape: Shape = PLAIN) -> Array:
    """Shaped like the logits: `p - y` if nothing is changed.

    `w t (1 - p)^g [g p log p - (1 - p)] + (1 - t) p^g [p - g (1 - p) log(1 - p)]`
    """
    logits, labels = _same_shape(logits, labels)
    yes, no = -np.logaddexp(0, -logits), -np.logaddexp(0, logits)
    p, q = np.exp(yes), np.exp(no)
    targets = labels * (1 - shape.smoothing) + shape.smoothing / 2
    of_yes = np.asarray(shape.weights) * targets * q**shape.gamma * (shape.gamma * p * yes - q)
    return of_yes + (1 - targets) * p**shape.gamma * (p - shape.gamma * q * no)


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
