"""All parameters in one float32 buffer, and AdamW over it.

Only this file knows of the buffer. Models see ordinary parameters, which are views of it or of a copy of it in a
lower precision; everybody else sees canonical names and numpy arrays. With two groups, and the embeddings frozen:

    values     | no decay: biases, LayerNorm | rest: weights          | frozen: embeddings |
    gradient   |                             |                        |   (none: the trained ones come first)
    moments    |                             |                        |
               |<- run of group 0 ---------->|<- run of group 1 ----->|
               |<- trained_size ------------------------------------->|

So the norm is one reduction over one array and an update one kernel for each group, not one for each of 200
parameters. A joined parameter of the model (query, key and value in one matrix) is the views of its parts, which lie
one behind the other:

    query.weight [hidden, hidden] | key.weight | value.weight   =   query_key_value.weight [3 hidden, hidden]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from bertcore.contracts.backend import OptimizerState, ParameterGroup, TrainingSpecification
from bertcore.contracts.parameters import Parameters, ParameterSpec
from bertcore.numerics.optimization import (
    FIRST_LOSS_SCALE,
    LazyStepResult,
    LossScale,
    group_of,
    missed_updates,
    own_updates,
)
from torch import Tensor, nn

from bertcore_torch.values import from_numpy, to_numpy

FROZEN = -1
ALIGNMENT = 16
"""Every parameter of a model begins at a multiple of so many values (64 bytes)."""


@dataclass(frozen=True)
class Run:
    """Neighbouring parameters of one group and count of updates, or frozen ones: what one update kernel works on."""

    group: int
    start: int
    stop: int
    names: tuple[str, ...]
    updates: int = 0


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
        names: of all parameters, in the order of the table.
        values: the masters, float32 ``[size]``.
        trained_size: the trained ones are ``values[:trained_size]``.
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
        self.names = tuple(table)
        self._joined = joined
        self._groups = {name: group_of(name, groups) for name in table} if groups else dict.fromkeys(table, 0)
        frozen = {index for index, group in enumerate(groups) if group.learning_rate == 0}
        self.trained = {name for name in table if groups and self._groups[name] not in frozen}
        self._starts: dict[str, int] = {}
        self._joined_starts: dict[str, int] = {}
        self.trained_size = 0
        self._pieces: list[Run] = []
        position = 0

        def order(name: str) -> tuple[bool, int]:
            return self.trained.isdisjoint(joined[name]), self._groups[joined[name][0]]

        for joined_name in sorted(joined, key=order):
            self._joined_starts[joined_name] = position
            for name in joined[joined_name]:
                start, position = position, position + int(np.prod(table[name].shape))
                self._starts[name] = start
                self._pieces.append(
                    Run(self._groups[name] if name in self.trained else FROZEN, start, position, (name,))
                )
            # What this leaves between two parameters holds zeros, which every update leaves zero.
            position += -position % ALIGNMENT
            if not self.trained.isdisjoint(joined[joined_name]):
                self.trained_size = position
        runs = [run for run in _merged(self._pieces) if run.start < self.trained_size]
        self.frozen_parts = [slice(run.start, min(run.stop, self.trained_size)) for run in runs if run.group == FROZEN]
        self.values = torch.zeros(position, device=device)

    def runs(self, updates: Mapping[str, int]) -> list[Run]:
        """Returns runs that cover what is trained, each of parameters that took part in as many updates."""
        counted = [replace(piece, updates=updates[piece.names[0]]) for piece in self._pieces]
        return [run for run in _merged(counted) if run.group != FROZEN]

    def takes_part(self, name: str, waiting: Collection[int]) -> bool:
        """Whether any part of a parameter of the model is trained, and not of a group that waits."""
        return any(part in self.trained and self._groups[part] not in waiting for part in self._joined[name])

    def still_parts(self, waiting: Collection[int]) -> list[slice]:
        """What takes no part among the trained ones: :attr:`frozen_parts`, and the groups that wait."""
        return self.frozen_parts + [slice(run.start, run.stop) for run in self._pieces if run.group in waiting]

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

    def of_frozen(self, values: Parameters) -> Parameters:
        """Copies of what is not trained, on the host; zeros, which take no memory, where nothing but zeros is given."""
        return {
            name: values[name].copy() if name in values and values[name].any() else np.zeros(spec.shape, np.float32)
            for name, spec in self._table.items()
            if name not in self.trained
        }

    @staticmethod
    def _view(buffer: Tensor, start: int, shape: tuple[int, ...]) -> Tensor:
        return buffer[start : start + int(np.prod(shape))].view(shape)


def _merged(runs: Sequence[Run]) -> list[Run]:
    """Joins neighbours of one group and count, over the zeros between them."""
    merged: list[Run] = []
    for run in runs:
        if merged and (merged[-1].group, merged[-1].updates) == (run.group, run.updates):
            merged[-1] = replace(merged[-1], stop=run.stop, names=merged[-1].names + run.names)
        else:
            merged.append(run)
    return merged


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
        self._first_moment = torch.zeros_like(trained)
        self._second_moment = torch.zeros_like(trained)
        self._optimizer: torch.optim.AdamW | None = None
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
        self._frozen = self._parameters.of_frozen({}), self._parameters.of_frozen({})
        self._start(0, dict.fromkeys(self._parameters.names, 0))

    def update(
        self, loss_sum: Tensor, denominator: float, learning_rates: Sequence[float], waiting: Collection[int] = ()
    ) -> LazyStepResult:
        """Updates the masters from :attr:`gradient`, which is the gradient of the loss sum times the loss scale.

        Args:
            loss_sum: of the step.
            denominator: the gradient is divided by it.
            learning_rates: of each group.
            waiting: groups that take no part; their gradient is zero.
        """
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
        for run, group in zip(self._runs, self._optimizer.param_groups, strict=True):
            group["lr"] = learning_rates[run.group]
            group["params"][0].grad = None if run.group in waiting else self.gradient[run.start : run.stop]
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
        own, updates = self._own_updates()
        return OptimizerState(
            first_moment=self._with_frozen(self._first_moment, self._frozen[0]),
            second_moment=self._with_frozen(self._second_moment, self._frozen[1]),
            updates=updates,
            loss_scale=self.loss_scale,
            good_steps=self._loss_scale.good_steps,
            missed=missed_updates(updates, own),
        )

    def restore(self, state: OptimizerState) -> None:
        """Continues from a state."""
        from_numpy(self._parameters.trained_views(self._first_moment), state.first_moment)
        from_numpy(self._parameters.trained_views(self._second_moment), state.second_moment)
        self._frozen = (
            self._parameters.of_frozen(state.first_moment),
            self._parameters.of_frozen(state.second_moment),
        )
        self._start(state.updates, own_updates(self._parameters.names, state))
        self._loss_scale.restore(state.loss_scale, state.good_steps)

    def _with_frozen(self, moment: Tensor, frozen: Parameters) -> Parameters:
        """Copies of a moment, and of what frozen parameters had when they were loaded."""
        trained = to_numpy(self._parameters.trained_views(moment))
        return {name: trained[name] if name in trained else frozen[name].copy() for name in self._parameters.names}

    def _start(self, updates: int, own: Mapping[str, int]) -> None:
        """Goes on from so many updates, of which each parameter took part in its own."""
        self._updates, self._own = updates, dict(own)
        self._runs = self._parameters.runs(own)
        if not self._runs:  # torch.optim takes no empty list
            return
        values = [nn.Parameter(self._parameters.values[run.start : run.stop]) for run in self._runs]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [part], "weight_decay": self._specification.groups[run.group].weight_decay}
                for run, part in zip(self._runs, values, strict=True)
            ],
            betas=self._specification.betas,
            eps=self._specification.eps,
            fused=self._fused,
        )
        for run, part in zip(self._runs, values, strict=True):
            self._optimizer.state[part] = {
                # Where AdamW wants it: a fused kernel reads the count itself.
                "step": torch.tensor(float(run.updates), device=part.device if self._fused else "cpu"),
                "exp_avg": self._first_moment[run.start : run.stop],
                "exp_avg_sq": self._second_moment[run.start : run.stop],
            }

    def _own_updates(self) -> tuple[dict[str, int], int]:
        """How many updates each parameter took part in, and how many there were; waits for the device."""
        own, updates = dict(self._own), self._updates
        if self._optimizer is not None:
            for run, group in zip(self._runs, self._optimizer.param_groups, strict=True):
                count = int(self._optimizer.state[group["params"][0]]["step"].item())
                own |= dict.fromkeys(run.names, count)
                # That of the groups which took part first.
                updates = max(updates, self._updates + count - run.updates)
        return own, updates


def _norm(values: Tensor) -> Tensor:
    """Euclidean norm; in blocks, for one float32 sum over millions of squares loses three digits on a CPU."""
    blocks = len(values) // 4096
    norms = torch.linalg.vector_norm(values[: blocks * 4096].view(blocks, 4096), dim=1)
    rest = torch.linalg.vector_norm(values[blocks * 4096 :])
    return torch.linalg.vector_norm(torch.cat([norms, rest.view(1)]))
