"""What the optimizers of all backends do alike: parameter groups, the lazy outcome of a step, loss scaling.

The order of one update is a contract, too, for only in this order two backends give the same weights, and torch.optim
and transformers the same as both:

    gradient of the loss sum, times the loss scale     added up over micro-batches, in float32
    / (loss denominator x loss scale)                  once: sums may be added, means may not
    norm over all trained parameters                   this is what is logged
    loss or norm not finite?                           then nothing moves: no weight, no moment, no count
    x min(1, clip / (norm + 1e-6))                     the 1e-6 is that of torch's clip_grad_norm_
    weight x (1 - rate x decay)                        decoupled, and ahead of the step, as in torch.optim.AdamW
    moments, correction of their bias                  by the count of a parameter's own updates, not of steps: a
                                                       skipped one is none, nor one that it took no part in
    weight - rate x first / (sqrt(second) + eps)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import SupportsFloat

from bertcore.contracts.backend import ParameterGroup
from bertcore.contracts.training_step import OptimizerState, StepResult
from bertcore.errors import ConfigError

# fp16 holds nothing below 6e-8, so small gradients would become zero: the loss is scaled up before the backward pass
# and the gradient down behind it. The scale starts high, is halved at every overflow, and is tried higher after a long
# time without one. All factors are powers of two, which change no bit of a mantissa.
FIRST_LOSS_SCALE = 65536.0
LOSS_SCALE_FACTOR = 2.0
STEPS_TO_GROW = 2000


def group_of(name: str, groups: Sequence[ParameterGroup]) -> int:
    """Returns the number of the first group whose pattern matches.

    Raises:
        ConfigError: none matches.
    """
    # The first match wins, so that a group may be written as "the rest" of those in front of it.
    for index, group in enumerate(groups):
        if re.search(group.pattern, name):
            return index
    raise ConfigError(
        f"no parameter group matches {name}",
        "end the groups with one whose pattern is '.*'",
        code="parameter-unmatched",
    )


def waiting_groups(groups: Sequence[ParameterGroup], step: int) -> frozenset[int]:
    """Returns the numbers of the groups that take no part in a step yet."""
    return frozenset(index for index, group in enumerate(groups) if group.first_step > step)


def own_updates(names: Iterable[str], state: OptimizerState) -> dict[str, int]:
    """Returns how many updates each parameter took part in."""
    return {name: state.updates - state.missed.get(name, 0) for name in names}


def missed_updates(updates: int, own: Mapping[str, int]) -> dict[str, int]:
    """Returns how many of the updates each parameter missed, where it missed any."""
    return {name: updates - count for name, count in own.items() if count != updates}


@dataclass
class LazyStepResult:
    """The outcome of a training step as scalars on a device; reading a property fetches one of them, once.

    Fetching waits for the device, so the engine reads only when it logs: until then the host prepares the next steps
    while the device computes.

    Attributes:
        loss: sum of the losses of all micro-batches, before the division.
        norm: global norm of the gradient, after the division and before clipping.
        is_finite: whether the step was taken; None where that follows from the other two.
        skipped: whether fp16 loss scaling skipped the update.
        stop: above zero where a rank was asked to end.
    """

    loss: SupportsFloat
    norm: SupportsFloat
    is_finite: SupportsFloat | None = None
    skipped: bool = False
    stop: SupportsFloat = 0.0
    _fetched: dict[str, float] = field(default_factory=dict)

    @property
    def loss_sum(self) -> float:
        """Sum of the losses of all micro-batches, before the division."""
        return self._fetch("loss", self.loss)

    @property
    def gradient_norm(self) -> float:
        """Global norm after the division and before clipping."""
        return self._fetch("norm", self.norm)

    @property
    def finite(self) -> bool:
        """Whether both are finite; the parameters are untouched where they are not."""
        if self.is_finite is not None:
            return bool(self._fetch("is_finite", self.is_finite))
        return math.isfinite(self.loss_sum) and math.isfinite(self.gradient_norm)

    @property
    def stop_wanted(self) -> bool:
        """Whether any rank was asked to end."""
        return self._fetch("stop", self.stop) > 0

    def _fetch(self, name: str, value: SupportsFloat) -> float:
        if name not in self._fetched:
            self._fetched[name] = float(value)
        return self._fetched[name]


class LossScale:
    """Dynamic loss scaling for fp16 as in ``torch.amp.GradScaler``, but that the scale never falls below 1.

    Args:
        active: False keeps the scale at 1, for every other precision.

    Attributes:
        value: what the loss is multiplied by.
        good_steps: steps since the scale last changed.
    """

    def __init__(self, active: bool) -> None:
        self.active = active
        self.restore(FIRST_LOSS_SCALE, 0)

    def restore(self, value: float, good_steps: int) -> None:
        """Continues from the scale and its age in a checkpoint."""
        self.value = value if self.active else 1.0
        self.good_steps = good_steps if self.active else 0

    def skips(self, result: StepResult) -> bool:
        """Adapts the scale to the outcome of a step, and says whether the scale was the reason to skip it."""
        if not self.active:
            return False
        if result.finite:
            self.good_steps += 1
            if self.good_steps == STEPS_TO_GROW:
                self.restore(self.value * LOSS_SCALE_FACTOR, 0)
            return False
        self.good_steps = 0
        # A loss that is itself not finite, or a gradient that is not even unscaled, is no matter of the scale.
        if not math.isfinite(result.loss_sum) or self.value <= 1:
            return False
        self.value = max(1.0, self.value / LOSS_SCALE_FACTOR)
        return True
