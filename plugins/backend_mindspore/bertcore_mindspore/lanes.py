"""Parameters that are updated alike: those of one group that took part in as many updates."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from bertcore.contracts.backend import TrainingSpecification


class Lanes:
    """Counts the updates of each lane, and says what the update graph is told of it.

    A lane is a group, but that some of a group may have been frozen in the steps before a run was resumed.

    Args:
        specification: groups, betas and eps.
        groups: canonical name of what is trained to its group.
        own: how many updates each took part in.

    Attributes:
        groups: of each lane.
        members: of each lane, by their place among what is trained.
        gradual: whether there are groups that begin later than others.
    """

    def __init__(self, specification: TrainingSpecification, groups: Mapping[str, int], own: Mapping[str, int]) -> None:
        self._specification = specification
        keys = sorted({(group, own[name]) for name, group in groups.items()})
        self._names = [[name for name, group in groups.items() if (group, own[name]) == key] for key in keys]
        self._updates = [updates for _, updates in keys]
        places = {name: index for index, name in enumerate(groups)}
        self.groups = [group for group, _ in keys]
        self.members = [[places[name] for name in names] for names in self._names]
        self.gradual = any(group.first_step for group in specification.groups)

    def scalars(self, learning_rates: Sequence[float], waiting: Collection[int]) -> list[float]:
        """For each lane: rate and epsilon, corrected for the bias of the moments, and the factor of decay.

        With :attr:`gradual`, these are followed by 1, and 0 for a lane that waits, and the decay of both moments.
        """
        return [
            value
            for group, updates in zip(self.groups, self._updates, strict=True)
            for value in self._scalars_of(group, updates + 1, learning_rates[group], group in waiting)
        ]

    def _scalars_of(self, group: int, updates: int, rate: float, waits: bool) -> list[float]:
        betas, eps = self._specification.betas, self._specification.eps
        if waits:
            return [0.0, eps, 1.0, 0.0, 1.0, 1.0]
        weights1, weights2 = (_sum_of_weights(beta, updates) for beta in betas)
        root = math.sqrt(weights2)
        decay = 1 - rate * self._specification.groups[group].weight_decay
        return [rate * root / weights1, eps * root, decay, *((1.0, *betas) if self.gradual else ())]

    def count(self, waiting: Collection[int]) -> None:
        """Counts an update that was made."""
        for lane, group in enumerate(self.groups):
            self._updates[lane] += group not in waiting

    def own_updates(self) -> dict[str, int]:
        """How many updates each parameter took part in."""
        lanes = zip(self._names, self._updates, strict=True)
        return {name: updates for names, updates in lanes for name in names}


def _sum_of_weights(beta: float, updates: int) -> float:
    """Sum of the weights that the gradients have in a moment of the primitive Adam.

    It takes 1 - beta in float32, for 0.999 wrong in the fifth digit; divided by this sum, the step is right.
    The stored second moment keeps that difference, 1.3e-5 of its value.
    """
    new = float(np.float32(1) - np.float32(beta))
    return 1.0 if new == 1 else -math.expm1(updates * math.log1p(-new))
