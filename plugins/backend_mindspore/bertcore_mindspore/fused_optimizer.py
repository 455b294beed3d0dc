"""The update of AdamW on a CPU by a fused kernel, in the memory that compiled graphs hold; the graph of
:mod:`bertcore_mindspore.optimizer` is the same for every other device.

A parameter keeps its memory for its life, and a kernel of the host may change it between two graphs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from mindspore import Parameter
from numpy.typing import NDArray

from bertcore.contracts.backend import TrainingSpecification
from bertcore.numerics.optimization import LazyStepResult

if TYPE_CHECKING:
    from bertcore_kernels import Kernels

_NO_COPY: NDArray[np.float32] = np.zeros(1, dtype=np.float32)
"""Where no copy in a lower precision is kept."""


@dataclass(frozen=True)
class Trained:
    """A parameter that is trained, with what belongs to it.

    Attributes:
        group: its rule.
        value, first_moment, second_moment, gradient: float32, of one shape.
    """

    group: int
    value: Parameter
    first_moment: Parameter
    second_moment: Parameter
    gradient: Parameter


class FusedUpdate:
    """Norm, clipping and update of all trained parameters; leaves the accumulated gradients at zero.

    Args:
        trained: canonical name to what is updated.
        loss_sum: the accumulated loss sum.
        specification: groups, betas, eps and clipping norm.
        kernels: of the host.
    """

    def __init__(
        self,
        trained: Mapping[str, Trained],
        loss_sum: Parameter,
        specification: TrainingSpecification,
        kernels: Kernels,
    ) -> None:
        self._trained = trained
        self._loss_sum = loss_sum
        self._specification = specification
        self._kernels = kernels
        self._memory_is_shared = False

    def __call__(
        self,
        inverse: float,
        inverse_loss_scale: float,
        learning_rates: Sequence[float],
        waiting: Collection[int],
        own_updates: Mapping[str, int],
    ) -> LazyStepResult:
        """Updates, unless loss or norm are not finite.

        Args:
            inverse: one over loss denominator and loss scale, with which the gradients are multiplied.
            inverse_loss_scale: one over the loss scale.
            learning_rates: of each group.
            waiting: groups that take no part, whatever their gradients are.
            own_updates: canonical name to the updates that the parameter took part in.

        Raises:
            RuntimeError: this version of MindSpore hands out copies, of which no graph would see a change.
        """
        self._check_memory()
        takes_part = {name: one for name, one in self._trained.items() if one.group not in waiting}
        norm = math.sqrt(sum(map(self._sum_of_squares, takes_part.values()))) * abs(inverse)
        loss = float(self._loss_sum.asnumpy()) * inverse_loss_scale
        result = LazyStepResult(loss, norm)
        if result.finite:
            factor = inverse
            if self._specification.clip_norm is not None:
                factor *= min(1.0, self._specification.clip_norm / (norm + 1e-6))
            for name, one in takes_part.items():
                self._update(one, learning_rates[one.group], own_updates[name] + 1, factor)
        for name, one in self._trained.items():
            if name not in takes_part or not result.finite:
                one.gradient.asnumpy()[...] = 0
        self._loss_sum.asnumpy()[...] = 0
        return result

    def _check_memory(self) -> None:
        if self._memory_is_shared:
            return
        for one in self._trained.values():
            for part in (one.value, one.first_moment, one.second_moment, one.gradient):
                if part.asnumpy().ctypes.data != part.data_ptr():
                    raise RuntimeError(
                        "the memory of MindSpore's parameters cannot be reached: take run.kernels=reference"
                    )
        self._memory_is_shared = True

    def _sum_of_squares(self, one: Trained) -> float:
        total = np.zeros(1)
        self._kernels.call_arrays("sum_of_squares", [one.gradient.asnumpy(), total])
        return float(total[0])

    def _update(self, one: Trained, rate: float, updates: int, factor: float) -> None:
        rules = self._specification
        decay = rules.groups[one.group].weight_decay
        constants = np.array([rate, decay, *rules.betas, rules.eps, updates, factor, 1.0])
        # The arrays share the memory of the parameters.
        arrays = [part.asnumpy() for part in (one.value, one.first_moment, one.second_moment, one.gradient)]
        self._kernels.call_arrays("adamw", [*arrays, _NO_COPY, constants])
