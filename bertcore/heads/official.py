"""What ``run_classifier.py`` of google-research/bert writes beside the tokens of a row and its label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.batch import Batch, Column, Per
from bertcore.contracts.head import Head


def classifier_features(head: Head, batch: Batch, unlabeled: NDArray[Any], per: Per = "row") -> dict[str, Column]:
    """``is_real_example``, and where the batch has no labels ``label_ids``.

    Args:
        head: that reads the labels.
        batch: the rows.
        unlabeled: labels for rows that have none, since those of its test set have one, too: the first one.
        per: what one of them belongs to.
    """
    features = {"is_real_example": Column(np.ones(len(batch), dtype=np.int64), "row")}
    if head.label_column not in batch.columns:
        features["label_ids"] = Column(unlabeled, per)
    return features
