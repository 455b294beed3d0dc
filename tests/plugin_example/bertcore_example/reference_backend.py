"""A backend in plain numpy, one row at a time: slow, and a complete example of the contract.

The mathematics comes from :mod:`bertcore.testing.reference`; what is left is what every backend must do: hand
parameters and optimizer state in and out, add gradients over micro-batches, divide once, clip, update by groups.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from bertcore import (
    Backend,
    Batch,
    CheckResult,
    DeviceError,
    HeadLoss,
    OptimizerState,
    Outputs,
    Parameters,
    Session,
    SessionSpecification,
    StepContext,
    StepResult,
    UsageError,
)
from bertcore.testing.reference import (
    AdamW,
    Array,
    ReferenceModel,
    clip_by_global_norm,
    moving_average,
    perturbed,
)
from numpy.typing import NDArray

from bertcore_example.reference_heads import RowLoss


class ReferenceBackend(Backend):
    """The backend ``reference-numpy``."""

    name = "reference-numpy"
    description = "example: float64 numpy, one row at a time, without dropout"
    packages = ()
    devices: ClassVar = {"cpu": ("fp32",)}
    weight_file = ("best_model.safetensors", "huggingface")

    def problem(self) -> tuple[str, str] | None:
        """It runs wherever bertcore does."""
        return None

    def versions(self) -> dict[str, str]:
        """The only package that the results depend on."""
        return {"numpy": np.__version__}

    def available_devices(self) -> list[str]:
        """The one device."""
        return ["cpu"]

    def check(self, device: str) -> CheckResult:
        """One matrix product."""
        difference = float(np.abs(np.full((2, 2), 3.0) @ np.eye(2) - 3.0).max())
        return CheckResult("product of two matrices", difference == 0, f"difference {difference}")

    def open(self, specification: SessionSpecification) -> Session:
        """Opens a session; refuses what it cannot compute, as the contract asks."""
        if specification.device != "cpu":
            problem = f"reference-numpy has no device {specification.device!r}"
            raise DeviceError(problem, "use --device cpu", code="device-unknown")
        if {specification.precision, specification.prediction_precision} != {"fp32"}:
            remedy = "leave run.precision at fp32"
            raise DeviceError("reference-numpy has no precision but fp32", remedy, code="precision-unknown")
        training = specification.training
        if training and training.dropout:
            raise UsageError("reference-numpy has no dropout", "add --set train.dropout=false", code="not-offered")
        return ReferenceSession(specification)


@dataclass(frozen=True)
class ReferenceStep:
    """The outcome of a step, see :class:`bertcore.contracts.backend.StepResult`."""

    loss_sum: float
    gradient_norm: float
    finite: bool
    skipped: bool = False
    stop_wanted: bool = False


class ReferenceSession(Session):
    """Parameters and moments are float32 between steps, and every step computes in float64."""

    def __init__(self, specification: SessionSpecification) -> None:
        self._specification = specification
        self._model_class: type[ReferenceModel] = specification.code_of(specification.config)
        self._head: RowLoss = specification.code_of(specification.head)(specification.head)
        self._label_column = specification.head.label_column

    def load(self, parameters: Parameters) -> None:
        """Takes copies of the parameters, with moments of zero."""
        self._parameters = {name: parameters[name].copy() for name in self._specification.table}
        zeros = {name: np.zeros_like(value) for name, value in self._parameters.items()}
        self.restore(OptimizerState(zeros, zeros, 0))

    def parameters(self) -> Parameters:
        """Copies, in the order of the table."""
        return {name: value.copy() for name, value in self._parameters.items()}

    def predicting_parameters(self) -> Parameters:
        """Copies, with the averages where they are kept."""
        return {**self.parameters(), **_copies(self._averages)}

    def state(self) -> OptimizerState:
        """Copies."""
        moments = _copies(self._first_moment), _copies(self._second_moment)
        missed = {name: self._updates - own for name, own in self._own_updates.items() if own != self._updates}
        return OptimizerState(*moments, self._updates, averages=_copies(self._averages), missed=missed)

    def restore(self, state: OptimizerState) -> None:
        """Takes copies."""
        self._first_moment, self._second_moment = _copies(state.first_moment), _copies(state.second_moment)
        self._updates, self._averages = state.updates, _copies(state.averages)
        self._own_updates = {name: state.updates - state.missed.get(name, 0) for name in self._parameters}
        if state.averages:  # what was frozen until now is its own average
            self._averages |= {
                name: self._parameters[name].copy() for name in self._trained() if name not in self._averages
            }

    def predict(self, batch: Batch, want: Sequence[str]) -> Outputs:
        """``logits`` float32 ``[rows, labels]`` and ``loss`` float32 ``[rows]``."""
        model = self._model(self.predicting_parameters())
        logits = [model.logits(*_row(batch, row)) for row in range(len(batch))]
        outputs: Outputs = {}
        if "logits" in want:
            outputs["logits"] = np.array(logits, dtype=np.float32).reshape(len(batch), -1)
        if "loss" in want:
            labels = batch.columns[self._label_column].values
            losses = [self._head.loss(*pair) for pair in zip(logits, labels, strict=True)]
            outputs["loss"] = np.array(losses, dtype=np.float32)
        return outputs

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is reported below
    def train_step(self, micro_batches: Sequence[Batch], context: StepContext) -> StepResult:
        """Adds the gradients of all rows, divides once, clips and updates; nothing changes unless all is finite."""
        training = self._specification.training
        assert training is not None
        loss_sum, of_all = self._all_passes(micro_batches)
        # A frozen parameter has no gradient, as in torch: it counts neither for the norm nor for an update.
        groups = {name: self._group(name) for name in self._parameters}
        begun = {index for index, group in enumerate(training.groups) if group.first_step <= context.step}
        taking_part = [name for name in self._trained() if groups[name] in begun]
        gradients = {name: of_all[name] / context.loss_denominator for name in taking_part}

        clip_norm = np.inf if training.clip_norm is None else training.clip_norm
        gradients, norm = clip_by_global_norm(gradients, clip_norm)
        if not np.isfinite([loss_sum, norm]).all():
            return ReferenceStep(loss_sum, norm, finite=False)
        self._updates += 1
        for name, gradient in gradients.items():
            self._own_updates[name] += 1
            rule = AdamW(training.betas, training.eps, training.groups[groups[name]].weight_decay)
            updated = rule.update(
                self._parameters[name].astype(np.float64),
                gradient,
                self._first_moment[name].astype(np.float64),
                self._second_moment[name].astype(np.float64),
                self._own_updates[name],
                context.learning_rates[groups[name]],
            )
            parameter, first_moment, second_moment = (value.astype(np.float32) for value in updated)
            self._parameters[name] = parameter
            self._first_moment[name], self._second_moment[name] = first_moment, second_moment
        if training.ema is not None:
            self._average(training.ema)
        return ReferenceStep(loss_sum, norm, finite=True)

    def _average(self, decay: float) -> None:
        for name in self._trained():
            before = self._averages[name].astype(np.float64) if name in self._averages else None
            average = moving_average(before, self._parameters[name].astype(np.float64), decay)
            self._averages[name] = average.astype(np.float32)

    def _trained(self) -> list[str]:
        training = self._specification.training
        assert training is not None
        return [name for name in self._parameters if training.groups[self._group(name)].learning_rate > 0]

    def _all_passes(self, micro_batches: Sequence[Batch]) -> tuple[float, dict[str, Array]]:
        """Loss sum and gradient of all passes of the objective, at the embeddings as they are and moved ones."""
        assert self._specification.training is not None
        objective = self._specification.training.objective
        assert isinstance(objective, HeadLoss)
        words = f"{self._specification.config.prefix}embeddings.word_embeddings.weight"
        model = self._model(self._parameters)
        loss_sum, gradients = self._one_pass(model, micro_batches, objective)
        # Without dropout, clean passes are all the same, and agree.
        weight = sum(one.weight for one in objective.clean_passes)
        loss_sum, total = weight * loss_sum, {name: weight * gradient for name, gradient in gradients.items()}
        moved = np.zeros_like(model.parameters[words])
        for one in objective.perturbed_passes:
            moved = perturbed(moved, gradients[words], one.perturbed, one.radius)
            model = self._model(self._parameters)
            model.parameters[words] += moved
            of_pass, gradients = self._one_pass(model, micro_batches, HeadLoss())
            loss_sum += one.weight * of_pass
            for name, gradient in gradients.items():
                total[name] += one.weight * gradient
        adapter = self._specification.adapter
        return loss_sum, total if adapter is None else adapter.pull_back(total, self._parameters)

    def _one_pass(
        self, model: ReferenceModel, micro_batches: Sequence[Batch], objective: HeadLoss
    ) -> tuple[float, dict[str, Array]]:
        loss_sum, gradients = 0.0, {name: np.zeros(value.shape) for name, value in self._parameters.items()}
        for batch in micro_batches:
            for row in range(len(batch)):
                tokens = _row(batch, row)
                loss, logits_gradient = self._loss(model.logits(*tokens), batch, row, objective)
                loss_sum += loss
                for name, gradient in model.gradients(*tokens, logits_gradient).items():
                    gradients[name] += gradient
        return loss_sum, gradients

    def _loss(self, logits: Array, batch: Batch, row: int, objective: HeadLoss) -> tuple[float, Array]:
        """The loss of a row, mixed with what its logits are from the teacher's, and the gradient."""
        column = batch.columns[self._label_column]
        label, weight = column.values[row], objective.distillation
        loss, gradient = self._head.loss(logits, label), self._head.gradient(logits, label)
        if not weight:
            return loss, gradient
        (name,) = objective.columns(self._specification.head)
        teacher = batch.columns[name].values[row].astype(np.float64)
        distance, of_distance = self._head.divergence(logits, teacher, objective.temperature)
        factor = weight * objective.temperature**2 * (np.ndim(label) > 0 or label != column.ignore)
        return (1 - weight) * loss + factor * distance, (1 - weight) * gradient + factor * of_distance

    def _group(self, name: str) -> int:
        """The first group whose pattern is found in the name."""
        assert self._specification.training is not None
        rules = enumerate(self._specification.training.groups)
        return next(index for index, group in rules if re.search(group.pattern, name))

    def _model(self, parameters: Parameters) -> ReferenceModel:
        adapter = self._specification.adapter
        effective = parameters if adapter is None else adapter.effective(parameters)
        return self._model_class(effective, self._specification.config)


def _row(batch: Batch, row: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    tokens = slice(batch.offsets[row], batch.offsets[row + 1])
    return batch.input_ids[tokens], batch.token_type_ids[tokens]


def _copies(parameters: Parameters) -> Parameters:
    return {name: value.copy() for name, value in parameters.items()}
