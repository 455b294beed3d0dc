"""The right one among the rows of a group, however many there are.

Each row is compared with all rows of its group at once, in one small matrix of a static shape::

    groups   0 0 0 1 1          row 3 sees   - - - x x          a softmax over what it sees, at its own place
"""

from __future__ import annotations

from typing import ClassVar

import mindspore
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.loss_options import LEAST_DOUBT
from bertcore.heads import MultipleChoice
from bertcore_mindspore.activation import LogSoftmax
from bertcore_mindspore.devices import DeviceKind
from bertcore_mindspore.dropout import DropoutPlan
from bertcore_mindspore.encoder import Inputs, Names
from bertcore_mindspore.heads import RowHead
from bertcore_mindspore.rows import PackedRows


class MultipleChoiceHead(RowHead):
    """Cross entropy over the choices of each question."""

    column_names: ClassVar[tuple[str, ...]] = ("targets", "counted", "outside", "own")

    def __init__(
        self, config: BertConfig, head: MultipleChoice, parameters: Names, device: DeviceKind, dropout: DropoutPlan
    ) -> None:
        super().__init__(config, head, parameters, device, dropout)
        self.log_softmax = LogSoftmax()
        self.smoothing, self.gamma = head.loss.label_smoothing, head.loss.focal_gamma
        self.exp = ops.Exp()
        self.log = ops.Log()
        self.maximum = ops.Maximum()
        self.least = Tensor(LEAST_DOUBT, self.wide)

    def columns(self, rows: PackedRows) -> dict[str, NDArray[np.generic]]:
        """The arrays of a call, float32.

        ``targets``: ``[rows]``, how much a row counts in the loss of its group, 1 at a right choice unless labels are
        smoothed. ``counted``: ``[rows]``, 1 at every choice of a question with a label. ``outside`` and ``own``:
        ``[rows, rows]``, 1 where the second row is of another group than the first, and where both are the same.
        """
        batch, size = rows.batch, rows.shape.rows
        assert batch.groups is not None, "the batch has no groups"
        groups = -1 - np.arange(size)  # a free place sees itself alone
        groups[: len(batch)] = batch.groups
        targets = counted = np.zeros(0, dtype=np.float32)
        labels = batch.columns.get(self.head.label_column)
        if labels is not None:
            of_row = labels.values[batch.groups]
            counted = (of_row != labels.ignore).astype(np.float32)
            shares = self.smoothing * counted / np.bincount(batch.groups)[batch.groups]
            targets = (batch.columns["choices"].values == of_row) * (1 - self.smoothing) + shares
        return {
            "targets": rows.per_row(targets, np.float32),
            "counted": rows.per_row(counted, np.float32),
            "outside": (groups[:, None] != groups[None, :]).astype(np.float32),
            "own": np.eye(size, dtype=np.float32),
        }

    def losses(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Each row's part of that of its group: all of it at the right choice, unless labels are smoothed."""
        logarithms = self._log_probabilities(outputs["logits"], batch, 1.0)
        if self.gamma > 0:
            doubt = self.maximum(1 - self.exp(logarithms), self.least)
            logarithms = logarithms * self.exp(self.log(doubt) * self.gamma)
        return self.cast(-logarithms, mindspore.float32) * batch["targets"]

    def divergence(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float
    ) -> Tensor:
        """Each row's part of that of its group."""
        ours = self._log_probabilities(outputs["logits"], batch, temperature)
        theirs = self._log_probabilities(towards["logits"], batch, temperature)
        return self.cast(self.exp(theirs) * (theirs - ours), mindspore.float32) * batch["counted"]

    def _log_probabilities(self, logits: Tensor, batch: Inputs, temperature: float) -> Tensor:
        """Logarithm of the probability of each row among those of its group, ``[rows, 1]`` to ``[rows]``."""
        scores = self.cast(logits, self.wide).reshape(1, -1) / temperature
        seen = scores + self.cast(batch["outside"], self.wide) * -1e9
        return self.sum(self.log_softmax(seen) * self.cast(batch["own"], self.wide), -1)
