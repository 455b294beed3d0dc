"""Sums and maxima over all tag sequences in numpy, one step for all rows at once.

The rows are sorted by length, the longest first, so that those which reach a position are the first ones and no step
needs a mask.
"""

# mypy: disable-error-code="no-any-return"
# (numpy 1.26 types most arithmetic as Any.)
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bertcore.contracts.tagging import LegalTransitions, TransitionScores
from bertcore.numerics.crf import SCORE_FLOOR
from bertcore.numerics.crf.values import Array, Floats, Ints, RowLosses, as_counted, restricted

# Widest ranges, in powers of e, in which a sum of exponentials loses nothing that could still count. float64 reaches
# from e^-708 to e^709.
_WIDEST = 200.0
_WIDEST_RESTRICTED = 400.0
_STEPS = 3


# What is no number, or no finite one, is handed on: a session finds it in the loss and updates nothing.
@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def losses(
    emissions: Floats, tags: Ints, offsets: Ints, scores: TransitionScores, legal: LegalTransitions | None = None
) -> RowLosses:
    """See :func:`bertcore.numerics.crf.host.losses`."""
    size = emissions.shape[1]
    transitions, start, end = as_counted(scores)
    log_sums, unary, pairs = log_partition(emissions, offsets, *restricted(transitions, start, end, legal))

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
    difference = log_sums - np.bincount(rows, position_scores, minlength=len(lengths))
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
    emissions: Floats, offsets: Ints, scores: TransitionScores, legal: LegalTransitions | None = None
) -> NDArray[np.int32]:
    """See :func:`bertcore.numerics.crf.host.decode`."""
    return viterbi(emissions, offsets, *restricted(*as_counted(scores), legal))


def emission_limit(transitions: Array, start: Array, end: Array) -> float:
    """How far the emissions of one position may lie apart for the products of exponentials to be exact.

    Without constraints a tag that is improbable at one position by more than float64 can hold could only come back
    through a transition that is better by as much: the ranges of the scores decide, and emissions may be anything.
    With constraints it could also be the only way to where the best sequence goes; but if all tags reach all others in
    three steps, no tag ever falls behind by more than three steps lose.

    Args:
        transitions: ``[tags, tags]``, ``SCORE_FLOOR`` where forbidden, as the other two.
        start: ``[tags]``.
        end: ``[tags]``.

    Returns:
        The limit; infinity for no limit, and a negative number where logarithms must be used.
    """
    ranges = []
    restricted = False
    for part in (transitions, start, end):
        allowed = part[part > SCORE_FLOOR / 2]
        restricted |= allowed.size < part.size
        ranges.append(float(np.ptp(allowed)) if allowed.size else np.inf)
    if not restricted:
        return np.inf if max(ranges) <= _WIDEST else -1.0
    steps = np.linalg.matrix_power((transitions > SCORE_FLOOR / 2).astype(np.float64), _STEPS)
    if not (steps > 0).all():
        return -1.0
    return (_WIDEST_RESTRICTED - ranges[1] - ranges[2]) / _STEPS - ranges[0] - float(np.log(len(start)))


def log_partition(
    emissions: Floats, offsets: Ints, transitions: Array, start: Array, end: Array
) -> tuple[Array, Array, Array]:
    """Log-partition of each row and the marginals, by forward-backward.

    Args:
        emissions: float32 ``[positions, tags]``.
        offsets: ``[rows + 1]``.
        transitions: float64 ``[tags, tags]``, ``SCORE_FLOOR`` where forbidden, as the other two.
        start: float64 ``[tags]``.
        end: float64 ``[tags]``.

    Returns:
        ``[rows]``, the marginals ``[positions, tags]``, and those of pairs, summed over the positions of each row,
        ``[rows, tags, tags]``; all float64.
    """
    layout = Layout(offsets)
    size = len(start)
    if not layout.steps:
        rows = len(offsets) - 1
        return np.zeros(rows), np.zeros((0, size)), np.zeros((rows, size, size))
    padded = layout.pad(emissions)
    spread = float((emissions.max(axis=1) - emissions.min(axis=1)).max())
    result = None
    if spread <= emission_limit(transitions, start, end):
        result = _by_exponentials(layout, padded, transitions, start, end)
    log_sums, unary, pairs = result or _by_logarithms(layout, padded, transitions, start, end)
    return layout.restore(log_sums), unary[layout.step, layout.place], layout.restore(pairs)


def viterbi(emissions: Floats, offsets: Ints, transitions: Array, start: Array, end: Array) -> NDArray[np.int32]:
    """The best tags of each row, int32 ``[positions]``; arguments as for :func:`log_partition`."""
    layout = Layout(offsets)
    if not layout.steps:
        return np.zeros(0, dtype=np.int32)
    padded = layout.pad(emissions)
    came_from = np.zeros(padded.shape, dtype=np.int32)
    best = start + padded[0]
    for step in range(1, layout.steps):
        active = layout.active[step]
        candidates = best[:active, :, None] + transitions
        came_from[step, :active] = candidates.argmax(axis=1)
        best[:active] = candidates.max(axis=1) + padded[step, :active]
    tags = np.empty(padded.shape[:2], dtype=np.int32)
    current = (best + end).argmax(axis=1)
    every = np.arange(len(current))
    for step in range(layout.steps - 1, -1, -1):
        active = layout.active[step]
        tags[step, :active] = current[:active]
        current[:active] = came_from[step, every[:active], current[:active]]
    return tags[layout.step, layout.place]


class Layout:
    """Positions as ``[steps, rows]``, the longest row first.

    Attributes:
        steps: positions of the longest row.
        active: number of rows that reach each step.
        step: of each position.
        place: of each position: the row's place in the order of lengths.
        last: step of the last position of each row with positions, in the order of lengths.
    """

    def __init__(self, offsets: Ints) -> None:
        lengths = np.diff(offsets)
        self._order = np.argsort(-lengths, kind="stable")
        self._count = int((lengths > 0).sum())
        self.steps = int(lengths.max(initial=0))
        sorted_lengths = lengths[self._order][: self._count]
        self.last = sorted_lengths - 1
        self.active = [int(count) for count in np.searchsorted(-sorted_lengths, -np.arange(self.steps), side="left")]
        places = np.empty(len(lengths), dtype=np.int64)
        places[self._order] = np.arange(len(lengths))
        self.place = np.repeat(places, lengths)
        self.step = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], lengths)

    def pad(self, emissions: Floats) -> Array:
        """``[steps, rows, tags]``, zero beyond a row's end."""
        padded = np.zeros((self.steps, self._count, emissions.shape[1]))
        padded[self.step, self.place] = emissions
        return padded

    def restore(self, values: Array) -> Array:
        """From the order of lengths to that of the rows, zero for rows without positions."""
        restored = np.zeros((len(self._order), *values.shape[1:]))
        restored[self._order[: self._count]] = values
        return restored


def _by_exponentials(
    layout: Layout, emissions: Array, transitions: Array, start: Array, end: Array
) -> tuple[Array, Array, Array] | None:
    """Sums as products of exponentials, scaled at every step; None where some row has no legal sequence.

    Forward-backward (Rabiner 1989), with e, A, s, f for emissions, transitions, start and end, each less its largest:

        forward[t, k]  = exp(e[t, k]) sum_j forward[t-1, j] exp(A[j, k]),   divided by scale[t], its sum over k
        backward[t, j] = sum_k exp(A[j, k]) exp(e[t+1, k]) backward[t+1, k], divided by scale[t+1]

        P(t_t = k)                = forward[t, k] backward[t, k]
        P(t_(t-1) = j, t_t = k)   = forward[t-1, j] exp(A[j, k]) entering[t, k]
        log-partition             = sum_t log scale[t] + log final + all that was taken off

    So every number is a share between 0 and 1, however long the row, and no logarithm is taken but one a step.
    """
    highest = emissions.max(axis=2, keepdims=True)
    weights = np.exp(emissions - highest)
    factors = np.exp(transitions - transitions.max())
    forward = np.empty_like(emissions)
    scales = np.ones(emissions.shape[:2])
    forward[0] = np.exp(start - start.max()) * weights[0]
    for step in range(layout.steps):
        active = layout.active[step]
        if step:
            np.matmul(forward[step - 1, :active], factors, out=forward[step, :active])
            forward[step, :active] *= weights[step, :active]
        scales[step, :active] = forward[step, :active].sum(axis=1)
        if (scales[step, :active] == 0).any():
            return None
        forward[step, :active] /= scales[step, :active, None]

    every = np.arange(len(layout.last))
    ends = np.exp(end - end.max())
    final = forward[layout.last, every] @ ends
    if (final == 0).any():
        return None
    log_sums = np.log(scales).sum(axis=0) + highest[:, :, 0].sum(axis=0) + np.log(final)
    log_sums += start.max() + end.max() + transitions.max() * layout.last

    unary = np.zeros_like(emissions)
    entering = np.zeros_like(emissions)
    backward = ends / final[:, None]
    for step in range(layout.steps - 1, -1, -1):
        active = layout.active[step]
        unary[step, :active] = forward[step, :active] * backward[:active]
        if step:
            entering[step, :active] = weights[step, :active] * backward[:active] / scales[step, :active, None]
            backward[:active] = entering[step, :active] @ factors.T
    # All steps of a row in one product. Its places behind its end hold zeros in entering, anything finite in forward.
    forward[np.arange(layout.steps)[:, None] > layout.last] = 0
    pairs = forward[:-1].transpose(1, 2, 0) @ entering[1:].transpose(1, 0, 2) * factors
    return log_sums, unary, pairs


def _by_logarithms(
    layout: Layout, emissions: Array, transitions: Array, start: Array, end: Array
) -> tuple[Array, Array, Array]:
    """Sums of exponentials of differences from the largest: exact for every finite score, and slower."""
    forward = np.zeros_like(emissions)
    forward[0] = start + emissions[0]
    for step in range(1, layout.steps):
        active = layout.active[step]
        forward[step, :active] = (
            log_sum(forward[step - 1, :active, :, None] + transitions, 1) + emissions[step, :active]
        )
    every = np.arange(len(layout.last))
    log_sums = log_sum(forward[layout.last, every] + end, 1)
    unary = np.zeros_like(emissions)
    pairs = np.zeros((len(every), len(start), len(start)))
    backward = np.tile(end, (len(every), 1))
    for step in range(layout.steps - 1, -1, -1):
        active = layout.active[step]
        unary[step, :active] = _softmax(forward[step, :active] + backward[:active])
        if step:
            following = transitions + (emissions[step, :active] + backward[:active])[:, None, :]
            both = (forward[step - 1, :active, :, None] + following).reshape(active, -1)
            pairs[:active] += _softmax(both).reshape(following.shape)
            backward[:active] = log_sum(following, 2)
    return log_sums, unary, pairs


def log_sum(values: Array, axis: int) -> Array:
    """Logarithm of the sum of exponentials along an axis."""
    highest = values.max(axis=axis, keepdims=True)
    return np.log(np.exp(values - highest).sum(axis=axis)) + highest.squeeze(axis)


def _softmax(values: Array) -> Array:
    exponentials = np.exp(values - values.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
