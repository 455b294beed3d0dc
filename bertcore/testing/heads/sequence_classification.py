"""One label per row, or several: softmax cross entropy, or the mean of binary ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.loss_options import LossOptions
from bertcore.heads import SequenceClassification
from bertcore.testing.heads.base import RowReference, shape_of
from bertcore.testing.reference import (
    Array,
    ReferenceModel,
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    binary_divergence,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
    softmax_divergence,
)

LABELS = ("red", "green", "blue")


class SequenceClassificationReference(RowReference[SequenceClassification]):
    """See :class:`bertcore.heads.SequenceClassification`."""

    head = SequenceClassification
    descriptions = {  # noqa: RUF012
        "classification": SequenceClassification(LABELS),
        "multi-label": SequenceClassification(LABELS, multi_label=True),
        # torch has functions of its own for the first, and none with a focal loss.
        "smoothed and weighted": SequenceClassification(LABELS, loss=LossOptions(0.2, 0.0, (0.5, 3.0, 1.0))),
        "focal multi-label": SequenceClassification(
            LABELS, multi_label=True, loss=LossOptions(0.2, 2.0, (0.5, 3.0, 1.0))
        ),
    }
    kind = "sequence"

    def batch(  # noqa: D102
        self,
        head: SequenceClassification,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        rows, labels = len(input_ids), len(head.labels)
        if head.multi_label:
            column = Column(generator.integers(0, 2, (rows, labels)).astype(np.float32), "row")
        else:
            values = generator.integers(0, labels, rows).astype(np.int32)
            values[rows // 2] = -100
            column = Column(values, "row", ignore=-100)
        return from_rows(input_ids, token_type_ids, {"labels": column})

    def loss(  # noqa: D102
        self, head: SequenceClassification, model: ReferenceModel, batch: Batch, row: int, logits: Array
    ) -> tuple[float, Array]:
        label = batch.columns["labels"].values[row]
        shape = shape_of(head)
        if head.multi_label:
            size = len(head.labels)
            gradient = binary_cross_entropy_gradient(logits, label, shape)
            return binary_cross_entropy(logits, label, shape) / size, gradient / size
        given = (logits[None], [label], -100, shape)
        return softmax_cross_entropy(*given), softmax_cross_entropy_gradient(*given)[0]

    def joined(  # noqa: D102
        self, head: SequenceClassification, model: ReferenceModel, batch: Batch, logits: Sequence[Array]
    ) -> dict[str, Array]:
        return {"logits": np.stack(logits)}

    def divergence(  # noqa: D102
        self,
        head: SequenceClassification,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        column = batch.columns["labels"]
        pairs = list(zip(outputs["logits"] / temperature, towards["logits"] / temperature, strict=True))
        if head.multi_label:
            return np.array([binary_divergence(*pair) / len(head.labels) for pair in pairs])
        kept = column.values != column.ignore
        return np.array([softmax_divergence(*pair) if one else 0.0 for pair, one in zip(pairs, kept, strict=True)])

    def perfect_outputs(self, head: SequenceClassification, batch: Batch) -> Outputs:  # noqa: D102
        labels = batch.columns["labels"].values
        chosen = labels.astype(np.float32) if head.multi_label else labels[:, None] == np.arange(len(head.labels))
        return {"logits": (20 * chosen - 10).astype(np.float32)}

    def assert_labels_fit(self, head: SequenceClassification, batch: Batch) -> None:  # noqa: D102
        column = batch.columns["labels"]
        known: list[Any] = [0, 1] if head.multi_label else list(range(len(head.labels)))
        allowed = known if column.ignore is None else [*known, column.ignore]
        assert np.isin(column.values, allowed).all()
        assert head.multi_label or np.issubdtype(column.values.dtype, np.integer)
