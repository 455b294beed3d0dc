"""The right one among the rows of a group, however many there are.

Each row is compared with all rows of its group at once, in one small matrix and without a loop over groups::

    groups   0 0 0 1 1          row 3 sees   - - - x x          a softmax over what it sees, at its own place
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bertcore_torch.heads import RowHead
from bertcore_torch.rows import HeadBatch

_OUTSIDE = -1e9
"""Score of a row of another group: not minus infinity, whose gradient is no number where a row sees nothing else."""


class MultipleChoiceHead(RowHead):
    """:class:`bertcore.heads.MultipleChoice`: cross entropy over the choices of each question."""

    def losses(self, outputs: dict[str, Tensor], batch: HeadBatch) -> Tensor:
        """Gives one loss for each row: that of its group at the right choice, and zero at the others."""
        groups = _groups(batch)
        is_right = batch.columns["choices"] == batch.columns[self.label_column].index_select(0, groups)
        return -_log_probabilities(outputs["logits"], groups).masked_fill(~is_right, 0.0)

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: HeadBatch, temperature: float = 1.0
    ) -> Tensor:
        """Gives each row's part of that of its group."""
        groups = _groups(batch)
        ours, theirs = (_log_probabilities(one["logits"] / temperature, groups) for one in (outputs, towards))
        parts, ignore = theirs.exp() * (theirs - ours), batch.ignore.get(self.label_column)
        if ignore is None:
            return parts
        return parts.masked_fill(batch.columns[self.label_column].index_select(0, groups) == ignore, 0.0)


def _groups(batch: HeadBatch) -> Tensor:
    assert batch.groups is not None, "the batch has no groups"
    return batch.groups


def _log_probabilities(logits: Tensor, groups: Tensor) -> Tensor:
    """Logarithm of the probability of each row among those of its group, ``[rows, 1]`` to ``[rows]``."""
    others = groups[:, None] != groups[None, :]
    seen = torch.where(others, _OUTSIDE, logits.view(1, -1))
    return F.log_softmax(seen, dim=1).diagonal()
