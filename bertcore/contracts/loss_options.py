"""How the loss of a head over classes is shaped: label smoothing, focal loss, class weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Column

LOSS_OPTIONS = ("label_smoothing", "focal_gamma", "class_weights")
"""The options, as the section ``head`` of a configuration and :class:`LossOptions` call them."""
LEAST_DOUBT = 1e-7
"""What the ``1 - p`` of a focal loss is at least: below it stands rounding, and a gamma below 1 would have an endless
slope there."""


@dataclass(frozen=True)
class LossOptions:
    """Changes of a cross entropy, which combine.

    With ``e`` for the smoothing, ``g`` for gamma, weights ``w`` and ``C`` labels, a softmax with probabilities ``p``
    and the label ``y`` has the loss ::

        sum_c  t_c w_c (1 - p_c)^g (-log p_c)      t_c = (1 - e) [c = y] + e / C

    which is torch's ``F.cross_entropy(weight=w, label_smoothing=e)`` for ``g = 0``, and the focal loss of Lin et al.
    (2017, arXiv 1708.02002) with ``w`` for its alpha for ``e = 0``. The mean is torch's, too: the sum over all labels
    that are not ignored, divided by the sum of their ``w_y``.

    A sigmoid for each label, with the probability ``p`` and the label ``y`` of 0 or 1, has ::

        w t (1 - p)^g (-log p) + (1 - t) p^g (-log(1 - p))      t = (1 - e) y + e / 2

    which is torch's ``BCEWithLogitsLoss(pos_weight=w)``, and torchvision's ``sigmoid_focal_loss(alpha=-1)``. Its mean
    divides by the number of labels, whatever their weights, as torch's does.

    Attributes:
        label_smoothing: from 0 to below 1.
        focal_gamma: at least 0.
        class_weights: one for each label of the head, in their order; of a sigmoid that of the label's presence. Empty
            for 1 everywhere.
    """

    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    class_weights: tuple[float, ...] = ()

    @property
    def given(self) -> tuple[str, ...]:
        """The names of those that change anything, of :data:`LOSS_OPTIONS`."""
        return tuple(name for name in LOSS_OPTIONS if getattr(self, name))

    def weight_sum(self, labels: Column) -> float:
        """Sum of the weights of all labels that are not ignored, by which a weighted mean is divided."""
        kept = labels.values if labels.ignore is None else labels.values[labels.values != labels.ignore]
        return float(np.asarray(self.class_weights)[kept.astype(np.int64)].sum())


def balanced_weights(labels: Sequence[str], column: Column) -> dict[str, float]:
    """Weights that give every label as much to say as any other: ``n / (classes * count)``.

    As scikit-learn's ``compute_class_weight("balanced")`` has them over the labels that there are. A label without an
    example is left out: it has nothing to be balanced.

    Args:
        labels: names in the order of their ids; ids of one name count together.
        column: ids, of which the ignored ones do not count.
    """
    kept = column.values if column.ignore is None else column.values[column.values != column.ignore]
    counts: dict[str, int] = {}
    for label, count in zip(labels, np.bincount(kept.astype(np.int64), minlength=len(labels)).tolist(), strict=True):
        counts[label] = counts.get(label, 0) + count
    present = {label: count for label, count in counts.items() if count}
    return {label: sum(present.values()) / (len(present) * count) for label, count in present.items()}


def balanced_presence(labels: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    """Weights of presence that make up for absence: how often each label is absent, over how often it is present.

    As torch's ``BCEWithLogitsLoss`` suggests for ``pos_weight``; the ratio of scikit-learn's two balanced weights. A
    label that no row has, or every row, is left out.

    Args:
        labels: names in the order of their ids.
        values: ``[rows, labels]`` of 0 and 1.
    """
    present = values.sum(axis=0)
    counts = zip(labels, present.tolist(), strict=True)
    return {label: (len(values) - count) / count for label, count in counts if 0 < count < len(values)}


def in_order(weights: Mapping[str, float], labels: Sequence[str]) -> tuple[float, ...]:
    """Weights by name as :class:`LossOptions` holds them; a label that none is named for has 1."""
    return tuple(weights.get(label, 1.0) for label in labels) if weights else ()
