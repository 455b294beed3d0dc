"""Losses, gradients and best tags by the compiled kernels: one row after the other, each on one thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf.values import Floats, Ints, RowLosses

if TYPE_CHECKING:
    from bertcore_kernels import Kernels

Inputs = list[NDArray[np.generic]]


def losses(
    kernels: Kernels,
    emissions: Floats,
    tags: Ints,
    offsets: Ints,
    scores: TransitionScores,
    legal: LegalTransitions | None = None,
) -> RowLosses:
    """See :func:`bertcore.numerics.crf.host.losses`."""
    rows, size = len(offsets) - 1, emissions.shape[1]
    result = RowLosses(
        np.empty(rows, np.float32),
        np.empty(emissions.shape, np.float32),
        np.empty((rows, size, size), np.float32),
        np.empty((rows, size), np.float32),
        np.empty((rows, size), np.float32),
    )
    outputs = [result.losses, result.emissions, result.transitions, result.start, result.end]
    inputs = [_floats(emissions), _integers(tags), _integers(offsets), *_scores(scores, legal)]
    kernels.call_arrays("crf_losses", [*inputs, *outputs])
    return result


def decode(
    kernels: Kernels,
    emissions: Floats,
    offsets: Ints,
    scores: TransitionScores,
    legal: LegalTransitions | None = None,
) -> NDArray[np.int32]:
    """See :func:`bertcore.numerics.crf.host.decode`."""
    tags = np.empty(len(emissions), np.int32)
    inputs = [_floats(emissions), _integers(offsets), *_scores(scores, legal)]
    kernels.call_arrays("crf_tags", [*inputs, tags])
    return tags


def _scores(scores: TransitionScores, legal: LegalTransitions | None) -> Inputs:
    allowed = np.zeros(1, np.bool_)  # one element stands for none
    if legal is not None:
        allowed = np.concatenate([legal.pairs.ravel(), legal.start, legal.end])
    return [_floats(scores.pairs), _floats(scores.start), _floats(scores.end), allowed]


def _floats(values: Floats) -> Floats:
    return np.ascontiguousarray(values, np.float32)


def _integers(values: Ints) -> NDArray[np.int64]:
    return np.ascontiguousarray(values, np.int64)
