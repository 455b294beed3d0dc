"""The update rule, fed with given gradients, against torch's own; guards and loss scaling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from bertcore_torch.flat_parameters import FlatParameters
from bertcore_torch.optimizer import AdamW
from bertcore_torch.values import from_numpy, to_numpy

from bertcore.contracts.backend import ParameterGroup, TrainingSpecification
from bertcore.contracts.bert_config import BertConfig
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.errors import ConfigError
from bertcore.families.bert import BertFamily
from bertcore.heads import SequenceClassification
from bertcore.numerics.optimization import STEPS_TO_GROW, LazyStepResult

HEAD = SequenceClassification(("a", "b", "c"))
CONFIG = BertConfig(
    vocab_size=311,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=52,
    max_position_embeddings=40,
)
GROUPS = (
    ParameterGroup("no decay", r"bias$|LayerNorm", 3e-4, 0.0),
    ParameterGroup("head", r"^classifier", 1e-3, 0.05),
    ParameterGroup("rest", ".", 3e-4, 0.1),
)
RATES = (3e-4, 1e-3, 2e-4)


class Update:
    """AdamW over parameters of which none is zero or one by habit, fed with gradients that are given."""

    def __init__(self, training: TrainingSpecification, *, fused: bool = True, config: BertConfig = CONFIG) -> None:
        table = BertFamily().parameter_table(config, HEAD)
        self._masters = FlatParameters(table, {name: (name,) for name in table}, training.groups, torch.device("cpu"))
        generator = np.random.default_rng(17)
        values = {name: generator.normal(0, 0.1, spec.shape).astype(np.float32) for name, spec in table.items()}
        from_numpy(self._masters.views(self._masters.values), values)
        self.optimizer = AdamW(self._masters, training, fused=fused, scaled=False)

    def parameters(self) -> Parameters:
        return to_numpy(self._masters.views(self._masters.values))

    def apply(self, gradients: Parameters) -> LazyStepResult:
        from_numpy(self._masters.views(self.optimizer.gradient), gradients)
        return self.optimizer.update(torch.zeros(()), 1.0, RATES)

    def drawn_gradients(self, seed: int, size: float) -> Parameters:
        generator = np.random.default_rng(seed)
        return {name: generator.normal(0, size, v.shape).astype(np.float32) for name, v in self.parameters().items()}


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "not fused"])
@pytest.mark.parametrize(("clip_norm", "size"), [(None, 1e-2), (1.0, 1e-2), (1.0, 1e-4)], ids=str)
def test_the_rule_is_that_of_torch(fused: bool, clip_norm: float, size: float) -> None:
    update = Update(TrainingSpecification(GROUPS, betas=(0.85, 0.99), eps=1e-7, clip_norm=clip_norm), fused=fused)
    oracle = {name: torch.tensor(value, requires_grad=True) for name, value in update.parameters().items()}
    spared = [name for name in oracle if name.endswith("bias") or "LayerNorm" in name]
    head = [name for name in oracle if name == "classifier.weight"]
    rest = [name for name in oracle if name not in spared and name not in head]
    optimizer = torch.optim.AdamW(
        [
            {"params": [oracle[name] for name in names], "lr": rate, "weight_decay": decay}
            for names, rate, decay in zip((spared, head, rest), RATES, (0.0, 0.05, 0.1), strict=True)
        ],
        betas=(0.85, 0.99),
        eps=1e-7,
    )
    for step in range(5):
        gradients = update.drawn_gradients(step, size)
        for name, value in gradients.items():
            oracle[name].grad = torch.from_numpy(value.copy())
        expected_norm = torch.nn.utils.clip_grad_norm_(oracle.values(), clip_norm or float("inf"))
        optimizer.step()
        result = update.apply(gradients)
        assert result.gradient_norm == pytest.approx(float(expected_norm), rel=1e-6)
    state = update.optimizer.state()
    assert state.updates == 5
    for name, value in update.parameters().items():
        moments = optimizer.state[oracle[name]]
        for actual, expected in (
            (value, oracle[name].detach()),
            (state.first_moment[name], moments["exp_avg"]),
            (state.second_moment[name], moments["exp_avg_sq"]),
        ):
            error = np.abs(actual - expected.numpy()).max()
            assert error <= 1e-6 * np.abs(expected.numpy()).max(), name


@pytest.mark.parametrize("fused", [True, False], ids=["fused", "not fused"])
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_what_is_not_finite_changes_nothing(fused: bool, bad: float) -> None:
    update = Update(TrainingSpecification(GROUPS), fused=fused)
    update.apply(update.drawn_gradients(0, 1e-2))
    parameters, state = update.parameters(), update.optimizer.state()
    gradients = update.drawn_gradients(1, 1e-2)
    gradients["classifier.bias"][1] = bad
    result = update.apply(gradients)
    assert not result.finite
    assert not result.skipped
    unchanged = update.optimizer.state()
    for name, value in update.parameters().items():
        np.testing.assert_array_equal(value, parameters[name], err_msg=name)
        np.testing.assert_array_equal(unchanged.first_moment[name], state.first_moment[name], err_msg=name)
    assert unchanged.updates == 1
    assert update.apply(update.drawn_gradients(2, 1e-2)).finite


def test_a_parameter_without_a_group_is_refused(open_session: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"no parameter group matches classifier\.weight"):
        open_session(CONFIG, HEAD, TrainingSpecification((ParameterGroup("encoder", r"^bert\.|bias", 1e-3, 0.0),)))


def test_the_norm_of_many_values_is_exact() -> None:
    update = Update(TrainingSpecification(GROUPS), config=BertConfig(**{**vars(CONFIG), "vocab_size": 60000}))
    gradients = update.drawn_gradients(0, 1.0)
    expected = np.sqrt(sum(np.square(value, dtype=np.float64).sum() for value in gradients.values()))
    assert update.apply(gradients).gradient_norm == pytest.approx(float(expected), rel=1e-6)


def scaled_optimizer() -> AdamW:
    """With loss scaling, as fp16 has it on an accelerator; here over one parameter on the CPU."""
    parameters = FlatParameters(
        {"w": ParameterSpec((3,))}, {"w": ("w",)}, (ParameterGroup("all", ".", 0.1, 0.0),), torch.device("cpu")
    )
    training = TrainingSpecification((ParameterGroup("all", ".", 0.1, 0.0),), clip_norm=None)
    return AdamW(parameters, training, fused=True, scaled=True)


def test_the_loss_scale_halves_on_overflow_and_doubles_after_good_steps() -> None:
    optimizer = scaled_optimizer()
    loss = torch.tensor(1.0)
    scale = optimizer.loss_scale
    optimizer.gradient[:3] = torch.tensor([np.inf, 1.0, 1.0])
    result = optimizer.update(loss, 1.0, (0.1,))
    assert result.skipped
    assert not result.finite
    assert optimizer.state().updates == 0
    assert optimizer.loss_scale == scale / 2
    for _ in range(STEPS_TO_GROW):
        optimizer.gradient[:3] = optimizer.loss_scale
        result = optimizer.update(loss, 4.0, (0.1,))
    assert not result.skipped
    assert result.gradient_norm == pytest.approx(np.sqrt(3) / 4), "the scale is taken out of the gradient"
    assert optimizer.loss_scale == scale
    assert optimizer.state().updates == STEPS_TO_GROW


def test_a_loss_that_is_no_number_is_not_skipped() -> None:
    optimizer = scaled_optimizer()
    scale = optimizer.loss_scale
    result = optimizer.update(torch.tensor(float("nan")), 1.0, (0.1,))
    assert not result.finite
    assert not result.skipped
    assert optimizer.loss_scale == scale


def test_loss_scale_and_its_age_are_resumed() -> None:
    first, second = scaled_optimizer(), scaled_optimizer()
    for _ in range(3):
        first.gradient[:3] = 1.0
        first.update(torch.tensor(1.0), 1.0, (0.1,))
    first.gradient[0] = np.nan
    first.update(torch.tensor(1.0), 1.0, (0.1,))
    first.gradient[:3] = 1.0
    first.update(torch.tensor(1.0), 1.0, (0.1,))
    second.restore(first.state())
    assert (second.state().loss_scale, second.state().good_steps) == (first.loss_scale, 1)
