"""All parameters in one float32 buffer, and AdamW over it.

Only this file knows of the buffer. Models see ordinary parameters, which are views of it or of a copy of it in a
lower precision; everybody else sees canonical names and numpy arrays. With two groups, and the embeddings frozen:

    values     | no decay: biases, LayerNorm | rest: weights          | frozen: embeddings |
    gradient   |                             |                        |   (none: the trained ones come first)
    moments    |                             |                        |                    |
               |<- run of group 0 ---------->|<- run of group 1 ----->|
               |<- trained_size ------------------------------------->|

So the norm is one reduction over one array and an update one kernel for each group, not one for each of 200
parameters. A joined parameter of the model (query, key and value in one matrix) is the views of its parts, which lie
one behind the other:

    query.weight [hidden, hidden] | key.weight | value.weight   =   query_key_value.weight [3 hidden, hidden]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from bertcore.contracts.backend import OptimizerState, ParameterGroup, TrainingSpecification
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.numerics.optimization import FIRST_LOSS_SCALE, LazyStepResult, LossScale, group_of
from torch import Tensor, nn

FROZEN = -1
ALIGNMENT = 16
"""Every parameter of a model begins at a multiple of so many values (64 bytes)."""


@dataclass(frozen=True)
class Run:
    """Neighbouring parameters of one group, or frozen ones: what one update kernel works on."""

    group: int
    start: int
    stop: int


class FlatParameters:
    """The float32 masters of all parameters, one after the other.

    The parameters that are trained come first, those of one group together, so that norm and update touch nothing
    else and need few kernels.

    Args:
        table: canonical names and shapes.
        joined: name of each parameter of the model to the canonical names of its parts.
        groups: parameter groups; empty where nothing is trained.
        device: where the buffers lie.

    Attributes:
        values: the masters, float32 ``[size]``.
        trained_size: the trained ones are ``values[:trained_size]``.
        runs: cover the trained ones.
        frozen_parts: what lies among them although it is not trained, because the model joins it with what is.
    """

    def __init__(
        self,
        table: Mapping[str, ParameterSpec],
        joined: Mapping[str, tuple[str, ...]],
        groups: Sequence[ParameterGroup],
        device: torch.device,
    ) -> None:
        self._table = table
        self._joined = joined
        self._groups = {name: group_of(name, groups) for name in table} if groups else dict.fromkeys(table, 0)
        frozen = {index for index, group in enumerate(groups) if group.learning_rate == 0}
        self.trained = {name for name in table if groups and self._groups[name] not in frozen}
        self._starts: dict[str, int] = {}
        self._joined_starts: dict[str, int] = {}
        self.trained_size = 0
        pieces: list[Run] = []
        position = 0

        def order(name: str) -> tuple[bool, int]:
            return self.trained.isdisjoint(joined[name]), self._groups[joined[name][0]]

        for joined_name in sorted(joined, key=order):
            self._joined_starts[joined_name] = position
            for name in joined[joined_name]:
                start, position = position, position + int(np.prod(table[name].shape))
                self._starts[name] = start
                pieces.append(Run(self._groups[name] if name in self.trained else FROZEN, start, position))
            # What this leaves between two parameters holds zeros, which every update leaves zero.
            position += -position % ALIGNMENT
            if not self.trained.isdisjoint(joined[joined_name]):
                self.trained_size = position
        runs = [run for run in _merged(pieces) if run.start < self.trained_size]
        self.runs = [run for run in runs if run.group != FROZEN]
        self.frozen_parts = [slice(run.start, min(run.stop, self.trained_size)) for run in runs if run.group == FROZEN]
        self.values = torch.zeros(position, device=device)

    def bind(
        self, model: nn.Module, buffer: Tensor | None = None, averages: Tensor | None = None
    ) -> dict[str, nn.Parameter]:
        """Makes the parameters of a model views of a buffer, and returns them.

        Args:
            model: its parameters are replaced.
            buffer: of the size of :attr:`values`; None for the masters themselves. Those of a module that is
                ``always_float32`` are views of the masters in any case.
            averages: ``[trained_size]``, what stands for the masters of the trained ones.
        """
        bound: dict[str, nn.Parameter] = {}
        for name, parts in self._joined.items():
            rows = sum(self._table[part].shape[0] for part in parts)
            shape = (rows, *self._table[parts[0]].shape[1:])
            path, leaf = name.rsplit(".", 1)
            module = model.get_submodule(path)
            start = self._joined_starts[name]
            source = self.values if averages is None or start >= self.trained_size else averages
            if buffer is not None and not getattr(module, "always_float32", False):
                source = buffer
            view = self._view(source, start, shape)
            trained = any(part in self.trained for part in parts)
            bound[name] = nn.Parameter(view, requires_grad=trained)
            setattr(module, leaf, bound[name])
        return bound

    def copy_to(self, buffer: Tensor, averages: Tensor | None = None) -> None:
        """Fills a buffer of another precision from the masters, or from the averages of those that are trained."""
        buffer.copy_(self.values)
        if averages is not None:
            buffer[: self.trained_size].copy_(averages)

    def joined_view(self, buffer: Tensor, name: str) -> Tensor:
        """Returns the part of a buffer that belongs to a parameter of the model, flat."""
        size = sum(int(np.prod(self._table[part].shape)) for part in self._joined[name])
        start = self._joined_starts[name]
        return buffer[start : start + size]

    def views(self, buffer: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Canonical names, in the order of the table, and their part of a buffer in its shape."""
        for name, spec in self._table.items():
            yield name, self._view(buffer, self._starts[name], spec.shape)

    def trained_views(self, buffer: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The same of what is trained, in a buffer that needs to be no longer."""
        for name, spec in self._table.items():
            if name in self.trained:
                yield name, self._view(buffer, self._starts[name], spec.shape)

    @staticmethod
    def _view(buffer: Tensor, start: int, shape: tuple[int, ...]) -> Tensor:
        return buffer[start : start + int(np.prod(shape))].view(shape)


def _merged(runs: Sequence[Run]) -> list[Run]:
    """Joins neighbours of one group, over the zeros between them."""
    merged: list[Run] = []
    for run in runs:
        if merged and merged[-1].group == run.group:
            merged[-1] = Run(run.group, merged[-1].start, run.stop)
        else:
            merged.append(run)
    return merged


@contextmanager
def untrained(parameters: Collection[nn.Parameter]) -> Iterator[None]:
    """Computes no gradient of these parameters meanwhile."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_()


def to_numpy(views: Iterator[tuple[str, Tensor]]) -> Parameters:
    """Copies parts of a buffer to the host."""
    return {name: view.detach().cpu().numpy().copy() for name, view in views}


def from_numpy(views: Iterator[tuple[str, Tensor]], values: Parameters) -> None:
    """Copies arrays into parts of a buffer."""
    for name, view in views:
        view.copy_(torch.from_numpy(np.ascontiguousarray(values[name], dtype=np.float32)))


class AdamW:
    """``torch.optim.AdamW`` over the buffer, with clipping, guarded against what is not finite.

    Args:
        parameters: the masters.
        specification: groups, betas, eps and clipping norm.
        fused: whether the device has the fused kernel, which needs no answer from the device to leave parameters
            untouched.
        scaled: whether the loss is scaled (fp16).
    """

    def __init__(
        self, parameters: FlatParameters, specification: TrainingSpecification, *, fused: bool, scaled: bool
    ) -> None:
        self._parameters = parameters
        self._specification = specification
        self._fused = fused
        self._loss_scale = LossScale(scaled)
        trained = parameters.values[: parameters.trained_size]
        self.gradient = torch.zeros_like(trained)
        # Of all parameters: the moments of frozen ones are kept as they were loaded.
        self._first_moment = torch.zeros_like(parameters.values)
        self._second_moment = torch.zeros_like(parameters.values)
        self._runs = [nn.Parameter(parameters.values[run.start : run.stop]) for run in parameters.runs]
        self._optimizer: torch.optim.AdamW | None = None
        if self._runs:
            self._optimizer = torch.optim.AdamW(
                [
                    {"params": [values], "weight_decay": specification.groups[run.group].weight_decay}
                    for run, values in zip(parameters.runs, self._runs, strict=True)
                ],
                betas=specification.betas,
                eps=specification.eps,
                fused=fused,
            )
        self.reset()

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied by."""
        return self._loss_scale.value

    def reset(self) -> None:
        """Starts anew: moments, update count and loss scale."""
        self._loss_scale.restore(FIRST_LOSS_SCALE, 0)
        self._first_moment.zero_()
        self._second_moment.zero_()
        self._set_updates(0)

    def update(self, loss_sum: Tensor, denominator: float, learning_rates: Sequence[float]) -> LazyStepResult:
        """Updates the masters from :attr:`gradient`, which is the gradient of the loss sum times the loss scale."""
        divisor = denominator * self.loss_scale
        # Also for a denominator of zero: what is not finite is left to the guard.
        inverse = 1 / divisor if divisor else float("nan")
        norm = _norm(self.gradient) * abs(inverse)
        result = LazyStepResult(loss_sum, norm)
        if self._optimizer is None:
            return result
        scale = torch.full_like(norm, divisor)
        if self._specification.clip_norm is not None:
            scale = scale * ((norm + 1e-6) / self._specification.clip_norm).clamp(min=1.0)
        for run, group, values in zip(self._parameters.runs, self._optimizer.param_groups, self._runs, strict=True):
            group["lr"] = learning_rates[run.group]
            values.grad = self.gradient[run.start : run.stop]
        if self._fused:
            # The two attributes by which torch.amp.GradScaler tells fused optimizers the same.
            self._optimizer.grad_scale = scale
            self._optimizer.found_inf = (~(torch.isfinite(norm) & torch.isfinite(loss_sum))).float()
            self._optimizer.step()
        elif result.finite:
            self.gradient.div_(scale)
            self._optimizer.step()
        result.skipped = self._loss_scale.skips(result)
        return result

    def state(self) -> OptimizerState:
        """Returns copies of the state under canonical names."""
        return OptimizerState(
            first_moment=to_numpy(self._parameters.views(self._first_moment)),
            second_moment=to_numpy(self._parameters.views(self._second_moment)),
            updates=self._get_updates(),
            loss_scale=self.loss_scale,
            good_steps=self._loss_scale.good_steps,
        )

    def restore(self, state: OptimizerState) -> None:
        """Continues from a state."""
        from_numpy(self._parameters.views(self._first_moment), state.first_moment)
        from_numpy(self._parameters.views(self._second_moment), state.second_moment)
        self._set_updates(state.updates)
        self._loss_scale.restore(state.loss_scale, state.good_steps)

    def _get_updates(self) -> int:
        if self._optimizer is None:
            return 0
        return int(self._optimizer.state[self._runs[0]]["step"].item())

    def _set_updates(self, updates: int) -> None:
        for run, values in zip(self._parameters.runs, self._runs, strict=True):
            assert self._optimizer is not None
            self._optimizer.state[values] = {
                # Where AdamW wants it: a fused kernel reads the count itself.
                "step": torch.tensor(float(updates), device=values.device if self._fused else "cpu"),
                "exp_avg": self._first_moment[run.start : run.stop],
                "exp_avg_sq": self._second_moment[run.start : run.stop],
            }


def _norm(values: Tensor) -> Tensor:
    """Euclidean norm; in blocks, for one float32 sum over millions of squares loses three digits on a CPU."""
    blocks = len(values) // 4096
    norms = torch.linalg.vector_norm(values[: blocks * 4096].view(blocks, 4096), dim=1)
    rest = torch.linalg.vector_norm(values[blocks * 4096 :])
    return torch.linalg.vector_norm(torch.cat([norms, rest.view(1)]))
