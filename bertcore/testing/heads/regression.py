"""One number per row: squared error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bertcore.contracts.backend import Outputs
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.heads import Regression
from bertcore.testing.heads.base import RowReference
from bertcore.testing.reference import Array, ReferenceModel, squared_error, squared_error_gradient


class RegressionReference(RowReference[Regression]):
    """See :class:`bertcore.heads.Regression`."""

    head = Regression
    descriptions = {"regression": Regression()}  # noqa: RUF012
    kind = "sequence"

    def batch(  # noqa: D102
        self,
        head: Regression,
        input_ids: Sequence[Sequence[int]],
        token_type_ids: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> Batch:
        values = generator.normal(2, 1, len(input_ids)).astype(np.float32)
        return from_rows(input_ids, token_type_ids, {"labels": Column(values, "row")})

    def loss(  # noqa: D102
        self, head: Regression, model: ReferenceModel, batch: Batch, row: int, logits: Array
    ) -> tuple[float, Array]:
        label = [batch.columns["labels"].values[row]]
        return squared_error(logits, label), squared_error_gradient(logits, label)

    def joined(  # noqa: D102
        self, head: Regression, model: ReferenceModel, batch: Batch, logits: Sequence[Array]
    ) -> dict[str, Array]:
        return {"logits": np.stack(logits)}

    def divergence(  # noqa: D102
        self,
        head: Regression,
        batch: Batch,
        outputs: Mapping[str, Array],
        towards: Mapping[str, Array],
        temperature: float,
    ) -> Array:
        differences: Array = (outputs["logits"] - towards["logits"])[:, 0] / temperature
        return differences**2

    def perfect_outputs(self, head: Regression, batch: Batch) -> Outputs:  # noqa: D102
        return {"logits": batch.columns["labels"].values.astype(np.float32)[:, None]}

    def assert_labels_fit(self, head: Regression, batch: Batch) -> None:  # noqa: D102
        assert np.isfinite(batch.columns["labels"].values.astype(np.float64)).all()
