"""The objectives of MindSpore.

An implementation is a cell made as ``Implementation(objective)`` from the description, with

- ``forward_passes``: how many passes over a micro-batch get dropout masks of their own;
- ``loss_sum(forward, batch) -> scalar tensor`` (graph), where ``forward(batch, forward_pass=0,
  embedding_offset=None)`` gives the head's outputs and ``forward.loss_sum(outputs, batch)`` its loss sum.

It is compiled, so it may hold no lambda and no value that changes from step to step.
"""

from __future__ import annotations

from typing import ClassVar

from mindspore import Tensor, nn

from bertcore.contracts.objective import HeadLoss
from bertcore_mindspore.encoder import Inputs


class HeadLossObjective(nn.Cell):
    """The head's own loss, one forward pass."""

    forward_passes: ClassVar[int] = 1

    def __init__(self, objective: HeadLoss) -> None:
        super().__init__(auto_prefix=False)

    def loss_sum(self, forward: nn.Cell, batch: Inputs) -> Tensor:
        """Returns the loss sum of a micro-batch."""
        return forward.loss_sum(forward(batch), batch)
