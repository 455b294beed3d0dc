"""Sums and maxima over all tag sequences as compiled loops over the rows, by numba (the extra ``fast``).

The functions are those of :mod:`bertcore.numerics.crf.batched`. Importing this module imports numba. The first call
compiles for some seconds, or loads what an earlier process compiled: numba keeps it beside this file as Python keeps
its byte code, or in the user's cache folder, or in ``NUMBA_CACHE_DIR``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from bertcore.numerics.crf.batched import Array, Floats, Ints, emission_limit


class _Scores(NamedTuple):
    """Transitions ``[tags, tags]``, start and end ``[tags]``, and the exponentials of the transitions."""

    transitions: Array
    start: Array
    end: Array
    factors: Array
    """Less the largest transition, so that none overflows."""


class _Scratch(NamedTuple):
    """What one row after another is computed in: ``[longest row, tags]`` twice, and ``[2, tags]``."""

    forward: Array
    weights: Array
    two: Array


def log_partition(
    emissions: Floats, offsets: Ints, transitions: Array, start: Array, end: Array
) -> tuple[Array, Array, Array]:
    """See :func:`bertcore.numerics.crf.batched.log_partition`."""
    rows, size = len(offsets) - 1, len(start)
    unary, pairs = np.zeros(emissions.shape), np.zeros((rows, size, size))
    log_sums: Array = _log_partition(
        np.ascontiguousarray(emissions, dtype=np.float32),
        np.ascontiguousarray(offsets, dtype=np.int64),
        np.ascontiguousarray(transitions),
        start,
        end,
        emission_limit(transitions, start, end),
        unary,
        pairs,
    )
    return log_sums, unary, pairs


def viterbi(emissions: Floats, offsets: Ints, transitions: Array, start: Array, end: Array) -> NDArray[np.int32]:
    """See :func:`bertcore.numerics.crf.batched.viterbi`."""
    tags = np.zeros(len(emissions), dtype=np.int32)
    _viterbi(
        np.ascontiguousarray(emissions, dtype=np.float32),
        np.ascontiguousarray(offsets, dtype=np.int64),
        np.ascontiguousarray(transitions),
        start,
        end,
        tags,
    )
    return tags


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles at the first call, and releases the interpreter's lock while it runs."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # there is no folder that numba could write to
        return numba.njit(nogil=True)(function)


@_compiled
def _by_exponentials(emissions, scores, scratch, unary, pairs):  # type: ignore[no-untyped-def]
    """One row by products of exponentials, as :func:`bertcore.numerics.crf.batched._by_exponentials` explains it.

    Returns its log-partition, or minus infinity where the sum is zero; ``unary`` and ``pairs`` take the marginals.
    """
    transitions, start, end, factors = scores
    forward, weights, two = scratch
    steps, size = emissions.shape
    largest, largest_start, largest_end = transitions.max(), start.max(), end.max()
    total = largest * (steps - 1) + largest_start + largest_end
    for t in range(steps):
        highest = emissions[t, 0]
        for k in range(1, size):
            highest = max(highest, emissions[t, k])
        for k in range(size):
            weights[t, k] = np.exp(np.float64(emissions[t, k]) - np.float64(highest))
            forward[t, k] = 0.0
        if t == 0:
            for k in range(size):
                forward[0, k] = np.exp(start[k] - largest_start)
        else:
            for j in range(size):
                before = forward[t - 1, j]
                for k in range(size):
                    forward[t, k] += before * factors[j, k]
        scale = 0.0
        for k in range(size):
            forward[t, k] *= weights[t, k]
            scale += forward[t, k]
        if scale == 0.0:
            return -np.inf
        total += np.log(scale) + np.float64(highest)
        inverse = 1.0 / scale
        for k in range(size):
            forward[t, k] *= inverse
            weights[t, k] *= inverse  # for the way back, which has to be scaled in the same way
    backward, entering = two[0], two[1]
    final = 0.0
    for k in range(size):
        backward[k] = np.exp(end[k] - largest_end)
        final += backward[k] * forward[steps - 1, k]
    if final == 0.0:
        return -np.inf
    total += np.log(final)
    for k in range(size):
        backward[k] /= final
    for t in range(steps - 1, -1, -1):
        for k in range(size):
            unary[t, k] = forward[t, k] * backward[k]
            entering[k] = weights[t, k] * backward[k]
        if t > 0:
            for j in range(size):
                before = forward[t - 1, j]
                total_behind = 0.0
                for k in range(size):
                    use = factors[j, k] * entering[k]
                    total_behind += use
                    pairs[j, k] += before * use
                backward[j] = total_behind
    return total


@_compiled
def _by_logarithms(emissions, scores, scratch, unary, pairs):  # type: ignore[no-untyped-def]
    """The same in logarithms: exact for every finite score, and slower."""
    transitions, start, end, _ = scores
    forward, _, two = scratch
    steps, size = emissions.shape
    for k in range(size):
        forward[0, k] = start[k] + emissions[0, k]
    for t in range(1, steps):
        for k in range(size):
            highest = forward[t - 1, 0] + transitions[0, k]
            for j in range(1, size):
                highest = max(highest, forward[t - 1, j] + transitions[j, k])
            total = 0.0
            for j in range(size):
                total += np.exp(forward[t - 1, j] + transitions[j, k] - highest)
            forward[t, k] = np.log(total) + highest + emissions[t, k]
    backward, entering = two[0], two[1]
    for k in range(size):
        backward[k] = end[k]
    result = 0.0
    for t in range(steps - 1, -1, -1):
        highest = forward[t, 0] + backward[0]
        for k in range(1, size):
            highest = max(highest, forward[t, k] + backward[k])
        total = 0.0
        for k in range(size):
            unary[t, k] = np.exp(forward[t, k] + backward[k] - highest)
            total += unary[t, k]
        for k in range(size):
            unary[t, k] /= total
        if t == steps - 1:
            result = highest + np.log(total)
        if t > 0:
            # Both sums of this step are one number, so the marginals of pairs need no second normalization.
            log_sum = highest + np.log(total)
            for k in range(size):
                entering[k] = emissions[t, k] + backward[k]
            for j in range(size):
                highest = transitions[j, 0] + entering[0]
                for k in range(1, size):
                    highest = max(highest, transitions[j, k] + entering[k])
                behind = 0.0
                for k in range(size):
                    behind += np.exp(transitions[j, k] + entering[k] - highest)
                    pairs[j, k] += np.exp(forward[t - 1, j] + transitions[j, k] + entering[k] - log_sum)
                backward[j] = np.log(behind) + highest
    return result


@_compiled
def _log_partition(emissions, offsets, transitions, start, end, limit, unary, pairs):  # type: ignore[no-untyped-def]
    size = emissions.shape[1]
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    log_sums = np.zeros(len(offsets) - 1)
    scores = _Scores(transitions, start, end, np.exp(transitions - transitions.max()))
    scratch = _Scratch(np.empty((longest, size)), np.empty((longest, size)), np.empty((2, size)))
    for row in range(len(offsets) - 1):
        own = emissions[offsets[row] : offsets[row + 1]]
        if not len(own):
            continue
        own_unary = unary[offsets[row] : offsets[row + 1]]
        # What is no number is left to the logarithms, which hand it on.
        exact = True
        for t in range(len(own)):
            lowest = highest = own[t, 0]
            for k in range(1, size):
                lowest, highest = min(lowest, own[t, k]), max(highest, own[t, k])
            exact = exact and highest - lowest <= limit
        log_sum = -np.inf
        if exact:
            log_sum = _by_exponentials(own, scores, scratch, own_unary, pairs[row])
        if log_sum == -np.inf:
            log_sum = _by_logarithms(own, scores, scratch, own_unary, pairs[row])
        log_sums[row] = log_sum
    return log_sums


@_compiled
def _viterbi(emissions, offsets, transitions, start, end, tags):  # type: ignore[no-untyped-def]
    size = emissions.shape[1]
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    came_from = np.empty((longest, size), np.int32)
    best, following = np.empty(size), np.empty(size)
    for row in range(len(offsets) - 1):
        first, steps = offsets[row], offsets[row + 1] - offsets[row]
        if not steps:
            continue
        for k in range(size):
            best[k] = start[k] + emissions[first, k]
        for t in range(1, steps):
            for k in range(size):
                following[k] = best[0] + transitions[0, k]
                came_from[t, k] = 0
            for j in range(1, size):
                before = best[j]
                for k in range(size):
                    candidate = before + transitions[j, k]
                    if candidate > following[k]:
                        following[k] = candidate
                        came_from[t, k] = j
            for k in range(size):
                best[k] = following[k] + emissions[first + t, k]
        current = 0
        for k in range(1, size):
            if best[k] + end[k] > best[current] + end[current]:
                current = k
        for t in range(steps - 1, -1, -1):
            tags[first + t] = current
            current = came_from[t, current] if t else current
