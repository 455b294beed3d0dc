"""An answer as a span: the mean of two softmax cross entropies over the tokens of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.heads import SpanExtraction
from bertcore.testing.heads.base import RowReference
from bertcore.testing.reference import (
    Array,
    ReferenceModel,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
    softmax_divergence,
)

POSITIONS = ("start_positions", "end_positions")


class SpanExtractionReference(RowReference[SpanExtraction]):
    """See :class:`bertcore.heads.SpanExtraction`."""

    head = SpanExtraction
    descriptions = {"span": SpanExtraction()}  # noqa: RUF012
    kind = "span"

    def batch(  # noqa: D102
        self,
        head: SpanExtraction,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        starts = [int(generator.integers(0, len(row))) for row in input_ids]
        ends = [int(generator.integers(start, len(row))) for start, row in zip(starts, input_ids, strict=True)]
        columns = {
            name: Column(np.array(positions, dtype=np.int32), "row")
            for name, positions in zip(POSITIONS, (starts, ends), strict=True)
        }
        return from_rows(input_ids, token_type_ids, columns)

    def loss(  # noqa: D102
        self, head: SpanExtraction, model: ReferenceModel, batch: Batch, row: int, logits: Array
    ) -> tuple[float, Array]:
        positions = [batch.columns[name].values[row] for name in POSITIONS]
        gradient = softmax_cross_entropy_gradient(logits.T, positions) / 2
        return softmax_cross_entropy(logits.T, positions) / 2, gradient.T

    def joined(  # noqa: D102
        self, head: SpanExtraction, model: ReferenceModel, batch: Batch, logits: Sequence[Array]
    ) -> dict[str, Array]:
        start_logits, end_logits = np.concatenate(logits).T
        return {"start_logits": start_logits, "end_logits": end_logits}

    def divergence(  # noqa: D102
        self,
        head: SpanExtraction,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        total = np.zeros(len(batch))
        for row in range(len(batch)):
            tokens = slice(batch.offsets[row], batch.offsets[row + 1])
            for name in ("start_logits", "end_logits"):
                pair = (outputs[name][tokens] / temperature, towards[name][tokens] / temperature)
                total[row] += softmax_divergence(*pair) / 2
        return total

    def perfect_outputs(self, head: SpanExtraction, batch: Batch) -> Outputs:  # noqa: D102
        outputs: Outputs = {}
        for name, column in zip(("start_logits", "end_logits"), POSITIONS, strict=True):
            logits = np.full(len(batch.input_ids), -10, dtype=np.float32)
            logits[batch.offsets[:-1] + batch.columns[column].values.astype(np.int64)] = 10
            outputs[name] = logits
        return outputs

    def assert_labels_fit(self, head: SpanExtraction, batch: Batch) -> None:  # noqa: D102
        starts, ends = (batch.columns[name].values.astype(np.int64) for name in POSITIONS)
        assert np.all((starts >= 0) & (starts <= ends) & (ends < batch.lengths))
