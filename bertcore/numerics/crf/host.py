"""The conditional random field on a CPU, for any backend: losses, gradients and tags of ragged rows, as numpy arrays.

Arrays come in and go out in float32; everything in between is float64.
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf import SCORE_FLOOR, batched
from bertcore.numerics.crf.batched import Array, Floats, Ints


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


class Implementation(Protocol):
    """What computes sums and maxima over all tag sequences: :mod:`batched` or :mod:`kernel`."""

    def log_partition(
        self, emissions: Floats, offsets: Ints, transitions: Array, start: Array, end: Array
    ) -> tuple[Array, Array, Array]:
        """Log-partition ``[rows]``, marginals ``[positions, tags]``, and of pairs, summed: ``[rows, tags, tags]``."""

    def viterbi(
        self, emissions: Floats, offsets: Ints, transitions: Array, start: Array, end: Array
    ) -> NDArray[np.int32]:
        """The best tags ``[positions]``."""


@functools.cache
def implementation() -> Implementation:
    """The numba kernel where numba can be imported, else numpy."""
    try:
        from bertcore.numerics.crf import kernel
    except ImportError:
        return batched
    return kernel


# What is no number, or no finite one, is handed on: a session finds it in the loss and updates nothing.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def losses(
    emissions: Floats,
    tags: Ints,
    offsets: Ints,
    scores: TransitionScores,
    legal: LegalTransitions | None = None,
    computed_by: Implementation | None = None,
) -> RowLosses:
    """Returns the loss of each row and its gradients, see :mod:`bertcore.numerics.crf`.

    Args:
        emissions: ``[positions, tags]``, one row after the other.
        tags: gold tags ``[positions]``.
        offsets: ``[rows + 1]``; row i holds the positions ``offsets[i]:offsets[i + 1]``, perhaps none.
        scores: transitions, start and end.
        legal: what to forbid in the sum over tag sequences, or None.
        computed_by: by default :func:`implementation`.

    Raises:
        ValueError: a tag is not one of those that have emissions.
    """
    size = emissions.shape[1]
    if len(tags) and (int(tags.min()) < 0 or int(tags.max()) >= size):
        raise ValueError(f"the tags lie from {tags.min()} to {tags.max()}, not from 0 to {size - 1}")
    transitions, start, end = as_counted(scores)
    computed_by = computed_by or implementation()
    log_partition, unary, pairs = computed_by.log_partition(
        emissions, offsets, *restricted(transitions, start, end, legal)
    )

    lengths = np.diff(offsets)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    filled = np.flatnonzero(lengths)
    firsts, lasts = offsets[filled], offsets[filled + 1] - 1
    # Positions that follow another of their row, and the tags of both.
    inner = np.ones(len(tags), dtype=bool)
    inner[firsts] = False
    followers = np.flatnonzero(inner)
    before, after = tags[followers - 1], tags[followers]

    # S(y) of the gold sequence, each part of it put where it belongs: at positions, then added up by rows.
    position_scores = emissions[np.arange(len(tags)), tags].astype(np.float64)
    position_scores[followers] += transitions[before, after]
    position_scores[firsts] += start[tags[firsts]]
    position_scores[lasts] += end[tags[lasts]]
    difference = log_partition - np.bincount(rows, position_scores, minlength=len(lengths))
    # A gradient is what the model expects of a score's uses, less the gold sequence's uses.
    start_gradient, end_gradient = np.zeros((2, len(lengths), size))
    start_gradient[filled], end_gradient[filled] = unary[firsts], unary[lasts]
    start_gradient[filled, tags[firsts]] -= 1
    end_gradient[filled, tags[lasts]] -= 1
    unary[np.arange(len(tags)), tags] -= 1
    uses = np.bincount((rows[followers] * size + before) * size + after, minlength=pairs.size)
    pairs -= uses.reshape(pairs.shape)

    if legal is not None:
        illegal = np.zeros(len(lengths), dtype=bool)
        illegal[filled] = ~(legal.start[tags[firsts]] & legal.end[tags[lasts]])
        illegal[rows[followers][~legal.pairs[before, after]]] = True
        # The first rule of bertcore.numerics.crf: log(1 + exp d), and 1 / (1 + exp -d) times the gradient.
        weights = np.where(illegal, np.exp(-np.logaddexp(0.0, -difference)), 1.0)
        difference = np.where(illegal, np.logaddexp(0.0, difference), difference)
        unary *= weights[rows, None]
        pairs *= weights[:, None, None]
        start_gradient *= weights[:, None]
        end_gradient *= weights[:, None]
    arrays = (difference, unary, pairs, start_gradient, end_gradient)
    return RowLosses(*(array.astype(np.float32) for array in arrays))


@np.errstate(over="ignore", invalid="ignore")
def decode(
    emissions: Floats,
    offsets: Ints,
    scores: TransitionScores,
    legal: LegalTransitions | None = None,
    computed_by: Implementation | None = None,
) -> NDArray[np.int32]:
    """Returns the best tags of each row by Viterbi's algorithm, int32 ``[positions]``.

    Args:
        emissions: ``[positions, tags]``, one row after the other.
        offsets: ``[rows + 1]``; row i holds the positions ``offsets[i]:offsets[i + 1]``, perhaps none.
        scores: transitions, start and end.
        legal: what to forbid, or None.
        computed_by: by default :func:`implementation`.
    """
    computed_by = computed_by or implementation()
    return computed_by.viterbi(emissions, offsets, *restricted(*as_counted(scores), legal))


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
