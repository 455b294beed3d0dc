"""The conditional random field from its equations: the oracle of every implementation.

numpy in float64, one sequence at a time, logarithms throughout, minus infinity for what is forbidden: slow and plainly
correct. Scores may be of any float type.

Sources:
    Lafferty et al. 2001, "Conditional Random Fields" (the model).
    Rabiner 1989, "A Tutorial on Hidden Markov Models" (forward-backward, Viterbi).
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bertcore.contracts.tagging import LegalTransitions
from bertcore.numerics.crf import SCORE_FLOOR

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """What a conditional random field knows of tags, in float64.

    Attributes:
        transitions: ``[from, to]``.
        start: ``[tags]``, of beginning a sequence.
        end: ``[tags]``, of ending one.
    """

    transitions: NDArray[Any]
    start: NDArray[Any]
    end: NDArray[Any]

    def with_floor(self) -> Scores:
        """Returns the scores as they count, see :data:`bertcore.numerics.crf.SCORE_FLOOR`."""
        return Scores(*(np.maximum(np.asarray(part, np.float64), SCORE_FLOOR) for part in self._parts()))

    def restricted(self, legal: LegalTransitions | None, forbidden: float) -> Scores:
        """Returns the same scores with ``forbidden`` in the place of what is illegal."""
        if legal is None:
            return self
        return Scores(
            np.where(legal.pairs, self.transitions, forbidden),
            np.where(legal.start, self.start, forbidden),
            np.where(legal.end, self.end, forbidden),
        )

    def _parts(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        return self.transitions, self.start, self.end


@dataclass(frozen=True)
class Gradients:
    """Gradients of one sequence's loss, shaped like what they belong to."""

    emissions: Array
    transitions: Array
    start: Array
    end: Array


def path_score(emissions: ArrayLike, tags: ArrayLike, scores: Scores) -> float:
    """``S(y)`` of one tag sequence of at least one position.

    Args:
        emissions: ``[positions, tags]``.
        tags: ``[positions]``.
        scores: transitions, start and end.
    """
    emissions, tags, scores = np.asarray(emissions, dtype=np.float64), np.asarray(tags), scores.with_floor()
    score = scores.start[tags[0]] + scores.end[tags[-1]]
    for position, tag in enumerate(tags):
        score += emissions[position, tag]
        if position:
            score += scores.transitions[tags[position - 1], tag]
    return float(score)


def is_legal(tags: ArrayLike, legal: LegalTransitions | None) -> bool:
    """Whether a tag sequence uses nothing that is forbidden."""
    tags = np.asarray(tags)
    if legal is None or not len(tags):
        return True
    pairs = all(legal.pairs[first, then] for first, then in pairwise(tags))
    return bool(legal.start[tags[0]] and pairs and legal.end[tags[-1]])


def log_partition(emissions: ArrayLike, scores: Scores, legal: LegalTransitions | None = None) -> float:
    """Logarithm of the sum of ``exp S(y)`` over all legal tag sequences; minus infinity where there is none."""
    emissions = np.asarray(emissions, dtype=np.float64)
    scores = scores.with_floor().restricted(legal, -np.inf)
    forward = _forward(emissions, scores)
    return float(np.logaddexp.reduce(forward[-1] + scores.end))


def loss(emissions: ArrayLike, tags: ArrayLike, scores: Scores, legal: LegalTransitions | None = None) -> float:
    """Negative logarithm of the gold sequence's probability.

    Args:
        emissions: ``[positions, tags]``; may have no positions.
        tags: the gold tags, ``[positions]``.
        scores: transitions, start and end.
        legal: what to forbid in the sum, or None.
    """
    if not len(np.asarray(tags)):
        return 0.0
    difference = _difference(emissions, tags, scores, legal)
    return difference if is_legal(tags, legal) else float(np.logaddexp(0.0, difference))


def gradients(
    emissions: ArrayLike, tags: ArrayLike, scores: Scores, legal: LegalTransitions | None = None
) -> Gradients:
    """Gradients of :func:`loss`: what the model expects of each score's uses, minus the gold sequence's uses."""
    emissions, tags = np.asarray(emissions, dtype=np.float64), np.asarray(tags)
    size = emissions.shape[1]
    result = Gradients(np.zeros_like(emissions), np.zeros((size, size)), np.zeros(size), np.zeros(size))
    if not len(tags):
        return result
    difference = _difference(emissions, tags, scores, legal)
    if difference == -np.inf:
        return result  # no sequence is legal: the gold one has probability 1
    unary, pairs = marginals(emissions, scores, legal)
    result.emissions[:] = unary
    result.transitions[:] = pairs.sum(axis=0)
    result.start[:] = unary[0]
    result.end[:] = unary[-1]
    for position, tag in enumerate(tags):
        result.emissions[position, tag] -= 1
        if position:
            result.transitions[tags[position - 1], tag] -= 1
    result.start[tags[0]] -= 1
    result.end[tags[-1]] -= 1
    weight = 1.0 if is_legal(tags, legal) else float(np.exp(-np.logaddexp(0.0, -difference)))
    return Gradients(result.emissions * weight, result.transitions * weight, result.start * weight, result.end * weight)


def marginals(emissions: ArrayLike, scores: Scores, legal: LegalTransitions | None = None) -> tuple[Array, Array]:
    """Probabilities of each tag ``[positions, tags]`` and of each pair of neighbours ``[positions - 1, from, to]``."""
    emissions = np.asarray(emissions, dtype=np.float64)
    scores = scores.with_floor().restricted(legal, -np.inf)
    forward, backward = _forward(emissions, scores), _backward(emissions, scores)
    total = np.logaddexp.reduce(forward[-1] + scores.end)
    unary = np.exp(forward + backward - total)
    following = (emissions + backward)[1:, None, :]
    pairs = np.exp(forward[:-1, :, None] + scores.transitions + following - total)
    return unary, pairs


def viterbi(emissions: ArrayLike, scores: Scores, legal: LegalTransitions | None = None) -> NDArray[np.int32]:
    """The tag sequence of the highest score, ``[positions]``; among equals the lower tag, from the end backwards."""
    emissions = np.asarray(emissions, dtype=np.float64)
    scores = scores.with_floor().restricted(legal, SCORE_FLOOR)
    positions = len(emissions)
    tags = np.zeros(positions, dtype=np.int32)
    if not positions:
        return tags
    best, came_from = scores.start + emissions[0], []
    for position in range(1, positions):
        candidates = best[:, None] + scores.transitions
        came_from.append(candidates.argmax(axis=0))
        best = candidates.max(axis=0) + emissions[position]
    tags[-1] = (best + scores.end).argmax()
    for position in range(positions - 1, 0, -1):
        tags[position - 1] = came_from[position - 1][tags[position]]
    return tags


def _difference(emissions: ArrayLike, tags: ArrayLike, scores: Scores, legal: LegalTransitions | None) -> float:
    return log_partition(emissions, scores, legal) - path_score(emissions, tags, scores)


def _forward(emissions: Array, scores: Scores) -> Array:
    """``forward[t, k]``: over all tags before t, the scores up to t where t has the tag k."""
    forward = np.empty_like(emissions)
    forward[0] = scores.start + emissions[0]
    for position in range(1, len(emissions)):
        forward[position] = emissions[position] + np.logaddexp.reduce(
            forward[position - 1][:, None] + scores.transitions, axis=0
        )
    return forward


def _backward(emissions: Array, scores: Scores) -> Array:
    """``backward[t, k]``: over all tags behind t, the scores behind t where t has the tag k."""
    backward = np.empty_like(emissions)
    backward[-1] = scores.end
    for position in range(len(emissions) - 2, -1, -1):
        following = emissions[position + 1] + backward[position + 1]
        backward[position] = np.logaddexp.reduce(scores.transitions + following, axis=1)
    return backward
