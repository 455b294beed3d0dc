"""AdamW over the one buffer of all parameters (:mod:`bertcore_torch.flat_parameters`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from bertcore.contracts.backend import TrainingSpecification
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import OptimizerState
from bertcore.numerics.optimization import (
    FIRST_LOSS_SCALE,
    LazyStepResult,
    LossScale,
    missed_updates,
    own_updates,
)
from torch import Tensor, nn

from bertcore_torch.flat_parameters import FlatParameters
from bertcore_torch.values import from_numpy, to_numpy


class AdamW:
    """``torch.optim.AdamW`` over the buffer, with clipping, guarded against what is not finite.

    Args:
        parameters: the masters.
        specification: groups, betas, eps and clipping norm.
        fused: whether the device has the fused kernel, which needs no answer from the device to leave parameters
            untouched.
        scaled: whether the loss is scaled (fp16).

    Attributes:
        gradient: float32, of the size of what is trained.
        copy: bfloat16, of the size of all masters, which an update keeps as they are, if it can; None where nobody
            computes on one.
    """

    copy: Tensor | None = None

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

    def begin(self) -> None:
        """Sets the gradient to zero."""
        self.gradient.zero_()

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
        for run, count in zip(self._runs, self._run_counts(), strict=True):
            own |= dict.fromkeys(run.names, count)
            # That of the groups which took part first.
            updates = max(updates, self._updates + count - run.updates)
        return own, updates

    def _run_counts(self) -> list[int]:
        if self._optimizer is None:
            return []
        state = self._optimizer.state
        return [int(state[group["params"][0]]["step"].item()) for group in self._optimizer.param_groups]


def _norm(values: Tensor) -> Tensor:
    """Euclidean norm; in blocks, for one float32 sum over millions of squares loses three digits on a CPU."""
    blocks = len(values) // 4096
    norms = torch.linalg.vector_norm(values[: blocks * 4096].view(blocks, 4096), dim=1)
    rest = torch.linalg.vector_norm(values[blocks * 4096 :])
    return torch.linalg.vector_norm(torch.cat([norms, rest.view(1)]))
