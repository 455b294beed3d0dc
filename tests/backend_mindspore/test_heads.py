"""Which masks the heads take, and that their last layer computes in float32 whatever the encoder computes in."""

from __future__ import annotations

import dataclasses
from typing import Any

import mindspore
import numpy as np
import pytest
from bertcore_mindspore import heads
from bertcore_mindspore.devices import DEVICES, configure
from bertcore_mindspore.dropout import DropoutPlan
from bertcore_mindspore.shapes import Shape
from mindspore import Parameter, Tensor

from bertcore.contracts.bert_config import BertConfig
from bertcore.heads import SpanExtraction, TokenClassification
from bertcore.numerics.randomness import EMBEDDINGS, HEAD, HEAD_DENSE

pytestmark = pytest.mark.mindspore

CONFIG = BertConfig(20, 16, 1, 2, 16, max_position_embeddings=24, classifier_dropout=0.3)
SHAPE = Shape(length=24, bins=2)


@pytest.mark.parametrize(
    ("head", "variant", "sites"),
    [
        (heads.SequenceClassificationHead, "pooler", {HEAD: (SHAPE.rows, 16)}),
        (heads.RegressionHead, "dense", {HEAD: (SHAPE.rows, 16), HEAD_DENSE: (SHAPE.rows, 16)}),
        (heads.TokenClassificationHead, "pooler", {HEAD: (SHAPE.tokens, 16)}),
        (heads.TokenClassificationHead, "dense", {HEAD: (SHAPE.tokens, 16)}),
        (heads.SpanExtractionHead, "dense", {}),
    ],
)
def test_a_step_takes_the_masks_that_its_head_applies(head: Any, variant: Any, sites: dict[int, Any]) -> None:
    plan = DropoutPlan(
        dataclasses.replace(CONFIG, head_variant=variant), head.dropout_per, forward_passes=1, active=True
    )
    assert {site: plan.mask_shape(site, SHAPE) for site in plan.rates if site in (HEAD, HEAD_DENSE)} == sites
    assert plan.mask_shape(EMBEDDINGS, SHAPE) == (SHAPE.tokens, 16)


@pytest.mark.parametrize(
    ("implementation", "head", "name"),
    [
        (heads.TokenClassificationHead, TokenClassification(("a", "b", "c")), "logits"),
        (heads.SpanExtractionHead, SpanExtraction(), "start_logits"),
    ],
)
def test_logits_of_half_precision_states_are_float32(implementation: Any, head: Any, name: str) -> None:
    configure(mindspore, "cpu")
    generator = np.random.default_rng(3)
    values = {
        name: generator.normal(size=spec.shape).astype(np.float32) for name, spec in head.parameter_table(16).items()
    }
    parameters = {name: Parameter(Tensor(value), name=name) for name, value in values.items()}
    silent = DropoutPlan(CONFIG, None, forward_passes=1, active=False)
    hidden = generator.normal(size=(48, 16)).astype(np.float16)
    found = implementation(CONFIG, head, parameters, DEVICES["cpu"], silent)(Tensor(hidden), {"masks": ()}, 0)[name]
    weight, bias = values.values()
    expected = hidden.astype(np.float64) @ weight.T + bias
    assert found.dtype == mindspore.float32
    np.testing.assert_allclose(found.asnumpy(), expected if name == "logits" else expected[:, 0], atol=1e-5)
