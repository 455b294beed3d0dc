"""The fused kernels against torch's own operators: outputs, gradients, and 50 steps with dropout on real texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch.dropout import Dropout, FusedDropout, Mask, MaskSeed

from bertcore.contracts.backend import Precision, TrainingSpecification
from bertcore.contracts.batch import Batch, Column, from_rows
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.training_step import StepContext
from bertcore.heads import SequenceClassification, TokenClassification
from bertcore.numerics.kernels import find_kernels
from bertcore.testing.gradients import gradients_of, showing_gradients

pytestmark = pytest.mark.skipif(find_kernels()[0] is None, reason=f"no fused kernels: {find_kernels()[1]}")

CONFIG = BertConfig(
    vocab_size=60,
    hidden_size=36,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=44,
    max_position_embeddings=42,
)
LENGTHS = [9, 1, 40, 17, 3, 3, 28, 2, 31]


def ragged(per_token: bool) -> Batch:
    generator = np.random.default_rng(1)
    rows = [generator.integers(0, CONFIG.vocab_size, length).tolist() for length in LENGTHS]
    types = [generator.integers(0, 2, length).tolist() for length in LENGTHS]
    if not per_token:
        return from_rows(rows, types, {"labels": Column(np.arange(len(rows)) % 3, "row")})
    labels = {"labels": Column(np.arange(sum(LENGTHS)) % 3, "label")}
    return from_rows(rows, types, labels, label_positions=[list(range(length)) for length in LENGTHS])


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
@pytest.mark.parametrize("head", [SequenceClassification(("a", "b", "c")), TokenClassification(("a", "b", "c"))])
@pytest.mark.parametrize("dropout", [False, True], ids=["no dropout", "dropout"])
def test_gradients_and_outputs_equal_those_of_torchs_operators(
    open_session: Callable[..., Any], groups: Any, head: Any, dropout: bool, activation: str
) -> None:
    config = dataclasses.replace(CONFIG, hidden_act=activation)
    batch = ragged(per_token=isinstance(head, TokenClassification))
    training = showing_gradients(TrainingSpecification(groups, dropout=dropout))
    fused, reference = (open_session(config, head, training, kernels=choice) for choice in ("fused", "reference"))
    context = StepContext(3, 0, (0.0, 0.0), 1.0)
    expected = {**gradients_of(reference, [batch], context), **reference.predict(batch, ["logits"])}
    actual = {**gradients_of(fused, [batch], context), **fused.predict(batch, ["logits"])}
    for name, value in expected.items():
        error = np.abs(actual[name] - value).max()
        assert error <= 2e-5 * max(np.abs(value).max(), 1e-2), (name, error)


# In bf16, torch rounds after every operator, and a kernel once.
@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-5), ("bf16", 0.005)])
def test_fifty_steps_with_dropout_lose_what_they_lose_on_torchs_operators(
    tiny_model: Any, groups: Any, precision: Precision, bound: float
) -> None:
    oracle = tiny_model.oracle()
    losses: dict[str, list[float]] = {}
    for choice in ("fused", "reference"):
        session = tiny_model.open(oracle, training=TrainingSpecification(groups), precision=precision, kernels=choice)
        batch = tiny_model.batch(48, 64)
        parts = [batch.select(np.arange(start, start + 8)) for start in range(0, 48, 8)]
        losses[choice] = [
            session.train_step([parts[step % 6]], StepContext(step, 7, (1e-3, 1e-3), 8.0)).loss_sum / 8
            for step in range(50)
        ]
    np.testing.assert_allclose(losses["fused"], losses["reference"], rtol=0, atol=bound)
    assert np.ptp(losses["fused"]) > 10 * bound


def test_masks_drawn_together_are_those_that_numpy_draws_one_by_one() -> None:
    seed = MaskSeed(2**40 + 3, 5, 1, 2, 1)
    sizes = {4: 4 * 900 + 4, 5: 13, 9: 4}
    fused, one_by_one = FusedDropout(seed), Dropout(seed)
    like = torch.empty(0)
    fused.prepare([Mask(site, size, 0.1) for site, size in sizes.items()] + [Mask(6, 10, 0.0)])
    for _ in range(2):  # a further call for a site goes on
        for site, size in sizes.items():
            drawn = fused.bools(Mask(site, size, 0.1))
            assert drawn is not None
            assert drawn.tolist() == one_by_one.keep((size,), site, 0.1, like).tolist()
    assert fused.bools(Mask(6, 10, 0.0)) is None
    assert FusedDropout(None).bools(Mask(4, 10, 0.1)) is None
