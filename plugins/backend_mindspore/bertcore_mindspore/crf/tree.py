"""Products of neighbouring leaves, level by level: what losses and best tags in the graph have in common.

A leaf is a matrix: the score of each tag at a position after each tag before it. Two neighbours multiply to the scores
from before the first to the second, whatever lies between; so a chain of n leaves is one matrix after log2(n) levels.
Of five leaves, with an identity (-) where a level has an odd number:

    level 3    abcde
    level 2    abcd           e-
    level 1    ab     cd      e      -
    leaves     a  b   c  d    e  -

A product is a sum over the tag in the middle: of exponentials, less the largest of each so that nothing overflows
(exact for every finite score), or the best one alone.
"""

from __future__ import annotations

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from bertcore.contracts.tagging import LegalTransitions
from bertcore.numerics.crf import SCORE_FLOOR
from bertcore_mindspore.devices import DeviceKind


class TagTree(nn.Cell):
    """What losses and best tags in the graph have in common.

    Args:
        legal: what to forbid, or None.
        device: says in which dtype to compute.
    """

    def __init__(self, legal: LegalTransitions | None, device: DeviceKind) -> None:
        super().__init__(auto_prefix=False)
        self.wide = getattr(mindspore, device.wide_dtype)
        self.restricted = legal is not None
        if legal is not None:
            self.legal_pairs = Tensor(legal.pairs.astype(np.float32))
            self.legal_start = Tensor(legal.start.astype(np.float32))
            self.legal_end = Tensor(legal.end.astype(np.float32))
        self.cast = ops.Cast()
        self.exp = ops.Exp()
        self.log = ops.Log()
        self.maximum = ops.Maximum()
        self.largest = ops.ReduceMax(keep_dims=True)
        self.best = ops.ReduceMax()
        self.sum = ops.ReduceSum()
        self.concat = ops.Concat(1)
        self.stack = ops.Stack(2)
        self.gather = ops.Gather()
        self.one_hot = ops.OneHot()
        self.sigmoid = ops.Sigmoid()
        self.relu = ops.ReLU()
        self.absolute = ops.Abs()
        self.segment_sum = ops.UnsortedSegmentSum()
        self.argmax = ops.Argmax(-1, mindspore.int32)

    def as_counted(self, scores: Tensor) -> Tensor:
        """The scores as they count, in the wide dtype."""
        return self.maximum(self.cast(scores, self.wide), Tensor(SCORE_FLOOR, self.wide))

    def restrict(self, scores: Tensor, legal: Tensor) -> Tensor:
        """The floor in the place of what is illegal."""
        legal = self.cast(legal, self.wide)
        return scores * legal + (1.0 - legal) * SCORE_FLOOR

    def allowed(self, transitions: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What may count: transitions, start and end."""
        if self.restricted:
            return (
                self.restrict(transitions, self.legal_pairs),
                self.restrict(start, self.legal_start),
                self.restrict(end, self.legal_end),
            )
        return transitions, start, end

    def identity(self, size: int) -> Tensor:
        """The matrix that changes nothing."""
        return (1.0 - ops.eye(size, size, self.wide)) * SCORE_FLOOR

    def leaves(
        self, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, marks: Tensor, bins: int
    ) -> Tensor:
        """Scores of each leaf from tag to tag ``[bins, leaves, from, to]``.

        The first of a row does not ask what comes before it; the last has the score of the end; a leaf that belongs to
        no sequence is the identity.
        """
        count, size = emissions.shape
        marks = self.cast(marks, self.wide)
        inner, first, last = marks[0].reshape(-1, 1, 1), marks[1].reshape(-1, 1, 1), marks[2].reshape(-1, 1, 1)
        scores = emissions.reshape(count, 1, size) + last * end.reshape(1, 1, size)
        steps = inner * transitions.reshape(1, size, size) + first * start.reshape(1, 1, size)
        present = inner + first
        matrices = present * (scores + steps) + (1.0 - present) * self.identity(size).reshape(1, size, size)
        return matrices.reshape(bins, count // bins, size, size)

    def log_sum(self, values: Tensor, axis: int) -> Tensor:
        """Logarithm of the sum of exponentials along an axis."""
        largest = self.largest(values, axis)
        return self.log(self.sum(self.exp(values - largest), axis)) + self.best(values, axis)

    def product(self, left: Tensor, right: Tensor, *, best: bool) -> Tensor:
        """Products of matrices of log-sums, or of best scores, less the largest value of each."""
        bins, nodes, size, _ = left.shape
        sums = left.reshape(-1, size, size, 1) + right.reshape(-1, 1, size, size)
        merged = self.best(sums, 2) if best else self.log_sum(sums, 2)
        merged = merged.reshape(bins, nodes, size, size)
        return merged - self.largest(merged, (2, 3))

    def tree(self, leaves: Tensor, *, best: bool) -> tuple[Tensor, ...]:
        """Products of neighbours, level by level; each but the last has an even number of nodes."""
        bins, count, size, _ = leaves.shape
        levels, current = (), leaves
        while count > 1:
            if count % 2 == 1:
                padding = ops.broadcast_to(self.identity(size).reshape(1, 1, size, size), (bins, 1, size, size))
                current = self.concat((current, padding))
                count = count + 1
            levels = (*levels, current)
            children = current.reshape(bins, count // 2, 2, size, size)
            current = self.product(children[:, :, 0], children[:, :, 1], best=best)
            count = count // 2
        return (*levels, current)

    def interleave(self, first: Tensor, second: Tensor) -> Tensor:
        """First and second child of each node, one after the other."""
        shape = first.shape
        return self.stack((first, second)).reshape(shape[0], shape[1] * 2, *shape[2:])
