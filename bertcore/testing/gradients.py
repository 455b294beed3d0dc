"""The gradient of a training step, seen through the contract alone.

No session hands out gradients: a run needs none. But AdamW's first moment is ``betas[0] m + (1 - betas[0]) g``, so with
``betas[0] = 0``, from a new state and without clipping, the moment after one step is the gradient itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bertcore.contracts.backend import Session, TrainingSpecification
from bertcore.contracts.batch import Batch
from bertcore.contracts.parameters import Parameters
from bertcore.contracts.training_step import StepContext


def showing_gradients(training: TrainingSpecification) -> TrainingSpecification:
    """The same training, but with an optimizer whose first moment is the gradient of the last step."""
    return replace(training, betas=(0.0, training.betas[1]), clip_norm=None)


def gradients_of(session: Session, micro_batches: Sequence[Batch], context: StepContext) -> Parameters:
    """The gradient that a step would apply: that of the loss sums, divided by the denominator, before any clipping.

    The session keeps its parameters, and has a new optimizer state afterwards.

    Args:
        session: opened with :func:`showing_gradients`.
        micro_batches: of the step.
        context: of the step.

    Returns:
        For every parameter of the table, float32; zeros for one that is frozen.
    """
    parameters = session.parameters()
    session.load(parameters)
    session.train_step(micro_batches, context)
    gradients = session.state().first_moment
    session.load(parameters)
    return gradients
