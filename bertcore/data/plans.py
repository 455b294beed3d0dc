"""Which rows go into which batch: pure functions of the seed and the lengths, the same for every backend."""

from __future__ import annotations

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
    return _split(np.argsort(-lengths, kind="stable"), batch_size)


def _split(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
