"""Ordinal regression on MindSpore; this module is imported when a run asks for it."""

from __future__ import annotations

from typing import ClassVar

import mindspore
import numpy as np
from bertcore import BertConfig
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.divergence import BernoulliDivergence
from bertcore_mindspore.dropout import DropoutPlan
from bertcore_mindspore.encoder import Inputs, Names
from bertcore_mindspore.heads import RowHead
from bertcore_mindspore.rows import PackedRows
from mindspore import Tensor, ops
from numpy.typing import NDArray

from bertcore_example.ordinal import OrdinalRegression


class OrdinalRegressionHead(RowHead):
    """:class:`bertcore_example.ordinal.OrdinalRegression`: ``RowHead`` scores the text, on a model of any family."""

    column_names: ClassVar[tuple[str, ...]] = ("beyond", "counted")

    def __init__(
        self,
        config: BertConfig,
        head: OrdinalRegression,
        parameters: Names,
        device: DeviceKind,
        dropout: DropoutPlan,
    ) -> None:
        super().__init__(config, head, parameters, device, dropout)
        self.thresholds = parameters["thresholds"]
        self.threshold_count = len(head.labels) - 1
        self.log1p = ops.Log1p()
        self.exp = ops.Exp()
        self.absolute = ops.Abs()
        self.relu = ops.ReLU()
        self.label_divergence = BernoulliDivergence(device)

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """``beyond``: float32 ``[rows, ranks - 1]``; ``counted``: float32 ``[rows]``, 0 where the label is ignored."""
        labels = rows.batch.columns.get(self.head.label_column)
        values = np.zeros(0, dtype=np.int32) if labels is None else labels.values
        counted = np.zeros(0) if labels is None else labels.values != labels.ignore
        beyond = values[:, None] > np.arange(self.threshold_count)
        return {"beyond": rows.per_row(beyond, np.float32), "counted": rows.per_row(counted, np.float32)}

    def empty_output(self, name: str) -> NDArray[np.generic]:
        """No row, of one number for each threshold."""
        return np.zeros((0, self.threshold_count), dtype=np.float32)

    def construct(self, hidden: Tensor, batch: Inputs, forward_pass: int) -> dict[str, Tensor]:
        """Returns ``logits``: ``[rows, 1]`` and ``[ranks - 1]`` make ``[rows, ranks - 1]``."""
        score = super().construct(hidden, batch, forward_pass)["logits"]
        return {"logits": score + self.cast(self.thresholds, mindspore.float32)}

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Loss of each row."""
        logits, beyond = self.cast(outputs["logits"], self.wide), self.cast(batch["beyond"], self.wide)
        entropies = self.relu(logits) - logits * beyond + self.log1p(self.exp(-self.absolute(logits)))
        return self.cast(self.sum(entropies, -1), mindspore.float32) * batch["counted"]

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """The sum over the thresholds, for each row; R-Drop and distillation need it."""
        divergences = self.label_divergence(outputs["logits"], towards["logits"], temperature)
        return self.sum(divergences, -1) * batch["counted"]
