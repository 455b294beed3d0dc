"""Averages of the weights, with which a session predicts.

::

    masters     | trained                 | frozen |    float32; training computes on them, or on a copy of them
    averages    | trained                 |             float32; predictions on them and what is frozen, or on a copy
"""

from __future__ import annotations

import torch
from bertcore.contracts.parameters import Parameters
from torch import Tensor

from bertcore_torch.flat_parameters import FlatParameters
from bertcore_torch.values import from_numpy, to_numpy


class Averages:
    """An exponential moving average of the trained masters, as torch's ``AveragedModel`` keeps it.

    Until the first update they are the masters, so that predictions need not ask.

    Args:
        parameters: the masters.
        decay: of ``get_ema_multi_avg_fn``.

    Attributes:
        values: float32 ``[trained_size]``.
    """

    def __init__(self, parameters: FlatParameters, decay: float) -> None:
        self._parameters = parameters
        self._masters = parameters.values[: parameters.trained_size]
        self._step = torch.tensor(1 - decay, device=self._masters.device)
        # On the device, as the outcome of an update is: nothing waits for either.
        self._begun = torch.tensor(False, device=self._masters.device)
        self.values = torch.zeros_like(self._masters)

    def reset(self) -> None:
        """Starts anew from the masters as they are."""
        self.values.copy_(self._masters)
        self._begun.fill_(False)

    def update(self, loss_sum: Tensor, norm: Tensor) -> None:
        """Follows an update of the masters, if it was made: copies the first one, and moves towards the others.

        Args:
            loss_sum: of the step.
            norm: of its gradient; the update was made if both are finite.
        """
        made = torch.isfinite(loss_sum) & torch.isfinite(norm)
        # A weight of 1 gives the end exactly, one of 0 the start.
        self.values.lerp_(self._masters, torch.where(self._begun, self._step, 1.0) * made)
        self._begun |= made

    def state(self) -> Parameters:
        """Returns copies of the averages under canonical names; none before the first update."""
        return to_numpy(self._parameters.trained_views(self.values)) if bool(self._begun) else {}

    def restore(self, averages: Parameters) -> None:
        """Continues from a state; what it does not have starts from the masters."""
        self.reset()
        known = ((name, view) for name, view in self._parameters.trained_views(self.values) if name in averages)
        from_numpy(known, averages)
        self._begun.fill_(bool(averages))
