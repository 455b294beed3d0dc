"""The confidence penalty against its equation, with a forward pass made up for the occasion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bertcore_example.confidence_penalty import ConfidencePenalty

torch = pytest.importorskip("torch")


class MadeUpForward:
    """Gives fixed logits, and their cross entropy as the head's loss."""

    def __init__(self, logits: NDArray[Any]) -> None:
        self.logits = torch.tensor(logits, requires_grad=True)

    def __call__(self, batch: Any) -> dict[str, Any]:
        return {"logits": self.logits}

    def loss_sum(self, outputs: dict[str, Any], batch: Any) -> Any:
        return torch.nn.functional.cross_entropy(outputs["logits"], batch, reduction="sum")


@pytest.mark.parametrize("beta", [0.0, 0.1, 2.0])
def test_the_loss_is_that_of_the_paper(beta: float) -> None:
    from bertcore_example.confidence_penalty_torch import ConfidencePenaltyLoss

    logits = np.random.default_rng(2).normal(0, 2, (5, 3)).astype(np.float32)
    labels = [0, 1, 2, 2, 0]
    forward = MadeUpForward(logits)
    loss = ConfidencePenaltyLoss(ConfidencePenalty(beta)).loss_sum(forward, torch.tensor(labels))

    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    cross_entropy = -np.log(p[range(len(labels)), labels]).sum()
    assert loss.item() == pytest.approx(cross_entropy + beta * (p * np.log(p)).sum(), rel=1e-5, abs=1e-5)
