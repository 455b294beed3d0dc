"""The conditional random field on a CPU, for any backend: losses, gradients and tags of ragged rows, as numpy arrays.

Arrays come in and go out in float32; everything in between is float64. It is computed by the compiled kernels, where
these are, else by numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf import batched, compiled
from bertcore.numerics.crf.values import Floats, Ints, RowLosses
from bertcore.numerics.kernels import find_kernels


def losses(
    emissions: Floats, tags: Ints, offsets: Ints, scores: TransitionScores, legal: LegalTransitions | None = None
) -> RowLosses:
    """Returns the loss of each row and its gradients, see :mod:`bertcore.numerics.crf`.

    Args:
        emissions: ``[positions, tags]``, one row after the other.
        tags: gold tags ``[positions]``.
        offsets: ``[rows + 1]``; row i holds the positions ``offsets[i]:offsets[i + 1]``, perhaps none.
        scores: transitions, start and end.
        legal: what to forbid in the sum over tag sequences, or None.

    Raises:
        ValueError: a tag is not one of those that have emissions.
    """
    size = emissions.shape[1]
    if len(tags) and (int(tags.min()) < 0 or int(tags.max()) >= size):
        raise ValueError(f"the tags lie from {tags.min()} to {tags.max()}, not from 0 to {size - 1}")
    kernels, _ = find_kernels()
    if kernels is None:
        return batched.losses(emissions, tags, offsets, scores, legal)
    return compiled.losses(kernels, emissions, tags, offsets, scores, legal)


def decode(
    emissions: Floats, offsets: Ints, scores: TransitionScores, legal: LegalTransitions | None = None
) -> NDArray[np.int32]:
    """Returns the best tags of each row by Viterbi's algorithm, int32 ``[positions]``.

    Args:
        emissions: ``[positions, tags]``, one row after the other.
        offsets: ``[rows + 1]``; row i holds the positions ``offsets[i]:offsets[i + 1]``, perhaps none.
        scores: transitions, start and end.
        legal: what to forbid, or None.
    """
    kernels, _ = find_kernels()
    if kernels is None:
        return batched.decode(emissions, offsets, scores, legal)
    return compiled.decode(kernels, emissions, offsets, scores, legal)
