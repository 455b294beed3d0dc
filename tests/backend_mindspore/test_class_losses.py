"""Shaped losses of MindSpore against the float64 reference: values and gradients, compiled."""

from __future__ import annotations

from typing import Any

import mindspore
import numpy as np
import pytest
from bertcore_mindspore.class_losses import SigmoidLoss, SoftmaxLoss
from bertcore_mindspore.devices import DEVICES, configure
from mindspore import Tensor, nn

from bertcore.contracts.loss_options import LossOptions
from bertcore.testing.reference import (
    Shape,
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
)

pytestmark = pytest.mark.mindspore

WEIGHTS = (0.5, 3.0, 0.0, 1.25)


class _Sum(nn.Cell):
    def __init__(self, loss: Any) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.gradient = mindspore.grad(self.total, 0)

    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        return self.loss(logits, targets).sum()

    def construct(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return self.total(logits, targets), self.gradient(logits, targets)


@pytest.mark.parametrize(
    "options",
    [LossOptions(0.15), LossOptions(0.0, 0.5), LossOptions(0.0, 0.0, WEIGHTS), LossOptions(0.15, 2.0, WEIGHTS)],
    ids=str,
)
@pytest.mark.parametrize("code", [SoftmaxLoss, SigmoidLoss])
def test_values_and_gradients_equal_the_reference(code: Any, options: LossOptions) -> None:
    configure(mindspore, "cpu")
    generator = np.random.default_rng(5)
    logits = generator.normal(0, 2, (9, 4))
    labels = np.array([0, 1, 2, 3, -100, 1, 1, 3, 0])
    targets = (labels[:, None] == np.arange(4)).astype(np.float32)
    of = (softmax_cross_entropy, softmax_cross_entropy_gradient, labels)
    if code is SigmoidLoss:
        targets = generator.integers(0, 2, (9, 4)).astype(np.float32)
        of = (binary_cross_entropy, binary_cross_entropy_gradient, targets)
    shape = Shape(options.label_smoothing, options.focal_gamma, options.class_weights or 1.0)
    graph = mindspore.jit(_Sum(code(options, DEVICES["cpu"])), jit_level="O0", backend="ms_backend")
    total, gradient = graph(Tensor(logits.astype(np.float32)), Tensor(targets))
    assert total.asnumpy() == pytest.approx(of[0](logits, of[2], shape=shape), rel=1e-5)
    np.testing.assert_allclose(gradient.asnumpy(), of[1](logits, of[2], shape=shape), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("code", [SoftmaxLoss, SigmoidLoss])
def test_a_focal_loss_of_what_is_quite_sure_is_finite(code: Any) -> None:
    configure(mindspore, "cpu")
    logits, targets = np.array([[200, -200], [-200, 200]], np.float32), np.array([[1, 0], [1, 0]], np.float32)
    graph = mindspore.jit(_Sum(code(LossOptions(0.1, 0.25), DEVICES["cpu"])), jit_level="O0", backend="ms_backend")
    total, gradient = graph(Tensor(logits), Tensor(targets))
    assert np.isfinite(total.asnumpy())
    assert np.isfinite(gradient.asnumpy()).all()
