"""The right one among the rows of a group, however many there are.

Each row is compared with all rows of its group at once, in one small matrix and without a loop over groups::

    groups   0 0 0 1 1          row 3 sees   - - - x x          a softmax over what it sees, at its own place
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.loss_options import LEAST_DOUBT
from bertcore.heads import MultipleChoice
from torch import Tensor

from bertcore_torch.heads import RowHead
from bertcore_torch.rows import HeadBatch

NO_LABEL = -1
"""What no label is, where none is ignored."""
_OUTSIDE = -1e9
"""Score of a row of another group: not minus infinity, whose gradient is no number where a row sees nothing else."""


class MultipleChoiceHead(RowHead):
    """:class:`bertcore.heads.MultipleChoice`: cross entropy over the choices of each question."""

    def __init__(self, config: BertConfig, head: MultipleChoice) -> None:
        super().__init__(config, head)
        self.options = head.loss

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives each row's part of that of its group: all of it at the right choice, unless labels are smoothed."""
        groups = _groups(batch)
        logarithms = _log_probabilities(outputs["logits"], groups)
        if self.options.focal_gamma:
            doubt = (-logarithms.expm1()).clamp_min(LEAST_DOUBT)
            logarithms = logarithms * doubt.pow(self.options.focal_gamma)
        return -logarithms * self._targets(batch, groups)

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives each row's part of that of its group."""
        groups = _groups(batch)
        ours, theirs = (_log_probabilities(one["logits"] / temperature, groups) for one in (outputs, towards))
        ignored = self._labels(batch, groups) == batch.ignore.get(self.label_column, NO_LABEL)
        return (theirs.exp() * (theirs - ours)).masked_fill(ignored, 0.0)

    def _targets(self, batch: HeadBatch, groups: Tensor) -> Tensor:
        """How much each row counts in the loss of its group, ``[rows]``."""
        labels, smoothing = self._labels(batch, groups), self.options.label_smoothing
        is_right = (batch.columns["choices"] == labels).float()
        if not smoothing:
            return is_right
        shares = smoothing / (groups[:, None] == groups[None, :]).sum(dim=1)
        ignored = labels == batch.ignore.get(self.label_column, NO_LABEL)
        return (is_right * (1 - smoothing) + shares).masked_fill(ignored, 0.0)

    def _labels(self, batch: HeadBatch, groups: Tensor) -> Tensor:
        return batch.columns[self.label_column].index_select(0, groups)


def _groups(batch: HeadBatch) -> Tensor:
    assert batch.groups is not None, "the batch has no groups"
    return batch.groups


def _log_probabilities(logits: Tensor, groups: Tensor) -> Tensor:
    """Logarithm of the probability of each row among those of its group, ``[rows, 1]`` to ``[rows]``."""
    others = groups[:, None] != groups[None, :]
    seen = torch.where(others, _OUTSIDE, logits.view(1, -1))
    return F.log_softmax(seen, dim=1).diagonal()
