"""How probable the tags of given paths are, in numpy: what a decoded entity's probability is made of.

For the tags ``y`` of a row, and tags ``t`` drawn from the field's distribution, it gives at each position k

    P(t_k = y_k)   and   P(t_k = y_k | t_(k-1) = y_(k-1)).

Since the field is a Markov chain, the probability of the tags of any stretch from i to j is the first at i times the
second at all further positions, exactly. Forward and backward sums as in :mod:`bertcore.numerics.crf.batched`.
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf.batched import Layout, emission_limit, log_sum
from bertcore.numerics.crf.values import Array, Floats, Ints, as_counted, restricted

POSITIONS_AT_ONCE = 1 << 15
"""Padded label positions that are computed together: some 30 MB of sums for 20 tags."""


@dataclass(frozen=True)
class PathLogProbabilities:
    """Natural logarithms, float64 ``[positions]``.

    Attributes:
        alone: of the tag at each position.
        onward: of it, given the tag before; at the first position of a row as ``alone``.
    """

    alone: Array
    onward: Array


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def path_log_probabilities(
    emissions: Floats,
    tags: Ints,
    offsets: Ints,
    scores: TransitionScores,
    legal: LegalTransitions | None = None,
) -> PathLogProbabilities:
    """Returns how probable the tags of each row are.

    Args:
        emissions: ``[positions, tags]``, one row after the other.
        tags: ``[positions]``.
        offsets: ``[rows + 1]``; row i holds the positions ``offsets[i]:offsets[i + 1]``, perhaps none.
        scores: transitions, start and end.
        legal: what the sequences may be, or None for any.
    """
    transitions, start, end = restricted(*as_counted(scores), legal)
    limit = emission_limit(transitions, start, end)
    result = PathLogProbabilities(np.zeros(len(tags)), np.zeros(len(tags)))
    for first, behind in _chunks(offsets):
        part = slice(int(offsets[first]), int(offsets[behind]))
        if part.start == part.stop:
            continue
        layout = Layout(offsets[first : behind + 1] - offsets[first])
        padded, path = layout.pad(emissions[part]), _padded(layout, tags[part])
        spread = float(np.ptp(emissions[part], axis=1).max())
        logs = _by_exponentials(layout, padded, path, transitions, start, end) if spread <= limit else None
        alone, onward = logs or _by_logarithms(layout, padded, path, transitions, start, end)
        onward[0] = alone[0]
        result.alone[part], result.onward[part] = alone[layout.step, layout.place], onward[layout.step, layout.place]
    return result


def _chunks(offsets: Ints) -> list[tuple[int, int]]:
    """Runs of rows with at most :data:`POSITIONS_AT_ONCE` positions, padding among them, or of one longer row."""
    bounds, longest = [0], 0
    for row, length in enumerate(np.diff(offsets).tolist()):
        longest = max(longest, length)
        if longest * (row + 1 - bounds[-1]) > POSITIONS_AT_ONCE and row > bounds[-1]:
            bounds.append(row)
            longest = length
    return list(itertools.pairwise([*bounds, len(offsets) - 1]))


def _padded(layout: Layout, tags: Ints) -> NDArray[np.int64]:
    """``[steps, rows]``, zero beyond a row's end."""
    padded = np.zeros((layout.steps, len(layout.last)), dtype=np.int64)
    padded[layout.step, layout.place] = tags
    return padded


def _at(values: Array, path: NDArray[np.int64]) -> Array:
    """``[steps, rows]``: of ``[steps, rows, tags]`` what belongs to the path."""
    return np.take_along_axis(values, path[:, :, None], axis=2)[:, :, 0]


def _by_exponentials(
    layout: Layout, emissions: Array, path: NDArray[np.int64], transitions: Array, start: Array, end: Array
) -> tuple[Array, Array] | None:
    """Both logarithms ``[steps, rows]``; None where no sequence is legal or a number is too small."""
    weights = np.exp(emissions - emissions.max(axis=2, keepdims=True))
    factors = np.exp(transitions - transitions.max())
    forward = np.ones_like(emissions)
    forward[0] = np.exp(start - start.max()) * weights[0]
    for step in range(layout.steps):
        active = layout.active[step]
        if step:
            np.matmul(forward[step - 1, :active], factors, out=forward[step, :active])
            forward[step, :active] *= weights[step, :active]
        scale = forward[step, :active].sum(axis=1, keepdims=True)
        if (scale == 0).any():
            return None
        forward[step, :active] /= scale
        weights[step, :active] /= scale  # from here on what a step multiplies the sums by
    ends = np.exp(end - end.max())
    final = forward[layout.last, np.arange(len(layout.last))] @ ends
    backward = np.ones_like(emissions)
    for step in range(layout.steps - 1, -1, -1):
        active = layout.active[step]
        further = layout.active[step + 1] if step + 1 < layout.steps else 0
        backward[step, further:active] = ends / final[further:active, None]
        if further:
            entering = weights[step + 1, :further] * backward[step + 1, :further]
            np.matmul(entering, factors.T, out=backward[step, :further])
    behind = _at(backward, path)
    alone = np.log(_at(forward, path)) + np.log(behind)
    onward = np.zeros_like(alone)
    step_factors = factors[path[:-1], path[1:]] * _at(weights, path)[1:]
    onward[1:] = np.log(step_factors) + np.log(behind[1:]) - np.log(behind[:-1])
    inside = np.arange(layout.steps)[:, None] <= layout.last
    if np.isneginf(alone[inside]).any() or np.isneginf(onward[inside]).any():
        return None
    return alone, onward


def _by_logarithms(
    layout: Layout, emissions: Array, path: NDArray[np.int64], transitions: Array, start: Array, end: Array
) -> tuple[Array, Array]:
    """The same in logarithms: exact for every finite score, and slower."""
    forward, backward = np.zeros_like(emissions), np.zeros_like(emissions)
    forward[0] = start + emissions[0]
    for step in range(1, layout.steps):
        active = layout.active[step]
        sums = log_sum(forward[step - 1, :active, :, None] + transitions, 1)
        forward[step, :active] = sums + emissions[step, :active]
    total = log_sum(forward[layout.last, np.arange(len(layout.last))] + end, 1)
    for step in range(layout.steps - 1, -1, -1):
        active = layout.active[step]
        further = layout.active[step + 1] if step + 1 < layout.steps else 0
        backward[step, further:active] = end
        if further:
            following = (emissions[step + 1, :further] + backward[step + 1, :further])[:, None, :]
            backward[step, :further] = log_sum(transitions + following, 2)
    behind = _at(backward, path)
    alone = _at(forward, path) + behind - total
    onward = np.zeros_like(alone)
    onward[1:] = transitions[path[:-1], path[1:]] + _at(emissions, path)[1:] + behind[1:] - behind[:-1]
    return alone, onward
