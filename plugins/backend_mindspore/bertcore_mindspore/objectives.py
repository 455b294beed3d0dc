"""The objectives of MindSpore.

An implementation is a cell made as ``Implementation(objective)`` from the description, with

- ``forward_passes``: the numbers of its passes, each of which has dropout masks of its own, as ``(0, 1)``;
- ``loss_sum(forward, batch) -> scalar tensor`` (graph), where ``forward(batch, forward_pass=0,
  embedding_offset=None)`` gives the head's outputs and ``forward.loss_sum(outputs, batch)`` its loss sum.

It is compiled, so it may hold no lambda and no value that changes from step to step.
"""

from __future__ import annotations

import mindspore
from mindspore import Tensor, nn, ops

from bertcore.contracts.objective import TEACHER, HeadLoss
from bertcore_mindspore.encoder import Encoder, Inputs


class Forward(nn.Cell):
    """Forward passes of one micro-batch, as an objective sees them.

    Args:
        encoder: the encoder.
        head: the head.
        taught: outputs of which the batch holds a teacher's.
    """

    def __init__(self, encoder: Encoder, head: nn.Cell, taught: tuple[str, ...] = ()) -> None:
        super().__init__(auto_prefix=False)
        self.encoder = encoder
        self.head = head
        self.first_only = getattr(encoder, "first_only", False)
        self.taught = taught
        self.teacher = tuple(f"{TEACHER}{name}" for name in taught)
        self.column_names = (*head.column_names, *self.teacher)
        self.sum = ops.ReduceSum()

    def construct(
        self, batch: Inputs, forward_pass: int = 0, embedding_offset: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Returns the head's outputs in the static shape.

        Args:
            batch: arrays of the call.
            forward_pass: which dropout masks: those of the number that stands at this place in ``forward_passes``.
            embedding_offset: added to the sum of the embeddings before it is normalized, ``[tokens, embedding
                width]``.
        """
        hidden = self.encoder(batch, forward_pass, embedding_offset)
        if self.first_only:
            # The head gathers first tokens from what it is given, which are these alone, in their order.
            own = {}
            for name in batch:
                own[name] = batch[name]
            own["first_tokens"] = ops.arange(0, hidden.shape[0], dtype=mindspore.int32)
            return self.head(hidden, own, forward_pass)
        return self.head(hidden, batch, forward_pass)

    def loss_sum(self, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """Returns the head's loss sum of these outputs, a float32 scalar."""
        return self.sum(self.head.losses(outputs, batch))

    def of_teacher(self, batch: Inputs) -> dict[str, Tensor]:
        """Returns the teacher's outputs in the static shape."""
        towards = {}
        for index in range(len(self.taught)):
            towards[self.taught[index]] = batch[self.teacher[index]]
        return towards

    def divergence_sum(
        self, outputs: dict[str, Tensor], towards: dict[str, Tensor], batch: Inputs, temperature: float = 1.0
    ) -> Tensor:
        """Returns the sum of the head's KL(towards || outputs), a float32 scalar."""
        return self.sum(self.head.divergence(outputs, towards, batch, temperature))


class HeadLossObjective(nn.Cell):
    """The head's own loss over clean passes, and their agreement."""

    def __init__(self, objective: HeadLoss) -> None:
        super().__init__(auto_prefix=False)
        self.forward_passes = tuple(one.dropout for one in objective.clean_passes)
        self.weights = tuple(one.weight for one in objective.clean_passes)
        self.agreement = objective.agreement
        self.distillation = objective.distillation
        self.temperature = objective.temperature

    def loss_sum(self, forward: Forward, batch: Inputs) -> Tensor:
        """Returns the loss sum of all clean passes over a micro-batch."""
        outputs = (forward(batch),)
        total = self._weighted(self._taught(forward, outputs[0], batch), 0)
        for index in range(1, len(self.weights)):
            outputs = (*outputs, forward(batch, index))
            total = total + self._weighted(self._taught(forward, outputs[index], batch), index)
        return total + self.agreement * self._disagreement(forward, outputs, batch) if self.agreement else total

    def _taught(self, forward: Forward, outputs: dict[str, Tensor], batch: Inputs) -> Tensor:
        """The head's loss, mixed with what the outputs are from the teacher's, if there is one."""
        loss = forward.loss_sum(outputs, batch)
        if not self.distillation:
            return loss
        distance = forward.divergence_sum(outputs, forward.of_teacher(batch), batch, self.temperature)
        return (1.0 - self.distillation) * loss + self.distillation * self.temperature**2 * distance

    def _weighted(self, loss: Tensor, index: int) -> Tensor:
        return loss if self.weights[index] == 1.0 else loss * self.weights[index]

    def _disagreement(self, forward: Forward, outputs: tuple[dict[str, Tensor], ...], batch: Inputs) -> Tensor:
        """The mean over all pairs of passes of half the divergence both ways."""
        total, count = 0.0, len(self.weights)
        for first in range(count):
            for second in range(count):
                if first != second:
                    total = total + forward.divergence_sum(outputs[first], outputs[second], batch)
        return total / (count * (count - 1))
