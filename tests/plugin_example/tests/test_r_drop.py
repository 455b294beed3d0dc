"""R-Drop against its equation, with forward passes made up for the occasion."""

from __future__ import annotations

import numpy as np
import pytest

from bertcore_example.r_drop import RDropObjective

torch = pytest.importorskip("torch")


class MadeUpForward:
    """Gives fixed logits for each pass, and their cross entropy as the head's loss."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = torch.tensor(logits, requires_grad=True)

    def __call__(self, batch, forward_pass=0):
        return {"logits": self.logits[forward_pass]}

    def loss_sum(self, outputs, batch):
        return torch.nn.functional.cross_entropy(outputs["logits"], batch, reduction="sum")


@pytest.mark.parametrize("alpha", [0.0, 0.7, 5.0])
def test_the_loss_is_that_of_the_paper(alpha):
    from bertcore_example.r_drop_torch import RDropLoss

    logits = np.random.default_rng(2).normal(0, 2, (2, 5, 3)).astype(np.float32)
    labels = [0, 1, 2, 2, 0]
    forward = MadeUpForward(logits)
    loss = RDropLoss(RDropObjective(alpha)).loss_sum(forward, torch.tensor(labels))

    p, q = (np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in logits.astype(np.float64))
    rows = range(len(labels))
    cross_entropy = -(np.log(p[rows, labels]) + np.log(q[rows, labels])).sum()
    divergence = (p * np.log(p / q)).sum() + (q * np.log(q / p)).sum()
    assert loss.item() == pytest.approx(cross_entropy / 2 + alpha * divergence / 2, rel=1e-5)
    loss.backward()
    assert forward.logits.grad[0].any(), "both passes are trained"
    assert forward.logits.grad[1].any()
