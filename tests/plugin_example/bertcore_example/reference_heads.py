"""The heads of the backend ``reference-numpy``: loss of one row, and its gradient with respect to the logits."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from bertcore import Head, SequenceClassification
from bertcore.testing import reference
from bertcore.testing.heads import shape_of
from numpy.typing import NDArray

Array = NDArray[np.float64]


class RowLoss(Protocol):
    """What a head implementation for ``reference-numpy`` must be; it is made with the head's description."""

    def loss(self, logits: Array, label: Any) -> float:
        """The loss of one row: logits ``[labels]``, label as in the column."""

    def gradient(self, logits: Array, label: Any) -> Array:
        """Its gradient, ``[labels]``."""

    def divergence(self, logits: Array, towards: Array, temperature: float) -> tuple[float, Array]:
        """How far the logits of one row are from those of a teacher, and the gradient with respect to the logits."""


class ClassificationLoss:
    """Softmax cross entropy; with several labels per row, the mean of their binary cross entropies."""

    def __init__(self, head: Head) -> None:
        assert isinstance(head, SequenceClassification)
        self._multi_label = head.multi_label
        self._shape = shape_of(head)

    def loss(self, logits: Array, label: Any) -> float:
        """See :class:`RowLoss`."""
        if self._multi_label:
            return reference.binary_cross_entropy(logits, label, self._shape) / len(logits)
        return reference.softmax_cross_entropy(logits[None], [label], shape=self._shape)

    def gradient(self, logits: Array, label: Any) -> Array:
        """See :class:`RowLoss`."""
        if self._multi_label:
            return reference.binary_cross_entropy_gradient(logits, label, self._shape) / len(logits)
        gradient = reference.softmax_cross_entropy_gradient(logits[None], [label], shape=self._shape)
        return np.squeeze(gradient, axis=0)

    def divergence(self, logits: Array, towards: Array, temperature: float) -> tuple[float, Array]:
        """See :class:`RowLoss`."""
        flat = logits / temperature, towards / temperature
        if self._multi_label:
            size = len(logits)
            gradient, _ = reference.binary_divergence_gradient(*flat)
            return reference.binary_divergence(*flat) / size, gradient / temperature / size
        gradient, _ = reference.softmax_divergence_gradient(*flat)
        return reference.softmax_divergence(*flat), gradient / temperature


class RegressionLoss:
    """Squared error."""

    def __init__(self, head: Head) -> None:
        pass

    def loss(self, logits: Array, label: Any) -> float:
        """See :class:`RowLoss`."""
        return reference.squared_error(logits, [label])

    def gradient(self, logits: Array, label: Any) -> Array:
        """See :class:`RowLoss`."""
        return reference.squared_error_gradient(logits, [label])

    def divergence(self, logits: Array, towards: Array, temperature: float) -> tuple[float, Array]:
        """See :class:`RowLoss`."""
        difference = (logits - towards) / temperature
        return float((difference**2).sum()), 2 * difference / temperature
