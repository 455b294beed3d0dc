"""The confidence penalty on the torch backend; this module is imported when a run asks for it."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import log_softmax

from bertcore_example.confidence_penalty import ConfidencePenalty


class ConfidencePenaltyLoss:
    """Computes the loss sum of one micro-batch."""

    def __init__(self, objective: ConfidencePenalty) -> None:
        self.beta = objective.beta

    def loss_sum(self, forward: Any, batch: Any) -> torch.Tensor:
        """Returns the head's loss sum minus ``beta`` times the entropy ``-sum p log p`` of each row's labels.

        Args:
            forward: the backend's: ``forward(batch)`` gives the head's outputs, ``forward.loss_sum(outputs, batch)``
                the head's own loss.
            batch: the micro-batch, on the device.
        """
        outputs = forward(batch)
        loss: torch.Tensor = forward.loss_sum(outputs, batch)
        log_probabilities = log_softmax(outputs["logits"].float(), dim=-1)
        return loss + self.beta * (log_probabilities.exp() * log_probabilities).sum()
