"""A training step as the engine asks for it, and what a session answers and keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.parameters import Parameters


@dataclass(frozen=True)
class StepContext:
    """What changes from step to step.

    Attributes:
        step: optimizer steps done before this one, from 0.
        seed: the run's seed; with step, micro-batch, rank and site it determines every dropout mask.
        learning_rates: the current rate of each group, in the order of the groups.
        loss_denominator: the loss sums of all micro-batches of all ranks are divided by it, once.
        rank: of this process.
        step_ids: int64, rising: the token ids of all rows of all ranks in this step. No other row of the word
            embeddings has a gradient, so that only these need to be added up between ranks. None of a process alone.
        wants_to_stop: whether this process was asked to end; the others learn of it with the step's sums.
    """

    step: int
    seed: int
    learning_rates: tuple[float, ...]
    loss_denominator: float
    rank: int = 0
    step_ids: NDArray[np.int64] | None = None
    wants_to_stop: bool = False


class StepResult(Protocol):
    """The outcome of a training step, fetched from the device when a property is first read."""

    @property
    def loss_sum(self) -> float:
        """Sum of the losses of all micro-batches of all ranks, before the division."""

    @property
    def gradient_norm(self) -> float:
        """Global norm of the gradient after the division and before clipping."""

    @property
    def finite(self) -> bool:
        """Whether loss and gradient norm are finite; the parameters are untouched where they are not."""

    @property
    def skipped(self) -> bool:
        """Whether fp16 loss scaling skipped the update; the schedule then does not advance."""

    @property
    def stop_wanted(self) -> bool:
        """Whether any rank was asked to end."""


@dataclass(frozen=True)
class OptimizerState:
    """The state of a session's optimizer, for a checkpoint that any backend continues from.

    Attributes:
        first_moment: canonical name to float32 array.
        second_moment: canonical name to float32 array.
        updates: updates done.
        loss_scale: current fp16 loss scale, 1 elsewhere.
        good_steps: steps since the loss scale last changed.
        averages: canonical name to float32 array, of what is trained; empty where none are kept, and before the first
            update.
        missed: canonical name to how many of the updates were made without it, since it was frozen or its group had not
            begun; 0 where it is not named. The rest is what the correction of bias counts.
    """

    first_moment: Parameters
    second_moment: Parameters
    updates: int
    loss_scale: float = 1.0
    good_steps: int = 0
    averages: Parameters = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)


class DeviceMemoryError(Exception):
    """A device has no memory for a batch; its message is what the framework says.

    After it, the session is as it was before the call: the same rows may be tried again in smaller batches.
    """
