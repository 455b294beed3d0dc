"""Ordinal regression on torch; this module is imported when a run asks for it."""

from __future__ import annotations

import torch
from bertcore import BertConfig
from bertcore_torch.divergence import bernoulli_divergence
from bertcore_torch.dropout import Dropout
from bertcore_torch.heads import RowHead
from bertcore_torch.rows import HeadBatch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from bertcore_example.ordinal import OrdinalRegression


class OrdinalRegressionHead(RowHead):
    """:class:`bertcore_example.ordinal.OrdinalRegression`: ``RowHead`` scores the text, on a model of any family."""

    def __init__(self, config: BertConfig, head: OrdinalRegression) -> None:
        super().__init__(config, head)
        self.thresholds = nn.Parameter(torch.zeros(len(head.labels) - 1))

    def outputs(self, hidden: Tensor, batch: HeadBatch, dropout: Dropout) -> dict[str, Tensor]:
        """Gives ``logits``: ``[rows, 1]`` and ``[ranks - 1]`` make ``[rows, ranks - 1]``."""
        score = super().outputs(hidden, batch, dropout)["logits"]
        return {"logits": score + self.thresholds.float()}

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row, 0 where the label is ignored."""
        logits, labels = outputs["logits"], batch.columns[self.label_column]
        beyond = labels[:, None] > torch.arange(logits.shape[1], device=logits.device)
        losses = binary_cross_entropy_with_logits(logits, beyond.float(), reduction="none")
        return self._without_ignored(losses.sum(dim=1), batch)

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives the sum over the thresholds, for each row; R-Drop and distillation need it."""
        divergences = bernoulli_divergence(outputs["logits"], towards["logits"], temperature)
        return self._without_ignored(divergences.sum(dim=1), batch)

    def _without_ignored(self, values: Tensor, batch: HeadBatch) -> Tensor:
        ignore = batch.ignore.get(self.label_column)
        return values if ignore is None else values.masked_fill(batch.columns[self.label_column] == ignore, 0.0)
