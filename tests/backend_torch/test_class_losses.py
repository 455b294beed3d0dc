"""Shaped losses against torch's own in float64: values, means and gradients."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from bertcore_torch.class_losses import ClassLoss

from bertcore.contracts.batch import Column, from_rows
from bertcore.contracts.loss_options import LossOptions
from bertcore.heads import SequenceClassification
from bertcore.testing.reference import (
    Shape,
    binary_cross_entropy,
    binary_cross_entropy_gradient,
    softmax_cross_entropy,
    softmax_cross_entropy_gradient,
)

WEIGHTS = (0.5, 3.0, 0.0, 1.25)
OPTIONS = [LossOptions(*options) for options in product((0.0, 0.15), (0.0, 0.5, 2.0), ((), WEIGHTS))]


def softmax_loss(logits: torch.Tensor, labels: torch.Tensor, options: LossOptions) -> torch.Tensor:
    """Without a gamma torch's own sum; with one, each of its terms times a power of what is missing to certainty."""
    weights = torch.tensor(options.class_weights, dtype=torch.float64) if options.class_weights else None
    if not options.focal_gamma:
        return F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=options.label_smoothing)
    kept = labels != -100
    labels = labels[kept]
    total = logits.new_zeros(())
    for label, probabilities in zip(labels, logits[kept].softmax(dim=1), strict=True):
        for index, probability in enumerate(probabilities):
            share = options.label_smoothing / 4 + (1 - options.label_smoothing) * float(index == label)
            weight = 1.0 if weights is None else weights[index]
            total = total - share * weight * (1 - probability) ** options.focal_gamma * probability.log()
    return total


def sigmoid_loss(logits: torch.Tensor, labels: torch.Tensor, options: LossOptions) -> torch.Tensor:
    """torch's own without a gamma; else as ``torchvision.ops.sigmoid_focal_loss`` has it, of presence and absence."""
    weights = torch.tensor(options.class_weights, dtype=torch.float64) if options.class_weights else None
    targets = labels.double() * (1 - options.label_smoothing) + options.label_smoothing / 2
    if not options.focal_gamma:
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights, reduction="sum")
    total = logits.new_zeros(())
    for present in (0.0, 1.0):
        hard = torch.full_like(logits, present)
        entropy = F.binary_cross_entropy_with_logits(logits, hard, reduction="none")
        p = logits.sigmoid()
        right = p * hard + (1 - p) * (1 - hard)
        weight = (weights if weights is not None else 1.0) if present else 1.0
        total = (
            total
            + (weight * (targets if present else 1 - targets) * entropy * (1 - right) ** options.focal_gamma).sum()
        )
    return total


def sample(per_label: bool) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    labels = generator.integers(0, 2, (9, 4)) if per_label else np.array([0, 1, 2, 3, -100, 1, 1, 3, 0])
    return generator.normal(0, 2, (9, 4)), labels


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_values_and_gradients_equal_those_of_torch(kind: str, options: LossOptions) -> None:
    """Of the backend in float32, and of the numpy reference in float64."""
    values, labels = sample(per_label=kind == "sigmoid")
    oracle = {"softmax": softmax_loss, "sigmoid": sigmoid_loss}[kind]
    exact = torch.tensor(values, requires_grad=True)
    expected = oracle(exact, torch.tensor(labels), options)
    expected.backward()

    logits = torch.tensor(values, dtype=torch.float32, requires_grad=True)
    code = ClassLoss(options)
    if kind == "softmax":
        ours = code.of_softmax(logits, torch.tensor(labels), -100)
    else:
        ours = code.of_sigmoids(logits, torch.tensor(labels, dtype=torch.float32), None)
    assert ours.dtype == torch.float32
    ours.sum().backward()
    assert ours.sum().item() == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(logits.grad.numpy(), exact.grad.numpy(), rtol=1e-5, atol=1e-6)

    shape = Shape(options.label_smoothing, options.focal_gamma, options.class_weights or 1.0)
    reference: Any = (softmax_cross_entropy, softmax_cross_entropy_gradient)
    if kind == "sigmoid":
        reference = (binary_cross_entropy, binary_cross_entropy_gradient)
    value, gradient = (function(values, labels, shape=shape) for function in reference)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(gradient, exact.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.15])
@pytest.mark.parametrize("parts", [[range(9)], [range(3), range(3, 4), range(4, 9)]], ids=["whole", "in parts"])
def test_the_mean_over_all_parts_is_torchs_weighted_mean(smoothing: float, parts: Any) -> None:
    """The sums of all micro-batches over the sum of their counts, some labels being ignored or of no weight."""
    values, labels = sample(per_label=False)
    head = SequenceClassification(("a", "b", "c", "d"), loss=LossOptions(smoothing, 0.0, WEIGHTS))
    code = ClassLoss(head.loss)
    total = count = 0.0
    for rows in parts:
        column = Column(labels[list(rows)], "row", ignore=-100)
        count += head.loss_count(from_rows([[1]] * len(rows), [[0]] * len(rows), {"labels": column}))
        logits = torch.tensor(values[list(rows)], dtype=torch.float32)
        total += code.of_softmax(logits, torch.tensor(labels[list(rows)]), -100).sum().item()
    expected = F.cross_entropy(
        torch.tensor(values), torch.tensor(labels), torch.tensor(WEIGHTS).double(), label_smoothing=smoothing
    )
    assert total / count == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.25, 1.0, 5.0])
def test_a_focal_loss_of_what_is_quite_sure_is_finite(gamma: float) -> None:
    """A power below 1 of a doubt of 0 has an endless slope."""
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    code = ClassLoss(LossOptions(0.1, gamma))
    total = (
        code.of_softmax(logits, torch.tensor([0, 0]), -100).sum()
        + code.of_sigmoids(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]]), None).sum()
    )
    total.backward()
    assert total.isfinite()
    assert logits.grad.isfinite().all()
