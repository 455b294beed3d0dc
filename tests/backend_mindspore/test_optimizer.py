"""The update graph, fed with given gradients, against torch's own AdamW."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bertcore_mindspore.devices import DEVICES
from bertcore_mindspore.optimizer import AdamW
from bertcore_mindspore.values import copy_into, to_numpy
from mindspore import Parameter, Tensor

from bertcore.contracts.backend import ParameterGroup, TrainingSpecification
from bertcore.contracts.bert_config import BertConfig
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification

pytestmark = pytest.mark.mindspore

CONFIG = BertConfig(
    vocab_size=3000,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=40,
)
GROUPS = (ParameterGroup("no decay", r"bias$|LayerNorm", 1e-3, 0.0), ParameterGroup("rest", ".", 1e-3, 0.01))


def test_given_gradients_are_applied_as_torch_applies_them() -> None:
    generator = np.random.default_rng(5)
    parameters = {
        name: generator.normal(0, 0.1, spec.shape).astype(np.float32)
        for name, spec in BertFamily().parameter_table(CONFIG, SequenceClassification(("a", "b"))).items()
    }
    updated = {name: Parameter(Tensor(value.copy()), name=name) for name, value in parameters.items()}
    optimizer = AdamW(updated, TrainingSpecification(GROUPS), DEVICES["cpu"], scaled=False)
    named = {name: torch.nn.Parameter(torch.from_numpy(value.copy())) for name, value in parameters.items()}
    spared = {name for name in named if name.endswith("bias") or "LayerNorm" in name}
    oracle = torch.optim.AdamW(
        [
            {"params": [named[name] for name in named if name in spared], "weight_decay": 0.0},
            {"params": [named[name] for name in named if name not in spared], "weight_decay": 0.01},
        ],
        lr=1e-3,
    )
    for step in range(4):
        scale = (1e-4, 1.0)[step % 2]  # not clipped, clipped
        gradients = {
            name: (scale * generator.standard_normal(value.shape)).astype(np.float32)
            for name, value in parameters.items()
        }
        for name, accumulator in zip(optimizer.trained, optimizer.gradients, strict=True):
            copy_into(accumulator, gradients[name])
        result = optimizer.update(1.0, (1e-3, 1e-3))
        # torch's own clipping sums in float32, which is wrong in the fourth digit for this many values.
        expected = math.sqrt(sum(float(np.square(value, dtype=np.float64).sum()) for value in gradients.values()))
        for name, parameter in named.items():
            parameter.grad = torch.from_numpy(gradients[name] * np.float32(min(1.0, 1.0 / (expected + 1e-6))))
        oracle.step()
        assert result.gradient_norm == pytest.approx(expected, rel=1e-6)
        assert result.loss_sum == 0.0
    for name, value in updated.items():
        target = named[name].detach().numpy()
        assert np.abs(to_numpy(value) - target).max() <= 1e-6 * np.abs(target).max(), name
