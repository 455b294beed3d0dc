"""The objectives of MindSpore.

An implementation is a cell made as ``Implementation(objective)`` from the description, with

- ``forward_passes``: how many passes over a micro-batch get dropout masks of their own;
- ``loss_sum(forward, batch) -> scalar tensor`` (graph), where ``forward(batch, forward_pass=0,
  embedding_offset=None)`` gives the head's outputs and ``forward.loss_sum(outputs, batch)`` its loss sum.

It is compiled, so it may hold no lambda and no value that changes from step to step.
"""

from __future__ import annotations

from typing import ClassVar

from mindspore import Tensor, nn, ops

from bertcore.contracts.objective import HeadLoss
from bertcore_mindspore.encoder import Encoder, Inputs


class Forward(nn.Cell):
    """Forward passes of one micro-batch, as an objective sees them.

    Args:
        encoder: the encoder.
        head: the head.
    """

    def __init__(self, encoder: Encoder, head: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.encoder = encoder
        self.head = head
        self.sum = ops.ReduceSum()

    def construct(
        self, batch: Inputs, forward_pass: int = 0, embedding_offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's outputs in the static shape.

        Args:
            batch: arrays of the call.
            forward_pass: which dropout masks; the same number gives the same masks.
            embedding_offset: added to the sum of the embeddings before it is normalized, ``[tokens, embedding
                width]``.
        """
        return self.head(self.encoder(batch, forward_pass, embedding_offset), batch, forward_pass)

    def loss_sum(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Returns the head's loss sum of these outputs, a float32 scalar."""
        return self.sum(self.head.losses(outputs, batch))

    def divergence_sum(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float = 1.0
    ) -> Tensor:
        """Returns the sum of the head's KL(towards || outputs), a float32 scalar."""
        return self.sum(self.head.divergence(outputs, towards, batch, temperature))


class HeadLossObjective(nn.Cell):
    """The head's own loss, one forward pass."""

    forward_passes: ClassVar[int] = 1

    def __init__(self, objective: HeadLoss) -> None:
        super().__init__(auto_prefix=False)

    def loss_sum(self, forward: Forward, batch: Inputs) -> Tensor:
        """Returns the loss sum of a micro-batch."""
        return forward.loss_sum(forward(batch), batch)
