"""Pairs of label positions: where rows of similar length have them in padded matrices, and where the batch has them.

A row of n label positions has a matrix of n x n, of which the upper triangle counts. Rows are sorted by n, and those of
a *bucket* are padded to the longest of it; only there is anything padded, as in :mod:`bertcore_torch.rows`::

    row a, n = 2      a00 a01  -        row b, n = 3      b00 b01 b02       one bucket of 2 x 3 x 3 places
                       -  a11  -                           -  b11 b12
                       -   -   -                           -   -  b22

    pairs             a00 a01 a11 b00 b01 b02 b11 b12 b22                   9 pairs, in the order of the batch
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MOST_BUCKETS = 4


@dataclass(frozen=True)
class PairBucket:
    """Rows whose matrices are as large as the largest of them.

    Attributes:
        rows: number of rows.
        length: label positions of the longest.
        positions: int64 ``[rows * length]``, the label position of the batch at each place of a row; padding repeats
            the row's last one.
    """

    rows: int
    length: int
    positions: Tensor


@dataclass(frozen=True)
class Pairs:
    """The pairs of a batch.

    Attributes:
        buckets: of rows with label positions.
        places: int64 ``[pairs]``, where each pair of the batch stands among the places of all buckets' matrices.
        starts: int64 ``[pairs]``, the label position of the batch where each begins.
        ends: int64 ``[pairs]``, and the one where it ends.
        rows: int64 ``[pairs]``, the row of each.
        first: int64 ``[rows]``, the first pair of each row.
        lengths: int64 ``[rows]``, label positions of each row.
        within: int64 ``[label positions]``, on the host: which of its row each label position is.
    """

    buckets: tuple[PairBucket, ...]
    places: Tensor
    starts: Tensor
    ends: Tensor
    rows: Tensor
    first: Tensor
    lengths: Tensor
    within: NDArray[np.int64]

    def numbers(self, rows: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        """Which pairs of the batch those are that begin and end at these label positions of these rows, ``[n]``."""
        #     n = 3    0-0 0-1 0-2 | 1-1 1-2 | 2-2        in front of the first that starts at m: m n - m (m - 1) / 2
        before = starts * self.lengths[rows] - starts * (starts - 1) // 2
        return self.first[rows] + before + ends - starts


def pairs_of(lengths: NDArray[np.int64], device: torch.device) -> Pairs:
    """Lays out the pairs of rows.

    Args:
        lengths: int64 ``[rows]``, label positions of each row, on the host.
        device: where the tensors go.
    """
    offsets = _starts(lengths)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    buckets: list[PairBucket] = []
    base, width = np.zeros(len(lengths), dtype=np.int64), np.zeros(len(lengths), dtype=np.int64)
    used = 0
    for rows in np.array_split(order, min(_MOST_BUCKETS, len(order))) if len(order) else ():
        longest = int(lengths[rows[-1]])
        positions = offsets[rows, None] + np.minimum(np.arange(longest), lengths[rows, None] - 1)
        buckets.append(PairBucket(len(rows), longest, _tensor(positions.reshape(-1), device)))
        base[rows] = used + np.arange(len(rows)) * longest**2
        width[rows] = longest
        used += len(rows) * longest**2
    row_of_position = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(offsets[-1]) - offsets[row_of_position]
    onward = lengths[row_of_position] - within  # pairs that begin at each label position
    start = np.repeat(np.arange(offsets[-1]), onward)
    distance = np.arange(len(start)) - np.repeat(_starts(onward)[:-1], onward)
    row = row_of_position[start]
    return Pairs(
        buckets=tuple(buckets),
        places=_tensor(base[row] + within[start] * width[row] + within[start] + distance, device),
        starts=_tensor(start, device),
        ends=_tensor(start + distance, device),
        rows=_tensor(row, device),
        first=_tensor(_starts(lengths * (lengths + 1) // 2)[:-1], device),
        lengths=_tensor(lengths, device),
        within=within,
    )


def _starts(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _tensor(values: NDArray[np.integer], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64)).to(device)
