"""What an optimizer makes of a gradient.

Sources:
    Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv 1711.05101 (AdamW).
    Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging" (averages of weights).
    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", arXiv 1211.5063 (clipping).
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bertcore.testing.reference.functions import Array


@dataclass(frozen=True)
class AdamW:
    """The rule of torch.optim.AdamW (Loshchilov and Hutter 2019).

    Attributes:
        betas: b1 and b2, the decay rates of the two moments.
        eps: added to the root.
        weight_decay: a fraction per step and learning rate; 0 for biases and LayerNorm, by BERT's custom.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def update(
        self,
        parameter: Array,
        gradient: Array,
        first_moment: Array,
        second_moment: Array,
        step: int,
        learning_rate: float,
    ) -> tuple[Array, Array, Array]:
        """One step.

        With the gradient g, `m' = b1 m + (1 - b1) g` and `v' = b2 v + (1 - b2) g^2`, the parameter becomes
        `p (1 - lr decay) - lr * (m' / (1 - b1^step)) / (sqrt(v' / (1 - b2^step)) + eps)`:
        the decay is scaled by the learning rate and does not pass through the moments.

        Args:
            parameter: of any shape.
            gradient: of the same shape, as the two moments.
            first_moment: m, 0 before the first step.
            second_moment: v, 0 before the first step.
            step: this step's number, 1 for the first.
            learning_rate: of this step.

        Returns:
            The new parameter, first and second moment; the arguments are left as they are.
        """
        first_moment = self.betas[0] * first_moment + (1 - self.betas[0]) * gradient
        second_moment = self.betas[1] * second_moment + (1 - self.betas[1]) * gradient**2
        unbiased_first = first_moment / (1 - self.betas[0] ** step)
        unbiased_second = second_moment / (1 - self.betas[1] ** step)
        decayed = parameter * (1 - learning_rate * self.weight_decay)
        updated = decayed - learning_rate * unbiased_first / (np.sqrt(unbiased_second) + self.eps)
        return updated, first_moment, second_moment


def moving_average(average: Array | None, parameter: Array, decay: float) -> Array:
    """What torch.optim.swa_utils makes of an average after an update: `AveragedModel`, `get_ema_multi_avg_fn(decay)`.

    Args:
        average: before the update; None before the first one.
        parameter: after the update.
        decay: how much of the average stays.

    Returns:
        `decay average + (1 - decay) parameter`, and the parameter itself after the first update.
    """
    return parameter.copy() if average is None else decay * average + (1 - decay) * parameter


def clip_by_global_norm(gradients: Mapping[str, Array], max_norm: float) -> tuple[dict[str, Array], float]:
    """All gradients times `min(1, max_norm / (norm + 1e-6))`, as torch.nn.utils.clip_grad_norm_ does.

    Args:
        gradients: by name.
        max_norm: the largest norm allowed.

    Returns:
        The clipped gradients and the norm before clipping: the root of the sum of all squares of all gradients.
    """
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
    coefficient = min(1.0, max_norm / (norm + 1e-6))
    return {name: gradient * coefficient for name, gradient in gradients.items()}, norm
