"""What goes into the conditional random field on a CPU, and what comes out."""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf import SCORE_FLOOR

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class RowLosses:
    """The loss of each row, and its gradients.

    Attributes:
        losses: float32 ``[rows]``.
        emissions: float32 ``[positions, tags]``, gradient of the row that holds the position.
        transitions: float32 ``[rows, tags, tags]``, gradient of each row.
        start: float32 ``[rows, tags]``.
        end: float32 ``[rows, tags]``.
    """

    losses: Floats
    emissions: Floats
    transitions: Floats
    start: Floats
    end: Floats


def as_counted(scores: TransitionScores) -> tuple[Array, Array, Array]:
    """Transitions, start and end in float64, none below :data:`bertcore.numerics.crf.SCORE_FLOOR`."""
    parts = (scores.pairs, scores.start, scores.end)
    transitions, start, end = (np.maximum(part.astype(np.float64), SCORE_FLOOR) for part in parts)
    return transitions, start, end


def restricted(
    transitions: Array, start: Array, end: Array, legal: LegalTransitions | None
) -> tuple[Array, Array, Array]:
    """The same with ``SCORE_FLOOR`` in the place of what is illegal."""
    if legal is None:
        return transitions, start, end
    return (
        np.where(legal.pairs, transitions, SCORE_FLOOR),
        np.where(legal.start, start, SCORE_FLOOR),
        np.where(legal.end, end, SCORE_FLOOR),
    )
