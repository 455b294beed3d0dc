"""AdamW by the fused kernels of a CPU: one pass for the norm, and one that updates all there is on its way."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import torch
from bertcore.contracts.backend import TrainingSpecification
from bertcore.numerics.optimization import LazyStepResult
from torch import Tensor, nn

from bertcore_torch import kernels
from bertcore_torch.flat_parameters import FlatParameters, Run
from bertcore_torch.linear import Embedding, Linear
from bertcore_torch.optimizer import AdamW


class FusedAdamW(AdamW):
    """The same update, which leaves the gradient at zero, and the copy of the masters as they are."""

    _is_zero = False

    @classmethod
    def of_model(
        cls, model: nn.Module, parameters: FlatParameters, specification: TrainingSpecification, copy: Tensor | None
    ) -> FusedAdamW:
        """Makes one to whose gradient the layers of a model add those of their weights by themselves.

        Args:
            model: what is trained, with parameters of ``parameters`` or of their copy.
            parameters: the masters.
            specification: groups, betas, eps and clipping norm.
            copy: bfloat16, of the size of all masters; None where the model computes on the masters.
        """
        optimizer = cls(parameters, specification, fused=True, scaled=False)
        optimizer.copy = copy
        for name, parameter in model.named_parameters():
            path, leaf = name.rsplit(".", 1)
            module = model.get_submodule(path)
            if parameter.requires_grad and leaf == "weight" and isinstance(module, Linear | Embedding):
                module.total = parameters.joined_view(optimizer.gradient, name).view_as(parameter)
        return optimizer

    def begin(self) -> None:
        """Sets the gradient to zero, unless the last update left it there."""
        if not self._is_zero:
            super().begin()
        self._is_zero = False

    def update(
        self, loss_sum: Tensor, denominator: float, learning_rates: Sequence[float], waiting: Collection[int] = ()
    ) -> LazyStepResult:
        """Updates the masters from :attr:`gradient`; arguments as those of the base class."""
        inverse = 1 / denominator if denominator else float("nan")
        norm = math.sqrt(kernels.sum_of_squares(self.gradient)) * abs(inverse)
        result = LazyStepResult(loss_sum, torch.tensor(norm, dtype=torch.float32))
        if not result.finite:
            self.gradient.zero_()
            self._is_zero = True
            return result
        clip_norm = self._specification.clip_norm
        if clip_norm is not None:
            inverse /= max((norm + 1e-6) / clip_norm, 1.0)
        for index, run in enumerate(self._runs):
            if run.group in waiting:
                continue
            self._counts[index] += 1
            values = self._parameters.values, self._first_moment, self._second_moment, self.gradient
            kernels.adamw(
                [self._part(whole, run) for whole in values],
                None if self.copy is None else self._part(self.copy, run),
                kernels.AdamWRule(
                    learning_rates[run.group],
                    self._specification.groups[run.group].weight_decay,
                    *self._specification.betas,
                    self._specification.eps,
                    self._counts[index],
                    inverse,
                ),
            )
        self._is_zero = True
        return result

    def _start(self, updates: int, own: Mapping[str, int]) -> None:
        self._updates, self._own = updates, dict(own)
        self._runs = self._parameters.runs(own)
        self._counts = [run.updates for run in self._runs]

    def _run_counts(self) -> list[int]:
        return self._counts

    @staticmethod
    def _part(whole: Tensor, run: Run) -> Tensor:
        return whole[run.start : run.stop]
