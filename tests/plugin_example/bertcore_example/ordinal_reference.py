"""What the suites know of ordinal regression: samples, and what is right, in numpy float64, one row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bertcore import Batch, Column, Outputs, from_rows
from bertcore.testing.heads import RowReference, register
from bertcore.testing.reference import (
    Array,
    ReferenceModel,
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    binary_divergence,
)
from numpy.typing import NDArray

from bertcore_example.ordinal import OrdinalRegression

IGNORED = -100


class OrdinalReference(RowReference[OrdinalRegression]):
    """Stands on the logits of one row, of which there is one: the score."""

    head = OrdinalRegression
    descriptions = {"ordinal": OrdinalRegression(("1", "2", "3", "4"))}  # noqa: RUF012
    kind = "sequence"

    def batch(
        self,
        head: OrdinalRegression,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        """Ranks, one of them ignored."""
        labels = generator.integers(0, len(head.labels), len(input_ids)).astype(np.int32)
        labels[len(labels) // 2] = IGNORED
        return from_rows(input_ids, token_type_ids, {"labels": Column(labels, "row", ignore=IGNORED)})

    def loss(
        self, head: OrdinalRegression, model: ReferenceModel, batch: Batch, row: int, logits: Array
    ) -> tuple[float, Array]:
        """Of a row, and its gradient with respect to the score."""
        loss, gradient = self._loss(head, model, batch, row, logits)
        return loss, gradient.sum(keepdims=True)

    def _loss(
        self, head: OrdinalRegression, model: ReferenceModel, batch: Batch, row: int, score: Array
    ) -> tuple[float, Array]:
        """Of a row, and its gradient with respect to score + thresholds[k], ``[ranks - 1]``."""
        label = batch.columns["labels"].values[row]
        logits = score + model.parameters["thresholds"]
        if label == IGNORED:
            return 0.0, np.zeros_like(logits)
        beyond = [float(label > rank) for rank in range(len(head.labels) - 1)]
        return binary_cross_entropy(logits, beyond), binary_cross_entropy_gradient(logits, beyond)

    def gradients(self, head: OrdinalRegression, model: ReferenceModel, batch: Batch) -> dict[str, Array]:
        """Those of the model below the score, and those of the thresholds."""
        gradients = super().gradients(head, model, batch)
        scores = self.scores(model, batch)
        of_rows = [self._loss(head, model, batch, row, score)[1] for row, score in enumerate(scores)]
        return {**gradients, "thresholds": np.sum(of_rows, axis=0)}

    def scores(self, model: ReferenceModel, batch: Batch) -> list[Array]:
        """The score of each row, ``[1]``."""
        rows = [slice(*batch.offsets[row : row + 2]) for row in range(len(batch))]
        return [model.logits(batch.input_ids[row], batch.token_type_ids[row], self.kind) for row in rows]

    def joined(
        self, head: OrdinalRegression, model: ReferenceModel, batch: Batch, logits: Sequence[Array]
    ) -> dict[str, Array]:
        """``logits`` ``[rows, ranks - 1]``."""
        return {"logits": np.stack(logits) + model.parameters["thresholds"]}

    def divergence(
        self,
        head: OrdinalRegression,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        """Of each row: the sum over the thresholds."""
        pairs = zip(outputs["logits"] / temperature, towards["logits"] / temperature, strict=True)
        divergences: Array = np.array([binary_divergence(*pair) for pair in pairs])
        divergences[batch.columns["labels"].values == IGNORED] = 0
        return divergences

    def perfect_outputs(self, head: OrdinalRegression, batch: Batch) -> Outputs:
        """Far beyond every rank below the right one, and far from it and those above."""
        labels: NDArray[Any] = batch.columns["labels"].values
        beyond = labels[:, None] > np.arange(len(head.labels) - 1)
        return {"logits": np.where(beyond, 10, -10).astype(np.float32)}

    def assert_labels_fit(self, head: OrdinalRegression, batch: Batch) -> None:
        """Each is a rank."""
        assert head.find_problem(batch) is None


register(OrdinalReference())
