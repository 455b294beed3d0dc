"""Which label positions make up the sequence of each row.

The label positions of all rows lie one after the other; on an accelerator they are padded. With two positions of row 0
and three of row 1, the second of which is absent because its label is ignored:

    positions     0  1  2  3  4                padded    0  1  .
    rows          0  0  1  1  1                          2  4  .
    kept          T  T  T  F  T                position 3 goes to a place behind the last, which is cut off
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Sequences:
    """Which label positions make up the sequence of each row.

    Attributes:
        lengths: int64 ``[rows]``, label positions of each row, on the host.
        rows: int64 ``[positions]``, the row of each label position.
        kept: bool ``[positions]``, False where a position is absent from its sequence; None where all are there.
    """

    lengths: NDArray[np.int64]
    rows: Tensor
    kept: Tensor | None = None

    @cached_property
    def longest(self) -> int:
        """No sequence is longer."""
        return int(self.lengths.max(initial=0))

    @cached_property
    def present(self) -> Tensor:
        """1 where a position belongs to its sequence and 0 where it is absent, int64 ``[positions]``."""
        return torch.ones_like(self.rows) if self.kept is None else self.kept.long()

    @cached_property
    def counts(self) -> Tensor:
        """Positions of each sequence, int64 ``[rows]``."""
        return self.rows.new_zeros(len(self.lengths)).index_add(0, self.rows, self.present)

    @cached_property
    def places(self) -> Tensor:
        """The place of each position in ``[rows, longest]``, flat; behind the last place where it is absent."""
        step = self.present.cumsum(0) - 1 - (self.counts.cumsum(0) - self.counts)[self.rows]
        places = self.rows * self.longest + step
        nowhere = len(self.lengths) * self.longest
        return places if self.kept is None else places.masked_fill(~self.kept, nowhere)

    def pad(self, values: Tensor) -> Tensor:
        """Spreads ``[positions, ...]`` to ``[rows, longest, ...]``, zero where there is no position."""
        places = len(self.lengths) * self.longest
        padded = values.new_zeros(places + 1, *values.shape[1:]).index_copy(0, self.places, values)
        return padded[:places].view(len(self.lengths), self.longest, *values.shape[1:])

    def gather(self, padded: Tensor) -> Tensor:
        """The way back: ``[positions, ...]``, zero where a position is absent."""
        flat = padded.flatten(0, 1)
        return torch.cat((flat, flat.new_zeros(1, *flat.shape[1:])))[self.places]
