"""R-Drop on the torch backend; this module is imported when a run asks for it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import kl_div, log_softmax

from bertcore_example.r_drop import RDropObjective


class RDropLoss:
    """Computes the loss sum of one micro-batch from two forward passes."""

    def __init__(self, objective: RDropObjective) -> None:
        self.alpha = objective.alpha

    def loss_sum(self, forward: Any, batch: Any) -> torch.Tensor:
        """Returns ``(L1 + L2) / 2 + alpha * (KL(p1, p2) + KL(p2, p1)) / 2``, summed over the rows.

        Args:
            forward: the backend's: ``forward(batch, forward_pass=n)`` gives the head's outputs with dropout masks of
                that pass, ``forward.loss_sum(outputs, batch)`` the head's own loss.
            batch: the micro-batch, on the device.
        """
        outputs = [forward(batch, forward_pass=number) for number in (0, 1)]
        losses: list[torch.Tensor] = [forward.loss_sum(output, batch) for output in outputs]
        first, second = (log_softmax(output["logits"].float(), dim=-1) for output in outputs)
        divergence = kl_div(first, second, reduction="sum", log_target=True)
        divergence = divergence + kl_div(second, first, reduction="sum", log_target=True)
        return (losses[0] + losses[1]) / 2 + self.alpha * divergence / 2
