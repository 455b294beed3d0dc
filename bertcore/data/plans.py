"""Which rows go into which batch: pure functions of the seed and the lengths, the same for every backend.

A plan holds numbers of rows, no tokens, and has no state: a resumed run makes the plan of its epoch again and skips
what was trained. Batches are counted in rows, not in tokens, so that a learning rate of the literature means the same
here; what a batch costs is left to the backend, which lays out its rows without padding. Rows that belong together, as
the choices of a question, are planned as one: what is called a row here is then a group of the batch.

    rows     0 1 2 3 4 5 6 7 8 ...   shuffled    4 7 0 | 2 8 1 | 6 3 5 ...
    grouped  the same shuffle, cut into groups of 50 batches; each group sorted by length and cut into batches, then all
             batches shuffled: rows of a batch are of similar length, and no epoch runs from long to short
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Batches sorted together when grouping by length, as in transformers' LengthGroupedSampler.
GROUPED_BATCHES = 50


def plan_training(
    lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int, group_by_length: bool = False
) -> list[NDArray[np.int64]]:
    """Returns the rows of each batch of an epoch; every row occurs once, and the last batch may be smaller.

    Args:
        lengths: int64 ``[rows]``, tokens of each row.
        batch_size: rows of a batch.
        seed: the run's seed.
        epoch: number of the epoch, from 0.
        group_by_length: batches of rows of similar length, the order of the batches still shuffled.
    """
    # Philox takes the epoch as half of its key: any epoch is reached at once, without those in front of it.
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order = generator.permutation(len(lengths))
    if not group_by_length:
        return _split(order, batch_size)
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), batch_size * GROUPED_BATCHES):
        group = order[start : start + batch_size * GROUPED_BATCHES]
        batches += _split(group[np.argsort(-lengths[group], kind="stable")], batch_size)
    return [batches[index] for index in generator.permutation(len(batches))]


def plan_prediction(lengths: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Returns the rows of each batch for a prediction: longest first, so that a lack of memory shows at once."""
    # Sorted, since nothing is learned from the order, and rows of one length leave no padding. Stable, so that two
    # backends and two runs put the same rows together.
    return _split(np.argsort(-lengths, kind="stable"), batch_size)


def plan_ranks(
    micro_batches: Sequence[NDArray[np.int64]], lengths: NDArray[np.int64], ranks: int
) -> list[list[NDArray[np.int64]]]:
    """Divides the rows of a step among ranks, as evenly in tokens as the longest-first rule makes it.

    ::

        lengths of a step     9 2 4 3 | 5 1 7 1        rank 0: 9 5 1 1 in one micro-batch
                                                       rank 1: 2 4 3 7 in one micro-batch

    With n ranks a step has 1/n of its micro-batches in each, and at least one: none is larger than without ranks, and
    where the rows of a step fit in fewer passes, fewer are made.

    Args:
        micro_batches: rows of each micro-batch of the step.
        lengths: int64 ``[rows of the step]``, tokens of each, in the order of the micro-batches.
        ranks: how many there are.

    Returns:
        The micro-batches of each rank; empty ones where there are fewer rows than ranks.
    """
    rows = np.concatenate(micro_batches)
    passes = -(-len(micro_batches) // ranks)
    parts: list[list[int]] = [[] for _ in range(ranks)]
    tokens = [0] * ranks
    for place in np.argsort(-lengths, kind="stable"):
        least = tokens.index(min(tokens))
        parts[least].append(int(place))
        tokens[least] += int(lengths[place])
    return [np.array_split(rows[sorted(part)], passes) for part in parts]


def _split(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
